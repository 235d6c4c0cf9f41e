/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/meters.h"

#include <string.h>

#define SECOND G_USEC_PER_SEC
#define UUID   "6f1e1a10-0000-4000-8000-00000000000a"

static VqCounters
at(gint64 time_us, guint64 reads)
{
    VqCounters counters = {.time_us = time_us};

    vq_counters_set(&counters, VQ_COUNT_READS, reads);
    return counters;
}

static void
take(VqMeter *meter, gint64 time_us, guint64 reads, guint64 incarnation)
{
    VqCounters counters = at(time_us, reads);

    vq_meter_take(meter, &counters, incarnation);
}

static void
test_unknown_is_not_zero(void)
{
    VqCounters counters = at(1, 0);
    guint64 value = 42;

    g_assert_true(vq_counters_get(&counters, VQ_COUNT_READS, &value));
    g_assert_cmpuint(value, ==, 0);
    value = 42;
    g_assert_false(vq_counters_get(&counters, VQ_COUNT_WRITES, &value));
    g_assert_cmpuint(value, ==, 42);
}

static void
test_names(void)
{
    for (guint i = 0; i < VQ_COUNTERS; i++) {
        g_assert_nonnull(vq_counter_infos[i].name);
        for (guint k = 0; k < i; k++)
            g_assert_cmpstr(vq_counter_infos[i].name, !=, vq_counter_infos[k].name);
    }
    for (int i = 0; i < VQ_SOURCES; i++)
        g_assert_nonnull(vq_enum_name(vq_counter_source_names, i));
}

static void
test_rate(void)
{
    VqMeter meter = {0};
    double rate = -1;

    g_assert_false(vq_meter_rate(&meter, VQ_COUNT_READS, &rate));
    take(&meter, 10 * SECOND, 1000, 7);
    g_assert_false(vq_meter_rate(&meter, VQ_COUNT_READS, &rate));
    take(&meter, 12 * SECOND, 1500, 7);
    g_assert_true(vq_meter_rate(&meter, VQ_COUNT_READS, &rate));
    g_assert_cmpfloat_with_epsilon(rate, 250, 1e-9);
    g_assert_cmpint(vq_meter_span_us(&meter), ==, 2 * SECOND);
    g_assert_false(vq_meter_rate(&meter, VQ_COUNT_WRITES, &rate));
    /* who asks again at once must not make the span a moment */
    take(&meter, 12 * SECOND + 1000, 1500, 7);
    g_assert_true(vq_meter_rate(&meter, VQ_COUNT_READS, &rate));
    g_assert_cmpfloat_with_epsilon(rate, 250, 1);
    take(&meter, 13 * SECOND + 1000, 1500, 7);
    g_assert_true(vq_meter_rate(&meter, VQ_COUNT_READS, &rate));
    g_assert_cmpfloat_with_epsilon(rate, 0, 1e-9);
}

/* A crowd that asks every 100 ms, below the shortest span, still gets rates that follow. */
static void
test_crowd(void)
{
    VqMeter meter = {0};
    double rate = -1;

    for (int i = 0; i < 100; i++)
        take(&meter, SECOND + i * SECOND / 10, (guint64)i * 10, 7);
    g_assert_true(vq_meter_rate(&meter, VQ_COUNT_READS, &rate));
    g_assert_cmpfloat_with_epsilon(rate, 100, 1);
    for (int i = 0; i < 5; i++)
        take(&meter, 20 * SECOND + i * SECOND / 10, 990, 7);
    g_assert_true(vq_meter_rate(&meter, VQ_COUNT_READS, &rate));
    g_assert_cmpfloat(rate, <, 100);
}

static void
test_starts_anew(void)
{
    static const struct {
        gint64 time_us;
        guint64 reads, incarnation;
    } second[] = {
        {2 * SECOND, 10, 7},                  /* reset: the counter went down */
        {2 * SECOND, 5000, 8},                /* another thread or slot under the same name */
        {SECOND / 2, 5000, 7},                /* a reading that is older */
        {SECOND + 1000, 1001, 7},             /* too close */
        {(gint64)SECOND * 10000, 1000000, 7}, /* too far apart to be the present */
    };

    for (guint i = 0; i < G_N_ELEMENTS(second); i++) {
        VqMeter meter = {0};
        double rate;
        guint64 value;

        take(&meter, SECOND, 1000, 7);
        take(&meter, second[i].time_us, second[i].reads, second[i].incarnation);
        g_assert_false(vq_meter_rate(&meter, VQ_COUNT_READS, &rate));
        g_assert_true(vq_counters_get(&meter.last, VQ_COUNT_READS, &value));
        g_assert_cmpuint(value, ==, second[i].reads);
    }
}

static void
test_gauge_may_fall(void)
{
    VqMeter meter = {0};
    VqCounters one = at(SECOND, 10), two = at(2 * SECOND, 20);
    double rate;

    vq_counters_set(&one, VQ_COUNT_IN_FLIGHT, 8);
    vq_counters_set(&two, VQ_COUNT_IN_FLIGHT, 2);
    vq_meter_take(&meter, &one, 0);
    vq_meter_take(&meter, &two, 0);
    g_assert_true(vq_meter_rate(&meter, VQ_COUNT_READS, &rate));
    g_assert_false(vq_meter_rate(&meter, VQ_COUNT_IN_FLIGHT, &rate));
}

static void
add(GArray *readings, VqMeteredKind kind, const char *disk, unsigned number, VqCounterSource source,
    gint64 time_us, guint64 value)
{
    VqReading reading = {.source = source, .iothread = -1, .counters = at(time_us, value)};

    vq_metered_key_init(&reading.key, kind, disk, number);
    vq_counters_set(&reading.counters, VQ_COUNT_CPU_NS, value * 1000000);
    g_array_append_val(readings, reading);
}

