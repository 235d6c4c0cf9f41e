/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From readings to moved threads, with a fake of QEMU's counters, in virtual time: the daemon's
 * sampler, manager and actions over the fake libvirt of support/rounds.c, in the order of
 * reconcile.c. And the real source of CPU time, on threads of our own.
 */
#include "daemon/notice.h"
#include "daemon/sampler.h"
#include "support/rounds.h"

#include <string.h>
#include <unistd.h>

/* What a change of a pin takes of libvirt, generously. */
#define CALL_US 1500
#define SHARED  "placement='shared'"

typedef struct {
    double demand; /* share of a core */
    double work_us;
    bool gone;
} Worker;

typedef struct {
    Rounds rounds;
    VqLoadSource source;
    VqSampler *sampler;
    GHashTable *workers; /* "vm1/1" -> Worker */
    unsigned opened, closed, steps;
} Bed;

static gpointer
fake_open(VqLoadSource *source, const VqDomain *domain, const VqThreadTime *thread)
{
    Bed *bed = (Bed *)((char *)source - G_STRUCT_OFFSET(Bed, source));
    g_autofree char *key = g_strdup_printf("%s/%u", domain->name, thread->iothread);
    Worker *worker = g_hash_table_lookup(bed->workers, key);

    if (!worker) {
        worker = g_new0(Worker, 1);
        g_hash_table_insert(bed->workers, g_steal_pointer(&key), worker);
    }
    bed->opened++;
    return worker;
}

static bool
fake_read(VqLoadSource *source, gpointer opened, guint64 *work_ns)
{
    const Worker *worker = opened;

    *work_ns = (guint64)(worker->work_us * 1000);
    return !worker->gone;
}

static void
fake_close(VqLoadSource *source, gpointer opened)
{
    Bed *bed = (Bed *)((char *)source - G_STRUCT_OFFSET(Bed, source));

    bed->closed++;
}

static void
fake_free(VqLoadSource *source)
{
}

static void
bed_init(Bed *bed, VqWorkSource kind)
{
    GPtrArray *sources = g_ptr_array_new();

    *bed = (Bed){0};
    rounds_init(&bed->rounds);
    bed->source = (VqLoadSource){kind, fake_open, fake_read, fake_close, fake_free};
    bed->workers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_ptr_array_add(sources, &bed->source);
    bed->sampler = vq_sampler_new(bed->rounds.manager, sources);
}

static void
bed_clear(Bed *bed)
{
    vq_sampler_free(bed->sampler);
    g_assert_cmpuint(bed->opened, ==, bed->closed);
    g_hash_table_unref(bed->workers);
    rounds_clear(&bed->rounds);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Bed, bed_clear)

static void
settle(Bed *bed)
{
    rounds_settle(&bed->rounds);
    vq_sampler_follow(bed->sampler);
}

/* A domain whose threads can be read. */
static RoundsGuest *
start(Bed *bed, const char *name, int id, unsigned queues, const char *policy)
{
    RoundsGuest *guest = rounds_start(&bed->rounds, name, id, queues, policy);

    guest->busy = 1e-6;
    return guest;
}

static Worker *
worker(Bed *bed, const char *key)
{
    Worker *found = g_hash_table_lookup(bed->workers, key);

    g_assert_nonnull(found);
    return found;
}

/* The second half of a round: what reconcile.c does when loads call for it. */
static void
act(Bed *bed)
{
    VqManager *manager = bed->rounds.manager;
    VqStep step;

    do {
        step = vq_manager_tick(manager, bed->rounds.now, NULL);
        vq_manager_follow(manager, vq_manager_compute(manager));
    } while (step != VQ_STEP_NONE && manager->plan->moves->len == 0);

    g_autoptr(GPtrArray) actions = vq_manager_actions(manager, manager->plan);

    vq_manager_intend(manager, actions);
    rounds_apply(&bed->rounds.fake, actions);
    bed->rounds.now += actions->len * CALL_US;
    vq_manager_applied(manager, actions);
    vq_sampler_follow(bed->sampler);
    bed->steps += actions->len > 0;
}

/* Time passes; threads work, in the pauses between readings. */
static void
run(Bed *bed, gint64 us)
{
    gint64 end = bed->rounds.now + us, pause = vq_sampler_pause_us(bed->sampler);

    g_assert_cmpint(pause, >, 0);
    while (bed->rounds.now < end) {
        gint64 before = bed->rounds.now;
        GHashTableIter iter;
        gpointer value;

        bed->rounds.now += pause;
        g_hash_table_iter_init(&iter, bed->workers);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
            Worker *w = value;

            w->work_us += w->demand * (double)(bed->rounds.now - before);
        }
        vq_sampler_read(bed->sampler, bed->rounds.now);
        if (vq_manager_tick(bed->rounds.manager, bed->rounds.now, NULL) != VQ_STEP_NONE)
            act(bed);
    }
}

