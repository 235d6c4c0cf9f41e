/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the steps of one placement share; internal to placement*.c. The steps, in the order in
 * which vq_placement_compute() runs them:
 *
 *   prepare   machine and threads as arrays of numbers
 *   admit     which promises can be kept (counting only), who is refused
 *   weigh     each thread's claim on a core
 *   dedicate  an optimal core for each dedicated thread
 *   share     level the others over the cores that are left
 *   write     the plan with its reasons; then its moves in a safe order
 *
 * Loads are integers (millionths of a core) so that comparisons are exact and every search ends.
 */
#pragma once

#include "core/placement.h"

#define VQ_LOAD_UNIT      1000000
#define VQ_CAPACITY_UNIT  1024
#define VQ_LOAD_IDLE      1000 /* an idle thread counts 0.1% when levelling, so idle ones spread */
#define VQ_DISTANCE_MAX   255  /* ACPI SLIT: one byte, 255 = unreachable */
#define VQ_DISTANCE_LOCAL 10

/* A core of which at least one PU is in the pool. */
typedef struct {
    const VqCore *core;
    int node;        /* index into topology->nodes, -1 */
    int cluster;     /* cores that share a last level cache (else a package) have the same number */
    VqCpuset *pus;   /* its PUs in the pool */
    gint64 capacity; /* of 1024 */
    unsigned held;   /* threads pinned by hand that may run on it */
    unsigned guests; /* threads not to be dedicated that are on it now */
    int owner;       /* job it is dedicated to, -1 */
    gint64 load;     /* of the shared threads on it */
    gint64 claim;    /* the same, weighted if the pool is over-committed */
} VqSlot;

/* One thread. */
typedef struct {
    const VqThread *thread;
    guint domain;      /* index into work->domains */
    guint group;       /* index into work->groups */
    int home;          /* slot it is on now (all of its current cpuset), -1 */
    int home_core;     /* the same as index into topology->cores, in the pool or not, -1 */
    int slot;          /* where it goes, -1: the CPUs outside the pool, or as pinned by hand */
    VqPlacement class; /* granted */
    gint64 load, claim;
    guint8 *device; /* distance from each node (by index) to its devices; 0 unknown */
    guint8 *memory; /* ... to the VM's memory */
} VqJob;

/* Threads that serve the same device: they get cores of their own together or not at all. */
typedef struct {
    guint domain;
    const char *disk;
    GArray *jobs; /* of guint */
    bool dedicated, required, running;
    bool holds; /* all of them are alone on a core of their own now: that is a promise kept */
    bool granted;
    char *degraded; /* why not, else NULL */
} VqGroup;

typedef struct {
    const char *name;
    bool running, required_refused;
    guint first, count; /* its jobs */
} VqDomainJobs;

typedef struct {
    const VqPlacementInput *input;
    guint n_nodes, n_cores;
    int *core_of; /* PU OS number -> index into topology->cores, -1; VQ_CPUSET_MAX long */
    int *slot_of; /* index into topology->cores -> slot, -1 */
    VqSlot *slots;
    guint n_slots;
    VqJob *jobs;
    guint n_jobs;
    GArray *groups;    /* of VqGroup */
    GArray *domains;   /* of VqDomainJobs */
    VqCpuset *outside; /* for threads that find no room in the pool */
    guint *clusters;   /* domains x n_clusters: placed threads of the domain in each cluster */
    guint n_clusters;
    gint64 limit;     /* of a core of capacity 1024, in load units */
    gint64 gain;      /* move_gain in load units */
    bool overloaded;  /* more load than the pool's limit: weights count */
    guint8 *distance; /* saved rows of all jobs */
    VqPlan *plan;
} VqWork;

VqWork *vq_work_new(const VqPlacementInput *input);
void vq_work_free(VqWork *work);
void vq_work_weigh(VqWork *work);

#define VQ_WORK_GROUP(work, i)  (&g_array_index((work)->groups, VqGroup, (i)))
#define VQ_WORK_DOMAIN(work, i) (&g_array_index((work)->domains, VqDomainJobs, (i)))

/* placement-admit.c */
void vq_work_admit(VqWork *work);

/* placement-dedicate.c, placement-share.c */
void vq_work_dedicate(VqWork *work);
void vq_work_share(VqWork *work);

/* placement-write.c, placement-moves.c */
void vq_work_write(VqWork *work);
void vq_work_order_moves(VqWork *work);

/*
 * placement-cost.c: THE objective. Everything that compares two places asks here.
 *
 * A cost is a vector compared lexicographically, packed into one integer so that sums compare
 * rightly too (24 bits a field: 4096 threads x 255 need 20).
 */
typedef __int128 VqCost;

VqCost vq_cost_pack(unsigned device, unsigned memory, unsigned slow, unsigned moves);

/* Of a dedicated thread on a slot: device > memory > speed of the core > moves. */
VqCost vq_cost_dedicated(const VqWork *work, const VqJob *job, const VqSlot *slot);

/* What one or two changes of slot would do to the whole; negative is better. */
typedef struct {
    gint64 overload; /* load above the cores' limits */
    int device, memory, scatter;
    __int128 uneven;  /* sum over cores of claim^2 / capacity */
    gint64 imbalance; /* between the two cores; relative claims, load units */
} VqDelta;

/* Of moving @job from slot @from (-1: from nowhere) to @to. */
VqDelta vq_delta_move(const VqWork *work, const VqJob *job, int from, int to);
/* Of two jobs changing places. */
VqDelta vq_delta_swap(const VqWork *work, const VqJob *a, const VqJob *b);

/* < 0 if @a is the better one. */
int vq_delta_compare(const VqDelta *a, const VqDelta *b);

/* Whether to do it; @settled: a thread that runs somewhere already would move. */
bool vq_delta_worthwhile(const VqWork *work, const VqDelta *delta, bool settled);

/* Bookkeeping of any thread, and of a shared thread with its load, on a slot; @sign 1 or -1. */
void vq_cluster_put(VqWork *work, const VqJob *job, int slot, int sign);
void vq_slot_put(VqWork *work, const VqJob *job, int slot, int sign);

/*
 * Minimum-cost assignment of @rows to different @columns (rows <= columns) by shortest augmenting
 * paths, O(rows^2 columns). @result: the column of each row.
 */
typedef VqCost (*VqCostFunc)(guint row, guint column, gpointer user_data);
void vq_assign(guint rows, guint columns, VqCostFunc cost, gpointer user_data, int *result);

/* placement-text.c; free with g_free() */
char *vq_text_device(const char *disk); /* "disk 'vda'", "controller 'scsi0'" */
char *vq_text_reason(const VqWork *work, const VqJob *job);
char *vq_text_alternative(const VqWork *work, const VqJob *job);
char *vq_text_move(const VqWork *work, const VqJob *job);
char *vq_text_no_cores(const VqWork *work, const VqGroup *group, guint needed, guint free);
char *vq_text_no_shared(const VqWork *work, const char *domain, const char *disk);
const char *vq_job_disk(const VqJob *job);

/* Pinned by hand, and to something. */
static inline bool
vq_job_held(const VqJob *job)
{
    return job->thread->held && !vq_cpuset_empty(job->thread->current);
}
