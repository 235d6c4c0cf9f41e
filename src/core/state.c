/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads and writes the record of an expansion. Partner: xml-schemas/state.rng.
 */
#include "core/state.h"
#include "base/error.h"
#include "core/domain.h"

#include <string.h>

VqState *
vq_state_new(void)
{
    VqState *state = g_new0(VqState, 1);

    state->implied = g_array_new(FALSE, FALSE, sizeof(unsigned));
    state->devices = g_ptr_array_new_with_free_func((GDestroyNotify)vq_state_device_free);
    return state;
}

void
vq_state_free(VqState *state)
{
    if (!state)
        return;
    g_free(state->iothreads);
    g_array_unref(state->implied);
    g_ptr_array_unref(state->devices);
    g_free(state);
}

VqStateDevice *
vq_state_device_new(VqDeviceKind kind)
{
    VqStateDevice *device = g_new0(VqStateDevice, 1);

    device->kind = kind;
    device->ids = g_array_new(FALSE, FALSE, sizeof(unsigned));
    return device;
}

void
vq_state_device_free(VqStateDevice *device)
{
    if (!device)
        return;
    g_free(device->target);
    g_free(device->was);
    g_array_unref(device->ids);
    g_free(device);
}

/* "2-5,9": ascending, as many as a domain can have */
static bool
parse_range(const char *item, GArray *ids)
{
    g_auto(GStrv) ends = g_strsplit(item, "-", 2);
    unsigned first, last;

    if (!vq_parse_uint(ends[0], G_MAXUINT - 1, &first) || !first)
        return false;
    last = first;
    if (ends[1] && (!vq_parse_uint(ends[1], G_MAXUINT - 1, &last) || last <= first))
        return false;
    if (ids->len && first <= g_array_index(ids, unsigned, ids->len - 1))
        return false;
    if (last - first >= VQ_IOTHREADS_MAX - ids->len)
        return false;
    for (unsigned id = first; id <= last; id++)
        g_array_append_val(ids, id);
    return true;
}

static bool
parse_ids(const char *text, GArray *ids)
{
    g_auto(GStrv) items = g_strsplit(text, ",", 0);

    for (gsize i = 0; items[i]; i++) {
        if (!parse_range(items[i], ids))
            return false;
    }
    return ids->len > 0;
}

static char *
format_ids(const GArray *ids)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < ids->len;) {
        unsigned first = g_array_index(ids, unsigned, i), last = first;

        for (i++; i < ids->len && g_array_index(ids, unsigned, i) == last + 1; i++)
            last++;
        g_string_append_printf(text, text->len ? ",%u" : "%u", first);
        if (last > first)
            g_string_append_printf(text, "-%u", last);
    }
    return g_string_free(text, FALSE);
}

/* The attribute's words, all of which must be among the two. */
static bool
read_words(const xmlNode *node, const char *name, const char *a, bool *has_a, const char *b,
           bool *has_b)
{
    g_autofree char *text = vq_xml_attr(node, name);
    g_auto(GStrv) words = g_strsplit(text ? text : "", " ", 0);

    for (gsize i = 0; words[i]; i++) {
        if (g_str_equal(words[i], a))
            *has_a = true;
        else if (b && g_str_equal(words[i], b))
            *has_b = true;
        else
            return false;
    }
    return true;
}

/* No attribute but those in @known, which ends with NULL; those of other namespaces apart. */
static bool
knows_all(const xmlNode *node, const char *const *known)
{
    for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
        if (!attr->ns && !g_strv_contains(known, (const char *)attr->name))
            return false;
    }
    return true;
}

static bool
read_flag(const xmlNode *node, const char *name, const char *value, bool *set)
{
    return read_words(node, name, value, set, NULL, NULL);
}

static bool
read_ids(const xmlNode *node, const char *name, GArray *ids)
{
    g_autofree char *text = vq_xml_attr(node, name);

    return !text || parse_ids(text, ids);
}

static bool
read_identity(const xmlNode *node, VqStateDevice *device)
{
    g_autofree char *index = vq_xml_attr(node, "index");

    if (device->kind == VQ_DEVICE_CONTROLLER)
        return vq_parse_uint(index, G_MAXINT, &device->index);
    device->target = vq_xml_attr(node, "target");
    return device->target && *device->target;
}

static bool
read_device(VqState *state, const xmlNode *node, VqDeviceKind kind)
{
    const char *const known[] = {
        kind == VQ_DEVICE_DISK ? "target" : "index",
        "queues",
        "iothreads",
        "wrote",
        "was",
        "polling",
        "spaced",
        NULL,
    };
    g_autoptr(VqStateDevice) device = vq_state_device_new(kind);
    g_autofree char *queues = vq_xml_attr(node, "queues");

    device->was = vq_xml_attr(node, "was");
    if (!knows_all(node, known) || !read_identity(node, device) ||
        !vq_parse_uint(queues, vq_policy_queues_max(kind), &device->queues) || !device->queues ||
        !read_ids(node, "iothreads", device->ids) || device->ids->len > device->queues ||
        !read_words(node, "wrote", "driver", &device->wrote_driver, "queues",
                    &device->wrote_queues) ||
        !read_flag(node, "polling", "off", &device->poll_off) ||
        !read_flag(node, "spaced", "yes", &device->spaced))
        return false;
    g_ptr_array_add(state->devices, g_steal_pointer(&device));
    return true;
}

