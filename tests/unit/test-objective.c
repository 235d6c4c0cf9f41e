/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The objective: by hand on a small machine, and laws over random inputs: the sum over a plan is
 * what the search has computed, and each delta is the difference of two such sums.
 */
#include "support/machine.h"

#include "core/placement-work.h"

#include <string.h>

#define CASES 500

/* 2 packages x 4 cores; four threads of one VM, two on each package, devices on node 0. */
static TestCase *
hand_made(void)
{
    TestCase *test = g_new0(TestCase, 1);

    test->topology = test_machine(2, 1, 4, 1);
    test->pool = vq_cpuset_parse("2-5", NULL);
    test->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    test->input = (VqPlacementInput){.topology = test->topology,
                                     .pool = test->pool,
                                     .threads = test->threads,
                                     .params = vq_placement_defaults};
    for (unsigned i = 0; i < 4; i++) {
        VqThread *thread = test_thread(test->threads, "vm1", "vda", i + 1, VQ_PLACEMENT_SHARED, 0);

        thread->load = 0.5;
        thread->running = true;
        vq_cpuset_add(thread->current, i < 2 ? 2 : 4);
    }
    return test;
}

/* The plan that leaves everything where it is. */
static VqPlan *
plan_as_is(const TestCase *test)
{
    VqPlan *plan = vq_plan_new();

    for (guint i = 0; i < test->threads->len; i++) {
        const VqThread *thread = g_ptr_array_index(test->threads, i);
        VqPlaced *placed = vq_plan_add(plan, thread->domain, "vda", thread->iothread);

        placed->class = placed->wanted = thread->class;
        placed->cpu = vq_cpuset_next(thread->current, 0);
    }
    return plan;
}

static void
test_by_hand(void)
{
    g_autoptr(TestCase) test = hand_made();
    g_autoptr(VqPlan) plan = plan_as_is(test);
    VqObjective objective;

    vq_objective_of_plan(plan, &test->input, &objective);

    g_autofree char *text = vq_objective_to_text(&objective);

    /* two cores of 1.0 each: over the limit by 0.2, twice; distances 10 + 10 + 21 + 21 */
    g_assert_cmpstr(text, ==,
                    "required 0, promises 0, overload 0.400, device 62, memory 0, slow 0, "
                    "package 4, scatter 4, cores 2, uneven 2.0000, moves 0");
    ((VqPlaced *)plan->placements->pdata[3])->cpu = 3;
    vq_objective_of_plan(plan, &test->input, &objective);

    g_autofree char *after = vq_objective_to_text(&objective);

    g_assert_cmpstr(after, ==,
                    "required 0, promises 0, overload 0.200, device 51, memory 0, slow 0, "
                    "package 3, scatter 3, cores 3, uneven 1.5000, moves 1");
}

static void
test_compare(void)
{
    VqObjective a = {.device = 3, .moves = 9}, b = {.device = 4, .cores = -5};

    g_assert_cmpint(vq_objective_compare(&a, &b), <, 0);
    g_assert_cmpint(vq_objective_compare(&b, &a), >, 0);
    g_assert_cmpint(vq_objective_compare(&a, &a), ==, 0);
    g_assert_cmpstr(vq_objective_decides(&a, &b), ==, "device");
    b = a;
    b.uneven = (VqSquare)1 << 100;
    g_assert_cmpstr(vq_objective_decides(&a, &b), ==, "uneven");
    g_assert_null(vq_objective_decides(&a, &a));
}

static VqWork *
solve(const VqPlacementInput *input)
{
    VqWork *work = vq_work_new(input);

    vq_work_admit(work);
    vq_work_dedicate(work);
    vq_work_weigh(work);
    vq_work_share(work);
    return work;
}

static void
subtract(VqObjective *a, const VqObjective *b)
{
    a->required -= b->required;
    a->promises -= b->promises;
    a->overload -= b->overload;
    a->device -= b->device;
    a->memory -= b->memory;
    a->slow -= b->slow;
    a->package -= b->package;
    a->scatter -= b->scatter;
    a->cores -= b->cores;
    a->uneven -= b->uneven;
    a->moves -= b->moves;
}

static VqJob *
random_shared(GRand *random, VqWork *work)
{
    VqJob *job = &work->jobs[g_rand_int_range(random, 0, (int)work->n_jobs)];
    bool shared = job->slot >= 0 && job->class != VQ_PLACEMENT_DEDICATED && !vq_job_held(job);

    return shared ? job : NULL;
}

static void
put(VqWork *work, VqJob *job, int slot)
{
    vq_slot_put(work, job, job->slot, -1);
    job->slot = slot;
    vq_slot_put(work, job, slot, 1);
}

static void
assert_difference(const VqWork *work, const VqObjective *before, const VqDelta *delta)
{
    VqObjective after;

    vq_work_objective(work, &after);
    subtract(&after, before);
    if (vq_objective_decides(&after, &delta->sum))
        g_error("the delta of %s is not the difference", vq_objective_decides(&after, &delta->sum));
}

/* Any move and any swap, good or bad: 1 if there was one to try. */
static guint
try_changes(GRand *random, VqWork *work)
{
    VqJob *a = random_shared(random, work), *b = random_shared(random, work);
    VqObjective before;
    VqDelta delta;
    int to, slot;

    if (!a || !b)
        return 0;
    to = g_rand_int_range(random, 0, (int)work->n_slots);
    if (work->slots[to].owner < 0) {
        vq_work_objective(work, &before);
        delta = vq_delta_move(work, a, a->slot, to);
        put(work, a, to);
        assert_difference(work, &before, &delta);
    }
    if (a->slot == b->slot)
        return 0;
    vq_work_objective(work, &before);
    delta = vq_delta_swap(work, a, b);
    slot = a->slot;
    put(work, a, b->slot);
    put(work, b, slot);
    assert_difference(work, &before, &delta);
    return 1;
}

