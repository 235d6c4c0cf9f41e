/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/metrics.h"

#include "core/lookup.h"

#include <math.h>
#include <string.h>

#define PREFIX "virtqueued_"

/* What samples are of. */
typedef enum {
    OF_DAEMON,
    OF_VERSION,
    OF_CORE,
    OF_DOMAIN,
    OF_PLACEMENT,
    OF_PLACE, /* with the labels that change when a thread moves: of "info" only */
    OF_LOAD,
    OF_THREAD,
    OF_DISK,
    OF_QUEUE,
} Of;

typedef enum {
    AS_IT_IS,
    AS_SECONDS,    /* of nanoseconds */
    AS_SECONDS_US, /* of microseconds */
    AS_ONE,        /* 1: the labels say it all */
    AS_PRESENT,    /* 1 if the key is there, else 0 */
    AS_LENGTH,     /* of a list */
} As;

typedef struct {
    Of of;
    const char *name, *type, *help;
    struct {
        const char *key, *labels; /* labels besides those of the object, or NULL */
    } samples[4];
    As as;
} Family;

#define OP(what) "operation=\"" what "\""

static const Family families[] = {
    {OF_VERSION, "info", "gauge", "Version of the daemon.", {{"daemon_version"}}, AS_ONE},
    {OF_DAEMON,
     "libvirt_connected",
     "gauge",
     "Whether the daemon is connected to libvirt.",
     {{"libvirt_connected"}}},
    {OF_DAEMON, "rounds_total", "counter", "Rounds of the daemon's loop.", {{"rounds"}}},
    {OF_DAEMON,
     "cpu_seconds_total",
     "counter",
     "CPU time of the daemon.",
     {{"daemon_cpu_seconds"}}},
    {OF_DAEMON,
     "admissions_total",
     "counter",
     "Domains that asked whether they may start.",
     {{"admitted", "result=\"admitted\""}, {"not_admitted", "result=\"refused\""}}},
    {OF_DAEMON,
     "changes_total",
     "counter",
     "Pins and settings made, or not to be made, through libvirt.",
     {{"changes", "result=\"done\""}, {"change_failures", "result=\"failed\""}}},
    {OF_DAEMON,
     "thread_moves_total",
     "counter",
     "Running I/O threads that were moved to another core.",
     {{"thread_moves"}}},
    {OF_DAEMON, "readings_total", "counter", "Times that counters were read.", {{"readings"}}},
    {OF_DAEMON,
     "reading_duration_seconds",
     "gauge",
     "How long the last reading of counters took.",
     {{"reading_us"}},
     AS_SECONDS_US},

    {OF_CORE, "core_load_ratio", "gauge", "Load of a pool core as placed.", {{"load"}}},
    {OF_CORE,
     "core_busy_ratio",
     "gauge",
     "CPU time of its I/O threads, polling included.",
     {{"busy"}}},
    {OF_CORE, "core_dedicated", "gauge", "Whether one thread has it alone.", {{"dedicated"}}},
    {OF_CORE, "core_threads", "gauge", "I/O threads on a pool core.", {{"threads"}}, AS_LENGTH},

    {OF_DOMAIN, "domain_managed", "gauge", "Whether the daemon places it.", {{"managed"}}},

    {OF_PLACE,
     "iothread_placed_info",
     "gauge",
     "Where an I/O thread was placed, as labels.",
     {{"iothread"}},
     AS_ONE},
    {OF_PLACEMENT,
     "iothread_degraded",
     "gauge",
     "Whether an I/O thread did not get what was asked for.",
     {{"degraded"}},
     AS_PRESENT},
    {OF_LOAD,
     "iothread_load_ratio",
     "gauge",
     "Share of a core that serving its queues is taken to need.",
     {{"load"}}},

    {OF_THREAD,
     "iothread_cpu_seconds_total",
     "counter",
     "CPU time of an I/O thread, polling included.",
     {{"cpu_ns"}},
     AS_SECONDS},
    {OF_THREAD,
     "iothread_wait_seconds_total",
     "counter",
     "Time an I/O thread was runnable and waited for a CPU.",
     {{"wait_ns"}},
     AS_SECONDS},
    {OF_THREAD,
     "iothread_state_seconds_total",
     "counter",
     "Time an I/O thread served requests, looked for some, or slept.",
     {{"work_ns", "state=\"work\""},
      {"poll_ns", "state=\"poll\""},
      {"sleep_ns", "state=\"sleep\""}},
     AS_SECONDS},
    {OF_THREAD,
     "iothread_turns_total",
     "counter",
     "Turns of an event loop that found work.",
     {{"turns"}}},
    {OF_THREAD, "iothread_sleeps_total", "counter", "Times it went to sleep.", {{"sleeps"}}},
    {OF_THREAD, "iothread_moves_total", "counter", "Moves to another core.", {{"moves"}}},

    {OF_DISK,
     "disk_requests_total",
     "counter",
     "Requests of a disk.",
     {{"reads", OP("read")}, {"writes", OP("write")}, {"flushes", OP("flush")}}},
    {OF_DISK,
     "disk_bytes_total",
     "counter",
     "Bytes read from and written to a disk.",
     {{"bytes_read", OP("read")}, {"bytes_written", OP("write")}}},
    {OF_DISK,
     "disk_request_seconds_total",
     "counter",
     "Time from submission to completion, summed over requests.",
     {{"read_ns", OP("read")}, {"write_ns", OP("write")}, {"flush_ns", OP("flush")}},
     AS_SECONDS},

    {OF_QUEUE,
     "queue_requests_total",
     "counter",
     "Requests taken from a queue.",
     {{"reads", OP("read")},
      {"writes", OP("write")},
      {"flushes", OP("flush")},
      {"others", OP("other")}}},
    {OF_QUEUE,
     "queue_bytes_total",
     "counter",
     "Bytes of the requests of a queue.",
     {{"bytes_read", OP("read")}, {"bytes_written", OP("write")}}},
    {OF_QUEUE, "queue_in_flight", "gauge", "Requests not completed yet.", {{"in_flight"}}},
    {OF_QUEUE, "queue_parked", "gauge", "Requests held back after an error.", {{"parked"}}},
    {OF_QUEUE,
     "queue_direct_requests_total",
     "counter",
     "Requests that went by QEMU's direct path.",
     {{"direct"}}},
    {OF_QUEUE,
     "queue_batches_total",
     "counter",
     "Times the ring was found with requests.",
     {{"batches"}}},
    {OF_QUEUE, "queue_kicks_total", "counter", "Notifications from the guest.", {{"kicks"}}},
    {OF_QUEUE,
     "queue_interrupts_total",
     "counter",
     "Notifications to the guest.",
     {{"interrupts"}}},
    {OF_QUEUE,
     "queue_work_seconds_total",
     "counter",
     "Time spent taking and submitting its requests.",
     {{"work_ns"}},
     AS_SECONDS},
    {OF_QUEUE,
     "queue_moves_total",
     "counter",
     "Moves of a queue to another I/O thread.",
     {{"moves"}}},
    {OF_QUEUE,
     "queue_move_gap_seconds_total",
     "counter",
     "Time without service because of moves.",
     {{"move_gap_ns"}},
     AS_SECONDS},
    {OF_QUEUE,
     "queue_move_gap_max_seconds",
     "gauge",
     "Longest time without service because of a move.",
     {{"move_gap_max_ns"}},
     AS_SECONDS},
};

