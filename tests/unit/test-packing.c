/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Placement of shared threads: how many cores they use, who moves for what, and who does not. Rule
 * by rule on one package of eight cores of one PU, pool 4-7 unless said otherwise.
 */
#include "support/machine.h"

static TestCase *
one_package(const char *pool)
{
    TestCase *test = g_new0(TestCase, 1);

    test->topology = test_machine(1, 1, 8, 1);
    test->pool = vq_cpuset_parse(pool, NULL);
    test->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    test->input = (VqPlacementInput){.topology = test->topology,
                                     .pool = test->pool,
                                     .threads = test->threads,
                                     .params = vq_placement_defaults};
    return test;
}

/* A VM with one shared thread of @load on @cpu (-1: about to start). */
static VqThread *
add_vm(TestCase *test, double load, int cpu)
{
    g_autofree char *name = g_strdup_printf("vm%u", test->threads->len);
    VqThread *thread = test_thread(test->threads, name, "vda", 1, VQ_PLACEMENT_SHARED, -1);

    thread->load = load;
    if (cpu >= 0) {
        thread->running = true;
        vq_cpuset_add(thread->current, (unsigned)cpu);
    }
    return thread;
}

static VqPlan *
compute(const VqPlacementInput *input)
{
    g_autoptr(GError) error = NULL;
    VqPlan *plan = vq_placement_compute(input);

    vq_plan_check(plan, input, &error);
    g_assert_no_error(error);
    return plan;
}

static int
cpu_of(const VqPlan *plan, guint i)
{
    return ((const VqPlaced *)g_ptr_array_index(plan->placements, i))->cpu;
}

/* A resting thread leaves a core over its limit only if nobody else can. */
static void
test_resting(void)
{
    g_autoptr(TestCase) test = one_package("4-5");
    VqThread *first = add_vm(test, 0.5, 4);
    VqThread *second = add_vm(test, 0.4, 4);

    first->resting = true;

    g_autoptr(VqPlan) plan = compute(&test->input);

    g_assert_cmpint(cpu_of(plan, 0), ==, 4);
    g_assert_cmpint(cpu_of(plan, 1), ==, 5);
    second->resting = true;

    g_autoptr(VqPlan) urgent = compute(&test->input);

    g_assert_cmpuint(urgent->moves->len, ==, 1);
    second->load = 0.2;

    g_autoptr(VqPlan) calm = compute(&test->input);

    g_assert_cmpuint(calm->moves->len, ==, 0);
}

/* Rest does not keep a promise from being kept. */
static void
test_resting_promise(void)
{
    g_autoptr(TestCase) test = one_package("4-5");

    add_vm(test, 0.3, 4)->resting = true;
    add_vm(test, 0.3, 5)->resting = true;
    add_vm(test, 0.3, -1)->class = VQ_PLACEMENT_DEDICATED;

    g_autoptr(VqPlan) plan = compute(&test->input);

    g_assert_cmpuint(plan->moves->len, ==, 2);
    g_assert_cmpint(((VqPlaced *)plan->placements->pdata[2])->class, ==, VQ_PLACEMENT_DEDICATED);
}

static guint
count_moves(const TestCase *test)
{
    g_autoptr(VqPlan) plan = compute(&test->input);

    return plan->moves->len;
}

/* Three cores over their limit, one empty: as many moves as allowed, newcomers not counted. */
static void
test_max_moves(void)
{
    g_autoptr(TestCase) test = one_package("2-7");

    for (int cpu = 4; cpu < 7; cpu++) {
        add_vm(test, 0.5, cpu);
        add_vm(test, 0.5, cpu);
    }
    g_assert_cmpuint(count_moves(test), ==, 3);
    test->input.max_moves = 1;
    g_assert_cmpuint(count_moves(test), ==, 1);
    test->input.max_moves = 2;
    g_assert_cmpuint(count_moves(test), ==, 2);
    add_vm(test, 0.3, -1);
    g_assert_cmpuint(count_moves(test), ==, 3);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/packing/resting", test_resting);
    g_test_add_func("/packing/resting-promise", test_resting_promise);
    g_test_add_func("/packing/max-moves", test_max_moves);
    return g_test_run();
}
