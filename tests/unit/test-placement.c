/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Placement: the rules one by one on small machines, and laws over thousands of random inputs. The
 * invariant checker runs after every plan; that the checker itself sees violations is tested in
 * test-plan.c with plans made by hand.
 */
#include "support/machine.h"

#include "core/placement-work.h"

#include <string.h>

#define CASES 3000

static VqPlan *
compute(const VqPlacementInput *input)
{
    g_autoptr(GError) error = NULL;
    VqPlan *plan = vq_placement_compute(input);

    vq_plan_check(plan, input, &error);
    g_assert_no_error(error);
    return plan;
}

/* A machine of 2 packages x 4 cores x 2 PUs (PU n and n + 8 are siblings), pool given. */
static TestCase *
small_case(const char *pool)
{
    TestCase *test = g_new0(TestCase, 1);

    test->topology = test_machine(2, 1, 4, 2);
    test->pool = vq_cpuset_parse(pool, NULL);
    test->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    test->input = (VqPlacementInput){.topology = test->topology,
                                     .pool = test->pool,
                                     .threads = test->threads,
                                     .params = vq_placement_defaults};
    return test;
}

static void
add_disk(TestCase *test, const char *domain, const char *disk, guint threads, VqPlacement class,
         int node)
{
    guint first = 0;

    for (guint i = 0; i < test->threads->len; i++) {
        const VqThread *thread = g_ptr_array_index(test->threads, i);

        first += g_str_equal(thread->domain, domain);
    }
    for (guint i = 0; i < threads; i++)
        test_thread(test->threads, domain, disk, first + i + 1, class, node);
}

static void
require(TestCase *test, const char *domain)
{
    for (guint i = 0; i < test->threads->len; i++) {
        VqThread *thread = g_ptr_array_index(test->threads, i);

        if (g_str_equal(thread->domain, domain))
            thread->required = true;
    }
}

static const VqPlaced *
at(const VqPlan *plan, guint i)
{
    g_assert_cmpuint(i, <, plan->placements->len);
    return g_ptr_array_index(plan->placements, i);
}

static void
test_near_device(void)
{
    g_autoptr(TestCase) test = small_case("2-7,10-15");

    add_disk(test, "vm1", "vda", 2, VQ_PLACEMENT_DEDICATED, 1);
    add_disk(test, "vm1", "vdb", 1, VQ_PLACEMENT_SHARED, 0);

    g_autoptr(VqPlan) plan = compute(&test->input);

    g_assert_cmpint(at(plan, 0)->cpu, ==, 4);
    g_assert_cmpint(at(plan, 1)->cpu, ==, 5);
    g_assert_cmpint(at(plan, 0)->class, ==, VQ_PLACEMENT_DEDICATED);
    g_assert_cmpint(at(plan, 0)->device_node, ==, 1);
    g_assert_cmpstr(at(plan, 0)->reason, ==, "core 4 alone, on node 1 where its device is");
    g_assert_cmpstr(at(plan, 0)->alternative, ==, "core 6, as near");
    g_assert_cmpint(at(plan, 2)->node, ==, 0);
}

static void
test_near_memory(void)
{
    g_autoptr(TestCase) test = small_case("0-7");

    add_disk(test, "vm1", "vda", 1, VQ_PLACEMENT_DEDICATED, -1);
    vq_cpuset_add(((VqThread *)test->threads->pdata[0])->memory_nodes, 1);

    g_autoptr(VqPlan) plan = compute(&test->input);

    g_assert_cmpint(at(plan, 0)->node, ==, 1);
}

