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
    return g_test_run();
}
