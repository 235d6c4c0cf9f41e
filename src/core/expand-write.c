/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes policies into a domain as elements that libvirt knows, and the record of it. The domain
 * is as its owner wrote it: an earlier expansion has been taken out (expand-undo.c).
 */
#include "base/error.h"
#include "core/expand-xml.h"

#include <string.h>

typedef struct {
    xmlNode *root;
    const VqDomain *domain;
    const VqUndone *undone;
    VqState *state;      /* the new record */
    unsigned next;       /* IOThread id to be given out */
    GHashTable *new_ids; /* place -> id */
} Write;

static const VqStateDevice *
find_old_record(const VqState *old, const VqStateDevice *record)
{
    for (guint i = 0; old && i < old->devices->len; i++) {
        const VqStateDevice *device = g_ptr_array_index(old->devices, i);

        if (device->kind == record->kind && device->index == record->index &&
            g_strcmp0(device->target, record->target) == 0)
            return device;
    }
    return NULL;
}

/*
 * A <driver> that we made and to which libvirt has added its defaults (name, type) since is still
 * remembered as made by us.
 */
static xmlNode *
ensure_driver(const VqState *old_state, VqStateDevice *record, xmlNode *node)
{
    xmlNode *driver = vq_xml_child(node, "driver", NULL);
    const VqStateDevice *old = find_old_record(old_state, record);

    if (driver) {
        record->wrote_driver = old && old->wrote_driver;
        record->spaced = record->wrote_driver && old->spaced;
        return driver;
    }
    driver = vq_xml_new(node->doc, "driver");
    record->wrote_driver = true;
    record->spaced = vq_xml_prepend(node, driver);
    return driver;
}

static void
write_queues(VqStateDevice *record, const VqDevice *device, xmlNode *driver)
{
    if (device->queues_set)
        return;
    record->wrote_queues = true;
    record->was = vq_xml_attr(driver, "queues");
    vq_xml_set_uint(driver, "queues", record->queues);
}

/* Queues are dealt out round robin and written down: queue q to thread q % n. */
static xmlNode *
build_mapping(const VqStateDevice *record, xmlDoc *doc)
{
    xmlNode *mapping = vq_xml_new(doc, "iothreads");
    unsigned n = record->ids->len;

    for (unsigned i = 0; i < n; i++) {
        xmlNode *iothread = xmlNewChild(mapping, NULL, (const xmlChar *)"iothread", NULL);

        vq_xml_set_uint(iothread, "id", g_array_index(record->ids, unsigned, i));
        for (unsigned queue = i; queue < record->queues; queue += n)
            vq_xml_set_uint(xmlNewChild(iothread, NULL, (const xmlChar *)"queue", NULL), "id",
                            queue);
    }
    return mapping;
}

static void
write_mapping(VqStateDevice *record, xmlNode *driver)
{
    xmlNode *empty = vq_xml_child(driver, "iothreads", NULL);
    xmlNode *mapping = build_mapping(record, driver->doc);

    /* libvirt reads the first one */
    if (empty)
        vq_xml_insert_before(empty, mapping);
    else if (vq_xml_append(driver, mapping))
        record->spaced = true;
}

static void
write_device(Write *w, const VqDevice *device, xmlNode *node)
{
    VqDevicePlan plan = vq_device_plan(device, w->domain->vcpus);
    g_autoptr(VqStateDevice) record = vq_state_device_new(device->kind);

    record->target = device->kind == VQ_DEVICE_DISK ? g_strdup(device->name) : NULL;
    record->index = device->index;
    record->queues = plan.queues;
    record->poll_off = plan.iothreads && device->policy->polling == VQ_POLLING_OFF;
    for (unsigned i = 0; i < plan.iothreads; i++, w->next++) {
        g_hash_table_insert(w->new_ids, g_strdup_printf("%s/%u", device->name, i),
                            GUINT_TO_POINTER(w->next));
        g_array_append_val(record->ids, w->next);
    }
    if (plan.iothreads || !device->queues_set)
        write_queues(record, device, ensure_driver(w->undone->state, record, node));
    if (plan.iothreads)
        write_mapping(record, vq_xml_child(node, "driver", NULL));
    if (record->ids->len || record->wrote_queues)
        g_ptr_array_add(w->state->devices, g_steal_pointer(&record));
}

/* What the user set on the thread that stood here before: thread pool attributes. */
static void
copy_attributes(xmlNode *thread, const xmlNode *from)
{
    for (const xmlAttr *attr = from->properties; attr; attr = attr->next) {
        xmlChar *value = xmlNodeGetContent((const xmlNode *)attr);

        if (!attr->ns && !xmlHasProp(thread, attr->name))
            xmlSetProp(thread, attr->name, value);
        xmlFree(value);
    }
}

