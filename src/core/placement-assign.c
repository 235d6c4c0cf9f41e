/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The assignment problem, by shortest augmenting paths with potentials (Kuhn 1955, Munkres 1957 in
 * the form of Jonker and Volgenant 1987). Knows nothing of threads and cores.
 */
#include "core/placement-work.h"

#define INFINITE ((VqCost)1 << 125)

typedef struct {
    guint columns;
    VqCostFunc cost;
    gpointer user_data;
    VqCost *u, *v;  /* potentials of rows and columns; column 0 is the root of a search */
    VqCost *best;   /* reduced cost of the shortest path to each column */
    guint *row_of;  /* column -> its row + 1, 0 = free */
    guint *before;  /* column -> the column before it on that path */
    gboolean *done; /* column's path is final */
} Assignment;

/* The nearest column not done; of several as near, a free one, since it ends the search. */
static guint
nearest_column(const Assignment *a)
{
    guint nearest = 0;

    for (guint j = 1; j <= a->columns; j++) {
        if (a->done[j])
            continue;
        if (!nearest || a->best[j] < a->best[nearest] ||
            (a->best[j] == a->best[nearest] && !a->row_of[j] && a->row_of[nearest]))
            nearest = j;
    }
    return nearest;
}

static void
relax(Assignment *a, guint from)
{
    guint row = a->row_of[from];

    for (guint j = 1; j <= a->columns; j++) {
        if (a->done[j])
            continue;

        VqCost reduced = a->cost(row - 1, j - 1, a->user_data) - a->u[row] - a->v[j];

        if (reduced < a->best[j]) {
            a->best[j] = reduced;
            a->before[j] = from;
        }
    }
}

static void
shift_potentials(Assignment *a, VqCost delta)
{
    for (guint j = 0; j <= a->columns; j++) {
        if (a->done[j]) {
            a->u[a->row_of[j]] += delta;
            a->v[j] -= delta;
        } else {
            a->best[j] -= delta;
        }
    }
}

/* Brings @row in, moving rows assigned before where that is cheaper. */
static void
augment(Assignment *a, guint row)
{
    guint column = 0;

    a->row_of[0] = row;
    for (guint j = 0; j <= a->columns; j++) {
        a->best[j] = INFINITE;
        a->done[j] = FALSE;
    }
    do {
        a->done[column] = TRUE;
        relax(a, column);

        guint next = nearest_column(a);

        shift_potentials(a, a->best[next]);
        column = next;
    } while (a->row_of[column]);
    for (; column; column = a->before[column])
        a->row_of[column] = a->row_of[a->before[column]];
}

void
vq_assign(guint rows, guint columns, VqCostFunc cost, gpointer user_data, int *result)
{
    g_autofree VqCost *u = g_new0(VqCost, rows + 1);
    g_autofree VqCost *v = g_new0(VqCost, columns + 1);
    g_autofree VqCost *best = g_new(VqCost, columns + 1);
    g_autofree guint *row_of = g_new0(guint, columns + 1);
    g_autofree guint *before = g_new0(guint, columns + 1);
    g_autofree gboolean *done = g_new(gboolean, columns + 1);
    Assignment a = {columns, cost, user_data, u, v, best, row_of, before, done};

    g_return_if_fail(rows <= columns);
    for (guint i = 1; i <= rows; i++)
        augment(&a, i);
    for (guint j = 1; j <= columns; j++) {
        if (row_of[j])
            result[row_of[j] - 1] = (int)j - 1;
    }
}
