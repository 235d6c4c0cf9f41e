/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run.h"
#include "base/error.h"
#include "clock.h"

#include <string.h>

#define STAMPING_SECONDS   120
#define COMMAND_TIMEOUT_MS 20000
/* Long enough for an adaptive poller to fall asleep, and for a spinning one to show. */
#define IDLE_US 60000

typedef struct {
    uint64_t clock, done, process;
    SynTimes main;
    GArray *threads; /* of SynTimes */
} Snapshot;

static void
take(Snapshot *snapshot, const SynQemu *qemu, const SynLoad *load)
{
    g_array_set_size(snapshot->threads, qemu->iothreads->len);
    for (guint i = 0; i < qemu->iothreads->len; i++) {
        const SynIothread *thread = g_ptr_array_index(qemu->iothreads, i);

        g_array_index(snapshot->threads, SynTimes, i) = syn_qemu_thread_times(qemu, thread->tid);
    }
    snapshot->main = syn_qemu_thread_times(qemu, qemu->pid);
    snapshot->process = syn_qemu_process_cpu(qemu);
    snapshot->clock = syn_clock_slow();
    snapshot->done = syn_load_done(load);
}

static SynTimes
difference(SynTimes after, SynTimes before)
{
    return (SynTimes){.cpu = after.cpu - before.cpu, .wait = after.wait - before.wait};
}

/* --qmp with its variables filled in. Target of queue q in round r is the thread after that of the
 * round before, so that each move goes elsewhere. */
static char *
fill_in(const SynOptions *options, unsigned number)
{
    unsigned queue = number % (unsigned)options->queues;
    unsigned round = number / (unsigned)options->queues;
    unsigned thread = (queue + round + 1) % (unsigned)options->iothreads;
    g_autoptr(GString) text = g_string_new(options->qmp_command);
    g_autofree char *queue_text = g_strdup_printf("%u", queue);
    g_autofree char *thread_text = g_strdup_printf("io%u", thread);
    g_autofree char *number_text = g_strdup_printf("%u", number);

    g_string_replace(text, "%q", queue_text, 0);
    g_string_replace(text, "%t", thread_text, 0);
    g_string_replace(text, "%n", number_text, 0);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* False if QEMU does not answer any more. */
static bool
send_command(SynRun *run, const SynOptions *options, SynQemu *qemu)
{
    g_autofree char *command = fill_in(options, run->commands);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) answer = NULL;
    uint64_t start = syn_clock_slow();

    run->commands++;
    answer = syn_qmp_execute(qemu->qmp, command, COMMAND_TIMEOUT_MS, &error);
    syn_histogram_add(&run->command_ns, syn_clock_slow() - start);
    if (answer) {
        return true;
    }
    run->refused++;
    if (!run->first_refusal) {
        run->first_refusal = g_strdup(error ? error->message : "no answer");
    }
    return g_error_matches(error, VQ_ERROR, VQ_ERROR_REFUSED);
}

/* Waits for the window's end; false if QEMU has ended or hangs. */
static bool
watch(SynRun *run, const SynOptions *options, SynQemu *qemu, const SynLoad *load)
{
    uint64_t now = syn_clock_slow(), before = syn_load_done(load);
    uint64_t end = now + (uint64_t)(options->seconds * 1e9);
    uint64_t every = (uint64_t)(options->qmp_every * 1e6), next = now + every;

    while (now < end && syn_qemu_alive(qemu)) {
        uint64_t until = MIN(end, now + 5000000);

        if (options->requests && syn_load_done(load) - before >= (uint64_t)options->requests) {
            return true;
        }
        until = every ? MIN(until, next) : until;
        g_usleep(until > now ? (until - now) / 1000 : 0);
        now = syn_clock_slow();
        if (every && now >= next) {
            if (!send_command(run, options, qemu)) {
                return false;
            }
            next = MAX(next + every, now);
        }
        now = syn_clock_slow();
    }
    return syn_qemu_alive(qemu);
}

static bool
stamp(SynLoad *load, SynQemu *qemu, GError **error)
{
    uint64_t end = syn_clock_slow() + STAMPING_SECONDS * 1000000000ull;

    while (!syn_load_stamped(load)) {
        if (syn_clock_slow() > end || !syn_qemu_alive(qemu)) {
            g_set_error(error, VQ_ERROR, VQ_ERROR_TIMEOUT,
                        "stamping the area did not end within %d s: %" G_GUINT64_FORMAT
                        " blocks written; give a smaller --area",
                        STAMPING_SECONDS, (guint64)syn_load_done(load));
            return false;
        }
        g_usleep(2000);
    }
    return true;
}

