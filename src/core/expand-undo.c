/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Takes an expansion out of a domain again. Only what still is as the record says is ours:
 *
 * - a device is recognised by its mapping (no IOThread of ours serves two devices), so that it may
 *   have got another name; by its name where the mapping is gone;
 * - a mapping that was changed is the user's from then on, with its queues= and its IOThreads;
 * - an IOThread of ours that something of the user's refers to becomes the user's.
 */
#include "core/expand-xml.h"

#include <string.h>

typedef struct {
    xmlNode *root;
    VqState *state;
    GPtrArray *nodes; /* of device elements, NULLed once claimed */
    GPtrArray *names; /* of char *, theirs */
    VqUndone *undone;
    GHashTable *referred; /* IOThread ids that the devices still use */
} Undo;

static void
old_thread_free(gpointer data)
{
    VqOldThread *thread = data;

    g_free(thread->place);
    if (thread->settings)
        xmlFreeNode(thread->settings);
    g_free(thread);
}

void
vq_undone_free(VqUndone *undone)
{
    if (!undone)
        return;
    vq_state_free(undone->state);
    g_ptr_array_unref(undone->threads);
    g_free(undone);
}

const VqOldThread *
vq_undone_find(const VqUndone *undone, const char *place)
{
    for (guint i = 0; i < undone->threads->len; i++) {
        const VqOldThread *thread = g_ptr_array_index(undone->threads, i);

        if (g_str_equal(thread->place, place))
            return thread;
    }
    return NULL;
}

char *
vq_state_device_name(const VqStateDevice *device)
{
    return device->kind == VQ_DEVICE_DISK ? g_strdup(device->target)
                                          : g_strdup_printf("scsi%u", device->index);
}

static bool
has_number(const xmlNode *node, const char *name, unsigned expected)
{
    g_autofree char *text = vq_xml_attr(node, name);
    unsigned value;

    return vq_parse_uint(text, G_MAXUINT, &value) && value == expected;
}

/* Whether <iothread> number @ordinal of a mapping is as vq_expansion_write() writes it. */
static bool
is_our_map(const VqStateDevice *device, const xmlNode *iothread, unsigned ordinal)
{
    unsigned queue = ordinal;

    if (!has_number(iothread, "id", g_array_index(device->ids, unsigned, ordinal)))
        return false;
    VQ_XML_FOREACH (node, iothread, "queue") {
        if (queue >= device->queues || !has_number(node, "id", queue))
            return false;
        queue += device->ids->len;
    }
    return queue >= device->queues;
}

static bool
has_our_mapping(const VqStateDevice *device, const xmlNode *node)
{
    const xmlNode *driver = vq_xml_child(node, "driver", NULL);
    unsigned ordinal = 0;

    if (device->ids->len == 0)
        return false;
    VQ_XML_FOREACH (iothread, vq_xml_child(driver, "iothreads", NULL), "iothread") {
        if (ordinal == device->ids->len || !is_our_map(device, iothread, ordinal))
            return false;
        ordinal++;
    }
    return ordinal == device->ids->len;
}

/* A mapping of any kind, ours or not. */
static bool
has_mapping(const xmlNode *node)
{
    const xmlNode *driver = vq_xml_child(node, "driver", NULL);

    return vq_xml_child(vq_xml_child(driver, "iothreads", NULL), "iothread", NULL) ||
           xmlHasProp((xmlNode *)driver, (const xmlChar *)"iothread");
}

static void
restore_driver(const VqStateDevice *device, xmlNode *node)
{
    xmlNode *driver = vq_xml_child(node, "driver", NULL);

    if (!driver)
        return;
    if (device->wrote_queues && has_number(driver, "queues", device->queues)) {
        if (device->was)
            xmlSetProp(driver, (const xmlChar *)"queues", (const xmlChar *)device->was);
        else
            xmlUnsetProp(driver, (const xmlChar *)"queues");
    }
    if (device->wrote_driver && !driver->properties && !vq_xml_has_elements(driver))
        vq_xml_remove(driver, device->spaced);
}

static void
undo_mapping(const VqStateDevice *device, xmlNode *node)
{
    xmlNode *driver = vq_xml_child(node, "driver", NULL);

    vq_xml_remove(vq_xml_child(driver, "iothreads", NULL), device->spaced && !device->wrote_driver);
    restore_driver(device, node);
}

static bool
same_kind(const VqStateDevice *device, const xmlNode *node)
{
    return vq_xml_is(node, device->kind == VQ_DEVICE_DISK ? "disk" : "controller", NULL);
}

