/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walks on machines that no collection has: one core, 1024 CPUs, asymmetric, hybrid, with nodes
 * without CPUs, eight threads a core. Machines of hwloc's collection:
 * tests/data/test-collection.py. VQ_TEST_SEED chooses another walk.
 */
#include "support/machine.h"
#include "support/walk.h"

#include <stdlib.h>

static void
walk_on(VqTopology *machine, guint count)
{
    const char *text = g_getenv("VQ_TEST_SEED");
    guint32 seed = text ? (guint32)atoi(text) : 1;
    guint placed = 0, dedicated = 0, moves = 0, refused = 0, degraded = 0;

    for (guint i = 0; i < count; i++) {
        g_autoptr(GError) error = NULL;
        g_auto(Walk) walk = {0};

        if (!walk_run(&walk, machine, seed * 1000 + i, WALK_STEPS, &error))
            g_error("seed %u: %s", seed * 1000 + i, error->message);
        placed += walk.placed;
        dedicated += walk.dedicated;
        moves += walk.moves;
        refused += walk.refused;
        degraded += walk.degraded;
    }
    g_test_message("%s: %u cores, %u walks of %u steps: %u threads placed, %u of them dedicated, "
                   "%u degraded, %u VMs refused, %u moves",
                   machine->origin, machine->cores->len, count, WALK_STEPS, placed, dedicated,
                   degraded, refused, moves);
    vq_topology_free(machine);
}

static VqTopology *
named(VqTopology *machine, const char *name)
{
    g_free(machine->origin);
    machine->origin = g_strdup(name);
    return machine;
}

static void
test_one_core(void)
{
    walk_on(named(test_machine(1, 1, 1, 1), "one core"), 10);
    walk_on(named(test_machine(1, 1, 1, 4), "one core of four CPUs"), 10);
}

static void
test_small(void)
{
    walk_on(named(test_machine(1, 1, 2, 1), "two cores"), 20);
    walk_on(named(test_machine(2, 1, 4, 2), "two packages"), 20);
    walk_on(named(test_machine(2, 2, 4, 2), "four nodes"), 20);
}

static void
test_huge(void)
{
    walk_on(named(test_machine(2, 4, 64, 2), "1024 CPUs"), 2);
}

static void
test_smt8(void)
{
    walk_on(named(test_machine(2, 2, 6, 8), "SMT8"), 10);
}

static void
test_hybrid(void)
{
    VqTopology *machine = test_machine(1, 1, 16, 2);
    g_autoptr(VqCpuset) second = vq_cpuset_new();

    /* cores from 8 on are slow and have one CPU */
    for (guint i = 8; i < 16; i++) {
        ((VqCore *)machine->cores->pdata[i])->capacity = 450;
        vq_cpuset_add(second, i + 16);
    }
    walk_on(named(walk_without(machine, second), "hybrid"), 10);
    vq_topology_free(machine);
}

/* The first node has nearly all, the last one a core; and one has memory only. */
static void
test_asymmetric(void)
{
    VqTopology *machine = test_machine(4, 1, 8, 2);
    g_autoptr(VqCpuset) gone = vq_cpuset_parse("9-15,41-47,16-23,48-55,25-31,57-63", NULL);

    walk_on(named(walk_without(machine, gone), "asymmetric, memory-only node"), 10);
    vq_topology_free(machine);
}

/* Whether the first @count threads of @test are all of whole domains: where one ends. */
static bool
ends_domain(const TestCase *test, guint count)
{
    return count == test->threads->len ||
           !g_str_equal(((VqThread *)test->threads->pdata[count - 1])->domain,
                        ((VqThread *)test->threads->pdata[count])->domain);
}

