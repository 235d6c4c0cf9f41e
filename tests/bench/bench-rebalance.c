/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Moves over time under loads that go up and down: the table and the trace of docs/rebalancing.md.
 * Virtual time, no chance: it prints the same on every machine.
 */
#include "support/waves.h"

#include <stdio.h>

#define HOURS 4

/* Five threads that start on two of four cores: two in step, one against them, two steady. */
static World *
make_world(VqWorkSource source, WorldDemand demand, const Wave *a, const Wave *b)
{
    World *world = world_new(4, source);

    world_add(world, demand, a, 0);
    world_add(world, demand, b, 0);
    world_add(world, demand, a, 0);
    world_add(world, wave_steady, WAVE_PERCENT(20), 0);
    world_add(world, wave_steady, WAVE_PERCENT(20), 1);
    return world;
}

static void
table(VqWorkSource source, const char *name, const double *periods, guint n, double hours)
{
    static const struct {
        const char *name;
        WorldDemand demand;
    } shapes[] = {{"square", wave_square}, {"sine", wave_sine}, {"noise", wave_noise}};

    printf("%s, moves of 5 threads in each quarter of %g hours\n", name, hours);
    for (guint k = 0; k < G_N_ELEMENTS(shapes); k++) {
        for (guint i = 0; i < n; i++) {
            const Wave a = {0.05, 0.7, periods[i], 0}, b = {0.05, 0.7, periods[i], periods[i] / 2};
            g_autoptr(World) world = make_world(source, shapes[k].demand, &a, &b);
            guint before = 0;

            printf("%-7s period %8.2f s:", shapes[k].name, periods[i]);
            for (int q = 0; q < 4; q++) {
                world_run(world, hours * 900);
                printf(" %4u", world->moves->len - before);
                before = world->moves->len;
            }
            printf("   lost %.2f %%\n", 100 * world->lost_us / world->demanded_us);
        }
    }
}

/* One of them in full. */
static void
trace(double period)
{
    static const char *const steps[] = {"none", "event", "overload", "pack", "more"};
    const Wave a = {0.05, 0.7, period, 0}, b = {0.05, 0.7, period, period / 2};
    g_autoptr(World) world = make_world(VQ_WORK_CPU_TIME, wave_square, &a, &b);

    world_run(world, HOURS * 3600);
    printf("every move, CPU time, square, period %g s, %d hours\n", period, HOURS);
    for (guint i = 0; i < world->moves->len; i++) {
        const WorldMove *m = &g_array_index(world->moves, WorldMove, i);

        printf("%8.1f s  vm%u  core %d to %d  %s\n", (double)m->time_us / G_USEC_PER_SEC,
               m->thread + 1, m->from, m->to, steps[m->step]);
    }
}

int
main(void)
{
    static const double slow[] = {0.1, 1, 3, 6, 10, 30, 60, 120, 300, 600, 1800, 3600};
    static const double fast[] = {0.01, 0.04, 0.1, 0.3, 1, 10};

    table(VQ_WORK_CPU_TIME, "CPU time", slow, G_N_ELEMENTS(slow), HOURS);
    table(VQ_WORK_COUNTERS, "counters", fast, G_N_ELEMENTS(fast), 0.1);
    trace(60);
    return 0;
}
