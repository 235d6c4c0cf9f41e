/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CPU time of placement against size: from nothing, and again with nothing to do. Prints; not a
 * test, since time depends on the machine. */
#include "support/machine.h"

#include <stdio.h>
#include <time.h>

static double
cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void
measure(guint cores, guint domains, guint threads, guint dedicated_percent)
{
    g_autoptr(TestCase) test = g_new0(TestCase, 1);
    g_autoptr(GRand) random = g_rand_new_with_seed(1);

    test->topology = test_machine(2, 2, cores / 4, 2);
    test->pool = vq_cpuset_new();
    vq_cpuset_add_range(test->pool, 1, cores - 1);
    vq_cpuset_add_range(test->pool, cores + 1, 2 * cores - 1);
    test->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    test->input = (VqPlacementInput){.topology = test->topology,
                                     .pool = test->pool,
                                     .threads = test->threads,
                                     .params = vq_placement_defaults};
    for (guint i = 0; i < threads; i++) {
        guint domain = i * domains / threads;
        bool dedicated = domain * 100 / domains < dedicated_percent;
        g_autofree char *name = g_strdup_printf("vm%u", domain);
        VqThread *thread = test_thread(test->threads, name, "vda", i + 1,
                                       dedicated ? VQ_PLACEMENT_DEDICATED : VQ_PLACEMENT_SHARED,
                                       (int)(domain % 4));

        thread->load = g_rand_double_range(random, 0, 0.3);
    }

    double start = cpu_ms();
    g_autoptr(VqPlan) plan = vq_placement_compute(&test->input);
    double first = cpu_ms() - start;

    test_case_follow(test, plan);
    start = cpu_ms();

    g_autoptr(VqPlan) again = vq_placement_compute(&test->input);

    printf("%5u cores %4u VMs %5u threads %3u%% dedicated: from nothing %8.2f ms, again %8.2f ms, "
           "%u moves\n",
           cores, domains, threads, dedicated_percent, first, cpu_ms() - start, again->moves->len);
}

int
main(void)
{
    measure(16, 8, 32, 25);
    measure(64, 16, 256, 15);
    measure(256, 64, 1024, 0);
    measure(256, 64, 1024, 20);
    measure(256, 64, 240, 100);
    measure(512, 64, 4096, 10);
    return 0;
}