static VqThread *
copy_newcomer(const VqThread *from)
{
    VqThread *thread = vq_thread_new(from->domain, from->iothread);

    for (guint i = 0; i < from->serves->len; i++) {
        const VqServed *served = g_ptr_array_index(from->serves, i);
        VqServed *copy = vq_thread_serve(thread, served->disk);

        g_array_append_vals(copy->queues, served->queues->data, served->queues->len);
        g_array_append_vals(copy->device_nodes, served->device_nodes->data,
                            served->device_nodes->len);
    }
    thread->class = from->class;
    thread->weight = from->weight;
    thread->required = from->required;
    thread->load = from->load;
    vq_cpuset_union(thread->memory_nodes, from->memory_nodes);
    return thread;
}

/* The plan after the domains of @test came one by one, each plan followed before the next. */
static VqPlan *
arrive_one_by_one(const TestCase *test, GHashTable *refused)
{
    g_autoptr(GPtrArray) here = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    VqPlan *plan = vq_plan_new();

    for (guint i = 0; i < test->threads->len; i++) {
        TestCase now = {test->topology, test->pool, here, test->input};

        g_ptr_array_add(here, copy_newcomer(g_ptr_array_index(test->threads, i)));
        if (!ends_domain(test, i + 1))
            continue;
        now.input.threads = here;
        vq_plan_free(plan);
        plan = vq_placement_compute(&now.input);
        for (guint k = 0; k < plan->refused->len; k++)
            g_hash_table_add(refused, g_strdup(((VqRefused *)plan->refused->pdata[k])->domain));
        test_case_follow(&now, plan);
    }
    return plan;
}

/* "Would these domains fit on that machine" is answered by one plan: the same are refused and the
 * same get cores of their own as if they came one after the other. */
static void
test_what_if(void)
{
    guint dedicated = 0, refusals = 0, degraded = 0;

    for (guint32 seed = 0; seed < 1500; seed++) {
        g_autoptr(GRand) random = g_rand_new_with_seed(seed);
        g_autoptr(TestCase) test = test_case_random(random);
        g_autoptr(GPtrArray) fresh = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
        g_autoptr(GHashTable) refused =
            g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        VqPlacementInput input = test->input;

        for (guint i = 0; i < test->threads->len; i++)
            g_ptr_array_add(fresh, copy_newcomer(g_ptr_array_index(test->threads, i)));
        input.threads = fresh;

        g_autoptr(VqPlan) at_once = vq_placement_compute(&input);
        g_autoptr(VqPlan) one_by_one = arrive_one_by_one(test, refused);

        for (guint i = 0; i < fresh->len; i++) {
            const VqThread *t = g_ptr_array_index(fresh, i);
            const VqPlaced *a = vq_plan_find(at_once, t->domain, NULL, t->iothread);
            const VqPlaced *b = vq_plan_find(one_by_one, t->domain, NULL, t->iothread);

            if ((a == NULL) != g_hash_table_contains(refused, t->domain) || !a != !b ||
                (a && a->class != b->class))
                g_error(
                    "seed %u: %s/%u is %s at once, %s one by one", seed, t->domain, t->iothread,
                    a ? (a->class == VQ_PLACEMENT_DEDICATED ? "dedicated" : "shared") : "refused",
                    b ? (b->class == VQ_PLACEMENT_DEDICATED ? "dedicated" : "shared") : "refused");
            refusals += !a;
            dedicated += a && a->class == VQ_PLACEMENT_DEDICATED;
            degraded += a && a->degraded;
        }
    }
    g_test_message("what-if: %u threads dedicated, %u degraded, %u refused alike", dedicated,
                   degraded, refusals);
    g_assert_cmpuint(MIN(MIN(dedicated, degraded), refusals), >, 100);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/walk/one-core", test_one_core);
    g_test_add_func("/walk/small", test_small);
    g_test_add_func("/walk/huge", test_huge);
    g_test_add_func("/walk/smt8", test_smt8);
    g_test_add_func("/walk/hybrid", test_hybrid);
    g_test_add_func("/walk/asymmetric", test_asymmetric);
    g_test_add_func("/walk/what-if", test_what_if);
    return g_test_run();
}