static void
test_refused(void)
{
    g_autoptr(TestCase) test = small_case("2-5,10-13");

    add_disk(test, "vm1", "vda", 2, VQ_PLACEMENT_DEDICATED, 0);
    add_disk(test, "vm2", "vda", 4, VQ_PLACEMENT_DEDICATED, 0);
    add_disk(test, "vm2", "vdb", 1, VQ_PLACEMENT_SHARED, 0);
    require(test, "vm2");

    g_autoptr(VqPlan) plan = compute(&test->input);

    g_assert_cmpuint(plan->placements->len, ==, 2);
    g_assert_cmpstr(
        vq_plan_refusal(plan, "vm2")->reason, ==,
        "disk 'vda' of 'vm2' needs 4 cores of its own; the pool (CPU 2-5,10-13) has 4 cores, "
        "1 free (2 taken by vm1/vda, 1 kept for shared threads): add cores to the "
        "pool, or use placement='shared'");
}

static void
test_degraded(void)
{
    g_autoptr(TestCase) test = small_case("7");

    add_disk(test, "vm1", "vda", 4, VQ_PLACEMENT_DEDICATED, 0);

    g_autoptr(VqPlan) plan = compute(&test->input);

    for (guint i = 0; i < 4; i++) {
        g_assert_cmpint(at(plan, i)->class, ==, VQ_PLACEMENT_SHARED);
        g_assert_cmpint(at(plan, i)->cpu, ==, 7);
        g_assert_nonnull(strstr(at(plan, i)->degraded, "needs 4 cores of its own"));
    }
}

/* Arrival order decides, but what runs keeps its cores, whoever comes first in the list. */
static void
test_promises_last(void)
{
    g_autoptr(TestCase) test = small_case("4-7");

    add_disk(test, "vm1", "vda", 3, VQ_PLACEMENT_DEDICATED, 1);
    add_disk(test, "vm2", "vda", 3, VQ_PLACEMENT_DEDICATED, 1);
    for (guint i = 3; i < 6; i++) {
        VqThread *thread = g_ptr_array_index(test->threads, i);

        thread->running = true;
        vq_cpuset_add(thread->current, i + 2);
    }

    g_autoptr(VqPlan) plan = compute(&test->input);

    g_assert_cmpint(at(plan, 0)->class, ==, VQ_PLACEMENT_SHARED);
    for (guint i = 3; i < 6; i++) {
        g_assert_cmpint(at(plan, i)->class, ==, VQ_PLACEMENT_DEDICATED);
        g_assert_cmpint(at(plan, i)->cpu, ==, (int)i + 2);
    }
}

static void
test_homecoming(void)
{
    g_autoptr(TestCase) test = small_case("0-7");

    add_disk(test, "vm1", "vda", 1, VQ_PLACEMENT_DEDICATED, 1);
    VqThread *thread = g_ptr_array_index(test->threads, 0);
    thread->running = true;
    vq_cpuset_add(thread->current, 0);

    g_autoptr(VqPlan) plan = compute(&test->input);

    g_assert_cmpuint(plan->moves->len, ==, 1);
    g_assert_cmpint(((VqMove *)plan->moves->pdata[0])->from, ==, 0);
    g_assert_cmpstr(((VqMove *)plan->moves->pdata[0])->reason, ==,
                    "nearer to its device: distance 10 instead of 21");
}

/* Two dedicated threads that are each on the other's node have to exchange their cores; the pool
 * has no other one, so one waits outside. */
static void
test_exchange(void)
{
    g_autoptr(TestCase) test = small_case("3,4");

    add_disk(test, "vm1", "vda", 1, VQ_PLACEMENT_DEDICATED, 1);
    add_disk(test, "vm2", "vda", 1, VQ_PLACEMENT_DEDICATED, 0);
    for (guint i = 0; i < 2; i++) {
        VqThread *thread = g_ptr_array_index(test->threads, i);

        thread->running = true;
        vq_cpuset_add(thread->current, i + 3);
    }

    g_autoptr(VqPlan) plan = compute(&test->input);

    g_assert_cmpuint(plan->moves->len, ==, 3);
    g_assert_cmpint(at(plan, 0)->cpu, ==, 4);
    g_assert_cmpint(at(plan, 1)->cpu, ==, 3);
}

