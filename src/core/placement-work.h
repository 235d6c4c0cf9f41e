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

#include "core/objective.h"
#include "core/placement.h"

#define VQ_LOAD_UNIT      1000000
#define VQ_CAPACITY_UNIT  1024
#define VQ_INVERSE_UNIT   (1 << 20)     /* 1/capacity as a whole number */
#define VQ_UNEVEN_UNIT    (1e12 * 1024) /* claim^2/capacity of a full core of capacity 1024 */
#define VQ_LOAD_IDLE      1000 /* an idle thread counts 0.1% when levelling, so idle ones spread */
#define VQ_DISTANCE_MAX   255  /* ACPI SLIT: one byte, 255 = unreachable */
#define VQ_DISTANCE_LOCAL 10

/* A core of which at least one PU is in the pool. */
typedef struct {
    const VqCore *core;
    int node;        /* index into topology->nodes, -1 */
    int cluster;     /* cores that share a last level cache (else a package) have the same number */
    VqCpuset *pus;   /* its PUs in the pool */
    guint package;   /* index into topology->packages */
    gint64 speed;    /* of one PU, of 1024: what a dedicated thread has */
    gint64 capacity; /* of 1024: what shared threads have; above it where two PUs are better */
    gint64 limit;    /* load above this is overload, load units */
    gint64 inverse;  /* VQ_INVERSE_UNIT / capacity */
    unsigned held;   /* threads pinned by hand that may run on it */
    unsigned guests; /* threads not to be dedicated that are on it now */
    gint64 before;   /* load of the shared threads that are on it now; the same */
    guint present;   /* threads that end up on it, of any kind; known when the plan is written */
    guint shared;    /* shared threads placed on it, those pinned by hand apart */
    int owner;       /* job it is dedicated to, -1 */
    gint64 load;     /* of the shared threads on it */
    gint64 claim;    /* the same, weighted if the pool is over-committed */
} VqSlot;

/* One thread. */
typedef struct {
    const VqThread *thread;
    guint domain;       /* index into work->domains */
    guint group;        /* index into work->groups */
    int home;           /* slot it is on now (all of its current cpuset), -1 */
    int home_pu;        /* the one PU it is pinned to now, -1 */
    int home_core;      /* the same as index into topology->cores, in the pool or not, -1 */
    int slot;           /* where it goes, -1: the CPUs outside the pool, or as pinned by hand */
    bool changed;       /* it is to be pinned to something else than now */
    const char *reason; /* why there; the plan's */
    int pu;             /* ... of its PUs, -1: several */
    VqPlacement class;  /* granted */
    gint64 load, claim;
    guint profile;        /* threads with the same distances have the same number */
    const guint8 *device; /* distance from each node (by index) to its devices; 0 unknown */
    const guint8 *memory; /* ... to the VM's memory */
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
    guint placed;       /* of them, on a slot */
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
    guint *packages; /* domains x n_packages: the same for packages */
    guint n_packages;
    gint64 limit;        /* of a core of capacity 1024, in load units */
    gint64 gain;         /* move_gain in load units */
    VqSquare uneven_min; /* levelling by less only takes time */
    bool overloaded;     /* more load than the pool's limit: weights count */
    guint8 *profiles;    /* for each profile a row of device, then one of memory distances */
    guint n_profiles;
    VqPlan *plan;
} VqWork;

VqWork *vq_work_new(const VqPlacementInput *input);
void vq_work_free(VqWork *work);
void vq_work_weigh(VqWork *work);

static inline const guint8 *
vq_work_profile(const VqWork *work, guint profile)
{
    return work->profiles + (gsize)profile * work->n_nodes * 2;
}

#define VQ_WORK_GROUP(work, i)  (&g_array_index((work)->groups, VqGroup, (i)))
#define VQ_WORK_DOMAIN(work, i) (&g_array_index((work)->domains, VqDomainJobs, (i)))

/* placement-admit.c */
void vq_work_admit(VqWork *work);

/* placement-dedicate.c, placement-share.c */
void vq_work_dedicate(VqWork *work);
void vq_work_share(VqWork *work);

