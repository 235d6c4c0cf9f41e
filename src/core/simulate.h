/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * VMs that arrive, do I/O and leave, on simulated hosts, in virtual time: what a policy of placing
 * I/O threads would have made of it. Our own policy is the daemon's code (core/placement.h,
 * core/rebalance.h). Deterministic: the same input gives the same numbers on every machine.
 *
 * A trace says what comes (read from text, or generated); a run plays it on hosts under one policy.
 * docs/simulation.md has the model, the format and the definition of each number.
 */
#pragma once

#include "core/placement.h"

/* Limits of a trace; an input beyond them is refused. */
#define VQ_SIM_TEXT_MAX    (64 * 1024 * 1024) /* bytes */
#define VQ_SIM_FLAVORS_MAX 256
#define VQ_SIM_DISKS_MAX   26
#define VQ_SIM_THREADS_MAX 1024    /* of one flavor */
#define VQ_SIM_EVENTS_MAX  4000000 /* 1000 hosts for a week */
#define VQ_SIM_VCPUS_MAX   4096
#define VQ_SIM_HOSTS_MAX   20000
#define VQ_SIM_TIME_MAX    (366 * G_GINT64_CONSTANT(86400000)) /* ms */

typedef struct {
    char *target;
    unsigned queues, iothreads, weight;
    VqPlacement placement; /* shared or dedicated */
    bool required;
    double load;  /* share of a full-speed core that one queue takes in the mean */
    char *device; /* block device of the machine; NULL: one on a node drawn for the VM */
} VqSimDisk;

typedef struct {
    char *name;
    double share; /* of arrivals, relative to the other flavors' */
    unsigned vcpus;
    guint64 memory;   /* bytes */
    GPtrArray *disks; /* of VqSimDisk */
} VqSimFlavor;

typedef struct {
    char *name;
    guint flavor; /* index into flavors */
    int node;     /* number of the NUMA node of its memory and disks; -1: drawn */
} VqSimVm;

typedef enum {
    VQ_SIM_ARRIVE,
    VQ_SIM_DEPART,
    VQ_SIM_LOAD, /* a queue's load is this from now on, instead of the model's */
} VqSimEventKind;

typedef struct {
    gint64 time; /* ms of virtual time */
    VqSimEventKind kind;
    guint vm;    /* index into vms */
    guint disk;  /* of its flavor (load) */
    int queue;   /* -1: each queue of the disk (load) */
    double load; /* (load) */
} VqSimEvent;

typedef struct {
    GPtrArray *flavors; /* of VqSimFlavor */
    GPtrArray *vms;     /* of VqSimVm */
    GArray *events;     /* of VqSimEvent; times never fall */
} VqSimTrace;

VqSimTrace *vq_sim_trace_new(void);
void vq_sim_trace_free(VqSimTrace *trace);

/*
 * Reads the text format. Flavors that it does not define are looked up in @known, which may be
 * NULL. Error: every problem with line, field, value and limit.
 */
VqSimTrace *vq_sim_trace_read(const char *text, gsize length, const VqSimTrace *known,
                              GError **error);
/* The inverse: reading it gives the same trace. Free with g_free(). */
char *vq_sim_trace_write(const VqSimTrace *trace);

/* "90", "1.5h", "2d": seconds without a unit; into milliseconds, 0..VQ_SIM_TIME_MAX. */
bool vq_sim_time_parse(const char *text, gint64 *ms);

/* Flavors to begin with, as text. An assumption, not a measurement. */
extern const char vq_sim_flavors_text[];

/* What generated VMs are like. */
typedef struct {
    guint64 seed;
    gint64 end;            /* ms */
    double vms;            /* mean number of running VMs, all hosts together */
    double lifetime_hours; /* mean */
    double lifetime_sigma; /* of the lognormal distribution */
} VqSimArrivals;

extern const VqSimArrivals vq_sim_arrivals_defaults;

/*
 * Fills @trace, which has flavors and nothing else, with the VMs of a system in equilibrium: those
 * that run at time 0, and Poisson arrivals. VQ_ERROR_LIMIT: too many.
 */
bool vq_sim_generate(VqSimTrace *trace, const VqSimArrivals *arrivals, GError **error);

/* How a VM's load varies. */
typedef struct {
    double day;          /* amplitude of the daily wave, 0..1 */
    double peak_hour;    /* when it is highest */
    double vm_sigma;     /* lognormal, of a VM for its life */
    double noise_sigma;  /* lognormal, of a queue for a while */
    gint64 noise_period; /* ms: that while */
} VqSimLoadModel;

extern const VqSimLoadModel vq_sim_load_defaults;

