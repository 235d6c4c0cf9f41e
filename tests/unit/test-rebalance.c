/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When threads move, in virtual time. The world (support/world.c) checks at every move that its
 * thread is past its cool-down and at every step that it is bounded.
 */
#include "core/settings.h"
#include "support/waves.h"

#define SECOND G_USEC_PER_SEC

static const VqWorkSource sources[] = {VQ_WORK_CPU_TIME, VQ_WORK_COUNTERS};

/* A thread's load rises for good: somebody leaves its core within the sustain time and one tick. */
static void
shift(VqWorkSource source, double phase)
{
    g_autoptr(World) world = world_new(4, source);
    const VqPace *pace = vq_rebalance_pace(&world->params, source);
    Wave step = {.low = 0.1, .high = 0.6, .period = 40000};
    gint64 shift_us = 20000 * (gint64)SECOND;

    world_add(world, wave_square, &step, 0);
    world_add(world, wave_steady, WAVE_PERCENT(30), 0);
    world_add(world, wave_steady, WAVE_PERCENT(30), 1);
    world->now_us = shift_us - 10 * SECOND + (gint64)(phase * (double)pace->sample_us);
    world_run(world, 20);
    g_assert_cmpuint(world->moves->len, ==, 1);

    const WorldMove *move = &g_array_index(world->moves, WorldMove, 0);

    g_assert_cmpint(move->step, ==, VQ_STEP_OVERLOAD);
    g_assert_cmpint(move->time_us - shift_us, <=, pace->sustain_us + pace->sample_us);
    if (source == VQ_WORK_COUNTERS)
        g_assert_cmpint(move->time_us - shift_us, <=, 45 * 1000);
    g_test_message("shift of load to move: %.3f s", (double)(move->time_us - shift_us) / SECOND);
}

static void
test_shift(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(sources); i++) {
        for (int phase = 0; phase < 10; phase++)
            shift(sources[i], phase / 10.0);
    }
}

/* Shorter than it takes for the mean to be above the limit: nothing happens. */
static void
test_burst(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(sources); i++) {
        g_autoptr(World) world = world_new(4, sources[i]);
        const VqPace *pace = vq_rebalance_pace(&world->params, sources[i]);
        Wave burst = {.low = 0.2, .high = 0.7, .period = 0.8 * (double)pace->sustain_us / SECOND};

        world_add(world, wave_square, &burst, 0);
        world_add(world, wave_steady, WAVE_PERCENT(25), 0);
        world_run(world, 120);
        g_assert_cmpuint(world->moves->len, ==, 0);
    }
}

/* Light threads end on as few cores as do, and stay there. */
static void
test_pack(void)
{
    g_autoptr(World) world = world_new(8, VQ_WORK_CPU_TIME);

    for (int i = 0; i < 8; i++)
        world_add(world, wave_steady, WAVE_PERCENT(7), i);
    world_run(world, 29);
    g_assert_cmpuint(world_cores_in_use(world), ==, 8);
    world_run(world, 600);
    g_test_message("steps %u moves %u cores %u", world->steps, world->moves->len,
                   world_cores_in_use(world));
    g_assert_cmpuint(world_cores_in_use(world), ==, 1);
    g_assert_cmpuint(world->moves->len, <=, 14);
    world_run(world, 3600);
    g_assert_cmpuint(world->moves->len, <=, 14);
}

/* More than fits: what cannot be cured is not tried all the time. */
static void
test_overcommitted(void)
{
    g_autoptr(World) world = world_new(2, VQ_WORK_CPU_TIME);

    for (int i = 0; i < 8; i++)
        world_add(world, wave_steady, WAVE_PERCENT(50), i % 2);
    world_run(world, 600);

    guint before = world->steps;

    world_run(world, 3600);
    g_assert_cmpuint(world->steps - before, <=, 2 * 3600 / 60 + 2);
    g_assert_cmpuint(world->moves->len, <=, 4);
}

/* Loads that go up and down: moves on the first ways up, then next to none. bench-rebalance has
 * more of them, over longer times. */
static void
oscillate(VqWorkSource source, WorldDemand demand, double period, double seconds)
{
    g_autoptr(World) world = world_new(4, source);
    Wave a = {0.05, 0.7, period, 0}, b = {0.05, 0.7, period, period / 2};

    world_add(world, demand, &a, 0);
    world_add(world, demand, &b, 0);
    world_add(world, demand, &a, 0);
    world_add(world, wave_steady, WAVE_PERCENT(20), 0);
    world_add(world, wave_steady, WAVE_PERCENT(20), 1);
    world_run(world, seconds / 2);

    guint first = world->moves->len;

    world_run(world, seconds / 2);
    g_test_message("period %g s: %u moves in the first half, %u then", period, first,
                   world->moves->len - first);
    g_assert_cmpuint(first, <=, 20);
    g_assert_cmpuint(world->moves->len - first, <=, 2);
}

static void
test_oscillation(void)
{
    static const WorldDemand shapes[] = {wave_square, wave_sine, wave_noise};
    static const double slow[] = {0.5, 3, 6, 20, 60, 300}, fast[] = {0.01, 0.04, 0.1, 0.5, 10};

    for (guint k = 0; k < G_N_ELEMENTS(shapes); k++) {
        for (guint i = 0; i < G_N_ELEMENTS(slow); i++)
            oscillate(VQ_WORK_CPU_TIME, shapes[k], slow[i], 3600);
        for (guint i = 0; i < G_N_ELEMENTS(fast); i++)
            oscillate(VQ_WORK_COUNTERS, shapes[k], fast[i], 60);
    }
}

/* A demand that changes at random times, to random values. */
typedef struct {
    guint n;
    gint64 until[64];
    double share[64];
} Trace;

