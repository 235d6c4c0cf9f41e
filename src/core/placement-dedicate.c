/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A core for each thread that was granted one: the assignment that minimises the objective over
 * all of them together, not one after the other. Cores that cost everybody the same form a class,
 * threads to which all classes cost the same a kind; how many of each kind go to each class is a
 * transportation problem, solved exactly. Within a class threads keep their core, and newcomers of
 * one VM are brought into the same cluster, in ascending order.
 */
#include "core/placement-work.h"

#include <string.h>

typedef struct {
    int node;
    gint64 speed;
    guint guests;
    int contested; /* slot on which several threads are now, a class by itself; -1 */
    guint slot;    /* one of its cores */
} Class;

typedef struct {
    guint profile;
    int home_class; /* -1: its core is not to be had, or it has none */
    bool has_home, resting;
    guint job; /* one of its threads */
} Kind;

typedef struct {
    VqWork *work;
    GArray *jobs;    /* of guint: who gets a core */
    GArray *classes; /* of Class */
    GArray *kinds;   /* of Kind */
    int *class_of;   /* slot -> class, -1: not to be given away */
    guint *kind_of;  /* by position in jobs */
    guint *size;     /* class -> its cores */
    guint *supply;   /* kind -> its threads */
    guint *flow;     /* kinds x classes: how many are still to be brought there */
    guint *waiting;  /* domain -> its threads without a core so far */
} Market;