static GArray *
readings_new(void)
{
    return g_array_new(FALSE, TRUE, sizeof(VqReading));
}

#define BLOCK (1u << VQ_SOURCE_BLOCK)
#define TIME  (1u << VQ_SOURCE_THREAD)

static void
test_objects(void)
{
    g_autoptr(VqMeters) meters = vq_meters_new();
    g_autoptr(GArray) first = readings_new(), second = readings_new(), none = readings_new();

    add(first, VQ_METERED_DISK, "vda", 0, VQ_SOURCE_BLOCK, SECOND, 100);
    add(first, VQ_METERED_DISK, "vdb", 0, VQ_SOURCE_BLOCK, SECOND, 100);
    add(first, VQ_METERED_IOTHREAD, NULL, 1, VQ_SOURCE_THREAD, SECOND, 100);
    vq_meters_take(meters, UUID, 3, first, BLOCK | TIME);
    add(second, VQ_METERED_DISK, "vda", 0, VQ_SOURCE_BLOCK, 2 * SECOND, 300);
    add(second, VQ_METERED_IOTHREAD, NULL, 1, VQ_SOURCE_THREAD, 2 * SECOND, 600);
    vq_meters_take(meters, UUID, 3, second, BLOCK | TIME);

    const VqDomainMeters *domain = vq_meters_find(meters, UUID, 3);
    double share;

    g_assert_nonnull(domain);
    g_assert_null(vq_meters_find(meters, UUID, 4));
    /* vdb was unplugged */
    g_assert_null(vq_meters_object(domain, VQ_METERED_DISK, "vdb", 0));
    g_assert_nonnull(vq_meters_object(domain, VQ_METERED_DISK, "vda", 0));

    const VqMetered *thread = vq_meters_object(domain, VQ_METERED_IOTHREAD, NULL, 1);

    g_assert_true(vq_meter_share(vq_metered_by(thread, VQ_SOURCE_THREAD), VQ_COUNT_CPU_NS, &share));
    g_assert_cmpfloat_with_epsilon(share, 0.5, 1e-9);
    /* libvirt did not answer: what was known stands */
    vq_meters_take(meters, UUID, 3, none, 0);
    g_assert_cmpuint(domain->objects->len, ==, 2);
    vq_meters_take(meters, UUID, 3, none, BLOCK);
    g_assert_cmpuint(domain->objects->len, ==, 1);
    /* the domain was stopped and started */
    vq_meters_take(meters, UUID, 4, none, 0);
    g_assert_null(vq_meters_find(meters, UUID, 3));
}

static void
test_moves_and_retain(void)
{
    g_autoptr(VqMeters) meters = vq_meters_new();
    g_autoptr(GHashTable) none = g_hash_table_new(g_str_hash, g_str_equal);
    guint64 moves = 0;

    vq_meters_count_move(meters, UUID, 1, 2, SECOND);
    vq_meters_count_move(meters, UUID, 1, 2, SECOND + 10);

    const VqMetered *thread =
        vq_meters_object(vq_meters_find(meters, UUID, 1), VQ_METERED_IOTHREAD, NULL, 2);

    g_assert_true(
        vq_counters_get(&vq_metered_by(thread, VQ_SOURCE_DAEMON)->last, VQ_COUNT_MOVES, &moves));
    g_assert_cmpuint(moves, ==, 2);
    vq_meters_retain(meters, none);
    g_assert_null(vq_meters_find(meters, UUID, 1));
}

/* Each value stands beside its source; what nobody knows is not there. */
static void
test_as_data(void)
{
    g_autoptr(VqMeters) meters = vq_meters_new();
    g_autoptr(GArray) first = readings_new(), second = readings_new();

    add(first, VQ_METERED_DISK, "vda", 0, VQ_SOURCE_BLOCK, SECOND, 100);
    add(second, VQ_METERED_DISK, "vda", 0, VQ_SOURCE_BLOCK, 3 * SECOND, 300);
    vq_meters_take(meters, UUID, 3, first, BLOCK);
    vq_meters_take(meters, UUID, 3, second, BLOCK);

    g_autoptr(GVariant) list = g_variant_ref_sink(
        vq_meters_list(vq_meters_find(meters, UUID, 3), VQ_METERED_DISK, 4 * SECOND));
    g_autofree char *text = g_variant_print(list, FALSE);

    g_assert_nonnull(strstr(text, "'disk': <'vda'>"));
    g_assert_nonnull(strstr(text, "'source': <'libvirt block statistics'>"));
    g_assert_nonnull(strstr(text, "'age_ms': <uint64 1000>"));
    g_assert_nonnull(strstr(text, "'reads': <uint64 300>"));
    g_assert_nonnull(strstr(text, "'reads': 100.0"));
    g_assert_nonnull(strstr(text, "'over_ms': <uint64 2000>"));
    g_assert_null(strstr(text, "writes"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/counters/unknown-is-not-zero", test_unknown_is_not_zero);
    g_test_add_func("/counters/names", test_names);
    g_test_add_func("/counters/rate", test_rate);
    g_test_add_func("/counters/crowd", test_crowd);
    g_test_add_func("/counters/starts-anew", test_starts_anew);
    g_test_add_func("/counters/gauge-may-fall", test_gauge_may_fall);
    g_test_add_func("/counters/objects", test_objects);
    g_test_add_func("/counters/moves-and-retain", test_moves_and_retain);
    g_test_add_func("/counters/as-data", test_as_data);
    return g_test_run();
}