static double
play(gint64 now, gconstpointer data)
{
    const Trace *trace = data;
    guint i = 0;

    while (i + 1 < trace->n && now > trace->until[i])
        i++;
    return trace->share[i];
}

static void
draw(GRand *random, Trace *trace, double mean_seconds)
{
    gint64 at = SECOND;

    trace->n = G_N_ELEMENTS(trace->until);
    for (guint i = 0; i < trace->n; i++) {
        double x = g_rand_double(random);

        at += (gint64)(g_rand_double_range(random, 0.2, 1.8) * mean_seconds * SECOND);
        trace->until[i] = at;
        trace->share[i] = x * x * 0.75; /* many light ones, few heavy ones */
    }
}

#define THREADS 6
#define CORES   3

/* What the plan @code (a digit to the base CORES for each thread) loses until @end, in us. */
static double
static_loss(const Trace *traces, guint code, gint64 end)
{
    int core[THREADS];
    double lost = 0;

    for (int i = 0; i < THREADS; i++, code /= CORES)
        core[i] = (int)(code % CORES);
    for (gint64 now = 2 * SECOND; now <= end; now += SECOND) {
        double load[CORES] = {0};

        for (int i = 0; i < THREADS; i++)
            load[core[i]] += play(now, traces + i);
        for (int i = 0; i < CORES; i++)
            lost += MAX(0, load[i] - vq_placement_defaults.load_limit) * SECOND;
    }
    return lost;
}

/*
 * What is lost is work above load_limit of its core, as a share of all work. The best static plan
 * is the best of all that there are, found with the whole future known.
 */
static double
adaptation_loss(GRand *random, double mean_seconds, double *best_static)
{
    g_autoptr(World) world = world_new(CORES, VQ_WORK_CPU_TIME);
    g_autofree Trace *traces = g_new0(Trace, THREADS);
    double best = G_MAXDOUBLE;
    guint plans = 1;

    for (int i = 0; i < THREADS; i++) {
        draw(random, traces + i, mean_seconds);
        world_add(world, play, traces + i, i % CORES);
        plans *= CORES;
    }
    world_run(world, 20 * mean_seconds);
    for (guint code = 0; code < plans; code++)
        best = MIN(best, static_loss(traces, code, world->now_us));
    *best_static = best / world->demanded_us;
    return world->lost_us / world->demanded_us;
}

static void
test_loss(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    double sum = 0, worst = -1;
    guint n = 60;

    for (guint i = 0; i < n; i++) {
        double best, lost = adaptation_loss(random, 60, &best);

        sum += lost - best;
        worst = MAX(worst, lost - best);
    }
    g_test_message("lost against the best static plan: %.2f %% in the mean, %.2f %% at worst",
                   100 * sum / n, 100 * worst);
    g_assert_cmpfloat(worst, <=, 0.02);
}

/* Threads that come at random times, with random loads: the world checks each move and step. */
static void
test_random(void)
{
    for (guint32 seed = 1; seed <= 15; seed++) {
        g_autoptr(GRand) random = g_rand_new_with_seed(seed);
        guint cores = (guint)g_rand_int_range(random, 2, 9);
        VqWorkSource source = sources[g_rand_int_range(random, 0, 2)];
        double scale = source == VQ_WORK_COUNTERS ? 0.01 : 1;
        g_autoptr(World) world = world_new(cores, source);
        g_autofree Trace *traces = g_new0(Trace, 4 * cores);

        for (guint i = 0; i < 4 * cores; i++) {
            draw(random, traces + i, scale * g_rand_double_range(random, 1, 300));
            world_add(world, play, traces + i, (int)(i % (cores + 1)) - 1);
            world_run(world, scale * g_rand_double_range(random, 0, 60));
        }
        world_run(world, scale * 1800);
        g_assert_cmpuint(world->steps, >, 0);
        g_assert_cmpuint(world->most_moves, <=, world->params.step_moves);
    }
}

/* With step_moves 0 nothing is moved for load, whatever it is. */
static void
test_never(void)
{
    g_autoptr(World) world = world_new(4, VQ_WORK_CPU_TIME);

    world->params.step_moves = 0;
    vq_rebalance_configure(world->rebalance, &world->params, &vq_placement_defaults);
    for (int i = 0; i < 6; i++)
        world_add(world, wave_steady, WAVE_PERCENT(50), i % 2);
    world_run(world, 600);
    g_assert_cmpuint(world->moves->len, ==, 0);
    g_assert_cmpuint(world->steps, ==, 0);
}

/* A restart of the daemon: nothing is known of any load, so all stay; then it goes on. */
static void
test_restart(void)
{
    g_autoptr(World) world = world_new(4, VQ_WORK_CPU_TIME);

    for (int i = 0; i < 6; i++)
        world_add(world, wave_steady, WAVE_PERCENT(15 + 10 * (i % 3)), 0);
    world_run(world, 60);

    guint before = world->moves->len;

    g_assert_cmpuint(before, >, 0);
    vq_rebalance_free(world->rebalance);
    world->rebalance = vq_rebalance_new(&world->params, &vq_placement_defaults);
    vq_rebalance_event(world->rebalance);
    world_run(world, 1200);
    g_assert_cmpuint(world->moves->len, ==, before);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rebalance/shift", test_shift);
    g_test_add_func("/rebalance/burst", test_burst);
    g_test_add_func("/rebalance/pack", test_pack);
    g_test_add_func("/rebalance/overcommitted", test_overcommitted);
    g_test_add_func("/rebalance/oscillation", test_oscillation);
    g_test_add_func("/rebalance/loss", test_loss);
    g_test_add_func("/rebalance/random", test_random);
    g_test_add_func("/rebalance/never", test_never);
    g_test_add_func("/rebalance/restart", test_restart);
    return g_test_run();
}