static VqJob *
market_job(const Market *market, guint i)
{
    return &market->work->jobs[g_array_index(market->jobs, guint, i)];
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

static int
find_class(const Market *market, const Class *class)
{
    for (guint i = 0; i < market->classes->len; i++) {
        const Class *other = &g_array_index(market->classes, Class, i);

        if (other->node == class->node && other->speed == class->speed &&
            other->guests == class->guests && other->contested == class->contested)
            return (int)i;
    }
    return -1;
}

/* Slots on which more than one of the threads is now: only one of them can stay. */
static guint *
count_homes(const Market *market)
{
    guint *homes = g_new0(guint, MAX(market->work->n_slots, 1));

    for (guint i = 0; i < market->jobs->len; i++) {
        const VqJob *job = market_job(market, i);

        if (job->home >= 0)
            homes[job->home]++;
    }
    return homes;
}

static void
make_classes(Market *market)
{
    const VqWork *work = market->work;
    g_autofree guint *homes = count_homes(market);

    for (guint i = 0; i < work->n_slots; i++) {
        const VqSlot *slot = &work->slots[i];
        Class class = {slot->node, slot->speed, slot->guests, homes[i] > 1 ? (int)i : -1, i};

        market->class_of[i] = -1;
        if (slot->held > 0)
            continue;
        market->class_of[i] = find_class(market, &class);
        if (market->class_of[i] < 0) {
            market->class_of[i] = (int)market->classes->len;
            g_array_append_val(market->classes, class);
        }
        market->size[market->class_of[i]]++;
    }
}

static guint
kind_for(const Market *market, guint job)
{
    const VqJob *j = &market->work->jobs[job];
    Kind kind = {j->profile, j->home >= 0 ? market->class_of[j->home] : -1, j->home >= 0,
                 j->home >= 0 && j->thread->resting, job};

    for (guint i = 0; i < market->kinds->len; i++) {
        const Kind *other = &g_array_index(market->kinds, Kind, i);

        if (other->profile == kind.profile && other->home_class == kind.home_class &&
            other->has_home == kind.has_home && other->resting == kind.resting)
            return i;
    }
    g_array_append_val(market->kinds, kind);
    return market->kinds->len - 1;
}

static void
open_market(Market *market, VqWork *work)
{
    market->work = work;
    market->jobs = g_array_new(FALSE, FALSE, sizeof(guint));
    market->classes = g_array_new(FALSE, FALSE, sizeof(Class));
    market->kinds = g_array_new(FALSE, FALSE, sizeof(Kind));
    market->class_of = g_new(int, MAX(work->n_slots, 1));
    market->size = g_new0(guint, MAX(work->n_slots, 1));
    market->waiting = g_new0(guint, MAX(work->domains->len, 1));
    for (guint i = 0; i < work->n_jobs; i++) {
        if (work->jobs[i].class == VQ_PLACEMENT_DEDICATED && work->jobs[i].slot < 0) {
            g_array_append_val(market->jobs, i);
            market->waiting[work->jobs[i].domain]++;
        }
    }
    make_classes(market);
    market->kind_of = g_new(guint, MAX(market->jobs->len, 1));
    market->supply = g_new0(guint, MAX(market->jobs->len, 1));
    for (guint i = 0; i < market->jobs->len; i++) {
        market->kind_of[i] = kind_for(market, g_array_index(market->jobs, guint, i));
        market->supply[market->kind_of[i]]++;
    }
}

static void
close_market(Market *market)
{
    g_array_unref(market->jobs);
    g_array_unref(market->classes);
    g_array_unref(market->kinds);
    g_free(market->class_of);
    g_free(market->kind_of);
    g_free(market->size);
    g_free(market->supply);
    g_free(market->flow);
    g_free(market->waiting);
}

/* To the class of its home a thread of the kind goes by staying. */
static void
solve(Market *market)
{
    const VqWork *work = market->work;
    guint kinds = market->kinds->len, classes = market->classes->len;
    g_autofree VqCost *cost = g_new(VqCost, MAX((gsize)kinds * classes, 1));

    market->flow = g_new0(guint, MAX((gsize)kinds * classes, 1));
    for (guint k = 0; k < kinds; k++) {
        const Kind *kind = &g_array_index(market->kinds, Kind, k);
        const VqJob *job = &work->jobs[kind->job];

        for (guint c = 0; c < classes; c++) {
            bool stays = kind->home_class == (int)c;
            guint slot = stays ? (guint)job->home : g_array_index(market->classes, Class, c).slot;

            cost[(gsize)k * classes + c] = vq_cost_dedicated(work, job, &work->slots[slot]);
        }
    }
    vq_transport(&(VqTransport){kinds, classes, market->supply, market->size, cost, market->flow});
}

static guint *
flow_to(const Market *market, guint i, int class)
{
    return &market->flow[(gsize)market->kind_of[i] * market->classes->len + (guint) class];
}

static void
settle(Market *market, guint i, int slot)
{
    VqWork *work = market->work;
    VqJob *job = market_job(market, i);

    (*flow_to(market, i, market->class_of[slot]))--;
    market->waiting[job->domain]--;
    job->slot = slot;
    work->slots[slot].owner = (int)g_array_index(market->jobs, guint, i);
    vq_cluster_put(work, job, slot, 1);
}

static bool
is_free(const Market *market, guint i, guint slot)
{
    int class = market->class_of[slot];

    return class >= 0 && market->work->slots[slot].owner < 0 && *flow_to(market, i, class) > 0;
}

/* Of the cores that the solution leaves to @i: where most of its VM is (in the cluster, then in
 * the package), then where the rest of the VM will find room too, closely; the first one. */
static guint
find_core(const Market *market, guint i, guint *space)
{
    const VqWork *work = market->work;
    const VqJob *job = market_job(market, i);
    const guint *near = work->clusters + (gsize)job->domain * work->n_clusters;
    const guint *around = work->packages + (gsize)job->domain * work->n_packages;
    guint need = market->waiting[job->domain];
    int best = -1;

    memset(space, 0, work->n_clusters * sizeof(guint));
    for (guint s = 0; s < work->n_slots; s++)
        space[work->slots[s].cluster] += is_free(market, i, s);
    for (guint s = 0; s < work->n_slots; s++) {
        const VqSlot *slot = &work->slots[s], *than;
        guint a, b;

        if (!is_free(market, i, s))
            continue;
        if (best < 0) {
            best = (int)s;
            continue;
        }
        than = &work->slots[best];
        a = space[slot->cluster];
        b = space[than->cluster];
        if (near[slot->cluster] != near[than->cluster]) {
            best = near[slot->cluster] > near[than->cluster] ? (int)s : best;
        } else if (around[slot->package] != around[than->package]) {
            best = around[slot->package] > around[than->package] ? (int)s : best;
        } else if (slot->cluster != than->cluster) {
            bool fits = a >= need, fitted = b >= need;

            if (fits != fitted ? fits : fits ? a < b : a > b)
                best = (int)s;
        }
    }
    return (guint)best;
}

static void
deal_out(Market *market)
{
    g_autofree guint *space = g_new(guint, MAX(market->work->n_clusters, 1));

    for (guint i = 0; i < market->jobs->len; i++) {
        const VqJob *job = market_job(market, i);

        if (job->home >= 0 && is_free(market, i, (guint)job->home))
            settle(market, i, job->home);
    }
    for (guint i = 0; i < market->jobs->len; i++) {
        if (market_job(market, i)->slot < 0)
            settle(market, i, (int)find_core(market, i, space));
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
    solve(&market);
    deal_out(&market);
    close_market(&market);
}