/* The device with our mapping, @name being asked first; -1 if there is none. */
static int
find_mapped(Undo *u, const VqStateDevice *device, const char *name)
{
    int found = -1;

    for (guint i = 0; i < u->nodes->len; i++) {
        const xmlNode *node = g_ptr_array_index(u->nodes, i);

        if (!node || !same_kind(device, node) || !has_our_mapping(device, node))
            continue;
        if (g_str_equal(g_ptr_array_index(u->names, i), name))
            return i;
        if (found < 0)
            found = i;
    }
    return found;
}

static int
find_named(Undo *u, const VqStateDevice *device, const char *name)
{
    for (guint i = 0; i < u->nodes->len; i++) {
        const xmlNode *node = g_ptr_array_index(u->nodes, i);

        if (node && same_kind(device, node) && g_str_equal(g_ptr_array_index(u->names, i), name))
            return i;
    }
    return -1;
}

static void
undo_device(Undo *u, const VqStateDevice *device)
{
    g_autofree char *name = vq_state_device_name(device);
    int i = find_mapped(u, device, name);

    if (i >= 0) {
        undo_mapping(device, g_ptr_array_index(u->nodes, i));
        g_ptr_array_index(u->nodes, i) = NULL;
        return;
    }
    i = find_named(u, device, name);
    if (i < 0)
        return;

    xmlNode *node = g_ptr_array_index(u->nodes, i);

    if (device->ids->len == 0 || !has_mapping(node))
        restore_driver(device, node);
    g_ptr_array_index(u->nodes, i) = NULL;
}

static void
refer(Undo *u, const xmlNode *node, const char *attribute)
{
    g_autofree char *text = vq_xml_attr(node, attribute);
    unsigned id;

    if (vq_parse_uint(text, G_MAXUINT, &id))
        g_hash_table_add(u->referred, GUINT_TO_POINTER(id));
}

static void
collect_references(Undo *u)
{
    const xmlNode *devices = vq_xml_child(u->root, "devices", NULL);

    for (const xmlNode *node = devices ? devices->children : NULL; node; node = node->next) {
        const xmlNode *driver = vq_xml_child(node, "driver", NULL);

        refer(u, driver, "iothread");
        VQ_XML_FOREACH (iothread, vq_xml_child(driver, "iothreads", NULL), "iothread") {
            refer(u, iothread, "id");
        }
    }
}

/* A thread as we write it has an id and, for polling='off', <poll max='0'/>. */
static bool
is_plain(const xmlNode *thread, bool poll_off)
{
    const xmlNode *poll = vq_xml_child(thread, "poll", NULL);
    g_autofree char *max = vq_xml_attr(poll, "max");

    if (thread->properties && thread->properties->next)
        return false;
    if (!poll)
        return true;
    return poll_off && g_strcmp0(max, "0") == 0 && !poll->properties->next;
}

/* Takes thread @id out; true if it was there. */
static bool
remove_thread(Undo *u, const VqStateDevice *device, unsigned ordinal)
{
    unsigned id = g_array_index(device->ids, unsigned, ordinal);
    xmlNode *node = vq_expansion_find_thread(u->root, id);
    g_autofree char *name = vq_state_device_name(device);
    VqOldThread *thread;

    if (g_hash_table_contains(u->referred, GUINT_TO_POINTER(id)))
        return false;
    thread = g_new0(VqOldThread, 1);
    thread->place = g_strdup_printf("%s/%u", name, ordinal);
    thread->id = id;
    g_ptr_array_add(u->undone->threads, thread);
    if (!node)
        return true;
    vq_xml_unlink(node, u->state->spaced);
    if (is_plain(node, device->poll_off))
        xmlFreeNode(node);
    else
        thread->settings = node;
    return true;
}

static bool
same_set(const GArray *a, GHashTable *b)
{
    if (a->len != g_hash_table_size(b))
        return false;
    for (guint i = 0; i < a->len; i++) {
        if (!g_hash_table_contains(b, GUINT_TO_POINTER(g_array_index(a, unsigned, i))))
            return false;
    }
    return true;
}

/* The explicit ids of @root but those that were only written out by us. */
static GArray *
ids_without_implied(Undo *u)
{
    GArray *ids = g_array_new(FALSE, FALSE, sizeof(unsigned));

    VQ_XML_FOREACH (node, vq_xml_child(u->root, "iothreadids", NULL), "iothread") {
        g_autofree char *text = vq_xml_attr(node, "id");
        bool implied = false;
        unsigned id;

        if (!vq_parse_uint(text, G_MAXUINT, &id))
            continue;
        for (guint i = 0; i < u->state->implied->len; i++)
            implied = implied || g_array_index(u->state->implied, unsigned, i) == id;
        if (!implied || !is_plain(node, false))
            g_array_append_val(ids, id);
    }
    return ids;
}

