/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Placement from step to step: what a step leaves out, that large plans come to rest, that where
 * others sit keeps nobody out, that far threads come home, and what each gets where there is too
 * little for all.
 */
#include "support/machine.h"

#include "core/placement-work.h"

#include <string.h>

#define CASES 400

static VqPlan *
compute(const VqPlacementInput *input)
{
    g_autoptr(GError) error = NULL;
    VqPlan *plan = vq_placement_compute(input);

    vq_plan_check(plan, input, &error);
    g_assert_no_error(error);
    return plan;
}

static const VqPlaced *
in_plan(const VqPlan *plan, const VqPlaced *placed)
{
    return vq_plan_find(plan, placed->domain, NULL, placed->iothread);
}

/* A step's placements are those of the whole plan that are new; all that it leaves out is in the
 * last plan. Moves and refusals are the same. */
static void
assert_is_step(const VqPlan *step, const VqPlan *whole, const VqPlan *last)
{
    for (guint i = 0; i < whole->placements->len; i++) {
        const VqPlaced *placed = g_ptr_array_index(whole->placements, i);
        const VqPlaced *told = in_plan(step, placed), *before = in_plan(last, placed);

        if (!told)
            told = before;
        g_assert_nonnull(told);
        g_assert_cmpint(told->cpu, ==, placed->cpu);
        g_assert_cmpstr(told->cpus, ==, placed->cpus);
        g_assert_cmpint(told->class, ==, placed->class);
        g_assert_cmpint(told->held, ==, placed->held);
    }
    g_assert_cmpuint(step->refused->len, ==, whole->refused->len);
    g_assert_cmpuint(step->moves->len, ==, whole->moves->len);
    for (guint i = 0; i < whole->moves->len; i++) {
        const VqMove *a = step->moves->pdata[i], *b = whole->moves->pdata[i];

        g_assert_cmpstr(a->domain, ==, b->domain);
        g_assert_cmpuint(a->iothread, ==, b->iothread);
        g_assert_cmpint(a->to, ==, b->to);
        g_assert_cmpstr(a->reason, ==, b->reason);
    }
}

static void
change_something(GRand *random, TestCase *test)
{
    for (guint i = 0; i < test->threads->len; i++) {
        VqThread *thread = g_ptr_array_index(test->threads, i);

        if (g_rand_int_range(random, 0, 4) == 0)
            thread->load = g_rand_double_range(random, 0, 0.9);
        thread->resting = g_rand_int_range(random, 0, 6) == 0;
    }
    if (test->threads->len > 1 && g_rand_boolean(random))
        g_ptr_array_remove_index(test->threads,
                                 (guint)g_rand_int_range(random, 0, (int)test->threads->len));
    if (g_rand_boolean(random))
        test_thread(test->threads, "new", "vda", 1, VQ_PLACEMENT_DEDICATED, -1);
    test->input.max_moves = (unsigned)g_rand_int_range(random, 0, 3);
}

static void
test_step(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(161803);
    guint left_out = 0;

    for (guint i = 0; i < CASES; i++) {
        g_autoptr(TestCase) test = test_case_random(random);
        g_autoptr(VqPlan) last = compute(&test->input);

        test_case_follow(test, last);
        change_something(random, test);

        g_autoptr(VqPlan) whole = compute(&test->input);
        g_autoptr(VqPlan) step = vq_placement_step(&test->input, last);

        assert_is_step(step, whole, last);
        left_out += whole->placements->len - step->placements->len;
    }
    g_assert_cmpuint(left_out, >, CASES);
}

/* 64 cores on four nodes, 400 threads; @spot: all devices on one node. */
static TestCase *
large_case(GRand *random, double load, bool spot)
{
    TestCase *test = g_new0(TestCase, 1);

    test->topology = test_machine(2, 2, 16, 2);
    test->pool = vq_cpuset_copy(test->topology->usable);
    test->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    test->input = (VqPlacementInput){.topology = test->topology,
                                     .pool = test->pool,
                                     .threads = test->threads,
                                     .params = vq_placement_defaults};
    for (guint i = 0; i < 400; i++) {
        g_autofree char *name = g_strdup_printf("vm%u", i / 8);
        VqPlacement class = i / 8 % 7 == 0 ? VQ_PLACEMENT_DEDICATED : VQ_PLACEMENT_SHARED;
        int node = spot ? 0 : (int)(i / 8 % 5) - 1;
        VqThread *thread = test_thread(test->threads, name, "vda", i % 8 + 1, class, node);

        thread->load = g_rand_double_range(random, 0, load);
        thread->weight = (unsigned)g_rand_int_range(random, 50, 300);
    }
    return test;
}