/* No IOThread was made for two devices. */
static bool
ids_disjoint(const VqState *state)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);

    for (guint i = 0; i < state->devices->len; i++) {
        const VqStateDevice *device = g_ptr_array_index(state->devices, i);

        for (guint j = 0; j < device->ids->len; j++) {
            if (!g_hash_table_add(seen, GUINT_TO_POINTER(g_array_index(device->ids, unsigned, j))))
                return false;
        }
    }
    for (guint i = 0; i < state->implied->len; i++) {
        if (!g_hash_table_add(seen, GUINT_TO_POINTER(g_array_index(state->implied, unsigned, i))))
            return false;
    }
    return g_hash_table_size(seen) <= VQ_IOTHREADS_MAX;
}

static const char *
read_contents(VqState *state, const xmlNode *node)
{
    static const char *const known[] = {
        "version", "iothreads", "wrote", "implied", "spaced", NULL,
    };
    g_autofree char *version = vq_xml_attr(node, "version");
    unsigned number;

    if (!vq_xml_is(node, "expansion", VQ_NS_STATE))
        return "it is not <expansion>";
    if (!vq_parse_uint(version, G_MAXUINT, &number) || number != VQ_STATE_VERSION)
        return "it is of another version than 1, the one known here";
    state->iothreads = vq_xml_attr(node, "iothreads");
    if (!knows_all(node, known) || !read_flag(node, "wrote", "iothreadids", &state->wrote_ids) ||
        !read_flag(node, "spaced", "yes", &state->spaced) ||
        !read_ids(node, "implied", state->implied))
        return "its attributes are damaged";
    for (const xmlNode *child = node->children; child; child = child->next) {
        bool disk = vq_xml_is(child, "disk", VQ_NS_STATE);

        if (child->type != XML_ELEMENT_NODE)
            continue;
        if (!disk && !vq_xml_is(child, "controller", VQ_NS_STATE))
            return "it has an unknown element";
        if (!read_device(state, child, disk ? VQ_DEVICE_DISK : VQ_DEVICE_CONTROLLER))
            return "one of its devices is damaged";
    }
    return ids_disjoint(state) ? NULL : "it has an IOThread twice";
}

VqState *
vq_state_read(const xmlNode *node, VqProblems *problems)
{
    g_autoptr(VqState) state = vq_state_new();
    const char *wrong = read_contents(state, node);

    state->line = vq_xml_line(node);
    if (!wrong)
        return g_steal_pointer(&state);
    vq_problems_add(
        problems, state->line, VQ_ERROR_INVALID,
        "the record of the expansion in namespace '%s' cannot be used: %s; restore it, "
        "or remove it to keep the present <iothreads> and <driver> elements as your own",
        VQ_NS_STATE, wrong);
    return NULL;
}

static void
set(xmlNode *node, const char *name, const char *value)
{
    if (value)
        xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)value);
}

static void
set_ids(xmlNode *node, const char *name, const GArray *ids)
{
    g_autofree char *text = ids->len ? format_ids(ids) : NULL;

    set(node, name, text);
}

static xmlNode *
write_device(const VqStateDevice *device, xmlNode *parent)
{
    const char *name = device->kind == VQ_DEVICE_DISK ? "disk" : "controller";
    xmlNode *node = xmlNewChild(parent, parent->ns, (const xmlChar *)name, NULL);

    if (device->kind == VQ_DEVICE_DISK)
        set(node, "target", device->target);
    else
        vq_xml_set_uint(node, "index", device->index);
    vq_xml_set_uint(node, "queues", device->queues);
    set_ids(node, "iothreads", device->ids);
    if (device->wrote_driver || device->wrote_queues)
        set(node, "wrote",
            !device->wrote_driver   ? "queues"
            : !device->wrote_queues ? "driver"
                                    : "driver queues");
    set(node, "was", device->was);
    set(node, "polling", device->poll_off ? "off" : NULL);
    set(node, "spaced", device->spaced ? "yes" : NULL);
    return node;
}

xmlNode *
vq_state_write(const VqState *state, xmlDoc *doc)
{
    xmlNode *node = vq_xml_new(doc, "expansion");

    xmlSetNs(node, xmlNewNs(node, (const xmlChar *)VQ_NS_STATE, (const xmlChar *)"vqs"));
    vq_xml_set_uint(node, "version", VQ_STATE_VERSION);
    set(node, "iothreads", state->iothreads);
    set(node, "wrote", state->wrote_ids ? "iothreadids" : NULL);
    set_ids(node, "implied", state->implied);
    set(node, "spaced", state->spaced ? "yes" : NULL);
    for (guint i = 0; i < state->devices->len; i++)
        write_device(g_ptr_array_index(state->devices, i), node);
    return node;
}
