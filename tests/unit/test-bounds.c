/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Placement on large machines against lower bounds of its objective (tests/support/bounds.h). The
 * gap is at most what is printed: the bound itself need not be reached by any plan.
 */
#include "support/bounds.h"
#include "support/machine.h"
#include "support/oracle.h"

#include <math.h>

#define NODES          4
#define THREADS_PER_VM 16

#define EXACT 1e-4 /* per cent; the solver is no more exact */

/* Per cent above the bound that are let pass. */
typedef struct {
    double device, memory, cores, uneven;
} Limits;

static const Limits usual = {2, 3, 4, 0.5};
/* dedicated threads take their cores before shared ones that then find a node full of slow ones,
 * and a core too slow for a thread is none for it, of which the bound knows nothing */
static const Limits hard = {10, 8, 10, 0.5};

typedef struct {
    const char *name;
    guint cores, pus, threads;
    guint dedicated; /* per cent of the VMs */
    guint fill;      /* shared load in per cent of the limit of the cores left for it */
    guint skew;      /* per cent of the VMs whose device is on the first node */
    bool hybrid;     /* half of the cores have half the speed */
    bool spread;
    bool hard;
} Case;

typedef struct {
    double overload, device, memory, slow, cores, uneven; /* per cent */
} Gaps;

static TestCase *
make_case(const Case *c, guint32 seed)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);
    TestCase *test = g_new0(TestCase, 1);
    guint vms = c->threads / THREADS_PER_VM, dedicated_threads;
    double room = 0, mean;

    test->topology = test_machine(2, NODES / 2, c->cores / NODES, c->pus);
    test->pool = vq_cpuset_copy(test->topology->usable);
    vq_cpuset_subtract(test->pool, ((VqCore *)test->topology->cores->pdata[0])->pus);
    test->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    test->input = (VqPlacementInput){.topology = test->topology,
                                     .pool = test->pool,
                                     .threads = test->threads,
                                     .params = vq_placement_defaults};
    test->input.params.spread = c->spread;
    for (guint i = 0; i < c->cores; i++) {
        VqCore *core = g_ptr_array_index(test->topology->cores, i);

        core->capacity = c->hybrid && i % 2 ? 512 : 1024;
        room += i == 0 ? 0
                       : core->capacity / 1024.0 * vq_placement_defaults.load_limit *
                             (c->pus > 1 ? 1 + vq_placement_defaults.smt_gain : 1);
    }
    dedicated_threads = vms * c->dedicated / 100 * THREADS_PER_VM;
    g_assert_cmpuint(dedicated_threads, <, c->cores - 1);
    room *= (c->cores - 1.0 - dedicated_threads) / (c->cores - 1.0);
    mean = room * c->fill / 100 / MAX(c->threads - dedicated_threads, 1);
    for (guint vm = 0; vm < vms; vm++) {
        g_autofree char *name = g_strdup_printf("vm%u", vm);
        VqPlacement class =
            vm < vms * c->dedicated / 100 ? VQ_PLACEMENT_DEDICATED : VQ_PLACEMENT_SHARED;
        guint node = (guint)g_rand_int_range(random, 0, 100) < c->skew ? 0 : vm % NODES;

        for (guint i = 0; i < THREADS_PER_VM; i++) {
            VqThread *thread = test_thread(test->threads, name, "vda", i + 1, class, (int)node);

            thread->load = MIN(g_rand_double_range(random, 0.2, 1.8) * mean, 0.7);
            vq_cpuset_add(thread->memory_nodes, vm / 5 % NODES);
        }
    }
    return test;
}

/* Per cent above the bound; of the bound, or, if that is nothing, of @scale. */
static double
gap(double plan, double bound, double scale)
{
    if (plan < bound - 1e-6 * MAX(1, fabs(bound)))
        g_error("%g is below the lower bound %g", plan, bound);
    return 100 * MAX(plan - bound, 0) / MAX(bound, scale);
}

