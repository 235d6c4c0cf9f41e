/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * THE objective of placement: what makes one plan better than another. A vector of sums over the
 * whole plan, compared field by field in the order below (lexicographically): a later field never
 * outweighs an earlier one, and less is better in each. All fields are whole numbers, so that the
 * difference that one move makes (placement-cost.c) is exactly the difference of two objectives.
 *
 * Why this order, and how its parts interplay: docs/placement.md.
 */
#pragma once

#include "core/placement.h"

typedef __int128 VqSquare;

typedef struct {
    gint64 required; /* threads without what was required: refused with their domain, or running
                      * with less */
    gint64 promises; /* threads that got less than asked: not alone though dedicated, or not on a
                      * core of the pool */
    gint64 overload; /* load above load_limit, summed over shared cores; millionths of a core */
    gint64 device;   /* NUMA distance (10 = local) to the devices served, summed over threads */
    gint64 memory;   /* ... to the VM's memory */
    gint64 slow;     /* 1024 - speed of the core, summed over dedicated threads */
    gint64 package;  /* pairs of threads of one VM on different packages */
    gint64 scatter;  /* pairs of threads of one VM that do not share a last level cache */
    gint64 cores;    /* cores that shared threads use; always 0 with params.spread, where using
                      * fewer is no aim */
    VqSquare uneven; /* claim^2 / capacity, summed over shared cores: least when all cores in use
                      * are loaded alike. A claim is load, times weight if the pool is
                      * over-committed */
    gint64 moves;    /* threads that leave the core they are on */
} VqObjective;

/* Of @plan, which must be one for @input: every thread of it placed or refused. */
void vq_objective_of_plan(const VqPlan *plan, const VqPlacementInput *input, VqObjective *out);

/* Adds @more, such as the difference that a move makes, to @sum. */
void vq_objective_add(VqObjective *sum, const VqObjective *more);

/* < 0 if @a is better than @b, > 0 if worse, 0 if they are equally good. */
int vq_objective_compare(const VqObjective *a, const VqObjective *b);

/* The name of the first field in which they differ, NULL if none: what decided. Static text. */
const char *vq_objective_decides(const VqObjective *a, const VqObjective *b);

/* "required 0, promises 1, overload 0.000, ..." in the order of the fields; free with g_free(). */
char *vq_objective_to_text(const VqObjective *objective);
