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

/* Cores that the placements of @plan are on. */
static guint
count_cores(const VqPlan *plan)
{
    g_autoptr(VqCpuset) cores = vq_cpuset_new();

    for (guint i = 0; i < plan->placements->len; i++)
        vq_cpuset_add(cores, (unsigned)((VqPlaced *)plan->placements->pdata[i])->core);
    return vq_cpuset_count(cores);
}

/* Light threads share a core until the next one would bring it over 80%. */
static void
test_opens(void)
{
    g_autoptr(TestCase) test = one_package("4-7");

    for (guint i = 0; i < 17; i++) {
        g_autoptr(VqPlan) plan = NULL;

        add_vm(test, 0.1, -1);
        plan = compute(&test->input);
        g_assert_cmpuint(count_cores(plan), ==, 1 + i / 8);
    }
    test->input.params.spread = true;

    g_autoptr(VqPlan) spread = compute(&test->input);

    g_assert_cmpuint(count_cores(spread), ==, 4);
}

static void
follow(TestCase *test)
{
    g_autoptr(VqPlan) plan = compute(&test->input);

    test_case_follow(test, plan);
}

static guint
cores_now(TestCase *test)
{
    g_autoptr(VqPlan) plan = compute(&test->input);

    return count_cores(plan);
}

/* One core becomes two above 0.80 and two become one below 0.60; in between nothing happens, in
 * whichever direction the load goes. */
static void
test_hysteresis(void)
{
    static const struct {
        double load; /* of each of ten threads */
        guint cores;
    } steps[] = {{0.05, 1},  {0.079, 1}, {0.085, 2}, {0.079, 2}, {0.062, 2},
                 {0.085, 2}, {0.058, 1}, {0.079, 1}, {0.081, 2}};
    g_autoptr(TestCase) test = one_package("4-7");

    for (guint i = 0; i < 10; i++)
        add_vm(test, 0.05, -1);
    for (guint step = 0; step < G_N_ELEMENTS(steps); step++) {
        for (guint i = 0; i < 10; i++)
            ((VqThread *)test->threads->pdata[i])->load = steps[step].load;
        g_assert_cmpuint(cores_now(test), ==, steps[step].cores);
        follow(test);
    }
}

/* A core is given up in bounded steps, each going on where the last one ended. */
static void
test_closes_in_steps(void)
{
    g_autoptr(TestCase) test = one_package("4-7");
    guint left = 3;

    for (guint i = 0; i < 3; i++)
        add_vm(test, 0.1, 4);
    for (guint i = 0; i < 3; i++)
        add_vm(test, 0.09, 5);
    test->input.max_moves = 1;
    for (; left > 0; left--) {
        g_assert_cmpuint(count_moves(test), ==, 1);
        follow(test);
    }
    g_assert_cmpuint(cores_now(test), ==, 1);
    g_assert_cmpuint(count_moves(test), ==, 0);
}

/* One that rests keeps its core from being given up, one that is held for good. */
static void
test_stays_open(void)
{
    g_autoptr(TestCase) test = one_package("4-7");
    VqThread *first = add_vm(test, 0.1, 4), *second = add_vm(test, 0.1, 5);

    first->resting = second->resting = true;
    g_assert_cmpuint(count_moves(test), ==, 0);
    first->resting = second->resting = false;
    g_assert_cmpuint(count_moves(test), ==, 1);
    first->held = true;

    g_autoptr(VqPlan) plan = compute(&test->input);

    /* it is the other one that goes */
    g_assert_cmpint(cpu_of(plan, 0), ==, 4);
    g_assert_cmpint(cpu_of(plan, 1), ==, 4);
}

/* Threads stay on the node of their device: one core in use on each, however light they are. */
static void
test_one_core_a_node(void)
{
    g_autoptr(TestCase) test = one_package("4-7");

    vq_topology_free(test->topology);
    test->topology = test_machine(2, 1, 4, 1);
    test->input.topology = test->topology;
    vq_cpuset_add_range(test->pool, 2, 7);
    for (unsigned i = 0; i < 8; i++) {
        g_autofree char *name = g_strdup_printf("vm%u", i);

        test_thread(test->threads, name, "vda", 1, VQ_PLACEMENT_SHARED, (int)i % 2)->load = 0.02;
    }

    g_autoptr(VqPlan) plan = compute(&test->input);

    g_assert_cmpuint(count_cores(plan), ==, 2);
    for (guint i = 0; i < 8; i++)
        g_assert_cmpint(((VqPlaced *)plan->placements->pdata[i])->node, ==, (int)i % 2);
}

/* Two PUs take a quarter more than one, but are one place for a dedicated thread. */
static void
test_smt(void)
{
    g_autoptr(TestCase) test = one_package("4-7,12-15");

    vq_topology_free(test->topology);
    test->topology = test_machine(1, 1, 8, 2);
    test->input.topology = test->topology;
    for (guint i = 0; i < 10; i++)
        add_vm(test, 0.1, -1);
    g_assert_cmpuint(cores_now(test), ==, 1);
    add_vm(test, 0.1, -1);
    g_assert_cmpuint(cores_now(test), ==, 2);
    test->input.params.smt_gain = 0;
    g_assert_cmpuint(cores_now(test), ==, 2);
    for (guint i = 0; i < 11; i++)
        ((VqThread *)test->threads->pdata[i])->load = 0.08;
    test->input.params.smt_gain = 0.25;
    g_assert_cmpuint(cores_now(test), ==, 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/packing/resting", test_resting);
    g_test_add_func("/packing/resting-promise", test_resting_promise);
    g_test_add_func("/packing/max-moves", test_max_moves);
    g_test_add_func("/packing/opens", test_opens);
    g_test_add_func("/packing/hysteresis", test_hysteresis);
    g_test_add_func("/packing/closes-in-steps", test_closes_in_steps);
    g_test_add_func("/packing/stays-open", test_stays_open);
    g_test_add_func("/packing/one-core-a-node", test_one_core_a_node);
    g_test_add_func("/packing/smt", test_smt);
    return g_test_run();
}