static Gaps
measure(const Case *c, guint32 seed)
{
    g_autoptr(TestCase) test = make_case(c, seed);
    g_autoptr(VqPlan) plan = vq_placement_compute(&test->input);
    g_autoptr(GError) error = NULL;
    VqObjective value;
    Bounds bounds;
    Gaps gaps = {0};
    double load = 1;

    vq_plan_check(plan, &test->input, &error);
    g_assert_no_error(error);
    vq_objective_of_plan(plan, &test->input, &value);
    for (guint i = 0; i < test->threads->len; i++)
        load += ((VqThread *)test->threads->pdata[i])->load * 1e6;
    if (bounds_of(&test->input, plan, &value, &bounds)) {
        gaps.overload = gap((double)value.overload, bounds.overload, load);
        gaps.device = gap((double)value.device, bounds.device, 1);
        gaps.memory = gap((double)value.memory, bounds.memory, 1);
        gaps.slow = gap((double)value.slow, bounds.slow, 1024);
    }
    if (!c->spread)
        gaps.cores = gap(bounds.plan_cores, bounds.cores, 1);
    gaps.uneven = gap(bounds.plan_uneven, bounds.uneven, 1e-9);
    g_test_message("%s: %u cores, %u threads: overload %.3f (gap %.2f%%), device %.2f%%, memory "
                   "%.2f%%, slow %.2f%%, cores %.0f of at least %.0f (%.2f%%), uneven %.2f%%",
                   c->name, c->cores, c->threads, (double)value.overload / 1e6, gaps.overload,
                   gaps.device, gaps.memory, gaps.slow, bounds.plan_cores, bounds.cores, gaps.cores,
                   gaps.uneven);
    return gaps;
}

static const Case cases[] = {
    {"light", 256, 2, 1024, 0, 30, 25, false, false},
    {"half full", 256, 1, 1024, 0, 60, 25, false, false},
    {"nearly full", 256, 1, 1024, 0, 90, 25, false, false},
    {"over-committed", 256, 1, 1024, 0, 130, 25, false, false},
    {"one node over-full", 256, 1, 1024, 0, 60, 60, false, false},
    {"dedicated", 256, 1, 240, 100, 0, 25, false, false},
    {"dedicated, one node wanted", 256, 1, 240, 100, 0, 80, false, false},
    {"dedicated, hybrid", 256, 1, 128, 100, 0, 40, true, false},
    {"mixed", 256, 1, 512, 25, 60, 25, false, false},
    {"mixed, hybrid", 256, 1, 512, 25, 60, 25, true, false, true},
    {"hybrid", 256, 1, 1024, 0, 60, 25, true, false},
    {"spread", 256, 1, 1024, 0, 60, 25, false, true},
    {"1024 CPUs", 512, 2, 4096, 0, 60, 25, false, false},
};

/* Where a node is wanted by more threads than it has room for, the search decides who leaves, and
 * the bound may leave parts of threads: there the gap is widest. */
static void
test_case(gconstpointer data)
{
    const Case *c = data;
    Gaps gaps = measure(c, 1);
    const Limits *limits = c->hard ? &hard : &usual;
    bool exact = c->dedicated == 100; /* an assignment problem, and its relaxation has no gap */

    g_assert_cmpfloat(gaps.overload, <=, 1);
    g_assert_cmpfloat(gaps.device, <=, exact ? EXACT : limits->device);
    g_assert_cmpfloat(gaps.memory, <=, exact ? EXACT : limits->memory);
    g_assert_cmpfloat(gaps.slow, <=, EXACT);
    g_assert_cmpfloat(gaps.cores, <=, limits->cores);
    g_assert_cmpfloat(gaps.uneven, <=, limits->uneven);
}

/* What needs no solver is tested all the same. */
static void
test_glpk(void)
{
    Bounds bounds;
    const double one = 1, zero = 0;
    VqObjective value = {0};
    BoundsProblem problem = {1, 0, 1, &one, &one, &one, NULL, &one, &zero, &zero, &value};

    if (!bounds_linear(&problem, &bounds))
        g_test_skip("needs GLPK (libglpk-dev) at build time: no bounds of overload and locality");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bounds/glpk", test_glpk);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/bounds/%s", cases[i].name);

        g_test_add_data_func(g_strdelimit(path, " ,", '-'), &cases[i], test_case);
    }
    return g_test_run();
}