/* What a large plan leads to is where it stays. */
static void
test_rest(void)
{
    static const double loads[] = {0.001, 0.05, 0.2, 0.5, 1.5};
    g_autoptr(GRand) random = g_rand_new_with_seed(57721);

    for (guint i = 0; i < 4 * G_N_ELEMENTS(loads); i++) {
        g_autoptr(TestCase) test = large_case(random, loads[i / 4], i % 2);
        g_autoptr(VqPlan) plan = compute(&test->input);

        test_case_follow(test, plan);

        g_autoptr(VqPlan) again = compute(&test->input);

        g_assert_cmpuint(again->moves->len, ==, 0);
    }
}

/* Cores of @test that no dedicated thread of a running VM and nobody pinned by hand has. */
static guint
fill_at_random(GRand *random, TestCase *test)
{
    g_autoptr(VqCpuset) taken = vq_cpuset_new();

    for (guint i = 0; i < 10; i++) {
        g_autofree char *name = g_strdup_printf("old%u", i);
        bool dedicated = g_rand_int_range(random, 0, 3) == 0;
        unsigned cpu = (unsigned)g_rand_int_range(random, 8, 16);
        VqThread *thread;

        if (vq_cpuset_has(taken, cpu))
            continue;
        thread = test_thread(test->threads, name, "vda", 1,
                             dedicated ? VQ_PLACEMENT_DEDICATED : VQ_PLACEMENT_SHARED, -1);
        thread->running = true;
        thread->resting = g_rand_boolean(random);
        vq_cpuset_add(thread->current, cpu);
        vq_cpuset_add(taken, cpu);
        if (!dedicated && g_rand_boolean(random)) /* some share a core */
            vq_cpuset_remove(taken, cpu);
    }

    g_autoptr(VqPlan) plan = compute(&test->input);
    guint dedicated = 0;

    for (guint i = 0; i < plan->placements->len; i++)
        dedicated += ((VqPlaced *)plan->placements->pdata[i])->class == VQ_PLACEMENT_DEDICATED;
    return 8 - dedicated;
}

/* A VM that needs as many cores as are not promised, less one if there are shared threads, is
 * let in however the others are strewn over the pool; one more is refused. */
static void
test_fragmentation(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(1618);

    for (guint i = 0; i < CASES; i++) {
        g_autoptr(TestCase) test = g_new0(TestCase, 1);
        guint free;

        test->topology = test_machine(2, 2, 4, 1);
        test->pool = vq_cpuset_parse("8-15", NULL);
        test->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
        test->input = (VqPlacementInput){.topology = test->topology,
                                         .pool = test->pool,
                                         .threads = test->threads,
                                         .params = vq_placement_defaults};
        test_thread(test->threads, "first", "vda", 1, VQ_PLACEMENT_SHARED, 0);
        free = fill_at_random(random, test);
        for (guint k = 0; k + 1 < free; k++)
            test_thread(test->threads, "new", "vda", k + 1, VQ_PLACEMENT_DEDICATED, 3)->required =
                true;

        g_autoptr(VqPlan) fits = compute(&test->input);

        g_assert_cmpuint(fits->refused->len, ==, 0);
        test_thread(test->threads, "new", "vda", free, VQ_PLACEMENT_DEDICATED, 3)->required = true;

        g_autoptr(VqPlan) full = compute(&test->input);

        g_assert_cmpuint(full->refused->len, ==, 1);
    }
}

