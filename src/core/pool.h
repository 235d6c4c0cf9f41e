/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which CPUs serve I/O: given by the administrator, else the kernel's isolated CPUs, else a share
 * of the host. Never all cores.
 */
#pragma once

#include "core/topology.h"

#define VQ_POOL_SHARE_DEFAULT 25 /* per cent of the host's cores, at least one, never all */

typedef struct {
    const VqCpuset *cpus;    /* configured, or NULL */
    unsigned share;          /* per cent, 1..90 */
    const VqCpuset *drained; /* taken out for maintenance, or NULL */
    bool
        hotplug; /* the machine changed under a pool that was accepted: what it lacks is left out */
} VqPoolRequest;

typedef struct {
    VqCpuset *cpus; /* usable PUs of the pool, drained and offline ones left out; may be empty */
    const char *source; /* "configured", "isolated", "share" or "none": static text, for programs */
    char *reason; /* "configured", "isolated by the kernel", "25% of 16 cores: ...": for people */
} VqPool;

/*
 * Configured CPUs that are offline are left out, with the reason. Errors: VQ_ERROR_INVALID, the
 * host has no such CPU, or none is given; VQ_ERROR_CONFLICT, all are; VQ_ERROR_LIMIT, the share.
 * A host of one core has an empty pool, with the reason.
 */
VqPool *vq_pool_choose(const VqTopology *topology, const VqPoolRequest *request, GError **error);
void vq_pool_free(VqPool *pool);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqPool, vq_pool_free)
