/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "counts.h"

#include "output.h"

#include "core/lookup.h"

#include <math.h>

const char *const vq_counts_requests[] = {"reads", "writes", "flushes", "others", NULL};
const char *const vq_counts_bytes[] = {"bytes_read", "bytes_written", NULL};

GVariant *
vq_counts_find(GVariant *object, const char *part, const char *key, double *number)
{
    g_autoptr(GPtrArray) counters = vq_lookup_list(object, "counters");

    for (guint i = 0; i < counters->len; i++) {
        GVariant *entry = g_ptr_array_index(counters, i);
        g_autoptr(GVariant) inner = part ? g_variant_lookup_value(entry, part, NULL) : NULL;
        GVariant *values = part ? inner : entry;

        if (!values || !g_variant_is_of_type(values, G_VARIANT_TYPE("a{s*}")))
            continue;
        if (vq_lookup_double(values, key, number) && isfinite(*number))
            return g_variant_ref(entry);
    }
    return NULL;
}

char *
vq_counts_number(double number)
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P"};
    guint unit = 0;

    while (fabs(number) >= 9999.5 && unit + 1 < G_N_ELEMENTS(units)) {
        number /= 1000;
        unit++;
    }
    return g_strdup_printf(unit || number != floor(number) ? "%.1f%s" : "%.0f%s", number,
                           units[unit]);
}

char *
vq_counts_sum(GVariant *object, const char *part, const char *const *keys, double unit)
{
    bool known = false;
    double sum = 0;

    for (; *keys; keys++) {
        double number;
        g_autoptr(GVariant) entry = vq_counts_find(object, part, *keys, &number);

        if (!entry)
            continue;
        known = true;
        sum += number;
    }
    return known ? vq_counts_number(sum / unit) : NULL;
}

char *
vq_counts_share(GVariant *object, const char *key)
{
    double share;
    g_autoptr(GVariant) entry = vq_counts_find(object, "rates", key, &share);

    return entry ? g_strdup_printf("%.0f%%", share * 100) : NULL;
}

char *
vq_counts_source(GVariant *object, const char *const *keys)
{
    for (; *keys; keys++) {
        double number;
        g_autoptr(GVariant) entry = vq_counts_find(object, NULL, *keys, &number);
        g_autoptr(GVariant) source = entry ? g_variant_lookup_value(entry, "source", NULL) : NULL;

        if (source)
            return vq_lookup_text(source);
    }
    return NULL;
}

static void
add_rows(VqTable *table, GVariant *domain, const char *key)
{
    static const char *const reads[] = {"reads", NULL}, *const writes[] = {"writes", NULL},
                             *const flushes[] = {"flushes", NULL},
                             *const read[] = {"bytes_read", NULL},
                             *const written[] = {"bytes_written", NULL},
                             *const flight[] = {"in_flight", NULL};
    g_autoptr(GPtrArray) list = vq_lookup_list(domain, key);
    const char *name = "?", *disk;

    g_variant_lookup(domain, "name", "&s", &name);
    for (guint i = 0; i < list->len; i++) {
        GVariant *object = g_ptr_array_index(list, i);
        g_autofree char *n_reads = vq_counts_sum(object, NULL, reads, 1);
        g_autofree char *n_writes = vq_counts_sum(object, NULL, writes, 1);
        g_autofree char *n_flushes = vq_counts_sum(object, NULL, flushes, 1);
        g_autofree char *mb_read = vq_counts_sum(object, NULL, read, 1e6);
        g_autofree char *mb_written = vq_counts_sum(object, NULL, written, 1e6);
        g_autofree char *in_flight = vq_counts_sum(object, NULL, flight, 1);
        g_autofree char *rate = vq_counts_sum(object, "rates", vq_counts_requests, 1);
        g_autofree char *source = vq_counts_source(object, vq_counts_requests);
        g_autofree char *queue = NULL;
        double number;

        disk = "?";
        g_variant_lookup(object, "disk", "&s", &disk);
        if (vq_lookup_double(object, "queue", &number))
            queue = g_strdup_printf("%.0f", number);
        if (source)
            vq_table_row(table, name, disk, queue, n_reads, n_writes, n_flushes, mb_read,
                         mb_written, in_flight, rate, source);
    }
}

char *
vq_counts_text(const GPtrArray *domains)
{
    g_autoptr(VqTable) table =
        vq_table_new("Domain", "Disk", "Queue", "Reads", "Writes", "Flushes", "MB read",
                     "MB written", "In flight", "Requests/s", "Counted by", NULL);

    for (guint i = 0; i < domains->len; i++) {
        add_rows(table, g_ptr_array_index(domains, i), "disks");
        add_rows(table, g_ptr_array_index(domains, i), "queues");
    }
    return vq_table_rows(table) == 0 ? NULL : vq_table_text(table);
}