typedef enum {
    VQ_SIM_OURS,        /* the daemon's */
    VQ_SIM_FIRST_FIT,   /* first core with room, for good */
    VQ_SIM_ROUND_ROBIN, /* the next core each time, for good */
    VQ_SIM_NONE,        /* no pins: an ideal kernel scheduler over the pool's cores */
    VQ_SIM_ORACLE,      /* solved from nothing at every step; moves cost nothing */
} VqSimPolicy;

#define VQ_SIM_POLICIES 5
extern const VqEnumEntry vq_sim_policy_names[];

/* Where a fleet's scheduler puts a VM among the hosts that have room. */
typedef enum {
    VQ_SIM_SPREAD, /* most free vCPUs first */
    VQ_SIM_PACK,   /* fewest free vCPUs first */
} VqSimWeigher;

extern const VqEnumEntry vq_sim_weigher_names[];

/* Every plan that was followed, before it is; for tests. */
typedef void (*VqSimPlanFunc)(const VqPlan *plan, const VqPlacementInput *input,
                              gpointer user_data);

typedef struct {
    const VqTopology *topology; /* of every host */
    const VqCpuset *pool;
    guint hosts;
    double vcpu_ratio; /* vCPUs a host may have for each PU outside its pool; 0: any number */
    guint64 memory;    /* bytes that a host has for VMs; 0: no limit */
    VqSimWeigher weigher;
    VqSimLoadModel load;
    VqPlacementParams params;
    guint64 seed;
    gint64 step;           /* ms between looks at the load */
    gint64 end;            /* ms */
    bool counters;         /* work is counted apart, as a patched QEMU can, not as CPU time */
    gint64 plan_time;      /* ms: keep the first host's plan of this time; < 0: none */
    bool samples;          /* keep a row for each step */
    gint64 (*clock)(void); /* ns, to time decisions; NULL: not timed */
    VqSimPlanFunc watch;   /* or NULL */
    gpointer watch_data;
} VqSimInput;

/* Why VMs were refused: the first of these filters that left no host. */
typedef enum {
    VQ_SIM_NO_VCPUS,
    VQ_SIM_NO_MEMORY,
    VQ_SIM_NO_CORES, /* a promise with required=yes cannot be kept */
} VqSimRefusal;

#define VQ_SIM_REFUSALS 3
extern const VqEnumEntry vq_sim_refusal_names[];

/* One row of a plot: all hosts together, at a step. */
typedef struct {
    gint64 time; /* ms */
    guint vms;
    double demand, served; /* full-speed cores */
    guint cores;           /* in use */
    double busiest;        /* load of the busiest core, 0..1 */
    guint64 moves;         /* so far */
    double over;           /* share of shared threads on a core above the limit */
    double remote;         /* share of work away from its device's node */
} VqSimSample;

typedef struct {
    VqSimPolicy policy;
    guint64 arrived, admitted, departed, running; /* VMs; running: at the end */
    guint64 refused[VQ_SIM_REFUSALS];
    char *refusal[VQ_SIM_REFUSALS]; /* the first one's text, or NULL */
    double vm_hours, thread_hours;
    double vcpus_used; /* share of the hosts' vCPUs, in the mean; 0 without limit */
    double load_p50, load_p90, load_p99, load_max; /* of cores in use, over time, 0..1 */
    double cores_mean;                             /* in use, of one host */
    guint cores_max;                               /* in use on one host */
    double idle;           /* share of the pool's capacity that did nothing */
    double over_limit;     /* share of shared threads' time on cores above the limit */
    double lost;           /* share of the work asked for that was not done in time */
    double remote;         /* share of the work away from its device's node */
    double fragmented;     /* share of threads' time away from a node that had room for them */
    double degraded;       /* share of dedicated threads' time without a core of their own */
    double outside;        /* share of threads' time on CPUs outside the pool */
    guint64 moves;         /* running threads that changed core */
    double moves_per_hour; /* of one host */
    gint64 shortest_rest;  /* ms between two moves of one thread; -1: none moved twice */
    guint64 decisions;     /* placements computed */
    double decision_us_mean, decision_us_max; /* only with clock */
    GArray *samples;                          /* of VqSimSample */
    VqPlan *plan;                             /* at plan_time, or NULL */
} VqSimResult;

/* Plays the trace from 0 to @input->end. VQ_ERROR_INVALID: a node or device the machine lacks. */
VqSimResult *vq_sim_run(const VqSimTrace *trace, const VqSimInput *input, VqSimPolicy policy,
                        GError **error);
void vq_sim_result_free(VqSimResult *result);

/* a{sv}, floating; keys as documented for virtq simulate. */
GVariant *vq_sim_result_to_variant(const VqSimResult *result);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqSimTrace, vq_sim_trace_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqSimResult, vq_sim_result_free)
