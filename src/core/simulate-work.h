/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the parts of the simulator share; internal to simulate*.c.
 *
 *   simulate-trace, -flavors, -generate   what comes
 *   simulate.c                            the clock: events, the fleet's scheduler, steps
 *   simulate-host                         VMs on a host as threads, and the load they ask for
 *   simulate-policy, -rebalance           where the threads go
 *   simulate-account, -result             what came of it
 */
#pragma once

#include "core/chance.h"
#include "core/simulate.h"

VqSimDisk *vq_sim_disk_new(const char *target);
void vq_sim_disk_free(VqSimDisk *disk);
VqSimFlavor *vq_sim_flavor_new(const char *name);
VqSimFlavor *vq_sim_flavor_copy(const VqSimFlavor *flavor);
void vq_sim_flavor_free(VqSimFlavor *flavor);
const VqSimDisk *vq_sim_flavor_disk(const VqSimFlavor *flavor, const char *target, guint *index);
void vq_sim_vm_free(VqSimVm *vm);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqSimDisk, vq_sim_disk_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqSimVm, vq_sim_vm_free)

/* A core of the pool; the same on every host. */
typedef struct {
    const VqCore *core;
    int node;        /* OS number, -1 unknown */
    double speed;    /* of one thread on it; 1: the fastest kind of core */
    double capacity; /* of shared threads together: more, with two PUs in the pool */
} VqSimSlot;

#define VQ_SIM_NOWHERE (-2) /* not placed yet */
#define VQ_SIM_OUTSIDE (-1) /* on the CPUs outside the pool; with VQ_SIM_NONE, not pinned */

/* Beside each VqThread of a host. */
typedef struct {
    guint vm;
    guint disk; /* of its flavor */
    const VqSimDisk *policy;
    guint64 key;   /* of its VM, for chance */
    double *given; /* of each queue of the thread, < 0: as the model says; NULL: all of them */
    double level;  /* load without the daily wave, until noise_end */
    gint64 noise_end;
    double demand, served;      /* share of a full-speed core, in this step */
    int cpu;                    /* that it is pinned to, -1: none or several */
    struct _VqTracked *tracked; /* of the host's rebalance; NULL: not yet */
    guint64 work;               /* ns of CPU time since its start */
    int slot;
    bool own;     /* has a core of its own */
    gint64 moved; /* ms, -1: never */
} VqSimThread;

typedef struct {
    GPtrArray *threads; /* of VqThread, domains in arrival order */
    GArray *states;     /* of VqSimThread, one for each of them */
    guint vms, vcpus;
    guint64 memory;
    guint next;                     /* slot after the last one given (round robin) */
    struct _VqRebalance *rebalance; /* ours only, else NULL */
} VqSimHost;

typedef struct {
    const VqSimTrace *trace;
    const VqSimInput *input;
    VqSimPolicy policy;
    gint64 now;
    VqSimSlot *slots;
    guint n_slots;
    double capacity; /* of all slots */
    int *slot_of;    /* logical core -> slot, -1 */
    guint n_logical;
    GArray *nodes;    /* of unsigned: OS numbers of nodes with CPUs */
    VqSimHost *hosts; /* input->hosts of them */
    int *where;       /* VM -> host, -1 */
    guint vcpus;      /* that a host may have; G_MAXUINT: no limit */
    VqSimResult *result;
    struct _VqSimAccount *account;
} VqSimRun;

#define VQ_SIM_STATE(host, i) (&g_array_index((host)->states, VqSimThread, (i)))

static inline const VqSimFlavor *
vq_sim_flavor_of(const VqSimRun *run, guint vm)
{
    const VqSimVm *v = g_ptr_array_index(run->trace->vms, vm);

    return g_ptr_array_index(run->trace->flavors, v->flavor);
}

/* simulate-host.c */
/* VQ_ERROR_INVALID: a device or node of the trace that the machine lacks. */
bool vq_sim_trace_check(const VqSimTrace *trace, const VqTopology *topology, GError **error);
void vq_sim_host_init(VqSimHost *host);
void vq_sim_host_clear(VqSimHost *host);
/* Appends the threads of @vm, nowhere yet; returns the index of the first. */
guint vq_sim_host_add(VqSimRun *run, VqSimHost *host, guint vm);
void vq_sim_host_remove(VqSimRun *run, VqSimHost *host, guint vm);
/* From now on, the load of a queue is the event's. */
void vq_sim_host_load(VqSimHost *host, const VqSimEvent *event);
/* Sets the demand of all threads at run->now. */
void vq_sim_host_demand(const VqSimRun *run, VqSimHost *host);

/* simulate-policy.c */
/* Places the threads from @first on, which are one VM's; false: refused, and nothing is changed. */
bool vq_sim_place(VqSimRun *run, VqSimHost *host, guint first, char **reason);
/* After @domain left. */
void vq_sim_left(VqSimRun *run, VqSimHost *host, const char *domain);
/* A look at the load of the step before. */
void vq_sim_tick(VqSimRun *run, VqSimHost *host);
/* What a placement of the host is asked; the placement, timed; and its plan in force. */
VqPlacementInput vq_sim_input(const VqSimRun *run, const VqSimHost *host);
VqPlan *vq_sim_plan(VqSimRun *run, const VqPlacementInput *input);
void vq_sim_follow(VqSimRun *run, VqSimHost *host, const VqPlan *plan);

/* simulate-rebalance.c: our policy's part of these; @now in ms. */
void vq_sim_rebalance_init(const VqSimRun *run, VqSimHost *host);
void vq_sim_rebalance_clear(VqSimHost *host);
void vq_sim_rebalance_sample(const VqSimRun *run, VqSimHost *host, guint first, gint64 now);
bool vq_sim_rebalance_arrive(VqSimRun *run, VqSimHost *host, guint first, char **reason);
void vq_sim_rebalance_leave(VqSimHost *host, const char *domain);
void vq_sim_rebalance_tick(VqSimRun *run, VqSimHost *host);

/* simulate-account.c */
struct _VqSimAccount *vq_sim_account_new(const VqSimRun *run);
void vq_sim_account_free(struct _VqSimAccount *account);
/* Serves what the host's threads ask for, for @span ms, and counts. */
void vq_sim_account_host(VqSimRun *run, VqSimHost *host, gint64 span);
/* After all hosts of a step. */
void vq_sim_account_step(VqSimRun *run, gint64 span);
void vq_sim_account_move(VqSimRun *run, VqSimThread *state);
void vq_sim_account_decision(VqSimRun *run, gint64 ns);
void vq_sim_account_finish(VqSimRun *run);