static void
test_held(void)
{
    g_autoptr(TestCase) test = small_case("4-7");

    add_disk(test, "vm1", "vda", 1, VQ_PLACEMENT_SHARED, 1);
    add_disk(test, "vm2", "vda", 3, VQ_PLACEMENT_DEDICATED, 1);
    add_disk(test, "vm3", "vda", 1, VQ_PLACEMENT_DEDICATED, 1);
    VqThread *thread = g_ptr_array_index(test->threads, 0);
    thread->running = thread->held = true;
    vq_cpuset_add(thread->current, 12); /* the sibling of 4: blocks its core */

    g_autoptr(VqPlan) plan = compute(&test->input);

    g_assert_cmpstr(at(plan, 0)->cpus, ==, "12");
    g_assert_cmpint(at(plan, 1)->cpu, ==, 5);
    g_assert_cmpint(at(plan, 4)->class, ==, VQ_PLACEMENT_SHARED);
    g_assert_nonnull(strstr(at(plan, 4)->degraded, "1 with threads pinned by hand"));
}

static void
test_levelled(void)
{
    g_autoptr(TestCase) test = small_case("4-7");

    test->input.params.spread = true;
    for (guint i = 0; i < 8; i++) {
        g_autofree char *name = g_strdup_printf("vm%u", i);
        VqThread *thread = test_thread(test->threads, name, "vda", 1, VQ_PLACEMENT_SHARED, -1);

        thread->load = i < 4 ? 0.5 : 0.2;
    }

    g_autoptr(VqPlan) plan = compute(&test->input);

    for (int cpu = 4; cpu < 8; cpu++) {
        double load = 0;

        for (guint i = 0; i < 8; i++)
            load += at(plan, i)->cpu == cpu ? at(plan, i)->load : 0;
        g_assert_cmpfloat_with_epsilon(load, 0.7, 1e-6);
    }
}

/* Below the hysteresis nothing moves, above it something does. */
static void
check_hysteresis(double load, guint moves)
{
    g_autoptr(TestCase) test = small_case("4-5");

    test->input.params.spread = true;
    for (guint i = 0; i < 3; i++) {
        g_autofree char *name = g_strdup_printf("vm%u", i);
        VqThread *thread = test_thread(test->threads, name, "vda", 1, VQ_PLACEMENT_SHARED, -1);

        thread->running = true;
        thread->load = i == 2 ? load : 0.2;
        vq_cpuset_add(thread->current, i == 1 ? 5 : 4);
    }

    g_autoptr(VqPlan) plan = compute(&test->input);

    g_assert_cmpuint(plan->moves->len, ==, moves);
}

static void
test_hysteresis(void)
{
    check_hysteresis(0.04, 0);
    check_hysteresis(0.3, 1); /* 0.5 : 0.2 becomes 0.3 : 0.4 */
    g_autoptr(TestCase) test = small_case("4-5");

    test->input.params.spread = true;

    for (guint i = 0; i < 2; i++) {
        g_autofree char *name = g_strdup_printf("vm%u", i);
        VqThread *thread = test_thread(test->threads, name, "vda", 1, VQ_PLACEMENT_SHARED, -1);

        thread->running = true;
        thread->load = 0.06;
        vq_cpuset_add(thread->current, 4);
    }

    g_autoptr(VqPlan) small = compute(&test->input);

    /* two threads of 0.06: the gap shrinks by 0.12, more than 0.10 */
    g_assert_cmpuint(small->moves->len, ==, 1);
    test->input.params.move_gain = 0.2;

    g_autoptr(VqPlan) calm = compute(&test->input);

    g_assert_cmpuint(calm->moves->len, ==, 0);
}

