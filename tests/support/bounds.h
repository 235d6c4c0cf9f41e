/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lower bounds of the objective on machines too large for an exact minimum. Each holds for the best
 * of all plans that are no worse in the fields before it, with the same threads dedicated:
 *
 *   overload .. slow   a linear relaxation: threads may be divided between the cores of a node, and
 *                      a node's cores are one (GLPK)
 *   cores              the load of each zone over the limit of one core, rounded up
 *   uneven             every core in use of a zone loaded alike
 *
 * The last two take for granted how the plan divides threads between the zones: cores alike in node
 * and speed. What decides that, locality, comes before them in the objective.
 */
#pragma once

#include "core/objective.h"

typedef struct {
    double overload, device, memory, slow; /* units as in VqObjective */
    double cores, uneven;
    double plan_cores, plan_uneven; /* the plan's, in the same units */
} Bounds;

/* Without GLPK false, and only the last four are set. No thread may be pinned by hand. */
bool bounds_of(const VqPlacementInput *input, const VqPlan *plan, const VqObjective *value,
               Bounds *out);

/* bounds-glpk.c, or bounds-none.c without it */
typedef struct {
    guint zones, dedicated, shared; /* dedicated: kinds of threads; shared: threads */
    const double *cores;            /* [zone] */
    const double *limit;            /* [zone], of one core */
    const double *speed;            /* [zone] */
    const double *count;            /* [dedicated], threads of that kind */
    const double *load;             /* [shared] */
    const double *device, *memory;  /* [dedicated + shared][zone] */
    const VqObjective *value;
} BoundsProblem;

bool bounds_linear(const BoundsProblem *problem, Bounds *out);