static void
drop_implied(Undo *u)
{
    for (guint i = 0; i < u->state->implied->len; i++) {
        unsigned id = g_array_index(u->state->implied, unsigned, i);
        xmlNode *node = vq_expansion_find_thread(u->root, id);

        if (node && is_plain(node, false))
            vq_xml_remove(node, u->state->spaced);
    }
}

/* Writes out each id of @remaining that the elements would not give any more. */
static void
spell_out(Undo *u, GHashTable *remaining)
{
    GHashTableIter iter;
    gpointer key;
    bool made;

    g_hash_table_iter_init(&iter, remaining);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if (vq_expansion_find_thread(u->root, GPOINTER_TO_UINT(key)))
            continue;

        xmlNode *thread = vq_xml_new(u->root->doc, "iothread");

        vq_xml_set_uint(thread, "id", GPOINTER_TO_UINT(key));
        vq_xml_append(vq_expansion_ensure_ids(u->root, &made), thread);
    }
}

/* Whether <iothreads> with @text, or none at all, gives exactly @remaining. */
static bool
count_gives(Undo *u, const char *text, GHashTable *remaining)
{
    vq_expansion_set_count(u->root, text);

    g_autoptr(GArray) ids = vq_expansion_threads(u->root);

    return same_set(ids, remaining);
}

/* <iothreads> and <iothreadids> so that exactly @remaining are left, as they were before. */
static void
restore_threads(Undo *u, GHashTable *remaining)
{
    g_autofree char *number = g_strdup_printf("%u", g_hash_table_size(remaining));
    g_autoptr(GArray) bare = ids_without_implied(u);
    g_autoptr(GArray) implied = vq_iothread_ids(bare, g_hash_table_size(remaining));
    const xmlNode *ids;

    if (same_set(implied, remaining))
        drop_implied(u);
    else
        spell_out(u, remaining);
    ids = vq_xml_child(u->root, "iothreadids", NULL);
    if (ids && u->state->wrote_ids && !vq_xml_has_elements(ids))
        vq_xml_remove((xmlNode *)ids, true);
    if (!count_gives(u, u->state->iothreads, remaining))
        vq_expansion_set_count(u->root, number);
}

/* Without a thread of ours <iothreads> and <iothreadids> were not touched, nor recorded. */
static bool
made_threads(const VqState *state)
{
    for (guint i = 0; i < state->devices->len; i++) {
        const VqStateDevice *device = g_ptr_array_index(state->devices, i);

        if (device->ids->len)
            return true;
    }
    return false;
}

static void
undo_threads(Undo *u)
{
    g_autoptr(GHashTable) remaining = g_hash_table_new(NULL, NULL);
    g_autoptr(GArray) present = vq_expansion_threads(u->root);

    for (guint i = 0; i < present->len; i++)
        g_hash_table_add(remaining, GUINT_TO_POINTER(g_array_index(present, unsigned, i)));
    collect_references(u);
    for (guint i = 0; i < u->state->devices->len; i++) {
        const VqStateDevice *device = g_ptr_array_index(u->state->devices, i);

        for (guint j = 0; j < device->ids->len; j++) {
            unsigned id = g_array_index(device->ids, unsigned, j);

            if (remove_thread(u, device, j))
                g_hash_table_remove(remaining, GUINT_TO_POINTER(id));
        }
    }
    restore_threads(u, remaining);
}

static void
collect_devices(Undo *u)
{
    g_autoptr(VqDomain) domain = vq_domain_from_root(u->root);

    u->nodes = vq_domain_device_nodes(u->root);
    u->names = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < domain->devices->len; i++) {
        const VqDevice *device = g_ptr_array_index(domain->devices, i);

        g_ptr_array_add(u->names, g_strdup(device->name));
    }
    /* the reader stops at its limit; so does the undoing */
    g_ptr_array_set_size(u->nodes, u->names->len);
}

VqUndone *
vq_expansion_undo(xmlNode *root, VqProblems *problems)
{
    const xmlNode *record = vq_metadata_find(root).state;
    VqUndone *undone = g_new0(VqUndone, 1);
    Undo u = {.root = root, .undone = undone};

    undone->threads = g_ptr_array_new_with_free_func(old_thread_free);
    undone->state = record ? vq_state_read(record, problems) : NULL;
    if (!undone->state)
        return undone;
    vq_iothreads_check(root, problems);
    u.state = undone->state;
    u.referred = g_hash_table_new(NULL, NULL);
    collect_devices(&u);
    for (guint i = 0; i < u.state->devices->len; i++)
        undo_device(&u, g_ptr_array_index(u.state->devices, i));
    if (made_threads(u.state))
        undo_threads(&u);
    g_ptr_array_unref(u.nodes);
    g_ptr_array_unref(u.names);
    g_hash_table_unref(u.referred);
    return undone;
}
