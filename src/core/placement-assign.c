/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The transportation problem: kinds of like rows to classes of like columns at least cost, by
 * successive shortest paths (Busacker and Gowen 1961; Bellman and Ford for the paths). Exact: after
 * each step the flow is the cheapest one for what has been sent so far. Knows nothing of threads
 * and cores.
 *
 * The same as an assignment of each row to a column of its own, but its cost depends on how many
 * kinds there are, not on how many rows: O(kinds x classes^2) for each path, mostly one for each
 * kind, and none where the cheapest class has room.
 */
#include "core/placement-work.h"

#include <string.h>

#define INFINITE ((VqCost)1 << 125)

typedef struct {
    const VqTransport *t;
    guint *space; /* by class: columns still free */
    VqCost *dist; /* by class: of the shortest path to it */
    int *from,
        *via; /* by class: the class before it on that path, and the kind that moves on; -1 */
} Search;

static VqCost
cost_of(const VqTransport *t, guint kind, guint class)
{
    return t->cost[(gsize)kind * t->classes + class];
}

static guint *
flow_of(const VqTransport *t, guint kind, guint class)
{
    return &t->flow[(gsize)kind * t->classes + class];
}

/* The cheapest class of all, if it has room: then no path is shorter than going there. */
static int
direct(const Search *search, guint kind)
{
    const VqTransport *t = search->t;
    int best = -1;

    for (guint c = 0; c < t->classes; c++) {
        VqCost cost = cost_of(t, kind, c);

        if (best < 0 || cost < cost_of(t, kind, (guint)best) ||
            (cost == cost_of(t, kind, (guint)best) && search->space[best] == 0))
            best = (int)c;
    }
    return best >= 0 && search->space[best] > 0 ? best : -1;
}

/* Paths that go through class @a: one of those in it moves on to each other class. */
static bool
relax(Search *search, guint a)
{
    const VqTransport *t = search->t;
    bool changed = false;

    for (guint k = 0; k < t->kinds; k++) {
        if (*flow_of(t, k, a) == 0)
            continue;
        for (guint b = 0; b < t->classes; b++) {
            VqCost dist = search->dist[a] + cost_of(t, k, b) - cost_of(t, k, a);

            if (b == a || dist >= search->dist[b])
                continue;
            search->dist[b] = dist;
            search->from[b] = (int)a;
            search->via[b] = (int)k;
            changed = true;
        }
    }
    return changed;
}

/* The class with room that @kind comes to at the least cost. */
static guint
find_path(Search *search, guint kind)
{
    const VqTransport *t = search->t;
    bool changed = true;
    int best = -1;

    for (guint c = 0; c < t->classes; c++) {
        search->dist[c] = cost_of(t, kind, c);
        search->from[c] = search->via[c] = -1;
    }
    while (changed) {
        changed = false;
        for (guint a = 0; a < t->classes; a++)
            changed |= relax(search, a);
    }
    for (guint c = 0; c < t->classes; c++) {
        if (search->space[c] > 0 && (best < 0 || search->dist[c] < search->dist[best]))
            best = (int)c;
    }
    return (guint)best;
}

/* As much of @amount as the path to @end lets through. */
static guint
push(Search *search, guint kind, guint end, guint amount)
{
    const VqTransport *t = search->t;
    guint class = end;

    amount = MIN(amount, search->space[end]);
    for (; search->from[class] >= 0; class = (guint)search->from[class])
        amount = MIN(amount, *flow_of(t, (guint)search->via[class], (guint)search->from[class]));
    search->space[end] -= amount;
    for (class = end; search->from[class] >= 0; class = (guint)search->from[class]) {
        *flow_of(t, (guint)search->via[class], (guint)search->from[class]) -= amount;
        *flow_of(t, (guint)search->via[class], class) += amount;
    }
    *flow_of(t, kind, class) += amount;
    return amount;
}

void
vq_transport(const VqTransport *t)
{
    g_autofree guint *space = g_memdup2(t->capacity, t->classes * sizeof(guint));
    g_autofree VqCost *dist = g_new(VqCost, MAX(t->classes, 1));
    g_autofree int *from = g_new(int, MAX(t->classes, 1));
    g_autofree int *via = g_new(int, MAX(t->classes, 1));
    Search search = {t, space, dist, from, via};

    memset(t->flow, 0, sizeof(guint) * t->kinds * t->classes);
    for (guint k = 0; k < t->kinds; k++) {
        for (guint left = t->supply[k]; left > 0;) {
            int class = direct(&search, k);

            if (class >= 0)
                from[class] = -1;
            else
                class = (int)find_path(&search, k);
            left -= push(&search, k, (guint) class, left);
        }
    }
}
