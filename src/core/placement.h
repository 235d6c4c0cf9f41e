/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where each I/O thread runs. One pure function from (machine, pool, threads, where they are now)
 * to a plan; the objective (core/objective.h), in this order:
 *
 *   promises kept (required, dedicated) > no core over its limit while another has room >
 *   locality (device, memory, package, cache) > few cores in use > even load on them > few moves.
 */
#pragma once

#include "core/domain.h"
#include "core/plan.h"
#include "core/topology.h"

typedef struct {
    char *disk;           /* VqDevice name */
    GArray *queues;       /* of unsigned */
    GArray *device_nodes; /* of unsigned, OS numbers; empty if unknown */
} VqServed;

/* One IOThread to be placed. */
typedef struct {
    char *domain;
    char *uuid; /* or NULL */
    unsigned iothread;
    GPtrArray *serves; /* of VqServed; the first one names the thread in plans */
    VqPlacement class; /* wanted: shared or dedicated */
    unsigned weight;
    bool required;
    bool running; /* its domain runs: never refused, only degraded. False: it is about to start */
    double load;  /* share of one core of capacity 1024 that its work takes, polling apart; < 0
                     unknown */
    const char *load_source; /* static text */
    VqCpuset *memory_nodes;  /* OS numbers, empty if unknown */
    VqCpuset *current;       /* where it is pinned now, empty: nowhere in particular */
    bool held;               /* pinned by hand: stays on current, and counts there */
    bool resting;            /* moved a short while ago: stays where it is, unless a promise needs
                              * its core, its core is no longer in the pool, or a core is over its
                              * limit and no other move helps */
} VqThread;

typedef struct {
    double load_limit;   /* a core is full above this share: threads leave it (0.80) */
    double default_load; /* of a thread never measured (0.10) */
    double move_gain;    /* a shared thread stays unless the imbalance shrinks by more (0.10) */
    double pack_below;   /* shared threads give up a core only if the cores that take them in stay
                          * below this share; less than load_limit, so that a core given up is not
                          * needed again at once (0.60); 0: never */
    double smt_gain;     /* what the second PU of a core adds to what the core can take of shared
                          * threads (0.25); a dedicated thread has the core for itself anyway */
    bool spread;         /* use all cores for shared threads instead of as few as do (false) */
} VqPlacementParams;

extern const VqPlacementParams vq_placement_defaults;

typedef struct {
    const VqTopology *topology;
    const VqCpuset *pool;
    const GPtrArray *threads; /* of VqThread, domains in arrival order */
    VqPlacementParams params;
    unsigned max_moves; /* at most so many running shared threads move for load, locality or fewer
                         * cores alone; 0: no limit. Newcomers, threads that give way to a promise
                         * and threads whose core left the pool do not count */
    bool calm;          /* resting threads stay on a core over its limit too */
} VqPlacementInput;

/* Never fails: what cannot be placed is in the plan's refused list or degraded, with its reason. */
VqPlan *vq_placement_compute(const VqPlacementInput *input);

/*
 * The same decision, but only what of it is new: placements that are in @last (the plan in force)
 * with the same CPU and class, and whose threads are where it says, are left out. Writing down
 * reasons and alternatives takes most of the time of a plan in which next to nothing changes.
 */
VqPlan *vq_placement_step(const VqPlacementInput *input, const VqPlan *last);

/*
 * Appends the threads of @domain (running or about to start) to @threads (of VqThread): one for
 * each IOThread that serves a device whose policy places it. Device nodes are looked up in
 * @topology by the source's name; a caller that knows better (live host) passes @device_nodes,
 * else NULL.
 */
typedef GArray *(*VqDeviceNodesFunc)(const VqDevice *device, gpointer user_data);
void vq_placement_add_domain(GPtrArray *threads, const VqDomain *domain, const VqTopology *topology,
                             VqDeviceNodesFunc device_nodes, gpointer user_data);

/* A shared thread of weight 100, load unknown, nowhere in particular, serving nothing. */
VqThread *vq_thread_new(const char *domain, unsigned iothread);
/* Adds a device to what @thread serves, without queues and nodes so far; owned by @thread. */
VqServed *vq_thread_serve(VqThread *thread, const char *disk);
void vq_thread_free(VqThread *thread);

/*
 * Whether @plan keeps every promise on this machine: each dedicated placement alone on its core,
 * siblings included, inside the pool, every thread placed or refused exactly once. The invariant
 * checker of the tests. Error naming the thread and the core.
 */
bool vq_plan_check(const VqPlan *plan, const VqPlacementInput *input, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqThread, vq_thread_free)