/* The core that it is pinned to: of this machine core N has the CPUs 2N and 2N+1. */
static int
core_of(const RoundsGuest *guest, unsigned iothread)
{
    return (int)g_ascii_strtoull(rounds_pin(guest, "iothread", iothread), NULL, 10) / 2;
}

/* One of four threads on a core takes @more of it: when its neighbours or it have been moved. */
static gint64
shift(int phase, double more)
{
    g_auto(Bed) bed;

    bed_init(&bed, VQ_WORK_COUNTERS);

    RoundsGuest *vm = start(&bed, "vm1", 1, 4, SHARED);
    gint64 begin, took;
    bool together = true;

    settle(&bed);
    for (unsigned i = 1; i <= 4; i++) {
        g_autofree char *key = g_strdup_printf("vm1/%u", i);

        g_assert_cmpint(core_of(vm, i), ==, core_of(vm, 1));
        worker(&bed, key)->demand = 0.2;
    }
    run(&bed, 5 * G_USEC_PER_SEC);
    g_assert_cmpuint(bed.steps, ==, 0);
    /* the shift is somewhere between two readings */
    bed.rounds.now += phase * 1000;
    worker(&bed, "vm1/1")->work_us += 0.2 * phase * 1000;
    begin = bed.rounds.now;
    worker(&bed, "vm1/1")->demand += more;
    while (bed.steps == 0 && bed.rounds.now < begin + G_USEC_PER_SEC)
        run(&bed, 1);
    g_assert_cmpuint(bed.steps, ==, 1);
    took = bed.rounds.now - begin;
    run(&bed, 5 * G_USEC_PER_SEC);
    for (unsigned i = 2; i <= 4; i++)
        together &= core_of(vm, i) == core_of(vm, 1);
    g_assert_false(together);
    g_assert_cmpuint(bed.steps, <=, 2);
    return took;
}

/* Load shifts, in any phase of the readings, by little or much: pins are changed within 50 ms,
 * libvirt's time included. */
static void
test_prompt(void)
{
    gint64 worst = 0;

    for (int phase = 0; phase < 10; phase++) {
        for (double more = 0.23; more < 0.8; more += 0.1)
            worst = MAX(worst, shift(phase, more));
    }
    g_test_message("from the shift of load until the pins were changed: at most %.1f ms",
                   (double)worst / 1000);
    g_assert_cmpint(worst, <=, 50 * 1000);
}

/* Loads that are what they were make no step and no action, for hours. */
static void
test_quiet(void)
{
    g_auto(Bed) bed;
    GHashTableIter iter;
    gpointer value;

    bed_init(&bed, VQ_WORK_CPU_TIME);
    start(&bed, "vm1", 1, 4, SHARED);
    start(&bed, "vm2", 2, 4, SHARED);
    settle(&bed);
    g_assert_cmpuint(vq_sampler_threads(bed.sampler), ==, 8);
    g_hash_table_iter_init(&iter, bed.workers);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        ((Worker *)value)->demand = 0.1;
    run(&bed, 10000 * (gint64)G_USEC_PER_SEC);
    g_assert_cmpuint(bed.steps, ==, 0);
    g_assert_cmpuint(vq_sampler_readings(bed.sampler), ==, 8 * 10000);
    g_assert_cmpuint(rounds_one(&bed.rounds), ==, 0);
}

/* A domain that ends in mid-life is dropped without a word, and its descriptors with it. */
static void
test_gone(void)
{
    g_auto(Bed) bed;

    bed_init(&bed, VQ_WORK_COUNTERS);
    start(&bed, "vm1", 1, 2, SHARED);

    RoundsGuest *vm2 = start(&bed, "vm2", 2, 2, SHARED);

    settle(&bed);
    worker(&bed, "vm1/1")->demand = worker(&bed, "vm2/1")->demand = 0.3;
    run(&bed, G_USEC_PER_SEC);
    worker(&bed, "vm2/1")->gone = worker(&bed, "vm2/2")->gone = true;
    run(&bed, G_USEC_PER_SEC);
    g_assert_cmpuint(bed.closed, ==, 0);
    rounds_destroy(&bed.rounds, vm2);
    settle(&bed);
    g_assert_cmpuint(bed.closed, ==, 2);
    g_assert_cmpuint(vq_sampler_threads(bed.sampler), ==, 2);
    run(&bed, G_USEC_PER_SEC);
    /* started anew: other threads of the same names */
    worker(&bed, "vm2/1")->gone = worker(&bed, "vm2/2")->gone = false;
    start(&bed, "vm2", 3, 2, SHARED);
    settle(&bed);
    g_assert_cmpuint(vq_sampler_threads(bed.sampler), ==, 4);
    g_assert_cmpuint(bed.opened, ==, 6);
    run(&bed, G_USEC_PER_SEC);
}

