/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state as a file: one GVariant in GLib's text form, which has a strict parser of its own and
 * can be read by people.
 */
#include "base/error.h"
#include "daemon/records.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#define FORMAT_VERSION 1

/* version, boot id, drained, off (uuid, name), records (uuid, name, id, pins, polls) */
#define PIN_TYPE   "(uussss)"
#define POLL_TYPE  "(utuutuu)"
#define STATE_TYPE "(ussa(ss)a(ssia" PIN_TYPE "a" POLL_TYPE "))"

#define STATE_MAX (16 * 1024 * 1024)

/* As g_variant_print() would write the string; nearly all are names and numbers. */
static void
add_text(GString *out, const char *before, const char *text)
{
    g_autofree char *quoted = NULL;
    bool plain = true;

    for (const char *c = text; *c && plain; c++)
        plain = g_ascii_isprint(*c) && *c != '\'' && *c != '\\';
    if (!plain) {
        g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_new_string(text));

        quoted = g_variant_print(value, FALSE);
    }
    g_string_append(out, before);
    if (plain)
        g_string_append_c(out, '\'');
    g_string_append(out, plain ? text : quoted);
    if (plain)
        g_string_append_c(out, '\'');
}

static void
add_pin(GString *out, const VqPinRecord *p)
{
    g_string_append_printf(out, "(%u, %u", p->target, p->number);
    add_text(out, ", ", p->original);
    add_text(out, ", ", p->pinned);
    add_text(out, ", ", p->pending);
    add_text(out, ", ", p->promised);
    g_string_append_c(out, ')');
}

static void
add_poll(GString *out, const VqPollRecord *p)
{
    g_string_append_printf(out,
                           "(%u, %" G_GUINT64_FORMAT ", %u, %u, %" G_GUINT64_FORMAT ", %u, %u)",
                           p->iothread, p->original.max_ns, p->original.grow, p->original.shrink,
                           p->set.max_ns, p->set.grow, p->set.shrink);
}

static void
add_record(GString *out, const VqRecord *record)
{
    add_text(out, "(", record->uuid);
    add_text(out, ", ", record->name);
    g_string_append_printf(out, ", %d, [", record->id);
    for (guint i = 0; i < record->pins->len; i++) {
        g_string_append(out, i ? ", " : "");
        add_pin(out, g_ptr_array_index(record->pins, i));
    }
    g_string_append(out, "], [");
    for (guint i = 0; i < record->polls->len; i++) {
        g_string_append(out, i ? ", " : "");
        add_poll(out, g_ptr_array_index(record->polls, i));
    }
    g_string_append(out, "])");
}

/* Each round writes it to see whether it has changed: by way of GVariants that took longer than all
 * else of a round with many domains. */
char *
vq_records_format(const VqRecords *all, const char *boot_id)
{
    GString *out = g_string_sized_new(4096);
    GHashTableIter iter;
    gpointer key, value;
    g_autofree char *drained = vq_cpuset_format(all->drained);
    const char *comma = "(";

    g_string_append_printf(out, "(%u", FORMAT_VERSION);
    add_text(out, ", ", boot_id);
    add_text(out, ", ", drained);
    g_string_append(out, ", [");
    g_hash_table_iter_init(&iter, all->off);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        add_text(out, comma, key);
        add_text(out, ", ", value);
        g_string_append_c(out, ')');
        comma = ", (";
    }
    g_string_append(out, "], [");
    g_hash_table_iter_init(&iter, all->records);
    for (unsigned n = 0; g_hash_table_iter_next(&iter, &key, &value); n++) {
        g_string_append(out, n ? ",\n" : "\n");
        add_record(out, value);
    }
    g_string_append(out, "])\n");
    return g_string_free(out, FALSE);
}

static void
parse_pins(VqRecord *record, GVariantIter *iter)
{
    guint target, number;
    const char *original, *pinned, *pending, *promised;

    while (g_variant_iter_next(iter, "(uu&s&s&s&s)", &target, &number, &original, &pinned, &pending,
                               &promised)) {
        if (target > VQ_TARGET_EMULATOR || vq_record_pin(record, target, number))
            continue;

        VqPinRecord *pin = vq_record_add_pin(record, target, number, original);

        g_free(pin->pinned);
        g_free(pin->pending);
        g_free(pin->promised);
        pin->pinned = g_strdup(pinned);
        pin->pending = g_strdup(pending);
        pin->promised = g_strdup(promised);
    }
}