/* Both kinds come home when the VM leaves that kept them away; those at home stay. */
static void
test_homecoming(void)
{
    g_autoptr(TestCase) test = g_new0(TestCase, 1);

    test->topology = test_machine(2, 1, 4, 1);
    test->pool = vq_cpuset_parse("2-7", NULL);
    test->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    test->input = (VqPlacementInput){.topology = test->topology,
                                     .pool = test->pool,
                                     .threads = test->threads,
                                     .params = vq_placement_defaults};
    for (unsigned i = 0; i < 4; i++)
        test_thread(test->threads, "first", "vda", i + 1, VQ_PLACEMENT_DEDICATED, 1);
    test_thread(test->threads, "second", "vda", 1, VQ_PLACEMENT_DEDICATED, 1);
    test_thread(test->threads, "third", "vda", 1, VQ_PLACEMENT_SHARED, 1)->load = 0.3;

    g_autoptr(VqPlan) crowded = compute(&test->input);

    for (guint i = 4; i < 6; i++)
        g_assert_cmpint(((VqPlaced *)crowded->placements->pdata[i])->node, ==, 0);
    test_case_follow(test, crowded);
    g_ptr_array_remove_range(test->threads, 0, 4);

    g_autoptr(VqPlan) after = compute(&test->input);

    g_assert_cmpuint(after->moves->len, ==, 2);
    for (guint i = 0; i < 2; i++)
        g_assert_cmpint(((VqPlaced *)after->placements->pdata[i])->node, ==, 1);
}

/* What a thread gets if its core is divided by claims, against its part of the whole pool. */
static double
least_part(const VqWork *work)
{
    double claims = 0, capacity = 0, least = 1e9;

    for (guint i = 0; i < work->n_slots; i++) {
        claims += (double)work->slots[i].claim;
        capacity += (double)work->slots[i].capacity;
    }
    for (guint i = 0; i < work->n_jobs; i++) {
        const VqJob *job = &work->jobs[i];
        const VqSlot *slot = &work->slots[job->slot];
        double load = (double)job->load / VQ_LOAD_UNIT * VQ_CAPACITY_UNIT, claim = job->claim;
        double granted = MIN(load, claim / (double)slot->claim * (double)slot->capacity);
        double part = MIN(load, claim / claims * capacity);

        /* nobody gets more than a whole core, whatever the weight */
        least = MIN(least, granted / MIN(part, (double)slot->capacity));
    }
    return least;
}

/* More work than the pool can do: every core's claims are within one thread's claim of the mean,
 * so that each thread's part of its core is near its part of the pool, and never nothing. */
static void
test_fair(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(30103);
    double worst = 1, sum = 0;

    for (guint i = 0; i < CASES; i++) {
        g_autoptr(TestCase) test = g_new0(TestCase, 1);
        VqWork *work;

        test->topology = test_machine(1, 1, 8, 1);
        test->pool = vq_cpuset_parse("2-7", NULL);
        test->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
        test->input = (VqPlacementInput){.topology = test->topology,
                                         .pool = test->pool,
                                         .threads = test->threads,
                                         .params = vq_placement_defaults};
        for (guint k = 0; k < 24; k++) {
            g_autofree char *name = g_strdup_printf("vm%u", k);
            VqThread *thread = test_thread(test->threads, name, "vda", 1, VQ_PLACEMENT_SHARED, -1);

            thread->load = g_rand_double_range(random, 0.4, 1);
            thread->weight = (unsigned)g_rand_int_range(random, 50, 200);
        }
        work = vq_work_new(&test->input);
        vq_work_admit(work);
        vq_work_dedicate(work);
        vq_work_weigh(work);
        vq_work_share(work);
        g_assert_true(work->overloaded);
        worst = MIN(worst, least_part(work));
        sum += least_part(work);
        vq_work_free(work);
    }
    g_test_message("least part granted of the part due: worst %.3f, mean of the least %.3f", worst,
                   sum / CASES);
    g_assert_cmpfloat(worst, >, 0.8);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/steps/step", test_step);
    g_test_add_func("/steps/rest", test_rest);
    g_test_add_func("/steps/fragmentation", test_fragmentation);
    g_test_add_func("/steps/homecoming", test_homecoming);
    g_test_add_func("/steps/fair", test_fair);
    return g_test_run();
}
