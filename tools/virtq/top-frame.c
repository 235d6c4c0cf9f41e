/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "top.h"

#include "counts.h"
#include "output.h"

#include "core/lookup.h"

#include <string.h>

#define BAR_WIDTH 20

const VqEnumEntry vq_top_sort_names[] = {
    {VQ_TOP_BY_DOMAIN, "domain"},
    {VQ_TOP_BY_LOAD, "load"},
    {VQ_TOP_BY_CPU, "cpu"},
    {VQ_TOP_BY_WORK, "work"},
    {VQ_TOP_BY_REQUESTS, "requests"},
    {VQ_TOP_BY_NODE, "node"},
    {0, NULL},
};

/* One IOThread that was placed. */
typedef struct {
    GVariant *placed; /* its placement */
    GVariant *thread; /* its entry in "domains", or NULL */
    GVariant
        *queues;  /* what its queues' counters sum up to, as an object with "counters"; or NULL */
    double order; /* what it is sorted by; < 0: not known */
    guint place;  /* in the plan */
} Row;

static void
row_clear(gpointer data)
{
    Row *row = data;

    g_variant_unref(row->placed);
    g_clear_pointer(&row->thread, g_variant_unref);
    g_clear_pointer(&row->queues, g_variant_unref);
}

/* The dictionary of @list whose @key is @text, or number @number with @text NULL; or NULL. */
static GVariant *
find(const GPtrArray *list, const char *key, const char *text, double number)
{
    for (guint i = 0; i < list->len; i++) {
        GVariant *dict = g_ptr_array_index(list, i);
        const char *found;
        double n;

        if (text ? g_variant_lookup(dict, key, "&s", &found) && g_str_equal(found, text)
                 : vq_lookup_double(dict, key, &n) && n == number)
            return dict;
    }
    return NULL;
}

/* Adds up what the queues of @iothread count: values and rates. */
static GVariant *
sum_queues(GVariant *domain, double iothread)
{
    static const char *const keys[] = {"reads",      "writes",        "flushes",   "others",
                                       "bytes_read", "bytes_written", "in_flight", NULL};
    g_autoptr(GPtrArray) queues = vq_lookup_list(domain, "queues");
    GVariantBuilder counters = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));
    GVariantDict values, rates, object;
    bool known = false;

    g_variant_dict_init(&values, NULL);
    g_variant_dict_init(&rates, NULL);
    for (guint k = 0; keys[k]; k++) {
        double value = 0, rate = 0, n;
        bool has_value = false, has_rate = false;

        for (guint i = 0; i < queues->len; i++) {
            GVariant *queue = g_ptr_array_index(queues, i);

            if (!vq_lookup_double(queue, "iothread", &n) || n != iothread)
                continue;

            g_autoptr(GVariant) one = vq_counts_find(queue, NULL, keys[k], &n);

            has_value |= one != NULL;
            value += one ? n : 0;

            g_autoptr(GVariant) two = vq_counts_find(queue, "rates", keys[k], &n);

            has_rate |= two != NULL;
            rate += two ? n : 0;
        }
        if (has_value)
            g_variant_dict_insert(&values, keys[k], "d", value);
        if (has_rate)
            g_variant_dict_insert(&rates, keys[k], "d", rate);
        known |= has_value;
    }
    g_variant_dict_insert_value(&values, "rates", g_variant_dict_end(&rates));
    g_variant_builder_add_value(&counters, g_variant_dict_end(&values));
    g_variant_dict_init(&object, NULL);
    g_variant_dict_insert_value(&object, "counters", g_variant_builder_end(&counters));

    GVariant *sum = g_variant_ref_sink(g_variant_dict_end(&object));

    if (!known)
        g_clear_pointer(&sum, g_variant_unref);
    return sum;
}

static double
rate_of(GVariant *object, const char *key)
{
    double rate;
    g_autoptr(GVariant) entry = object ? vq_counts_find(object, "rates", key, &rate) : NULL;

    return entry ? rate : -1;
}

static double
order_of(const Row *row, VqTopSort sort)
{
    double order = -1;

    switch (sort) {
    case VQ_TOP_BY_DOMAIN:
        return -1;
    case VQ_TOP_BY_LOAD:
        vq_lookup_double(row->placed, "load", &order);
        return order;
    case VQ_TOP_BY_CPU:
        return rate_of(row->thread, "cpu_ns");
    case VQ_TOP_BY_WORK:
        return rate_of(row->thread, "work_ns");
    case VQ_TOP_BY_REQUESTS:
        for (guint i = 0; row->queues && vq_counts_requests[i]; i++)
            order += MAX(rate_of(row->queues, vq_counts_requests[i]), 0);
        return order;
    case VQ_TOP_BY_NODE:
        return vq_lookup_double(row->placed, "node", &order) ? 1e9 - order : -1;
    }
    return -1;
}