static void
parse_polls(VqRecord *record, GVariantIter *iter)
{
    VqPollRecord read;

    while (g_variant_iter_next(iter, POLL_TYPE, &read.iothread, &read.original.max_ns,
                               &read.original.grow, &read.original.shrink, &read.set.max_ns,
                               &read.set.grow, &read.set.shrink))
        vq_record_add_poll(record, read.iothread, read.original)->set = read.set;
}

static void
parse_records(VqRecords *all, GVariantIter *iter)
{
    const char *uuid, *name;
    gint32 id;
    GVariantIter *pins, *polls;

    while (g_variant_iter_next(iter, "(&s&sia" PIN_TYPE "a" POLL_TYPE ")", &uuid, &name, &id, &pins,
                               &polls)) {
        g_autoptr(GVariantIter) own_pins = pins;
        g_autoptr(GVariantIter) own_polls = polls;
        VqRecord *record = vq_records_get(all, uuid, name, id);

        parse_pins(record, own_pins);
        parse_polls(record, own_polls);
    }
}

/* GVariant's parser takes it for granted that its input is UTF-8. */
static GVariant *
parse_text(const char *text, GError **error)
{
    if (g_utf8_validate(text, -1, NULL))
        return g_variant_parse(G_VARIANT_TYPE(STATE_TYPE), text, NULL, NULL, error);
    g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "not UTF-8 text");
    return NULL;
}

VqRecords *
vq_records_parse(const char *text, const char *boot_id, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autoptr(GVariant) whole = parse_text(text, &local);
    g_autoptr(VqRecords) all = vq_records_new();
    g_autoptr(GVariantIter) off = NULL, records = NULL;
    const char *boot, *drained, *uuid, *name;
    guint version;

    if (!whole) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "state file is damaged: %s", local->message);
        return NULL;
    }
    g_variant_get(whole, "(u&s&sa(ss)a(ssia" PIN_TYPE "a" POLL_TYPE "))", &version, &boot, &drained,
                  &off, &records);
    if (version != FORMAT_VERSION) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_UNSUPPORTED,
                    "state file has version %u, this virtqueued reads version %d", version,
                    FORMAT_VERSION);
        return NULL;
    }

    g_autoptr(VqCpuset) cpus = vq_cpuset_parse(drained, error);

    if (!cpus)
        return NULL;
    vq_cpuset_union(all->drained, cpus);
    while (g_variant_iter_next(off, "(&s&s)", &uuid, &name))
        g_hash_table_insert(all->off, g_strdup(uuid), g_strdup(name));
    if (g_str_equal(boot, boot_id))
        parse_records(all, records);
    return g_steal_pointer(&all);
}

VqRecords *
vq_records_load(const char *path, const char *boot_id, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autofree char *text = NULL;
    gsize length = 0;

    if (!g_file_get_contents(path, &text, &length, &local)) {
        if (g_error_matches(local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            return vq_records_new();
        g_propagate_error(error, g_steal_pointer(&local));
        return NULL;
    }
    if (length > STATE_MAX || strlen(text) != length) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s: state file is damaged", path);
        return NULL;
    }

    VqRecords *all = vq_records_parse(text, boot_id, error);

    if (!all)
        g_prefix_error(error, "%s: ", path);
    return all;
}

bool
vq_records_save(const char *text, const char *path, bool durable, GError **error)
{
    g_autofree char *temporary = NULL;

    if (durable)
        return g_file_set_contents_full(
            path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600,
            error);
    /* CONSISTENT would fsync; a rename alone is enough against anything but a power cut */
    temporary = g_strconcat(path, ".new", NULL);
    if (!g_file_set_contents_full(temporary, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, error))
        return false;
    if (g_rename(temporary, path) == 0)
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_FAILED, "%s: cannot be replaced: %s", path,
                g_strerror(errno));
    return false;
}