/* In an over-committed pool the heavier thread gets more room. */
static void
test_weight(void)
{
    g_autoptr(TestCase) test = small_case("4-5");

    for (guint i = 0; i < 4; i++) {
        g_autofree char *name = g_strdup_printf("vm%u", i);
        VqThread *thread = test_thread(test->threads, name, "vda", 1, VQ_PLACEMENT_SHARED, -1);

        thread->load = 0.9;
        thread->weight = i == 0 ? 300 : 100;
    }

    g_autoptr(VqPlan) plan = compute(&test->input);

    for (guint i = 1; i < 4; i++)
        g_assert_cmpint(at(plan, i)->cpu, !=, at(plan, 0)->cpu);
}

static void
test_siblings(void)
{
    g_autoptr(TestCase) test = small_case("7,15");

    add_disk(test, "vm1", "vda", 4, VQ_PLACEMENT_SHARED, 1);

    g_autoptr(VqPlan) plan = compute(&test->input);
    guint low = 0;

    for (guint i = 0; i < 4; i++)
        low += at(plan, i)->cpu == 7;
    g_assert_cmpuint(low, ==, 2);
}

static void
test_empty_pool(void)
{
    g_autoptr(TestCase) test = small_case("");

    add_disk(test, "vm1", "vda", 1, VQ_PLACEMENT_SHARED, 1);
    add_disk(test, "vm2", "vda", 1, VQ_PLACEMENT_SHARED, 1);
    require(test, "vm2");

    g_autoptr(VqPlan) plan = compute(&test->input);

    g_assert_cmpint(at(plan, 0)->cpu, ==, -1);
    g_assert_cmpstr(at(plan, 0)->cpus, ==, "0-15");
    g_assert_nonnull(at(plan, 0)->degraded);
    g_assert_nonnull(strstr(vq_plan_refusal(plan, "vm2")->reason, "the pool is empty"));
}

/* Laws: the checker is content with every plan; following it and asking again moves nothing. */
static void
test_laws(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(4711);
    guint refused = 0, dedicated = 0, moves = 0;

    for (guint i = 0; i < CASES; i++) {
        g_autoptr(TestCase) test = test_case_random(random);
        g_autoptr(VqPlan) plan = compute(&test->input);

        refused += plan->refused->len;
        moves += plan->moves->len;
        for (guint k = 0; k < plan->placements->len; k++)
            dedicated += at(plan, k)->class == VQ_PLACEMENT_DEDICATED;
        test_case_follow(test, plan);

        g_autoptr(VqPlan) again = compute(&test->input);

        if (again->moves->len > 0) {
            g_autofree char *before = vq_plan_to_json(plan), *after = vq_plan_to_json(again);

            g_error("case %u moves again:\n%s\n%s", i, before, after);
        }
        g_assert_cmpuint(again->refused->len, ==, 0);
        g_assert_cmpuint(again->placements->len, ==, plan->placements->len);
    }
    /* the inputs must be of the kind that tests something */
    g_assert_cmpuint(refused, >, CASES / 10);
    g_assert_cmpuint(dedicated, >, CASES);
    g_assert_cmpuint(moves, >, CASES);
}

typedef struct {
    const VqWork *work;
    guint rows, columns;
    VqCost least;
} Oracle;

static void
search(Oracle *oracle, guint row, guint64 used, VqCost sum)
{
    if (row == oracle->rows) {
        oracle->least = MIN(oracle->least, sum);
        return;
    }
    for (guint c = 0; c < oracle->columns; c++) {
        if (!(used >> c & 1))
            search(oracle, row + 1, used | (guint64)1 << c,
                   sum + vq_cost_dedicated(oracle->work, &oracle->work->jobs[row],
                                           &oracle->work->slots[c]));
    }
}

