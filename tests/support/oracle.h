/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The objective of docs/placement.md once more, written from its words and not from the placement,
 * for small machines; and two ways to its exact minimum: a mixed integer program for GLPK, solved
 * field by field, and a branch and bound over all distributions. A mistake would have to be made
 * three times in the same way to stay hidden.
 *
 * A case is what is left to decide once promises are settled: a core for each thread that runs in
 * the pool, dedicated ones alone. Loads are in per cent of a core, so that all numbers are small
 * and, in the cases of the tests, exact in doubles.
 */
#pragma once

#include "core/placement.h"

#define ORACLE_CORES_MAX   16
#define ORACLE_THREADS_MAX 16

/* The fields of the objective that a case decides, in their order. */
typedef enum {
    ORACLE_OVERLOAD, /* load above the limit, summed over shared cores, per cent of a core */
    ORACLE_DEVICE,   /* distances to the devices, summed over threads */
    ORACLE_MEMORY,   /* ... to the VM's memory */
    ORACLE_SLOW,     /* 1024 - speed of the core, summed over dedicated threads */
    ORACLE_PACKAGE,  /* pairs of threads of one VM on different packages */
    ORACLE_SCATTER,  /* ... that share no last level cache */
    ORACLE_IN_USE,   /* cores with shared threads; 0 if the plan is to spread them */
    ORACLE_UNEVEN,   /* claim^2 / capacity, summed over shared cores */
    ORACLE_MOVES,    /* threads that leave the core they are on */
    ORACLE_FIELDS
} OracleField;

extern const char *const oracle_field_names[ORACLE_FIELDS];

typedef struct {
    double field[ORACLE_FIELDS];
} OracleValue;

typedef struct {
    int node, package, cluster;
    double speed;    /* of 1024 */
    double capacity; /* of 1024, both PUs together */
    double limit;    /* per cent */
    double load;     /* of threads pinned by hand, per cent */
    double claim;
    bool held;  /* threads are pinned by hand here: nobody is dedicated */
    bool owned; /* by a dedicated thread pinned by hand: nobody else */
} OracleCore;

typedef struct {
    guint domain;
    bool dedicated; /* granted */
    double load, claim;
    double device[ORACLE_CORES_MAX], memory[ORACLE_CORES_MAX]; /* by core */
    int home;                                                  /* core it is on now; -1: on none */
    bool elsewhere; /* it is on a core outside the pool now: any core is a move */
} OracleThread;

typedef struct {
    guint n_cores, n_threads, n_domains;
    OracleCore cores[ORACLE_CORES_MAX];
    OracleThread threads[ORACLE_THREADS_MAX];
    int where[ORACLE_THREADS_MAX];        /* core of each in the plan */
    int fixed[ORACLE_THREADS_MAX * 2][3]; /* domain, package, cluster of each thread pinned by hand
                                           * to one core: it counts in the pairs */
    guint n_fixed;
    bool spread; /* fewer cores are no aim */
} OracleCase;

/* Between node index @node (-1: unknown, distance 0) and what @thread serves: the mean over devices
 * of known nodes, each by its nearest; and the VM's memory. */
double oracle_device_distance(const VqTopology *topology, int node, const VqThread *thread);
double oracle_memory_distance(const VqTopology *topology, int node, const VqThread *thread);

/* What is to be decided in @input, promises granted as in @plan. False if it is too large. */
bool oracle_case_from_plan(const VqPlacementInput *input, const VqPlan *plan, OracleCase *out);

/* Leaves the dedicated threads where the plan has them, as if pinned by hand: what remains is where
 * the shared ones go. */
void oracle_fix_dedicated(OracleCase *problem);

/* Of a core for each thread. Dedicated threads that are not alone give overload without end. */
OracleValue oracle_value(const OracleCase *problem, const int *where);

/* First field in which @a is worse (1) or better (-1) than @b; 0 and ORACLE_FIELDS if equal. */
int oracle_compare(const OracleValue *a, const OracleValue *b, OracleField *field);
char *oracle_text(const OracleValue *value);

/* Cost of @core with the shared threads of @mask on it, of a field that is a sum over cores. */
double oracle_core_cost(const OracleCase *problem, guint core, guint mask, OracleField field);
/* ... with one dedicated thread on it. */
double oracle_owner_cost(const OracleCase *problem, guint core, guint thread, OracleField field);

/*
 * The minimum. False if @nodes (of the search) or @seconds (of GLPK) did not suffice; @where is
 * then undefined. Without GLPK the second never succeeds.
 */
bool oracle_search(const OracleCase *problem, guint64 nodes, OracleValue *best, int *where);
bool oracle_have_glpk(void);
bool oracle_glpk(const OracleCase *problem, double seconds, OracleValue *best);
