/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private to src/host: a loaded hwloc topology -> VqTopology. Partner: topology-hwloc.c loads. */
#pragma once

#include "core/topology.h"

#include <hwloc.h>

/* More are taken for a mistake: Linux ends at 1024 nodes (MAX_NUMNODES), and 8192 CPUs. */
#define VQ_TOPOLOGY_NODES_MAX 1024
#define VQ_TOPOLOGY_PUS_MAX   VQ_CPUSET_MAX

/* Everything but what is isolated. Errors VQ_ERROR_LIMIT, VQ_ERROR_INVALID, naming the object. */
VqTopology *vq_topology_convert(hwloc_topology_t from, const char *origin, GError **error);