static int
compare_rows(gconstpointer a, gconstpointer b)
{
    const Row *left = a, *right = b;

    if (left->order != right->order)
        return left->order < right->order ? 1 : -1;
    return (left->place > right->place) - (left->place < right->place);
}

static GArray *
read_rows(GVariant *counters, VqTopSort sort)
{
    g_autoptr(GPtrArray) placements = vq_lookup_list(counters, "placements");
    g_autoptr(GPtrArray) domains = vq_lookup_list(counters, "domains");
    GArray *rows = g_array_new(FALSE, TRUE, sizeof(Row));

    g_array_set_clear_func(rows, row_clear);
    for (guint i = 0; i < placements->len; i++) {
        Row row = {.placed = g_variant_ref(g_ptr_array_index(placements, i)), .place = i};
        const char *name = "";
        double iothread = -1;

        g_variant_lookup(row.placed, "domain", "&s", &name);
        vq_lookup_double(row.placed, "iothread", &iothread);

        GVariant *domain = find(domains, "name", name, 0);
        g_autoptr(GPtrArray) threads = domain ? vq_lookup_list(domain, "iothreads") : NULL;
        GVariant *thread = threads ? find(threads, "iothread", NULL, iothread) : NULL;

        row.thread = thread ? g_variant_ref(thread) : NULL;
        row.queues = domain ? sum_queues(domain, iothread) : NULL;
        row.order = order_of(&row, sort);
        g_array_append_val(rows, row);
    }
    g_array_sort(rows, compare_rows);
    return rows;
}

static char *
text_of(GVariant *dict, const char *key)
{
    g_autoptr(GVariant) value = g_variant_lookup_value(dict, key, NULL);

    return value ? vq_lookup_text(value) : NULL;
}

/* Nothing where placement only assumes it. */
static char *
load_text(GVariant *placed, const char *source)
{
    double load;

    if (!source || g_str_equal(source, "default") || !vq_lookup_double(placed, "load", &load))
        return NULL;
    return g_strdup_printf("%.0f%%", load * 100);
}

static void
add_row(VqTable *table, const Row *row)
{
    g_autofree char *domain = text_of(row->placed, "domain");
    g_autofree char *disk = text_of(row->placed, "disk");
    g_autofree char *queues = text_of(row->placed, "queues");
    g_autofree char *iothread = text_of(row->placed, "iothread");
    g_autofree char *cpus = text_of(row->placed, "cpus");
    g_autofree char *node = text_of(row->placed, "node");
    g_autofree char *source = text_of(row->placed, "load_source");
    g_autofree char *degraded = text_of(row->placed, "degraded");
    g_autofree char *load = load_text(row->placed, source);
    g_autofree char *cpu = row->thread ? vq_counts_share(row->thread, "cpu_ns") : NULL;
    g_autofree char *work = row->thread ? vq_counts_share(row->thread, "work_ns") : NULL;
    g_autofree char *polled = row->thread ? vq_counts_share(row->thread, "poll_ns") : NULL;
    g_autofree char *requests =
        row->queues ? vq_counts_sum(row->queues, "rates", vq_counts_requests, 1) : NULL;
    g_autofree char *bytes =
        row->queues ? vq_counts_sum(row->queues, "rates", vq_counts_bytes, 1e6) : NULL;
    g_autofree char *flight =
        row->queues ? vq_counts_sum(row->queues, NULL, (const char *const[]){"in_flight", NULL}, 1)
                    : NULL;

    vq_table_row(table, domain, disk, queues, iothread, cpus, node, load, cpu, work, polled,
                 requests, bytes, flight, work ? "QEMU queue counters" : source,
                 degraded ? degraded : "no");
}

static void
add_threads(GString *out, const GArray *rows)
{
    g_autoptr(VqTable) table =
        vq_table_new("DOMAIN", "DISK", "QUEUES", "IOTHREAD", "CPU", "NODE", "LOAD", "CPU%", "WORK%",
                     "POLL%", "REQ/S", "MB/S", "IN FLIGHT", "SOURCE", "DEGRADED", NULL);

    for (guint i = 0; i < rows->len; i++)
        add_row(table, &g_array_index(rows, Row, i));

    g_autofree char *text = vq_table_text(table);

    g_string_append(out, text);
}