/* One that polls on a core of its own takes all of it, and is no overload. */
static void
test_polling(void)
{
    g_auto(Bed) bed;

    bed_init(&bed, VQ_WORK_CPU_TIME);
    start(&bed, "vm1", 1, 2, "placement='dedicated' polling='dedicated'");
    settle(&bed);
    worker(&bed, "vm1/1")->demand = worker(&bed, "vm1/2")->demand = 1;
    run(&bed, 600 * (gint64)G_USEC_PER_SEC);
    g_assert_cmpuint(bed.steps, ==, 0);

    g_autoptr(VqPlan) plan = vq_manager_compute(bed.rounds.manager);

    for (guint i = 0; i < plan->placements->len; i++) {
        const VqPlaced *p = g_ptr_array_index(plan->placements, i);

        g_assert_cmpstr(p->load_source, ==, "default, CPU time includes polling");
        g_assert_cmpfloat(p->load, ==, bed.rounds.config.placement.default_load);
    }
}

static gpointer
spin(gpointer data)
{
    while (!g_atomic_int_get((gint *)data))
        continue;
    return NULL;
}

/* The kernel's figures of our own threads: one that works and one that has ended. */
static void
test_schedstat(void)
{
    VqLoadSource *source = vq_schedstat_new("/");
    const VqThreadTime self = {.iothread = 1, .pid = getpid(), .tid = getpid()};
    VqThreadTime other = self;
    guint64 before = 0, after = 0;
    gint end = 0;
    GThread *thread = g_thread_new("worker", spin, &end);
    g_autoptr(GDir) tasks = g_dir_open("/proc/self/task", 0, NULL);

    for (const char *name; (name = g_dir_read_name(tasks));) /* the newest */
        other.tid = MAX(other.tid, (int)g_ascii_strtoull(name, NULL, 10));
    g_assert_cmpint(other.tid, !=, self.tid);

    gpointer mine = source->open(source, NULL, &self), its = source->open(source, NULL, &other);

    g_assert_nonnull(mine);
    g_assert_nonnull(its);
    g_assert_true(source->read(source, its, &before));
    for (int i = 0; i < 1000 && after <= before; i++) {
        g_usleep(10000);
        g_assert_true(source->read(source, its, &after));
    }
    g_assert_cmpuint(after, >, before);
    g_atomic_int_set(&end, 1);
    g_thread_join(thread);
    for (int i = 0; i < 1000 && source->read(source, its, &after); i++)
        g_usleep(1000);
    g_assert_false(source->read(source, its, &after));
    g_assert_true(source->read(source, mine, &after));
    source->close(source, mine);
    source->close(source, its);
    other.tid = self.tid + 1000000000;
    g_assert_null(source->open(source, NULL, &other));
    source->free(source);
}

static unsigned warnings, messages;

static GLogWriterOutput
count(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
    warnings += (level & G_LOG_LEVEL_WARNING) != 0;
    messages += (level & G_LOG_LEVEL_MESSAGE) != 0;
    return G_LOG_WRITER_HANDLED;
}

static void
place_and_tell(Bed *bed, VqNotice *notice)
{
    rounds_one(&bed->rounds);
    vq_notice_plan(notice, bed->rounds.manager);
}

/* What is degraded is said once, what recovers once, what ends not at all. */
static void
test_notice(void)
{
    g_auto(Bed) bed;
    g_autoptr(VqNotice) notice = vq_notice_new();

    bed_init(&bed, VQ_WORK_COUNTERS);
    g_log_set_writer_func(count, NULL, NULL);

    RoundsGuest *vm1 = start(&bed, "vm1", 1, 7, "placement='dedicated' required='yes'");

    place_and_tell(&bed, notice);
    g_assert_cmpuint(warnings, ==, 0);

    RoundsGuest *vm2 = start(&bed, "vm2", 2, 4, "placement='dedicated' required='yes'");

    for (int i = 0; i < 5; i++)
        place_and_tell(&bed, notice);
    g_assert_cmpuint(warnings, ==, 1);
    g_assert_cmpuint(messages, ==, 0);
    rounds_destroy(&bed.rounds, vm1);
    for (int i = 0; i < 5; i++)
        place_and_tell(&bed, notice);
    g_assert_cmpuint(messages, ==, 1);
    start(&bed, "vm3", 3, 7, "placement='dedicated'");
    place_and_tell(&bed, notice);
    g_assert_cmpuint(warnings, ==, 2);
    rounds_destroy(&bed.rounds, vm2);
    place_and_tell(&bed, notice);
    g_assert_cmpuint(warnings, ==, 2);
    g_assert_cmpuint(messages, ==, 2);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sampler/prompt", test_prompt);
    g_test_add_func("/sampler/quiet", test_quiet);
    g_test_add_func("/sampler/gone", test_gone);
    g_test_add_func("/sampler/polling", test_polling);
    g_test_add_func("/sampler/schedstat", test_schedstat);
    g_test_add_func("/sampler/notice", test_notice);
    return g_test_run();
}
