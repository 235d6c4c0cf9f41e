/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A core for each thread that was granted one: the assignment that minimises the objective over
 * all of them together, not one after the other. Among assignments equally good, threads of one VM
 * are brought into the same cluster, and cores are dealt out in the order of the threads; threads
 * that have a core already take no part in that.
 */
#include "core/placement-work.h"

#include <string.h>

typedef struct {
    VqWork *work;
    GArray *jobs;    /* of guint: the rows */
    GArray *columns; /* of guint: slots that may be given away */
    VqCost *matrix;
} Market;

static VqJob *
row_job(const Market *market, guint row)
{
    return &market->work->jobs[g_array_index(market->jobs, guint, row)];
}

static guint
column_slot(const Market *market, guint column)
{
    return g_array_index(market->columns, guint, column);
}

static VqCost
cost_of(guint row, guint column, gpointer user_data)
{
    const Market *market = user_data;

    return market->matrix[(gsize)row * market->columns->len + column];
}

static void
count_guests(VqWork *work)
{
    for (guint i = 0; i < work->n_jobs; i++) {
        const VqJob *job = &work->jobs[i];

        if (job->home >= 0 && job->class != VQ_PLACEMENT_DEDICATED)
            work->slots[job->home].guests++;
    }
}

static void
open_market(Market *market, VqWork *work)
{
    market->work = work;
    market->jobs = g_array_new(FALSE, FALSE, sizeof(guint));
    market->columns = g_array_new(FALSE, FALSE, sizeof(guint));
    for (guint i = 0; i < work->n_jobs; i++) {
        if (work->jobs[i].class == VQ_PLACEMENT_DEDICATED && work->jobs[i].slot < 0)
            g_array_append_val(market->jobs, i);
    }
    for (guint i = 0; i < work->n_slots; i++) {
        if (work->slots[i].held == 0)
            g_array_append_val(market->columns, i);
    }
    market->matrix = g_new(VqCost, MAX((gsize)market->jobs->len * market->columns->len, 1));
    for (guint r = 0; r < market->jobs->len; r++) {
        for (guint c = 0; c < market->columns->len; c++)
            market->matrix[(gsize)r * market->columns->len + c] =
                vq_cost_dedicated(work, row_job(market, r), &work->slots[column_slot(market, c)]);
    }
}

static void
settle(Market *market, guint row, guint column)
{
    VqJob *job = row_job(market, row);

    job->slot = (int)column_slot(market, column);
    market->work->slots[job->slot].owner = (int)g_array_index(market->jobs, guint, row);
    vq_cluster_put(market->work, job, job->slot, 1);
}

static unsigned
siblings_near(const VqWork *work, const VqJob *job, guint slot)
{
    return work->clusters[(gsize)job->domain * work->n_clusters + (guint)work->slots[slot].cluster];
}

/* Whether @row gains neighbours of its own VM by going to a free column that costs the same. */
static bool
draw_near(Market *market, guint row, int *column_of_row, int *row_of_column)
{
    VqWork *work = market->work;
    VqJob *job = row_job(market, row);
    guint here = (guint)column_of_row[row];
    guint best = here, most = siblings_near(work, job, (guint)job->slot) - 1;

    for (guint c = 0; c < market->columns->len; c++) {
        guint slot = column_slot(market, c);

        if (row_of_column[c] >= 0 || cost_of(row, c, market) != cost_of(row, here, market))
            continue;
        if (work->slots[slot].cluster != work->slots[job->slot].cluster &&
            siblings_near(work, job, slot) > most) {
            most = siblings_near(work, job, slot);
            best = c;
        }
    }
    if (best == here)
        return false;
    vq_cluster_put(work, job, job->slot, -1);
    work->slots[job->slot].owner = -1;
    row_of_column[here] = -1;
    row_of_column[best] = (int)row;
    column_of_row[row] = (int)best;
    settle(market, row, best);
    return true;
}

static bool
same_rows(const VqWork *work, const VqJob *a, const VqJob *b)
{
    return a->domain == b->domain && a->home < 0 && b->home < 0 &&
           memcmp(a->device, b->device, work->n_nodes) == 0 &&
           memcmp(a->memory, b->memory, work->n_nodes) == 0;
}

/* Newcomers alike in everything get their cores in ascending order: q0 on core 4, q1 on core 5. */
static void
sort_newcomers(Market *market)
{
    VqWork *work = market->work;

    for (guint a = 0; a < market->jobs->len; a++) {
        for (guint b = a + 1; b < market->jobs->len; b++) {
            VqJob *first = row_job(market, a), *second = row_job(market, b);
            int slot = first->slot;

            if (first->domain != second->domain)
                break;
            if (second->slot > slot || !same_rows(work, first, second))
                continue;
            first->slot = second->slot;
            second->slot = slot;
            work->slots[first->slot].owner = (int)g_array_index(market->jobs, guint, a);
            work->slots[second->slot].owner = (int)g_array_index(market->jobs, guint, b);
        }
    }
}

static void
gather_newcomers(Market *market, int *column_of_row)
{
    g_autofree int *row_of_column = g_new(int, MAX(market->columns->len, 1));

    for (guint c = 0; c < market->columns->len; c++)
        row_of_column[c] = -1;
    for (guint r = 0; r < market->jobs->len; r++)
        row_of_column[column_of_row[r]] = (int)r;
    for (guint r = 0; r < market->jobs->len; r++) {
        if (row_job(market, r)->home < 0)
            draw_near(market, r, column_of_row, row_of_column);
    }
}

void
vq_work_dedicate(VqWork *work)
{
    Market market = {0};

    count_guests(work);
    for (guint i = 0; i < work->n_jobs; i++) {
        if (work->jobs[i].slot >= 0) /* pinned by hand */
            vq_cluster_put(work, &work->jobs[i], work->jobs[i].slot, 1);
    }
    open_market(&market, work);

    g_autofree int *column_of_row = g_new(int, MAX(market.jobs->len, 1));

    vq_assign(market.jobs->len, market.columns->len, cost_of, &market, column_of_row);
    for (guint r = 0; r < market.jobs->len; r++)
        settle(&market, r, (guint)column_of_row[r]);
    gather_newcomers(&market, column_of_row);
    sort_newcomers(&market);
    g_array_unref(market.jobs);
    g_array_unref(market.columns);
    g_free(market.matrix);
}
