/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private to src/host: the block devices of this host, from sysfs below a root directory. */
#pragma once

#include "core/topology.h"

/*
 * Adds the devices of <root>/sys/block that @topology lacks (stacked ones, which hwloc does not
 * show) and completes nodes and parents of those it has. Devices without size (an unused loop
 * device) are left out.
 */
void vq_host_block_scan(const char *root, VqTopology *topology);
