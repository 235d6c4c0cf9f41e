/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report.h"

#include <stdio.h>

typedef struct {
    uint64_t iothread_cpu, iothread_wait, kicks, interrupts;
    SynHistogram latency, gap;
} Sums;

static void
add_up(Sums *sums, const SynRun *run, const SynLoad *load)
{
    for (guint i = 0; i < run->threads->len; i++) {
        const SynThreadUse *use = &g_array_index(run->threads, SynThreadUse, i);

        sums->iothread_cpu += use->used.cpu;
        sums->iothread_wait += use->used.wait;
    }
    for (int i = 0; i < load->options->queues; i++) {
        const SynQueue *queue = &load->queues[i];

        sums->kicks += queue->kicks;
        sums->interrupts += queue->interrupts;
        syn_histogram_merge(&sums->latency, &queue->latency);
        syn_histogram_merge(&sums->gap, &queue->gap);
    }
}

static double
per_request(double value, const SynRun *run)
{
    return run->requests ? value / (double)run->requests : 0;
}

static void
put_int(JsonBuilder *builder, const char *name, uint64_t value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, (gint64)value);
}

static void
put_double(JsonBuilder *builder, const char *name, double value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_double_value(builder, value);
}

static void
put_text(JsonBuilder *builder, const char *name, const char *value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_string_value(builder, value ? value : "");
}

static void
put_histogram(JsonBuilder *builder, const char *name, const SynHistogram *histogram)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_value(builder, syn_histogram_json(histogram));
}

