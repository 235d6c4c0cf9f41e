/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The picture of a host: packages, NUMA nodes, cores, block devices, and on the I/O cores the
 * threads with their disks and queues. Every placement of the plan appears exactly once.
 */
#pragma once

#include "core/plan.h"
#include "core/topology.h"

/* Pure. @pool_reason: see VqPool. Free with g_free(). */
char *vq_picture_svg(const VqTopology *topology, const VqCpuset *pool, const char *pool_reason,
                     const VqPlan *plan);