static void
test_deltas(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(2718);
    guint tried = 0;

    for (guint i = 0; i < CASES; i++) {
        g_autoptr(TestCase) test = test_case_random(random);
        VqWork *work;

        test->input.params.spread = g_rand_int_range(random, 0, 4) == 0;
        work = solve(&test->input);
        for (guint k = 0; k < 20; k++)
            tried += try_changes(random, work);
        vq_work_free(work);
    }
    g_assert_cmpuint(tried, >, CASES);
}

/* What the search has in its arrays is what its plan says. */
static void
test_of_plan(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(3141);

    for (guint i = 0; i < CASES; i++) {
        g_autoptr(TestCase) test = test_case_random(random);
        g_autoptr(VqPlan) plan = vq_placement_compute(&test->input);
        VqWork *work = solve(&test->input);
        VqObjective inside, outside;

        vq_work_objective(work, &inside);
        vq_objective_of_plan(plan, &test->input, &outside);
        g_assert_cmpstr(vq_objective_decides(&inside, &outside), ==, NULL);
        vq_work_free(work);
    }
}

typedef struct {
    VqWork *work;
    VqObjective best;
    bool found;
} Exhaustive;

static void
try_all(Exhaustive *search, guint i)
{
    VqWork *work = search->work;
    VqObjective sum;

    for (guint s = 0; i < work->n_jobs && s < work->n_slots; s++) {
        work->jobs[i].slot = (int)s;
        vq_slot_put(work, &work->jobs[i], (int)s, 1);
        try_all(search, i + 1);
        vq_slot_put(work, &work->jobs[i], (int)s, -1);
        work->jobs[i].slot = -1;
    }
    if (i < work->n_jobs)
        return;
    vq_work_objective(work, &sum);
    if (!search->found || vq_objective_compare(&sum, &search->best) < 0)
        search->best = sum;
    search->found = true;
}

/* Up to seven newcomers on up to four cores of a hybrid machine of several nodes. */
static TestCase *
newcomers(GRand *random, double load)
{
    TestCase *test = g_new0(TestCase, 1);
    guint pool = 0, threads = (guint)g_rand_int_range(random, 2, 8);

    test->topology =
        test_machine((guint)g_rand_int_range(random, 1, 3), (guint)g_rand_int_range(random, 1, 3),
                     (guint)g_rand_int_range(random, 1, 4), (guint)g_rand_int_range(random, 1, 3));
    test->pool = vq_cpuset_new();
    test->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    for (guint i = 0; i < test->topology->cores->len && pool < 4; i++) {
        VqCore *core = g_ptr_array_index(test->topology->cores, i);

        if (g_rand_int_range(random, 0, 4) == 0)
            core->capacity = 512;
        if (g_rand_int_range(random, 0, 3) > 0 || i + 1 == test->topology->cores->len) {
            vq_cpuset_union(test->pool, core->pus);
            pool++;
        }
    }
    for (guint i = 0; i < threads; i++) {
        int nodes = (int)test->topology->nodes->len;
        g_autofree char *name = g_strdup_printf("vm%u", i / 3);
        VqThread *thread = test_thread(test->threads, name, "vda", i % 3 + 1, VQ_PLACEMENT_SHARED,
                                       g_rand_int_range(random, -1, nodes));

        thread->load = g_rand_double_range(random, 0, load);
        thread->weight = (unsigned)g_rand_int_range(random, 50, 300);
        if (g_rand_boolean(random))
            vq_cpuset_add(thread->memory_nodes, (unsigned)g_rand_int_range(random, 0, nodes));
    }
    test->input = (VqPlacementInput){.topology = test->topology,
                                     .pool = test->pool,
                                     .threads = test->threads,
                                     .params = vq_placement_defaults};
    return test;
}

/* The plan against the best of all distributions, in all fields. */
static void
test_exhaustive(void)
{
    static const double loads[] = {0.1, 0.3, 0.6, 0.9, 1.5};
    g_autoptr(GRand) random = g_rand_new_with_seed(77);
    guint worse = 0;

    for (guint i = 0; i < 5 * CASES; i++) {
        g_autoptr(TestCase) test = newcomers(random, loads[i % G_N_ELEMENTS(loads)]);
        g_autoptr(VqPlan) plan = vq_placement_compute(&test->input);
        Exhaustive search = {.work = vq_work_new(&test->input)};
        VqObjective found;

        vq_objective_of_plan(plan, &test->input, &found);
        vq_work_weigh(search.work);
        try_all(&search, 0);
        search.best.promises = found.promises; /* all are in the work, none has a core of its own */
        search.best.required = found.required;
        worse += vq_objective_compare(&search.best, &found) < 0;
        vq_work_free(search.work);
    }
    g_test_message("%u of %u plans are not the best of all", worse, 5 * CASES);
    g_assert_cmpuint(worse, ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/objective/by-hand", test_by_hand);
    g_test_add_func("/objective/compare", test_compare);
    g_test_add_func("/objective/deltas", test_deltas);
    g_test_add_func("/objective/of-plan", test_of_plan);
    g_test_add_func("/objective/exhaustive", test_exhaustive);
    return g_test_run();
}