static void
put_queues(JsonBuilder *builder, const SynLoad *load)
{
    json_builder_set_member_name(builder, "queues");
    json_builder_begin_array(builder);
    for (int i = 0; i < load->options->queues; i++) {
        const SynQueue *queue = &load->queues[i];

        json_builder_begin_object(builder);
        put_int(builder, "requests", queue->done);
        put_int(builder, "kicks", queue->kicks);
        put_int(builder, "interrupts", queue->interrupts);
        put_histogram(builder, "latency_ns", &queue->latency);
        put_histogram(builder, "gap_ns", &queue->gap);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

static void
put_threads(JsonBuilder *builder, const SynRun *run)
{
    json_builder_set_member_name(builder, "iothreads");
    json_builder_begin_array(builder);
    for (guint i = 0; i < run->threads->len; i++) {
        const SynThreadUse *use = &g_array_index(run->threads, SynThreadUse, i);

        json_builder_begin_object(builder);
        put_text(builder, "id", use->thread->id);
        put_int(builder, "cpu_ns", use->used.cpu);
        put_int(builder, "wait_ns", use->used.wait);
        put_double(builder, "idle_cpu_share", use->idle);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

static void
put_commands(JsonBuilder *builder, const SynRun *run, const SynQmp *qmp)
{
    GHashTableIter iter;
    gpointer name, value;

    json_builder_set_member_name(builder, "qmp");
    json_builder_begin_object(builder);
    put_int(builder, "commands", run->commands);
    put_int(builder, "refused", run->refused);
    put_text(builder, "first_refusal", run->first_refusal);
    put_histogram(builder, "answer_ns", &run->command_ns);
    json_builder_set_member_name(builder, "events");
    json_builder_begin_object(builder);
    g_hash_table_iter_init(&iter, qmp->events);
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        put_int(builder, name, GPOINTER_TO_UINT(value));
    }
    g_hash_table_iter_init(&iter, qmp->figures);
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        put_histogram(builder, name, value);
    }
    json_builder_end_object(builder);
    json_builder_end_object(builder);
}

static void
put_faults(JsonBuilder *builder, const SynRun *run, const SynLoad *load)
{
    SynFaults faults = syn_load_faults(load);

    json_builder_set_member_name(builder, "faults");
    json_builder_begin_object(builder);
    put_int(builder, "lost", faults.lost);
    put_int(builder, "duplicate", faults.duplicate);
    put_int(builder, "wrong", faults.wrong);
    put_int(builder, "errors", faults.errors);
    put_int(builder, "qemu_died", run->died);
    put_text(builder, "first", syn_load_first_fault(load));
    json_builder_end_object(builder);
}

static void
put_figures(JsonBuilder *builder, const SynRun *run, const Sums *sums, const SynLoad *load)
{
    double cpu = (double)sums->iothread_cpu;
    double rest = (double)run->process_cpu - cpu - (double)run->main.cpu;

    put_double(builder, "seconds", run->seconds);
    put_int(builder, "requests", run->requests);
    put_double(builder, "iops", (double)run->requests / run->seconds);
    put_double(builder, "cpu_ns_per_io", per_request(cpu, run));
    put_double(builder, "busy_ns_per_io", per_request(cpu * (1 - run->empty_share), run));
    put_double(builder, "main_ns_per_io", per_request((double)run->main.cpu, run));
    put_double(builder, "helper_ns_per_io", per_request(MAX(0, rest), run));
    put_double(builder, "cpu_share", cpu / 1e9 / run->seconds / MAX(1, run->threads->len));
    put_double(builder, "wait_share", (double)sums->iothread_wait / 1e9 / run->seconds);
    put_double(builder, "stolen_share", (double)run->stolen_ns / 1e9 / run->seconds);
    put_double(builder, "clean_share", run->clean_share);
    put_double(builder, "clean_iops", run->clean_iops);
    put_double(builder, "empty_share", run->empty_share);
    put_double(builder, "idle_turn_share", run->idle_turns);
    put_int(builder, "kicks", sums->kicks);
    put_int(builder, "interrupts", sums->interrupts);
    put_histogram(builder, "latency_ns", &sums->latency);
    put_histogram(builder, "gap_ns", &sums->gap);
}

static void
print_json(const SynRun *run, const Sums *sums, const SynQemu *qemu, const SynLoad *load)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *text = NULL;

    json_builder_begin_object(builder);
    put_text(builder, "qemu", qemu->version);
    put_text(builder, "accel", qemu->accel);
    put_figures(builder, run, sums, load);
    put_threads(builder, run);
    put_queues(builder, load);
    put_commands(builder, run, qemu->qmp);
    put_faults(builder, run, load);
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    text = json_to_string(root, TRUE);
    printf("%s\n", text);
}

static void
print_histogram(const char *name, const SynHistogram *histogram)
{
    printf("%-10s p50 %.1f  p99 %.1f  p99.9 %.1f  max %.1f us\n", name,
           (double)syn_histogram_quantile(histogram, 0.5) / 1e3,
           (double)syn_histogram_quantile(histogram, 0.99) / 1e3,
           (double)syn_histogram_quantile(histogram, 0.999) / 1e3, (double)histogram->max / 1e3);
}

static void
print_text(const SynRun *run, const Sums *sums, const SynQemu *qemu, const SynLoad *load)
{
    SynFaults faults = syn_load_faults(load);
    double cpu = (double)sums->iothread_cpu;
    const char *first = syn_load_first_fault(load);

    printf("%s\n", qemu->version);
    printf("requests   %" G_GUINT64_FORMAT " in %.2f s, %.0f a second\n", (guint64)run->requests,
           run->seconds, (double)run->requests / run->seconds);
    printf("CPU        %.0f ns a request in IOThreads; the main thread %.0f\n",
           per_request(cpu, run), per_request((double)run->main.cpu, run));
    printf("           IOThreads %.0f %% of a CPU each, waited for one %.1f %%\n",
           cpu / 1e7 / run->seconds / MAX(1, run->threads->len),
           (double)sums->iothread_wait / 1e7 / run->seconds);
    printf("load       %.1f %% of the time nothing in flight, %.1f %% off its CPU\n",
           100 * run->empty_share, (double)run->stolen_ns / 1e7 / run->seconds);
    printf("undisturbed %.1f %% of the time, then %.0f a second, one in %.0f ns\n",
           100 * run->clean_share, run->clean_iops,
           run->clean_iops > 0 ? 1e9 / run->clean_iops : 0);
    printf("kicks      %" G_GUINT64_FORMAT ", interrupts %" G_GUINT64_FORMAT "\n",
           (guint64)sums->kicks, (guint64)sums->interrupts);
    print_histogram("latency", &sums->latency);
    print_histogram("gaps", &sums->gap);
    if (run->commands) {
        printf("commands   %u, refused %u%s%s\n", run->commands, run->refused,
               run->first_refusal ? ": " : "", run->first_refusal ? run->first_refusal : "");
        print_histogram("answers", &run->command_ns);
    }
    printf("faults     lost %" G_GUINT64_FORMAT ", duplicate %" G_GUINT64_FORMAT
           ", wrong %" G_GUINT64_FORMAT ", errors %" G_GUINT64_FORMAT "%s\n",
           (guint64)faults.lost, (guint64)faults.duplicate, (guint64)faults.wrong,
           (guint64)faults.errors, run->died ? "; QEMU ended or hangs" : "");
    if (first) {
        printf("           %s\n", first);
    }
}

void
syn_report(const SynRun *run, const SynQemu *qemu, const SynLoad *load)
{
    g_autofree Sums *sums = g_new0(Sums, 1);

    add_up(sums, run, load);
    if (load->options->json) {
        print_json(run, sums, qemu, load);
    } else {
        print_text(run, sums, qemu, load);
    }
}