/* What a plan costs by the one objective, against the least of all permutations. */
static void
test_optimal(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(815);

    for (guint i = 0; i < 500; i++) {
        g_autoptr(TestCase) test = small_case("2-7");
        guint threads = (guint)g_rand_int_range(random, 1, 6);

        for (guint k = 0; k < 8; k++)
            ((VqCore *)test->topology->cores->pdata[k])->capacity =
                g_rand_boolean(random) ? 512 : 1024;
        for (guint k = 0; k < threads; k++) {
            g_autofree char *name = g_strdup_printf("vm%u", k);
            VqThread *thread = test_thread(test->threads, name, "vda", 1, VQ_PLACEMENT_DEDICATED,
                                           g_rand_int_range(random, -1, 2));

            thread->running = true;
            vq_cpuset_add(thread->memory_nodes, (unsigned)g_rand_int_range(random, 0, 2));
            if (g_rand_boolean(random))
                vq_cpuset_add(thread->current, 2 + k);
        }

        g_autoptr(VqPlan) plan = compute(&test->input);
        VqWork *work = vq_work_new(&test->input);
        Oracle oracle = {work, threads, work->n_slots, (VqCost)1 << 120};
        VqCost found = 0;

        search(&oracle, 0, 0, 0);
        for (guint k = 0; k < threads; k++)
            found += vq_cost_dedicated(work, &work->jobs[k], &work->slots[at(plan, k)->cpu - 2]);
        g_assert_true(found == oracle.least);
        vq_work_free(work);
    }
}

typedef struct {
    const double *load;
    guint threads, cores;
    double sum[4];
    double least;
} Levelling;

static void
level_all(Levelling *l, guint thread)
{
    double total = 0;

    if (thread == l->threads) {
        for (guint c = 0; c < l->cores; c++)
            total += l->sum[c] * l->sum[c];
        l->least = MIN(l->least, total);
        return;
    }
    for (guint c = 0; c < l->cores; c++) {
        l->sum[c] += l->load[thread];
        level_all(l, thread + 1);
        l->sum[c] -= l->load[thread];
    }
}

/* Shared threads from nothing, below the limit: how far from the best of all distributions. */
static void
test_level_oracle(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(99);
    double worst = 1, mean = 0;

    for (guint i = 0; i < 300; i++) {
        g_autoptr(TestCase) test = small_case("4-6");
        double load[7], sum[3] = {0};
        Levelling oracle = {load, 7, 3, {0}, 1e9};
        double found = 0;

        test->input.params.spread = true;

        for (guint k = 0; k < 7; k++) {
            g_autofree char *name = g_strdup_printf("vm%u", k);

            load[k] = g_rand_double_range(random, 0.01, 0.3);
            test_thread(test->threads, name, "vda", 1, VQ_PLACEMENT_SHARED, -1)->load = load[k];
        }

        g_autoptr(VqPlan) plan = compute(&test->input);

        for (guint k = 0; k < 7; k++)
            sum[at(plan, k)->cpu - 4] += load[k];
        for (guint c = 0; c < 3; c++)
            found += sum[c] * sum[c];
        level_all(&oracle, 0);
        worst = MAX(worst, found / oracle.least);
        mean += found / oracle.least / 300;
    }
    g_test_message("sum of squares against the best distribution: worst %.4f, mean %.4f", worst,
                   mean);
    g_assert_cmpfloat(worst, <, 1.05);
    g_assert_cmpfloat(mean, <, 1.01);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/placement/near-device", test_near_device);
    g_test_add_func("/placement/near-memory", test_near_memory);
    g_test_add_func("/placement/refused", test_refused);
    g_test_add_func("/placement/degraded", test_degraded);
    g_test_add_func("/placement/promises-last", test_promises_last);
    g_test_add_func("/placement/homecoming", test_homecoming);
    g_test_add_func("/placement/exchange", test_exchange);
    g_test_add_func("/placement/held", test_held);
    g_test_add_func("/placement/levelled", test_levelled);
    g_test_add_func("/placement/hysteresis", test_hysteresis);
    g_test_add_func("/placement/weight", test_weight);
    g_test_add_func("/placement/siblings", test_siblings);
    g_test_add_func("/placement/empty-pool", test_empty_pool);
    g_test_add_func("/placement/laws", test_laws);
    g_test_add_func("/placement/optimal", test_optimal);
    g_test_add_func("/placement/level-oracle", test_level_oracle);
    return g_test_run();
}