static void
evaluate(SynRun *run, const Snapshot *before, const Snapshot *after, const SynQemu *qemu,
         const SynLoad *load)
{
    double window = (double)(after->clock - before->clock);
    unsigned workers = (unsigned)load->options->threads;

    run->seconds = window / 1e9;
    run->requests = after->done - before->done;
    run->main = difference(after->main, before->main);
    run->process_cpu = after->process - before->process;
    for (guint i = 0; i < before->threads->len; i++) {
        SynThreadUse use = {.thread = g_ptr_array_index(qemu->iothreads, i)};

        use.used = difference(g_array_index(after->threads, SynTimes, i),
                              g_array_index(before->threads, SynTimes, i));
        g_array_append_val(run->threads, use);
    }
    for (unsigned i = 0; i < workers; i++) {
        const SynWorker *worker = &load->workers[i];

        run->stolen_ns += worker->stolen_ns / workers;
        run->clean_share += (double)worker->clean_ns / window / workers;
        run->clean_iops += (double)worker->clean_done * 1e9 / (double)MAX(worker->clean_ns, 1);
        run->idle_turns += (double)worker->idle_turns / (double)MAX(worker->turns, 1) / workers;
    }
    if (workers == 1) {
        run->empty_share = MIN(1, (double)load->workers[0].empty_ns / window);
    }
}

/* What the threads take when there is nothing to do: 1 for one that polls all the time. */
static void
measure_idle(SynRun *run, const SynQemu *qemu)
{
    g_autofree uint64_t *before = g_new0(uint64_t, run->threads->len);
    uint64_t start = syn_clock_slow();

    for (guint i = 0; i < run->threads->len; i++) {
        SynThreadUse *use = &g_array_index(run->threads, SynThreadUse, i);

        before[i] = syn_qemu_thread_times(qemu, use->thread->tid).cpu;
    }
    g_usleep(IDLE_US);
    for (guint i = 0; i < run->threads->len; i++) {
        SynThreadUse *use = &g_array_index(run->threads, SynThreadUse, i);
        uint64_t cpu = syn_qemu_thread_times(qemu, use->thread->tid).cpu - before[i];

        use->idle = MIN(1, (double)cpu / (double)(syn_clock_slow() - start));
    }
}

static void
measure(SynRun *run, const SynOptions *options, SynQemu *qemu, SynLoad *load)
{
    g_autoptr(GArray) first = g_array_new(FALSE, TRUE, sizeof(SynTimes));
    g_autoptr(GArray) second = g_array_new(FALSE, TRUE, sizeof(SynTimes));
    Snapshot before = {.threads = first}, after = {.threads = second};
    bool alive;

    g_usleep((gulong)(options->ramp * 1e6));
    syn_load_phase(load, SYN_MEASURE);
    take(&before, qemu, load);
    alive = watch(run, options, qemu, load);
    take(&after, qemu, load);
    run->died = !alive;
    if (options->kill) {
        syn_qemu_kill(qemu);
    }
    evaluate(run, &before, &after, qemu, load);
    syn_load_stop(load, qemu->ended);
    if (alive && !qemu->ended) {
        measure_idle(run, qemu);
        syn_qmp_poll(qemu->qmp);
        run->died = !syn_qemu_alive(qemu);
    }
}

bool
syn_run(SynRun *run, const SynOptions *options, SynQemu *qemu, SynLoad *load, GError **error)
{
    *run = (SynRun){.threads = g_array_new(FALSE, TRUE, sizeof(SynThreadUse))};
    if (options->realtime && !syn_qemu_realtime(qemu, error)) {
        return false;
    }
    syn_load_start(load);
    if (options->verify) {
        if (!stamp(load, qemu, error)) {
            syn_load_stop(load, true);
            return false;
        }
        syn_load_phase(load, SYN_RAMP);
    }
    measure(run, options, qemu, load);
    for (int i = 0; i < options->threads; i++) {
        if (load->workers[i].affinity_error) {
            g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s", load->workers[i].affinity_error);
            return false;
        }
    }
    return true;
}

void
syn_run_clear(SynRun *run)
{
    g_clear_pointer(&run->threads, g_array_unref);
    g_clear_pointer(&run->first_refusal, g_free);
}
