/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A host in virtual time: cores of a pool, shared threads with demands that change, and the round
 * of core/rebalance.h with core/placement.h over them. Threads of one core share it evenly, up to
 * what each demands; what is measured is what they got.
 */
#pragma once

#include "core/rebalance.h"
#include "support/machine.h"

/* Demanded share of a core at @now. */
typedef double (*WorldDemand)(gint64 now, gconstpointer data);

typedef struct {
    WorldDemand demand;
    gconstpointer data;
    double work_us; /* got so far */
    double now;     /* demand at present */
    gint64 moved_us;
    gint64 first_move_us; /* -1: none */
    unsigned moves;
} WorldThread;

typedef struct {
    gint64 time_us;
    guint thread;
    int from, to; /* cores */
    VqStep step;
} WorldMove;

typedef struct {
    VqTopology *topology;
    VqCpuset *pool;
    GPtrArray *threads; /* of VqThread */
    GArray *loads;      /* of WorldThread, as threads */
    VqRebalanceParams params;
    VqWorkSource source;
    VqRebalance *rebalance;
    gint64 now_us;
    bool frozen;      /* nothing is ever moved */
    GArray *moves;    /* of WorldMove */
    guint steps;      /* that were called for, events apart */
    guint most_moves; /* of one step */
    double demanded_us, lost_us;
    double largest_load; /* of a core, by demand */
} World;

/* A pool of @cores cores of one PU on one node, defaults, at time 1 s. */
World *world_new(guint cores, VqWorkSource source);
void world_free(World *world);

/* @data is not taken. @core: where it is at first, -1: where placement says. */
void world_add(World *world, WorldDemand demand, gconstpointer data, int core);
/* Goes on for @seconds. */
void world_run(World *world, double seconds);
/* Moves from @begin_us on until before @end_us. */
guint world_moves(const World *world, gint64 begin_us, gint64 end_us);
/* Core of the thread. */
int world_core(const World *world, guint thread);
/* Cores with a thread on them. */
guint world_cores_in_use(const World *world);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(World, world_free)
