/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The search for shared threads; internal to placement-share.c and the files of its steps. Cores
 * that differ in nothing but what is on them form a zone, ordered by what is on them: of all the
 * cores of a zone only the lightest, the roomiest and one empty core can be the best place for a
 * thread, so that a step looks at zones, not at cores.
 */
#pragma once

#include "core/placement-work.h"

/* What settled threads may move for, one after the other: what matters most has the first claim on
 * max_moves. */
typedef enum {
    VQ_STAGE_OVERLOAD,
    VQ_STAGE_LOCALITY,
    VQ_STAGE_PACK,
    VQ_STAGE_EVEN,
    VQ_STAGE_RESTING, /* overload again, now those that rest as well */
    VQ_STAGES
} VqStage;

typedef struct {
    int node, cluster;
    guint package;
    gint64 capacity;
    guint *used;  /* open slots in use (with params.spread: all), the lightest first */
    guint *empty; /* the others, ascending */
    guint n_used, n_empty;
    guint *profiles; /* shared threads on it, by profile */
} VqZone;

typedef struct {
    VqWork *work;
    GArray *jobs; /* of guint: the threads, heaviest first */
    VqZone *zones;
    guint n_zones;
    int *zone_of;   /* slot -> zone, -1: not open to shared threads */
    int *first;     /* slot -> the lightest job on it, -1 */
    int *before;    /* job -> the one before it, -1 */
    int *next;      /* job -> the next one on its slot in order of claims, -1 */
    guint *fresh;   /* slot -> threads on it that are not settled */
    guint *nearest; /* profile -> least distance to any zone */
    guint *floor;   /* job -> it leaves nearer nodes to others for now (placement-spill.c) */
    guint *scratch; /* for twice all jobs */
    gint8 *neutral; /* by zone: placement-swap.c */
    guint *memory;  /* what zones and lists are made of */
    gint64 lowest;  /* relative claim on the lightest core in use */
    int closing;    /* slot half given up for now (max_moves), -1: nobody goes there */
    bool room;      /* some core has room below its limit, as of the beginning of the pass */
    gint64 fastest; /* capacity of the fastest empty core */
    guint passes;   /* so far; after PASSES_MAX newcomers are treated as settled */
    guint moved;    /* settled threads away from home: bounded by max_moves */
    VqStage stage;
} VqShare;

/* placement-zones.c */
void vq_share_open(VqShare *share, VqWork *work);
void vq_share_close(VqShare *share);
/* Brings all settled threads of share->jobs, which have no place yet, to where they are. */
void vq_share_settle(VqShare *share);
/* Brings a job to @slot, -1: to nowhere. */
void vq_share_put(VqShare *share, guint job, int slot);
/* Device and memory distance of a profile to a node as one number that orders as they do. */
guint vq_share_distance(const VqShare *share, guint profile, int node);

/* Runs in the pool already, on a core that is still open: to be moved with a reason only. */
static inline bool
vq_share_settled(const VqShare *share, const VqJob *job)
{
    return job->home >= 0 && share->zone_of[job->home] >= 0;
}

/* Passes in which newcomers change places for any gain: the first ones gain nearly all, and what is
 * left is no more than what settled threads would not move for either. */
#define VQ_PASSES_MAX  8
#define VQ_PASSES_MANY 256 /* threads; with fewer there is no such limit */

/* Moves only with a reason that is worth it. */
static inline bool
vq_share_stays(const VqShare *share, const VqJob *job)
{
    return vq_share_settled(share, job) || share->passes > VQ_PASSES_MAX;
}

/* Whether the present stage, rest and max_moves let @job go to @slot for @delta. */
bool vq_share_may_go(const VqShare *share, const VqJob *job, int slot, const VqDelta *delta);

/* The best slot for @job but the one it is on, be it better or not; -1 if there is none. */
int vq_share_best(const VqShare *share, const VqJob *job);

/* placement-spill.c: sets the floor of each job that has no place yet. */
void vq_share_find_spill(VqShare *share);

/* One pass of each kind over all threads; whether anything changed. */
bool vq_share_pass_moves(VqShare *share); /* placement-share.c */
bool vq_share_pass_swaps(VqShare *share); /* placement-swap.c: threads of two cores change places */
bool vq_share_pass_pack(VqShare *share);  /* placement-pack.c: a core is given up */
bool vq_share_pass_exact(VqShare *share); /* placement-exact.c: newcomers, all at once */