/* placement-write.c, placement-moves.c */
/* @last: what is like in that plan is left out; NULL: nothing is. */
void vq_work_write(VqWork *work, const VqPlan *last);
void vq_work_order_moves(VqWork *work);

/*
 * The terms of the objective: of one thread on a core, of one core with its load. objective.c sums
 * them up over a plan, placement-cost.c takes differences; there is no other definition.
 */
static inline int
vq_term_distance(const guint8 *row, const VqSlot *slot)
{
    return slot->node >= 0 ? row[slot->node] : 0;
}

static inline int
vq_term_slow(const VqSlot *slot)
{
    return (int)(VQ_CAPACITY_UNIT - slot->speed);
}

static inline int
vq_term_moved(const VqJob *job, int slot)
{
    return job->home_core >= 0 && (slot < 0 || slot != job->home);
}

static inline gint64
vq_term_overload(const VqSlot *slot, gint64 more)
{
    return MAX(slot->load + more - slot->limit, 0);
}

/* A core on which a thread is pinned by hand is in use whatever else happens. */
static inline int
vq_term_in_use(const VqWork *work, const VqSlot *slot, int more)
{
    return !work->input->params.spread && (slot->held > 0 || (int)slot->shared + more > 0);
}

static inline VqSquare
vq_term_uneven(const VqSlot *slot, gint64 more)
{
    VqSquare claim = slot->claim + more;

    return claim * claim * slot->inverse;
}

/* Claim on a core relative to its capacity. */
static inline gint64
vq_slot_relative(const VqSlot *slot, gint64 more)
{
    return (slot->claim + more) * slot->inverse / VQ_CAPACITY_UNIT;
}

/* objective.c: of the work as it stands. */
void vq_work_objective(const VqWork *work, VqObjective *out);

/*
 * placement-cost.c: what a change of place does to the objective.
 *
 * The cost of a dedicated thread is a vector compared lexicographically, packed into one integer
 * so that sums compare rightly too (24 bits a field: 4096 threads x 255 need 20).
 */
typedef __int128 VqCost;

VqCost vq_cost_pack(unsigned unrest, unsigned device, unsigned memory, unsigned slow,
                    unsigned moves);

/* Of a dedicated thread on a slot: stay if resting > device > memory > speed of the core > moves.
 */
VqCost vq_cost_dedicated(const VqWork *work, const VqJob *job, const VqSlot *slot);

/* What one or two changes of slot would do to the whole; negative is better. */
typedef struct {
    VqObjective sum;  /* objective after the change less that before */
    gint64 imbalance; /* between the two cores; relative claims, load units */
} VqDelta;

/* Of moving @job from slot @from (-1: from nowhere) to @to. */
VqDelta vq_delta_move(const VqWork *work, const VqJob *job, int from, int to);
/* Of two jobs changing places. */
VqDelta vq_delta_swap(const VqWork *work, const VqJob *a, const VqJob *b);

/* Whether to do it; @settled: a thread that runs somewhere already would move. */
bool vq_delta_worthwhile(const VqWork *work, const VqDelta *delta, bool settled);

/* Bookkeeping of any thread, and of a shared thread with its load, on a slot; @sign 1 or -1. */
void vq_cluster_put(VqWork *work, const VqJob *job, int slot, int sign);
void vq_slot_put(VqWork *work, const VqJob *job, int slot, int sign);
/* A thread pinned by hand loads the cores it may run on evenly. */
void vq_slot_put_held(VqWork *work, VqJob *job);

/* placement-assign.c: how many of each kind go to each class, at least cost; as many columns as
 * rows at least. Matrices are row-major, kinds x classes. */
typedef struct {
    guint kinds, classes;
    const guint *supply;   /* rows of each kind */
    const guint *capacity; /* columns of each class */
    const VqCost *cost;    /* of a row in a column */
    guint *flow;           /* result */
} VqTransport;

void vq_transport(const VqTransport *transport);

/* placement-text.c; free with g_free() */
char *vq_text_device(const char *disk); /* "disk 'vda'", "controller 'scsi0'" */
char *vq_text_reason(const VqWork *work, const VqJob *job);
char *vq_text_alternative(const VqWork *work, const VqJob *job, int other); /* slot, -1 none */
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