/* Something that samples are of, with what is known of it. */
typedef struct {
    Of of;
    char *labels;
    GVariant *values;
} Object;

static void
object_clear(gpointer data)
{
    Object *object = data;

    g_free(object->labels);
    g_variant_unref(object->values);
}

/* name="value", escaped as the format says: backslash, quote and newline. */
static void
add_label(GString *labels, const char *name, const char *value)
{
    g_string_append_printf(labels, "%s%s=\"", labels->len ? "," : "", name);
    for (const char *c = value; *c; c++) {
        if (*c == '\n')
            g_string_append(labels, "\\n");
        else if (*c == '\\' || *c == '"')
            g_string_append_printf(labels, "\\%c", *c);
        else
            g_string_append_c(labels, *c);
    }
    g_string_append_c(labels, '"');
}

/* Those of @keys that @values has, texts and numbers alike; "label=key" where the two differ. */
static void
add_labels(GString *labels, GVariant *values, const char *const *keys)
{
    for (; *keys; keys++) {
        g_auto(GStrv) names = g_strsplit(*keys, "=", 2);
        const char *key = names[1] ? names[1] : names[0];
        g_autoptr(GVariant) value = g_variant_lookup_value(values, key, NULL);
        g_autofree char *text = value ? vq_lookup_text(value) : NULL;

        if (text)
            add_label(labels, names[0], text);
    }
}