static xmlNode *
build_thread(Write *w, const VqStateDevice *record, unsigned ordinal)
{
    g_autofree char *name = vq_state_device_name(record);
    g_autofree char *place = g_strdup_printf("%s/%u", name, ordinal);
    const VqOldThread *old = vq_undone_find(w->undone, place);
    const xmlNode *settings = old ? old->settings : NULL;
    const xmlNode *poll = vq_xml_child(settings, "poll", NULL);
    xmlNode *thread = vq_xml_new(w->root->doc, "iothread");

    vq_xml_set_uint(thread, "id", g_array_index(record->ids, unsigned, ordinal));
    if (settings)
        copy_attributes(thread, settings);
    if (poll)
        xmlAddChild(thread, xmlDocCopyNode((xmlNode *)poll, w->root->doc, 1));
    else if (record->poll_off)
        vq_xml_set_uint(xmlNewChild(thread, NULL, (const xmlChar *)"poll", NULL), "max", 0);
    return thread;
}

static void
append_thread(Write *w, xmlNode *ids, xmlNode *thread)
{
    if (vq_xml_append(ids, thread))
        w->state->spaced = true;
}

/* Ids that <iothreads> only implies are written out, before ours: libvirt numbers them last. */
static void
write_implied(Write *w, xmlNode *ids)
{
    g_autoptr(GArray) threads = vq_expansion_threads(w->root);

    for (guint i = 0; i < threads->len; i++) {
        unsigned id = g_array_index(threads, unsigned, i);

        if (vq_expansion_find_thread(w->root, id))
            continue;

        xmlNode *thread = vq_xml_new(w->root->doc, "iothread");

        vq_xml_set_uint(thread, "id", id);
        append_thread(w, ids, thread);
        g_array_append_val(w->state->implied, id);
    }
}

static void
write_threads(Write *w, unsigned count)
{
    g_autofree char *text = g_strdup_printf("%u", w->domain->iothreads->len + count);
    xmlNode *present = vq_xml_child(w->root, "iothreads", NULL), *ids;
    xmlChar *before = present ? xmlNodeGetContent(present) : NULL;

    w->state->iothreads = g_strdup((const char *)before);
    xmlFree(before);
    if (!present)
        vq_expansion_set_count(w->root, "0");
    ids = vq_expansion_ensure_ids(w->root, &w->state->wrote_ids);
    write_implied(w, ids);
    for (guint i = 0; i < w->state->devices->len; i++) {
        const VqStateDevice *record = g_ptr_array_index(w->state->devices, i);

        for (guint j = 0; j < record->ids->len; j++)
            append_thread(w, ids, build_thread(w, record, j));
    }
    vq_expansion_set_count(w->root, text);
}

static void
write_record(Write *w)
{
    VqMetadata metadata = vq_metadata_find(w->root);
    xmlNode *record;

    if (w->state->devices->len == 0) {
        if (metadata.state)
            vq_xml_remove(metadata.state, true);
        return;
    }
    record = vq_state_write(w->state, w->root->doc);
    if (metadata.state)
        vq_xml_replace(metadata.state, record);
    else
        vq_xml_insert_after(metadata.policy ? metadata.policy : metadata.nova, record);
}

static unsigned
count_threads(const VqDomain *domain)
{
    unsigned count = 0;

    for (guint i = 0; i < domain->devices->len; i++) {
        const VqDevice *device = g_ptr_array_index(domain->devices, i);

        if (device->policy)
            count += vq_device_plan(device, domain->vcpus).iothreads;
    }
    return count;
}

bool
vq_expansion_write(xmlNode *root, const VqDomain *domain, const VqUndone *undone, GError **error)
{
    g_autoptr(GPtrArray) nodes = vq_domain_device_nodes(root);
    g_autoptr(GHashTable) new_ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(VqState) state = vq_state_new();
    unsigned last = vq_expansion_last_id(root, undone);
    unsigned count = count_threads(domain);
    Write w = {root, domain, undone, state, last + 1, new_ids};

    if (count > G_MAXUINT - 1 - last) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                    "no %u IOThread ids are left after the largest that the domain speaks of, %u",
                    count, last);
        return false;
    }
    for (guint i = 0; i < domain->devices->len; i++) {
        const VqDevice *device = g_ptr_array_index(domain->devices, i);

        if (device->policy)
            write_device(&w, device, g_ptr_array_index(nodes, i));
    }
    if (count)
        write_threads(&w, count);
    vq_expansion_move_tuning(root, undone, new_ids);
    write_record(&w);
    return true;
}
