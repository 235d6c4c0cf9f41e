/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <iothreads>, <iothreadids> and what refers to them in <cputune>, for both halves of the
 * expansion.
 */
#include "core/expand-xml.h"

#include <string.h>

static GArray *
explicit_ids(const xmlNode *root)
{
    GArray *ids = g_array_new(FALSE, FALSE, sizeof(unsigned));

    VQ_XML_FOREACH (node, vq_xml_child(root, "iothreadids", NULL), "iothread") {
        g_autofree char *text = vq_xml_attr(node, "id");
        unsigned id;

        if (vq_parse_uint(text, G_MAXUINT, &id))
            g_array_append_val(ids, id);
    }
    return ids;
}

GArray *
vq_expansion_threads(const xmlNode *root)
{
    g_autoptr(GArray) ids = explicit_ids(root);
    g_autofree char *text = vq_xml_text(vq_xml_child(root, "iothreads", NULL));
    unsigned count = 0;

    vq_parse_uint(text, G_MAXUINT, &count);
    return vq_iothread_ids(ids, count);
}

xmlNode *
vq_expansion_find_thread(const xmlNode *root, unsigned id)
{
    VQ_XML_FOREACH (node, vq_xml_child(root, "iothreadids", NULL), "iothread") {
        g_autofree char *text = vq_xml_attr(node, "id");
        unsigned value;

        if (vq_parse_uint(text, G_MAXUINT, &value) && value == id)
            return node;
    }
    return NULL;
}

/* The element that libvirt prints before <iothreads>. */
static xmlNode *
find_anchor(const xmlNode *root)
{
    static const char *const before[] = {
        "vcpus",  "vcpu",      "memoryBacking", "memtune",     "blkiotune", "currentMemory",
        "memory", "maxMemory", "metadata",      "description", "name",
    };
    xmlNode *anchor = NULL;

    for (gsize i = 0; !anchor && i < G_N_ELEMENTS(before); i++)
        anchor = vq_xml_child(root, before[i], NULL);
    return anchor;
}

static void
insert_behind(xmlNode *root, xmlNode *anchor, xmlNode *node)
{
    if (anchor)
        vq_xml_insert_after(anchor, node);
    else
        vq_xml_prepend(root, node);
}

void
vq_expansion_set_count(xmlNode *root, const char *text)
{
    xmlNode *node = vq_xml_child(root, "iothreads", NULL);
    g_autofree char *present = vq_xml_text(node);

    if (!text) {
        if (node)
            vq_xml_remove(node, true);
        return;
    }
    if (!node) {
        node = vq_xml_new(root->doc, "iothreads");
        insert_behind(root, find_anchor(root), node);
    }
    if (g_strcmp0(present, text) != 0)
        vq_xml_set_text(node, text);
}

xmlNode *
vq_expansion_ensure_ids(xmlNode *root, bool *made)
{
    xmlNode *node = vq_xml_child(root, "iothreadids", NULL);
    xmlNode *count = vq_xml_child(root, "iothreads", NULL);

    *made = !node;
    if (!node) {
        node = vq_xml_new(root->doc, "iothreadids");
        insert_behind(root, count ? count : find_anchor(root), node);
    }
    return node;
}

typedef struct {
    GHashTable *old; /* ids not counted */
    unsigned last;
} LastId;

static void
count_id(LastId *l, unsigned id)
{
    if (id > l->last && !g_hash_table_contains(l->old, GUINT_TO_POINTER(id)))
        l->last = id;
}

static void
count_attribute(LastId *l, const xmlNode *node, const char *name)
{
    g_autofree char *text = vq_xml_attr(node, name);
    unsigned id;

    if (vq_parse_uint(text, G_MAXUINT, &id))
        count_id(l, id);
}

static void
count_schedulers(LastId *l, const xmlNode *cputune)
{
    VQ_XML_FOREACH (sched, cputune, "iothreadsched") {
        g_autofree char *text = vq_xml_attr(sched, "iothreads");
        g_autoptr(VqCpuset) ids = text ? vq_cpuset_parse(text, NULL) : NULL;

        if (!ids)
            continue;
        VQ_CPUSET_FOREACH (id, ids) {
            count_id(l, id);
        }
    }
}

