/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/meters.h"

#include <string.h>

static void
domain_free(gpointer data)
{
    VqDomainMeters *domain = data;

    g_ptr_array_unref(domain->objects);
    g_free(domain);
}

VqMeters *
vq_meters_new(void)
{
    VqMeters *meters = g_new0(VqMeters, 1);

    meters->domains = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, domain_free);
    return meters;
}

void
vq_meters_free(VqMeters *meters)
{
    if (!meters)
        return;
    g_hash_table_unref(meters->domains);
    g_free(meters);
}

void
vq_metered_key_init(VqMeteredKey *key, VqMeteredKind kind, const char *disk, unsigned number)
{
    *key = (VqMeteredKey){.kind = kind, .number = number};
    g_strlcpy(key->disk, disk ? disk : "", sizeof(key->disk));
}

static int
compare_keys(const VqMeteredKey *a, const VqMeteredKey *b)
{
    int order = (a->kind > b->kind) - (a->kind < b->kind);

    if (order == 0)
        order = strcmp(a->disk, b->disk);
    return order ? order : (a->number > b->number) - (a->number < b->number);
}

/* The place of @key among the sorted objects, and whether it is there. */
static guint
search(const GPtrArray *objects, const VqMeteredKey *key, bool *found)
{
    guint low = 0, high = objects->len;

    *found = false;
    while (low < high) {
        guint middle = low + (high - low) / 2;
        const VqMetered *object = g_ptr_array_index(objects, middle);
        int order = compare_keys(&object->key, key);

        if (order == 0)
            *found = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
metered_free(gpointer data)
{
    VqMetered *object = data;

    for (guint s = 0; s < VQ_SOURCES; s++)
        g_free(object->meters[s]);
    g_free(object);
}

static VqMeter *
meter_of(VqMetered *object, VqCounterSource source)
{
    if (!object->meters[source])
        object->meters[source] = g_new0(VqMeter, 1);
    return object->meters[source];
}

static VqMetered *
object_of(VqDomainMeters *domain, const VqMeteredKey *key)
{
    bool found;
    guint place = search(domain->objects, key, &found);

    if (found)
        return g_ptr_array_index(domain->objects, place);

    VqMetered *object = g_new0(VqMetered, 1);

    object->key = *key;
    object->iothread = -1;
    g_ptr_array_insert(domain->objects, (int)place, object);
    return object;
}

static VqDomainMeters *
domain_of(VqMeters *meters, const char *uuid, int id)
{
    VqDomainMeters *domain = g_hash_table_lookup(meters->domains, uuid);

    if (domain && domain->id == id)
        return domain;
    domain = g_new0(VqDomainMeters, 1);
    domain->id = id;
    domain->objects = g_ptr_array_new_with_free_func(metered_free);
    g_hash_table_replace(meters->domains, g_strdup(uuid), domain);
    return domain;
}

/* Of the sources that answered, what was not read at @time_us or later is gone. */
static void
drop_gone(VqDomainMeters *domain, unsigned sources, gint64 time_us)
{
    for (guint i = domain->objects->len; i-- > 0;) {
        VqMetered *object = g_ptr_array_index(domain->objects, i);
        bool known = false;

        for (guint s = 0; s < VQ_SOURCES; s++) {
            if (sources & 1u << s && object->meters[s] && object->meters[s]->last.time_us < time_us)
                g_clear_pointer(&object->meters[s], g_free);
            known |= object->meters[s] != NULL;
        }
        if (!known)
            g_ptr_array_remove_index(domain->objects, i);
    }
}

void
vq_meters_take(VqMeters *meters, const char *uuid, int id, const GArray *readings, unsigned sources)
{
    VqDomainMeters *domain = domain_of(meters, uuid, id);
    gint64 first = G_MAXINT64;

    for (guint i = 0; i < readings->len; i++) {
        const VqReading *reading = &g_array_index(readings, VqReading, i);
        VqMetered *object = object_of(domain, &reading->key);

        vq_meter_take(meter_of(object, reading->source), &reading->counters, reading->incarnation);
        if (reading->iothread >= 0)
            object->iothread = reading->iothread;
        first = MIN(first, reading->counters.time_us);
    }
    drop_gone(domain, sources, first);
}

void
vq_meters_count_move(VqMeters *meters, const char *uuid, int id, unsigned iothread, gint64 now_us)
{
    VqDomainMeters *domain = domain_of(meters, uuid, id);
    VqMeteredKey key;
    VqCounters counters = {.time_us = now_us};
    guint64 moves = 0;

    vq_metered_key_init(&key, VQ_METERED_IOTHREAD, NULL, iothread);

    VqMeter *meter = meter_of(object_of(domain, &key), VQ_SOURCE_DAEMON);

    vq_counters_get(&meter->last, VQ_COUNT_MOVES, &moves);
    vq_counters_set(&counters, VQ_COUNT_MOVES, moves + 1);
    vq_meter_take(meter, &counters, 0);
}

void
vq_meters_retain(VqMeters *meters, GHashTable *uuids)
{
    GHashTableIter iter;
    gpointer uuid;

    g_hash_table_iter_init(&iter, meters->domains);
    while (g_hash_table_iter_next(&iter, &uuid, NULL)) {
        if (!g_hash_table_contains(uuids, uuid))
            g_hash_table_iter_remove(&iter);
    }
}

const VqDomainMeters *
vq_meters_find(const VqMeters *meters, const char *uuid, int id)
{
    const VqDomainMeters *domain = g_hash_table_lookup(meters->domains, uuid);

    return domain && domain->id == id ? domain : NULL;
}

const VqMetered *
vq_meters_object(const VqDomainMeters *domain, VqMeteredKind kind, const char *disk,
                 unsigned number)
{
    VqMeteredKey key;
    bool found;

    vq_metered_key_init(&key, kind, disk, number);

    guint place = search(domain->objects, &key, &found);

    return found ? g_ptr_array_index(domain->objects, place) : NULL;
}

const VqMeter *
vq_metered_by(const VqMetered *object, VqCounterSource source)
{
    return object ? object->meters[source] : NULL;
}

static GVariant *
rates_of(const VqMeter *meter)
{
    GVariantBuilder rates = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a{sd}"));

    for (guint i = 0; i < VQ_COUNTERS; i++) {
        const char *name = vq_counter_infos[i].name;
        double rate;

        if (g_str_has_suffix(name, "_ns") ? vq_meter_share(meter, i, &rate)
                                          : vq_meter_rate(meter, i, &rate))
            g_variant_builder_add(&rates, "{sd}", name, rate);
    }
    return g_variant_builder_end(&rates);
}

static GVariant *
counters_of(const VqMeter *meter, VqCounterSource source, gint64 now_us)
{
    gint64 span = vq_meter_span_us(meter);
    GVariantDict dict;

    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "source", "s", vq_enum_name(vq_counter_source_names, source));
    g_variant_dict_insert(&dict, "age_ms", "t",
                          (guint64)MAX(now_us - meter->last.time_us, 0) / 1000);
    for (guint i = 0; i < VQ_COUNTERS; i++) {
        guint64 value;

        if (vq_counters_get(&meter->last, i, &value))
            g_variant_dict_insert(&dict, vq_counter_infos[i].name, "t", value);
    }
    if (span) {
        g_variant_dict_insert(&dict, "over_ms", "t", (guint64)span / 1000);
        g_variant_dict_insert_value(&dict, "rates", rates_of(meter));
    }
    return g_variant_dict_end(&dict);
}

GVariant *
vq_metered_counters(const VqMetered *object, gint64 now_us)
{
    GVariantBuilder list = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));

    for (guint s = 0; object && s < VQ_SOURCES; s++) {
        if (object->meters[s])
            g_variant_builder_add_value(&list, counters_of(object->meters[s], s, now_us));
    }
    return g_variant_builder_end(&list);
}

GVariant *
vq_meters_list(const VqDomainMeters *domain, VqMeteredKind kind, gint64 now_us)
{
    GVariantBuilder list = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));

    for (guint i = 0; domain && i < domain->objects->len; i++) {
        const VqMetered *object = g_ptr_array_index(domain->objects, i);
        GVariantDict dict;

        if (object->key.kind != kind)
            continue;
        g_variant_dict_init(&dict, NULL);
        g_variant_dict_insert(&dict, "disk", "s", object->key.disk);
        if (kind == VQ_METERED_QUEUE)
            g_variant_dict_insert(&dict, "queue", "u", object->key.number);
        if (object->iothread >= 0)
            g_variant_dict_insert(&dict, "iothread", "u", (guint32)object->iothread);
        g_variant_dict_insert_value(&dict, "counters", vq_metered_counters(object, now_us));
        g_variant_builder_add_value(&list, g_variant_dict_end(&dict));
    }
    return g_variant_builder_end(&list);
}