/* Takes @labels and @values. */
static void
add_object(GArray *objects, Of of, GString *labels, GVariant *values)
{
    Object object = {of, g_string_free(labels, FALSE), values};

    g_array_append_val(objects, object);
}

static void
add_list(GArray *objects, GVariant *all, const char *key, Of of, const char *const *keys)
{
    g_autoptr(GPtrArray) list = vq_lookup_list(all, key);

    for (guint i = 0; i < list->len; i++) {
        GVariant *values = g_ptr_array_index(list, i);
        GString *labels = g_string_new(NULL);

        add_labels(labels, values, keys);
        add_object(objects, of, labels, g_variant_ref(values));
    }
}

/* The entries of "counters" of each of the list @key, by their source. */
static void
add_counted(GArray *objects, GVariant *domain, const char *name, const char *key, Of of,
            const char *const *keys)
{
    static const char *const source[] = {"source", NULL};
    g_autoptr(GPtrArray) list = vq_lookup_list(domain, key);

    for (guint i = 0; i < list->len; i++) {
        g_autoptr(GPtrArray) counters = vq_lookup_list(g_ptr_array_index(list, i), "counters");

        for (guint k = 0; k < counters->len; k++) {
            GVariant *values = g_ptr_array_index(counters, k);
            GString *labels = g_string_new(NULL);

            add_label(labels, "domain", name);
            add_labels(labels, g_ptr_array_index(list, i), keys);
            add_labels(labels, values, source);
            add_object(objects, of, labels, g_variant_ref(values));
        }
    }
}

static void
add_domains(GArray *objects, GVariant *all)
{
    static const char *const thread[] = {"iothread", NULL}, *const disk[] = {"disk", NULL},
                             *const queue[] = {"disk", "queue", NULL};
    g_autoptr(GPtrArray) list = vq_lookup_list(all, "domains");

    for (guint i = 0; i < list->len; i++) {
        GVariant *domain = g_ptr_array_index(list, i);
        GString *labels = g_string_new(NULL);
        const char *name = "";

        g_variant_lookup(domain, "name", "&s", &name);
        add_label(labels, "domain", name);
        add_object(objects, OF_DOMAIN, labels, g_variant_ref(domain));
        add_counted(objects, domain, name, "iothreads", OF_THREAD, thread);
        add_counted(objects, domain, name, "disks", OF_DISK, disk);
        add_counted(objects, domain, name, "queues", OF_QUEUE, queue);
    }
}

