/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hwloc -> VqTopology. Partners: topology-hwloc.c (hwloc), block.c (sysfs below a root directory).
 */
#pragma once

#include "core/topology.h"

/* The machine we run on. @root is "/" but for tests. */
VqTopology *vq_host_topology_live(const char *root, GError **error);

/* From an hwloc XML file's text, or a synthetic description ("pack:2 numa:1 core:8 pu:2"). */
VqTopology *vq_host_topology_xml(const char *text, gsize length, const char *origin,
                                 GError **error);
VqTopology *vq_host_topology_synthetic(const char *description, GError **error);

/* As the user gives it: the name of an hwloc XML file if there is such a file, else synthetic. */
VqTopology *vq_host_topology_input(const char *argument, GError **error);

/*
 * NUMA nodes (of unsigned, OS numbers) of the device behind the host path @path: symbolic links,
 * partition, dm, md, loop, file -> file system -> device, multipath head -> paths. Empty if
 * unknown. @root is "/" but for tests. Blocks no longer than stat(2) of the path does.
 */
GArray *vq_host_block_nodes(const char *root, const char *path);

/* The chain of names followed for it ("vm.img", "dm-0", "nvme0n1"), for explanations. */
GPtrArray *vq_host_block_chain(const char *root, const char *path);
