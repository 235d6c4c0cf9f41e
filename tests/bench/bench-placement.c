/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPU time of placement against size: a whole plan from nothing, then steps from where that has
 * led to: nothing changed, a load in twenty doubled, a VM gone, a VM come. Prints; not a test,
 * since time depends on the machine. bench-placement-sweep has more sizes, and memory.
 */
#include "support/machine.h"

#include <stdio.h>
#include <time.h>

#define RUNS 20

typedef struct {
    guint cores, domains, threads, dedicated; /* dedicated: per cent of the domains */
    double load;                              /* of the heaviest thread */
} Size;

static double
cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static TestCase *
make_case(const Size *size, GRand *random)
{
    TestCase *test = g_new0(TestCase, 1);

    test->topology = test_machine(2, 2, size->cores / 4, 2);
    test->pool = vq_cpuset_copy(test->topology->usable);
    vq_cpuset_subtract(test->pool, ((VqCore *)test->topology->cores->pdata[0])->pus);
    test->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    test->input = (VqPlacementInput){.topology = test->topology,
                                     .pool = test->pool,
                                     .threads = test->threads,
                                     .params = vq_placement_defaults};
    for (guint i = 0; i < size->threads; i++) {
        guint domain = i * size->domains / size->threads;
        bool dedicated = domain * 100 / size->domains < size->dedicated;
        g_autofree char *name = g_strdup_printf("vm%u", domain);
        VqThread *thread = test_thread(test->threads, name, "vda", i + 1,
                                       dedicated ? VQ_PLACEMENT_DEDICATED : VQ_PLACEMENT_SHARED,
                                       (int)(domain % 4));

        thread->load = g_rand_double_range(random, 0, size->load);
    }
    return test;
}

/* Least of several runs: what it takes when nobody else is in the way. */
static void
print_step(const char *what, const TestCase *test, const VqPlan *last)
{
    double least = 1e9;
    guint moves = 0;

    for (guint i = 0; i < RUNS; i++) {
        double start = cpu_ms();
        g_autoptr(VqPlan) plan =
            last ? vq_placement_step(&test->input, last) : vq_placement_compute(&test->input);

        least = MIN(least, cpu_ms() - start);
        moves = plan->moves->len;
    }
    printf("  %-12s %7.2f ms  %4u moves\n", what, least, moves);
}

static void
double_loads(TestCase *test, double factor)
{
    for (guint i = 0; i < test->threads->len; i += 20)
        ((VqThread *)test->threads->pdata[i])->load *= factor;
}

static void
measure(const Size *size)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    g_autoptr(TestCase) test = make_case(size, random);
    g_autoptr(VqPlan) plan = vq_placement_compute(&test->input);
    guint vm = size->threads / size->domains;

    printf("%u cores of 2 PUs, %u VMs, %u threads, %u%% of the VMs dedicated, loads up to %.2f\n",
           size->cores, size->domains, size->threads, size->dedicated, size->load);
    print_step("from nothing", test, NULL);
    test_case_follow(test, plan);
    print_step("again", test, plan);
    double_loads(test, 2);
    print_step("loads", test, plan);
    double_loads(test, 0.5);
    g_ptr_array_remove_range(test->threads, test->threads->len - vm, vm);
    print_step("VM gone", test, plan);
    for (guint i = 0; i < vm; i++)
        test_thread(test->threads, "new", "vda", i + 1, VQ_PLACEMENT_SHARED, 1)->load = 0.1;
    print_step("VM come", test, plan);
}

int
main(void)
{
    static const Size sizes[] = {
        {16, 8, 32, 25, 0.3},     {64, 16, 256, 15, 0.3},   {256, 64, 1024, 0, 0.3},
        {256, 64, 1024, 0, 0.02}, {256, 64, 1024, 20, 0.1}, {256, 64, 1024, 20, 0.6},
        {256, 64, 240, 100, 0.3}, {512, 64, 4096, 0, 0.2},  {512, 64, 4096, 10, 0.3},
    };

    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++)
        measure(&sizes[i]);
    return 0;
}