static char *
number_text(GVariant *value, As as)
{
    char buffer[G_ASCII_DTOSTR_BUF_SIZE];
    guint64 count;
    double number;

    /* exact: a double has not the digits of a nanosecond counter */
    if (as == AS_SECONDS && vq_lookup_count(value, &count))
        return g_strdup_printf("%" G_GUINT64_FORMAT ".%09u", count / 1000000000,
                               (unsigned)(count % 1000000000));
    if (as == AS_IT_IS && vq_lookup_count(value, &count))
        return g_strdup_printf("%" G_GUINT64_FORMAT, count);
    if (!vq_lookup_number(value, &number) || !isfinite(number))
        return NULL;
    if (as == AS_SECONDS)
        number /= 1e9;
    else if (as == AS_SECONDS_US)
        number /= 1e6;
    /* not by the locale; 15 digits give back 0.1 as 0.1 */
    return g_strdup(g_ascii_formatd(buffer, sizeof(buffer), "%.15g", number));
}

/* The sample's value; NULL: there is none. */
static char *
value_text(const Object *object, const char *key, As as)
{
    g_autoptr(GVariant) value = g_variant_lookup_value(object->values, key, NULL);

    if (as == AS_PRESENT)
        return g_strdup(value ? "1" : "0");
    if (!value)
        return NULL;
    if (as == AS_ONE)
        return g_strdup("1");
    if (as == AS_LENGTH)
        return g_variant_is_container(value)
                   ? g_strdup_printf("%" G_GSIZE_FORMAT, g_variant_n_children(value))
                   : NULL;
    return number_text(value, as);
}

static void
add_family(GString *out, const Family *family, const GArray *objects)
{
    bool begun = false;

    for (guint i = 0; i < objects->len; i++) {
        const Object *object = &g_array_index(objects, Object, i);

        for (guint k = 0; object->of == family->of && k < G_N_ELEMENTS(family->samples) &&
                          family->samples[k].key;
             k++) {
            const char *more = family->samples[k].labels ? family->samples[k].labels : "";
            g_autofree char *value = value_text(object, family->samples[k].key, family->as);
            bool both = *object->labels && *more;

            /* a counter below 0 is nobody's */
            if (!value || (*value == '-' && *family->type == 'c'))
                continue;
            if (!begun)
                g_string_append_printf(out,
                                       "# HELP " PREFIX "%s %s\n"
                                       "# TYPE " PREFIX "%s %s\n",
                                       family->name, family->help, family->name, family->type);
            begun = true;
            g_string_append_printf(out, PREFIX "%s", family->name);
            if (*object->labels || *more)
                g_string_append_printf(out, "{%s%s%s}", object->labels, both ? "," : "", more);
            g_string_append_printf(out, " %s\n", value);
        }
    }
}

char *
vq_metrics_text(GVariant *counters)
{
    static const char *const version[] = {"version=daemon_version", NULL},
                             *const core[] = {"core", "cpus", "node", NULL},
                             *const thread[] = {"domain", "disk", "iothread", NULL},
                             *const load[] = {"domain", "disk", "iothread", "source=load_source",
                                              NULL},
                             *const placed[] = {"domain", "disk", "iothread", "class",  "wanted",
                                                "cpus",   "core", "node",     "queues", NULL};
    g_autoptr(GArray) objects = g_array_new(FALSE, FALSE, sizeof(Object));
    GString *out = g_string_new(NULL), *labels = g_string_new(NULL);

    g_array_set_clear_func(objects, object_clear);
    add_labels(labels, counters, version);
    add_object(objects, OF_VERSION, labels, g_variant_ref(counters));
    add_object(objects, OF_DAEMON, g_string_new(NULL), g_variant_ref(counters));
    add_list(objects, counters, "cores", OF_CORE, core);
    add_list(objects, counters, "placements", OF_PLACEMENT, thread);
    add_list(objects, counters, "placements", OF_PLACE, placed);
    add_list(objects, counters, "placements", OF_LOAD, load);
    add_domains(objects, counters);
    for (guint i = 0; i < G_N_ELEMENTS(families); i++)
        add_family(out, &families[i], objects);
    return g_string_free(out, FALSE);
}