static void
count_drivers(LastId *l, const xmlNode *devices)
{
    for (const xmlNode *node = devices ? devices->children : NULL; node; node = node->next) {
        const xmlNode *driver = vq_xml_child(node, "driver", NULL);

        count_attribute(l, driver, "iothread");
        VQ_XML_FOREACH (map, vq_xml_child(driver, "iothreads", NULL), "iothread") {
            count_attribute(l, map, "id");
        }
    }
}

unsigned
vq_expansion_last_id(const xmlNode *root, const VqUndone *undone)
{
    g_autoptr(GHashTable) old = g_hash_table_new(NULL, NULL);
    g_autoptr(GArray) threads = vq_expansion_threads(root);
    const xmlNode *cputune = vq_xml_child(root, "cputune", NULL);
    LastId l = {old, 0};

    for (guint i = 0; i < threads->len; i++)
        count_id(&l, g_array_index(threads, unsigned, i));
    for (guint i = 0; i < undone->threads->len; i++) {
        const VqOldThread *thread = g_ptr_array_index(undone->threads, i);

        g_hash_table_add(old, GUINT_TO_POINTER(thread->id));
    }
    VQ_XML_FOREACH (pin, cputune, "iothreadpin") {
        count_attribute(&l, pin, "iothread");
    }
    count_schedulers(&l, cputune);
    count_drivers(&l, vq_xml_child(root, "devices", NULL));
    return l.last;
}

/* The new id of the thread that had @id: itself if it is none of ours, 0 if it is gone. */
static unsigned
moved_to(GHashTable *moves, unsigned id)
{
    gpointer to;

    if (!g_hash_table_lookup_extended(moves, GUINT_TO_POINTER(id), NULL, &to))
        return id;
    return GPOINTER_TO_UINT(to);
}

static void
move_pin(xmlNode *pin, GHashTable *moves)
{
    g_autofree char *text = vq_xml_attr(pin, "iothread");
    unsigned id;

    if (!vq_parse_uint(text, G_MAXUINT, &id))
        return;

    unsigned to = moved_to(moves, id);

    if (to == 0)
        vq_xml_remove(pin, false);
    else if (to != id)
        vq_xml_set_uint(pin, "iothread", to);
}

/* "2-5,8" with each id moved; NULL if none is left or the text is not a plain list. */
static char *
move_list(const char *text, GHashTable *moves)
{
    g_autoptr(VqCpuset) from = vq_cpuset_parse(text, NULL);
    g_autoptr(VqCpuset) to = vq_cpuset_new();

    if (!from)
        return g_strdup(text);
    VQ_CPUSET_FOREACH (id, from) {
        unsigned moved = moved_to(moves, id);

        if (moved)
            vq_cpuset_add(to, moved);
    }
    if (vq_cpuset_equal(from, to))
        return g_strdup(text);
    return vq_cpuset_empty(to) ? NULL : vq_cpuset_format(to);
}

static void
move_scheduler(xmlNode *sched, GHashTable *moves)
{
    g_autofree char *text = vq_xml_attr(sched, "iothreads");
    g_autofree char *moved = text ? move_list(text, moves) : NULL;

    if (text && !moved)
        vq_xml_remove(sched, false);
    else if (text && !g_str_equal(text, moved))
        xmlSetProp(sched, (const xmlChar *)"iothreads", (const xmlChar *)moved);
}

static void
move_all(xmlNode *cputune, const char *name, GHashTable *moves,
         void (*move)(xmlNode *node, GHashTable *moves))
{
    xmlNode *next;

    for (xmlNode *node = vq_xml_child(cputune, name, NULL); node; node = next) {
        next = vq_xml_next(node, name, NULL);
        move(node, moves);
    }
}

void
vq_expansion_move_tuning(xmlNode *root, const VqUndone *undone, GHashTable *new_ids)
{
    g_autoptr(GHashTable) moves = g_hash_table_new(NULL, NULL);
    xmlNode *cputune = vq_xml_child(root, "cputune", NULL);
    bool any = false;

    for (guint i = 0; i < undone->threads->len; i++) {
        const VqOldThread *old = g_ptr_array_index(undone->threads, i);
        gpointer to = g_hash_table_lookup(new_ids, old->place);

        any = any || GPOINTER_TO_UINT(to) != old->id;
        g_hash_table_insert(moves, GUINT_TO_POINTER(old->id), to);
    }
    if (!any || !cputune)
        return;
    move_all(cputune, "iothreadpin", moves, move_pin);
    move_all(cputune, "iothreadsched", moves, move_scheduler);
    if (!vq_xml_has_elements(cputune))
        vq_xml_remove(cputune, true);
}
