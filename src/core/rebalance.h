/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When threads move for load: how loaded each thread is, whether a placement step is called for,
 * and which threads rest meanwhile. Where they move is placement's business.
 *
 * A round of whoever uses it (daemon, simulator), `now` in microseconds of any clock that only
 * goes forward:
 *
 *   vq_rebalance_sample()    for each thread, as often as its source's pace says
 *   vq_rebalance_event()     when threads came or went, the pool changed, or somebody asked
 *   vq_rebalance_tick()      -> VQ_STEP_NONE: nothing to do; again after a step that moved nobody
 *   vq_rebalance_prepare()   loads and resting into the threads; max_moves and calm
 *   vq_placement_compute()
 *   vq_rebalance_follow()    the plan is in force
 *
 * Guarantees: of the moves that are for load or locality alone (what `resting` and `max_moves` of
 * core/placement.h govern), no thread makes two within its cool-down, and no step makes more than
 * step_moves; a core above its limit for the sustain time is acted on in the first tick after it.
 */
#pragma once

#include "base/keyfile.h"
#include "core/placement.h"

/* Where a thread's work is known from. */
typedef enum {
    VQ_WORK_CPU_TIME, /* CPU time of a thread that sleeps when it has nothing to do */
    VQ_WORK_COUNTERS, /* time serving requests, counted apart from polling: fast and exact */
    VQ_WORK_POLLED,   /* CPU time of a thread that polls: says nothing of work */
} VqWorkSource;

/* What of the numbers depends on how fast and how exact a source is. Microseconds. */
typedef struct {
    gint64 sample_us;   /* between two samples, which is also a tick */
    gint64 sustain_us;  /* load is the mean over this long; an overload lasts this long */
    gint64 cooldown_us; /* a thread that moved stays for this long */
} VqPace;

/* Each is a key of the same name in [rebalance] of virtqueued.conf, where its reason stands. */
typedef struct {
    VqPace slow; /* CPU time: sample_ms, sustain_ms, cooldown_ms */
    VqPace fast; /* counters: fast_sample_ms, fast_sustain_ms, fast_cooldown_ms */
    gint64 pack_sustain_us;
    gint64 peak_us;
    gint64 remember_us;
    gint64 retry_us;
    unsigned cooldown_growth;
    unsigned step_moves; /* 0: nothing moves for load */
    double clear_gap;    /* share of a core */
} VqRebalanceParams;

/* As @file says; of NULL the defaults. */
VqRebalanceParams vq_rebalance_params(const VqKeyFile *file);
/* Of the parts of @params that which belongs to @source. */
const VqPace *vq_rebalance_pace(const VqRebalanceParams *params, VqWorkSource source);

/* Why a step is called for. */
typedef enum {
    VQ_STEP_NONE,     /* it is not: shared threads that run stay */
    VQ_STEP_EVENT,    /* threads came or went, the pool changed, somebody asked */
    VQ_STEP_OVERLOAD, /* a core was above its limit for as long as the sustain time */
    VQ_STEP_PACK,     /* a core could be given up for pack_sustain */
    VQ_STEP_MORE,     /* the last step had more to do than step_moves */
} VqStep;

typedef struct _VqRebalance VqRebalance;
typedef struct _VqTracked VqTracked; /* one thread */

VqRebalance *vq_rebalance_new(const VqRebalanceParams *params, const VqPlacementParams *placement);
/* Other numbers; what was measured stays. */
void vq_rebalance_configure(VqRebalance *rebalance, const VqRebalanceParams *params,
                            const VqPlacementParams *placement);
void vq_rebalance_free(VqRebalance *rebalance);

/* The thread called so, made if it is not known. Valid until forget() or a follow() without it. */
VqTracked *vq_rebalance_thread(VqRebalance *rebalance, const char *domain, unsigned iothread);
/* A domain ended or was started anew. Unknown ones are no error. */
void vq_rebalance_forget(VqRebalance *rebalance, const char *domain);

/*
 * @work_ns: since any moment, only growing; smaller than before, or from another source: the
 * thread is measured anew. On a slow core (capacity below 1024) work counts for less.
 */
void vq_rebalance_sample(VqRebalance *rebalance, VqTracked *thread, gint64 now, guint64 work_ns,
                         VqWorkSource source);

/* Mean share of a core of capacity 1024 over the sustain time; -1: measured for less long. */
double vq_tracked_load(const VqTracked *thread);
/* The highest of late: vq_tracked_load() or what is left of a peak after decay; -1 as above. */
double vq_tracked_peak(const VqTracked *thread);

/* The next tick is to find VQ_STEP_EVENT. */
void vq_rebalance_event(VqRebalance *rebalance);

/* Whether to place now, and why: for people, g_free(); may be NULL. Cost: linear in threads. */
VqStep vq_rebalance_tick(VqRebalance *rebalance, gint64 now, char **why);

/*
 * For a placement because of @step: sets max_moves and calm of @input, and load, load_source and
 * resting of @threads (of VqThread), those of @input. Changes nothing in @rebalance.
 */
void vq_rebalance_prepare(const VqRebalance *rebalance, VqPlacementInput *input, GPtrArray *threads,
                          VqStep step, gint64 now);

/*
 * @plan, made of @input because of @step, is where threads are from now on. Who changed core begins
 * its cool-down; threads that are not in the plan are forgotten.
 */
void vq_rebalance_follow(VqRebalance *rebalance, const VqPlan *plan, const VqPlacementInput *input,
                         VqStep step, gint64 now);

/* Whether @thread moved for load less than its cool-down ago. */
bool vq_tracked_rests(const VqTracked *thread, gint64 now);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqRebalance, vq_rebalance_free)
