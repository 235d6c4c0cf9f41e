/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "world.h"

/* Steps of virtual time in one sample. */
#define STEPS 4

World *
world_new(guint cores, VqWorkSource source)
{
    World *world = g_new0(World, 1);

    world->topology = test_machine(1, 1, cores, 1);
    world->pool = vq_cpuset_new();
    vq_cpuset_add_range(world->pool, 0, cores - 1);
    world->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    world->loads = g_array_new(FALSE, TRUE, sizeof(WorldThread));
    world->moves = g_array_new(FALSE, TRUE, sizeof(WorldMove));
    world->params = vq_rebalance_params(NULL);
    world->source = source;
    world->rebalance = vq_rebalance_new(&world->params, &vq_placement_defaults);
    world->now_us = G_USEC_PER_SEC;
    return world;
}

void
world_free(World *world)
{
    vq_rebalance_free(world->rebalance);
    vq_topology_free(world->topology);
    vq_cpuset_free(world->pool);
    g_ptr_array_unref(world->threads);
    g_array_unref(world->loads);
    g_array_unref(world->moves);
    g_free(world);
}

void
world_add(World *world, WorldDemand demand, gconstpointer data, int core)
{
    WorldThread load = {.demand = demand, .data = data, .first_move_us = -1};
    guint index = world->threads->len;
    g_autofree char *domain = g_strdup_printf("vm%u", index + 1);
    VqThread *thread = test_thread(world->threads, domain, "vda", 1, VQ_PLACEMENT_SHARED, -1);

    if (core >= 0) {
        vq_cpuset_add(thread->current, (unsigned)core);
        thread->running = true;
    }
    g_array_append_val(world->loads, load);
    vq_rebalance_event(world->rebalance);
}

int
world_core(const World *world, guint thread)
{
    return vq_cpuset_next(((VqThread *)g_ptr_array_index(world->threads, thread))->current, 0);
}

guint
world_cores_in_use(const World *world)
{
    g_autoptr(VqCpuset) used = vq_cpuset_new();

    for (guint i = 0; i < world->threads->len; i++) {
        if (world_core(world, i) >= 0)
            vq_cpuset_add(used, (unsigned)world_core(world, i));
    }
    return vq_cpuset_count(used);
}

guint
world_moves(const World *world, gint64 begin_us, gint64 end_us)
{
    guint n = 0;

    for (guint i = 0; i < world->moves->len; i++) {
        gint64 time = g_array_index(world->moves, WorldMove, i).time_us;

        n += time >= begin_us && time < end_us;
    }
    return n;
}

/* What each of the threads on @core gets per unit of time: the largest even share that fits. */
static double
even_share(const World *world, int core)
{
    double left = 1, share = 0;
    guint waiting = 0, before = 0;

    for (guint i = 0; i < world->loads->len; i++)
        waiting += world_core(world, i) == core;
    while (waiting > 0 && waiting != before) {
        double taken = 0;

        before = waiting;
        share = left / waiting;
        left = 1;
        waiting = 0;
        for (guint i = 0; i < world->loads->len; i++) {
            double demand = g_array_index(world->loads, WorldThread, i).now;

            if (world_core(world, i) != core)
                continue;
            taken += demand <= share ? demand : 0;
            waiting += demand > share;
        }
        left -= taken;
    }
    return waiting ? share : 1;
}

static void
pass(World *world, gint64 step_us)
{
    double limit = vq_placement_defaults.load_limit;

    world->now_us += step_us;
    for (guint i = 0; i < world->loads->len; i++) {
        WorldThread *t = &g_array_index(world->loads, WorldThread, i);

        t->now = t->demand(world->now_us, t->data);
        world->demanded_us += t->now * (double)step_us;
    }
    for (int core = 0; core < (int)world->topology->cores->len; core++) {
        double share = even_share(world, core), sum = 0;

        for (guint i = 0; i < world->loads->len; i++) {
            WorldThread *t = &g_array_index(world->loads, WorldThread, i);

            if (world_core(world, i) != core)
                continue;
            t->work_us += MIN(t->now, share) * (double)step_us;
            sum += t->now;
        }
        world->lost_us += MAX(0, sum - limit) * (double)step_us;
        world->largest_load = MAX(world->largest_load, sum);
    }
}

/* The moves of @plan are made. Nobody moves twice within its cool-down. */
static guint
obey(World *world, const VqPlan *plan, VqStep step)
{
    guint moves = 0;

    for (guint i = 0; i < world->threads->len; i++) {
        VqThread *thread = g_ptr_array_index(world->threads, i);
        WorldThread *t = &g_array_index(world->loads, WorldThread, i);
        const VqPlaced *placed = vq_plan_find(plan, thread->domain, NULL, thread->iothread);
        WorldMove move = {world->now_us, i, world_core(world, i), 0, step};

        g_assert_nonnull(placed);
        g_assert_cmpint(placed->cpu, >=, 0);
        move.to = placed->cpu;
        if (thread->running && move.from != move.to) {
            gint64 cooldown = vq_rebalance_pace(&world->params, world->source)->cooldown_us;

            g_assert_true(t->moves == 0 || world->now_us - t->moved_us >= cooldown);
            t->moved_us = world->now_us;
            if (t->moves++ == 0)
                t->first_move_us = world->now_us;
            moves++;
            g_array_append_val(world->moves, move);
        }
        vq_cpuset_free(thread->current);
        thread->current = vq_cpuset_new_single((unsigned)placed->cpu);
        thread->running = true;
    }
    return moves;
}

static void
sample(World *world)
{
    for (guint i = 0; i < world->threads->len; i++) {
        const VqThread *thread = g_ptr_array_index(world->threads, i);
        const WorldThread *t = &g_array_index(world->loads, WorldThread, i);
        VqTracked *tracked =
            vq_rebalance_thread(world->rebalance, thread->domain, thread->iothread);

        vq_rebalance_sample(world->rebalance, tracked, world->now_us, (guint64)(t->work_us * 1000),
                            world->source);
    }
}

static guint
take_step(World *world, VqStep step)
{
    VqPlacementInput input = {.topology = world->topology,
                              .pool = world->pool,
                              .threads = world->threads,
                              .params = vq_placement_defaults};

    vq_rebalance_prepare(world->rebalance, &input, world->threads, step, world->now_us);

    g_autoptr(VqPlan) plan = vq_placement_compute(&input);
    guint moves = obey(world, plan, step);

    g_assert_cmpuint(moves, <=, world->params.step_moves);
    world->steps += step != VQ_STEP_EVENT;
    world->most_moves = MAX(world->most_moves, moves);
    vq_rebalance_follow(world->rebalance, plan, &input, step, world->now_us);
    return moves;
}

static void
tick(World *world)
{
    VqStep step;

    sample(world);
    do {
        g_autofree char *why = NULL;

        step = vq_rebalance_tick(world->rebalance, world->now_us, &why);
        g_assert_true((step == VQ_STEP_NONE) == (why == NULL));
        if (world->frozen && step != VQ_STEP_EVENT)
            return;
    } while (step != VQ_STEP_NONE && take_step(world, step) == 0);
}

void
world_run(World *world, double seconds)
{
    gint64 end = world->now_us + (gint64)(seconds * G_USEC_PER_SEC);
    gint64 sample_us = vq_rebalance_pace(&world->params, world->source)->sample_us;

    if (world->steps == 0 && world->moves->len == 0)
        tick(world);
    while (world->now_us < end) {
        for (int i = 0; i < STEPS; i++)
            pass(world, sample_us / STEPS);
        tick(world);
    }
}
