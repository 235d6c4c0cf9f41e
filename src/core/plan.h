/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The result of placement: where each IOThread goes, who was refused, and the ordered moves that
 * lead there from the present state. One shape for plan, list, rebalance --dry-run and simulate,
 * in memory, over D-Bus and as JSON.
 */
#pragma once

#include "core/policy.h"

typedef struct {
    char *domain;
    char *disk; /* VqDevice name: "vda", "scsi0" */
    unsigned iothread;
    GArray *queues;     /* of unsigned */
    VqPlacement class;  /* granted */
    VqPlacement wanted; /* asked for */
    int cpu;            /* OS number of the PU, -1: not on a pool core, see cpus */
    char *cpus;         /* cpuset to pin to, libvirt syntax */
    int core;           /* logical core, -1 */
    int node;           /* OS number of the NUMA node of cpu, -1 unknown */
    int device_node;    /* nearest NUMA node of the disk's device, -1 unknown */
    double load;        /* share of a core, 0..1, that serving its queues takes */
    char *load_source;  /* "default", "thread CPU time", ... */
    bool held;          /* pinned by an administrator's hand: not ours to move */
    char *reason;       /* why here */
    char *degraded;     /* what was not granted and why, or NULL */
    char *alternative;  /* the next best core and what it would cost, or NULL */
} VqPlaced;

typedef struct {
    char *domain;
    char *disk; /* or NULL: the domain as a whole */
    char *reason;
} VqRefused;

typedef struct {
    char *domain;
    char *disk;
    unsigned iothread;
    int from; /* PU, -1: nowhere yet or not on one PU */
    int to;   /* PU, -1: see cpus of its placement */
    char *reason;
} VqMove;

typedef struct {
    GPtrArray *placements; /* of VqPlaced, by domain in arrival order, disk, iothread */
    GPtrArray *refused;    /* of VqRefused */
    GPtrArray *moves;      /* of VqMove; applied in this order no two dedicated threads ever share
                            * a core (cycles go through a spare CPU, if there is one) */
} VqPlan;

VqPlan *vq_plan_new(void);
void vq_plan_free(VqPlan *plan);

/* Add an entry; texts are copied, everything else is for the caller to fill in (a placement starts
 * with cpu, core and nodes -1 and no queue). */
VqPlaced *vq_plan_add(VqPlan *plan, const char *domain, const char *disk, unsigned iothread);
void vq_plan_add_refused(VqPlan *plan, const char *domain, const char *disk, const char *reason);
VqMove *vq_plan_add_move(VqPlan *plan, const char *domain, const char *disk, unsigned iothread);

/* @disk NULL: any. */
VqPlaced *vq_plan_find(const VqPlan *plan, const char *domain, const char *disk, unsigned iothread);
/* The same fast, for many questions: a set to be asked with vq_plan_index_find(), valid as long as
 * the placements stay. Of several of one thread it has the first. */
GHashTable *vq_plan_index(const VqPlan *plan);
VqPlaced *vq_plan_index_find(GHashTable *index, const char *domain, unsigned iothread);
/* The first refusal of @domain, or NULL. */
const VqRefused *vq_plan_refusal(const VqPlan *plan, const char *domain);

/* The numbers of @queues (of unsigned) as "0-3,8". Free with g_free(). */
char *vq_queues_text(const GArray *queues);

/*
 * As a{sv} with "version", "placements", "refused" and "moves", keys as in the JSON of the
 * documentation: the D-Bus and the JSON form are the same data. Floating reference.
 */
GVariant *vq_plan_to_variant(const VqPlan *plan);
VqPlan *vq_plan_from_variant(GVariant *variant, GError **error);

/* The JSON document, pretty printed, newline at its end; and back (--current). */
char *vq_plan_to_json(const VqPlan *plan);
VqPlan *vq_plan_from_json(const char *text, gssize length, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqPlan, vq_plan_free)