static void
add_disks(GString *out, GVariant *counters)
{
    g_autoptr(GPtrArray) domains = vq_lookup_list(counters, "domains");
    g_autoptr(VqTable) table =
        vq_table_new("DOMAIN", "DISK", "REQ/S", "MB/S", "REQUESTS", "MB", "SOURCE", NULL);

    for (guint i = 0; i < domains->len; i++) {
        GVariant *domain = g_ptr_array_index(domains, i);
        g_autoptr(GPtrArray) disks = vq_lookup_list(domain, "disks");
        g_autofree char *name = text_of(domain, "name");

        for (guint k = 0; k < disks->len; k++) {
            GVariant *disk = g_ptr_array_index(disks, k);
            g_autofree char *target = text_of(disk, "disk");
            g_autofree char *rate = vq_counts_sum(disk, "rates", vq_counts_requests, 1);
            g_autofree char *mb_rate = vq_counts_sum(disk, "rates", vq_counts_bytes, 1e6);
            g_autofree char *all = vq_counts_sum(disk, NULL, vq_counts_requests, 1);
            g_autofree char *mb = vq_counts_sum(disk, NULL, vq_counts_bytes, 1e6);
            g_autofree char *source = vq_counts_source(disk, vq_counts_requests);

            vq_table_row(table, name, target, rate, mb_rate, all, mb, source);
        }
    }
    if (vq_table_rows(table) == 0)
        return;

    g_autofree char *text = vq_table_text(table);

    g_string_append_printf(out, "\n%s", text);
}

/* "#####...............": of a whole core. */
static char *
bar(double share)
{
    char *text = g_strnfill(BAR_WIDTH, '.');

    memset(text, '#', (size_t)(CLAMP(share, 0, 1) * BAR_WIDTH + 0.5));
    return text;
}

static void
add_cores(GString *out, GVariant *counters)
{
    g_autoptr(GPtrArray) cores = vq_lookup_list(counters, "cores");
    g_autoptr(VqTable) table =
        vq_table_new("CORE", "CPUS", "NODE", "LOAD", "", "CPU%", "THREADS", NULL);

    for (guint i = 0; i < cores->len; i++) {
        GVariant *core = g_ptr_array_index(cores, i);
        g_autofree char *number = text_of(core, "core");
        g_autofree char *cpus = text_of(core, "cpus");
        g_autofree char *node = text_of(core, "node");
        double load = 0, busy;

        vq_lookup_double(core, "load", &load);

        g_autofree char *load_share = g_strdup_printf("%.0f%%", load * 100);
        g_autofree char *picture = bar(load);
        g_autofree char *users = text_of(core, "threads");
        g_autofree char *busy_share = vq_lookup_double(core, "busy", &busy) && users && *users
                                          ? g_strdup_printf("%.0f%%", busy * 100)
                                          : NULL;

        vq_table_row(table, number, cpus, node, load_share, picture, busy_share,
                     users && *users ? users : NULL);
    }
    if (vq_table_rows(table) == 0)
        return;

    g_autofree char *text = vq_table_text(table);

    g_string_append_printf(out, "\n%s", text);
}

static void
add_head(GString *out, GVariant *counters, const GArray *rows, const VqTopView *view)
{
    g_autoptr(GPtrArray) domains = vq_lookup_list(counters, "domains");
    g_autofree char *version = text_of(counters, "daemon_version");
    g_autofree char *problem = text_of(counters, "reading_problem");
    guint degraded = 0;
    double connected = 0, moves = 0;

    for (guint i = 0; i < rows->len; i++) {
        g_autofree char *text = text_of(g_array_index(rows, Row, i).placed, "degraded");

        degraded += text != NULL;
    }
    vq_lookup_double(counters, "libvirt_connected", &connected);
    vq_lookup_double(counters, "thread_moves", &moves);
    g_string_append_printf(out,
                           "virtqueued %s: %u domains, %u threads, %u degraded, %.0f moves%s\n",
                           version ? version : "?", domains->len, rows->len, degraded, moves,
                           connected ? "" : ", libvirt is not connected");
    if (problem)
        g_string_append_printf(out, "%s\n", problem);
    if (view->notice)
        g_string_append_printf(out, "%s\n", view->notice);
    g_string_append_c(out, '\n');
}

/* What fits on the screen. */
static char *
cut(const char *text, const VqTopView *view)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    GString *out = g_string_new(NULL);

    for (guint i = 0; lines[i] && lines[i + 1] && (!view->height || i < view->height); i++) {
        g_autofree char *line = view->width && g_utf8_strlen(lines[i], -1) > (glong)view->width
                                    ? g_utf8_substring(lines[i], 0, view->width)
                                    : g_strdup(lines[i]);

        g_string_append_printf(out, "%s\n", g_strchomp(line));
    }
    return g_string_free(out, FALSE);
}

char *
vq_top_frame(GVariant *counters, const VqTopView *view)
{
    g_autoptr(GString) out = g_string_new(NULL);

    if (counters) {
        g_autoptr(GArray) rows = read_rows(counters, view->sort);

        add_head(out, counters, rows, view);
        add_threads(out, rows);
        add_disks(out, counters);
        add_cores(out, counters);
    } else {
        g_string_append_printf(out, "virtqueued: %s\n", view->notice ? view->notice : "?");
    }
    return cut(out->str, view);
}
