/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A walk: some days of a host in steps, on any machine. VMs come and go, loads change, CPUs go
 * offline, are drained and come back, the pool changes, an administrator pins by hand; after each
 * step a plan is made and followed. Deterministic by seed; every step is checked, and what went
 * wrong is told with all steps before it.
 */
#pragma once

#include "core/placement.h"
#include "core/pool.h"

#define WALK_STEPS 40

typedef struct {
    const VqTopology *full; /* all CPUs online, nothing restricted */
    VqTopology *now;
    VqCpuset *offline, *restricted; /* CPUs taken away */
    VqCpuset *drained, *configured; /* configured: empty if the pool is a share */
    unsigned share;
    VqPool *pool;
    GPtrArray *threads; /* of VqThread */
    VqPlacementInput input;
    GRand *random;
    guint arrivals;
    GString *trail;
    GHashTable *holding; /* "domain/disk" that had its cores after the last step */
    guint placed, dedicated, moves, refused, degraded; /* sums over all steps, for the report */
} Walk;

/*
 * Walks @steps steps. False with the first invariant broken and the trail in @error; @walk tells
 * how far it came, and is to be cleared in any case.
 */
bool walk_run(Walk *walk, const VqTopology *machine, guint32 seed, guint steps, GError **error);
void walk_clear(Walk *walk);

/* walk-machine.c: @machine without the CPUs of @gone, which must leave one. */
VqTopology *walk_without(const VqTopology *machine, const VqCpuset *gone);

/*
 * walk-check.c: whether @plan is right for what @walk has now, before it is followed. Written from
 * the promises; vq_plan_check(), which it calls first, is a second opinion.
 */
bool walk_check(const Walk *walk, const VqPlan *plan, GError **error);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Walk, walk_clear)
