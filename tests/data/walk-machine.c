/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * usage: walk-machine SEED [MACHINE]
 *
 * A walk (tests/support/walk.h) on an hwloc XML file or synthetic machine, or without one on what
 * hwloc makes of this host and its environment variables: sysfs and cpuid dumps. Prints one line
 * of figures; exit status 1 with the reason if an invariant is broken.
 */
#include "support/walk.h"

#include "host/topology.h"

#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VqTopology) machine = NULL;
    g_auto(Walk) walk = {0};

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: %s SEED [MACHINE]\n", argv[0]);
        return 2;
    }
    machine =
        argc == 3 ? vq_host_topology_input(argv[2], &error) : vq_host_topology_live("/", &error);
    if (!machine || !walk_run(&walk, machine, (guint32)atoi(argv[1]), WALK_STEPS, &error)) {
        fprintf(stderr, "%s\n", error->message);
        return 1;
    }
    printf("%u cores, %u CPUs usable, %u nodes: %u steps, %u threads placed, %u dedicated, %u "
           "degraded, %u VMs refused, %u moves\n",
           machine->cores->len, vq_cpuset_count(machine->usable), machine->nodes->len, WALK_STEPS,
           walk.placed, walk.dedicated, walk.degraded, walk.refused, walk.moves);
    return 0;
}
