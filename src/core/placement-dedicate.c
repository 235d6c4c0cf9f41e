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

#define SWAPS_MAX 256 /* threads up to which all pairs are looked at for being nearer together */

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
    VqCost *cost;    /* kinds x classes */
    guint *spare;    /* class -> cores that nobody is sent to */
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
    g_free(market->cost);
    g_free(market->spare);
}

/* To the class of its home a thread of the kind goes by staying. */
static void
solve(Market *market)
{
    const VqWork *work = market->work;
    guint kinds = market->kinds->len, classes = market->classes->len;
    VqCost *cost = g_new(VqCost, MAX((gsize)kinds * classes, 1));

    market->cost = cost;
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
    market->spare = g_memdup2(market->size, MAX(classes, 1) * sizeof(guint));
    for (guint c = 0; c < classes; c++) {
        for (guint k = 0; k < kinds; k++)
            market->spare[c] -= market->flow[(gsize)k * classes + c];
    }
}

static guint *
flow_to(const Market *market, guint i, guint class)
{
    return &market->flow[(gsize)market->kind_of[i] * market->classes->len + class];
}

static VqCost
cost_in(const Market *market, guint i, guint class)
{
    return market->cost[(gsize)market->kind_of[i] * market->classes->len + class];
}

/* The class whose place @i gives up by going to @class: that itself if the solution sends one of
 * its kind there, or one that costs the same if @class has a core that nobody is sent to; -1. */
static int
source_of(const Market *market, guint i, guint class)
{
    if (*flow_to(market, i, class) > 0)
        return (int)class;
    for (guint c = 0; market->spare[class] > 0 && c < market->classes->len; c++) {
        if (*flow_to(market, i, c) > 0 && cost_in(market, i, c) == cost_in(market, i, class))
            return (int)c;
    }
    return -1;
}

static void
settle(Market *market, guint i, int slot)
{
    VqWork *work = market->work;
    VqJob *job = market_job(market, i);
    guint class = (guint)market->class_of[slot];
    int source = source_of(market, i, class);

    (*flow_to(market, i, (guint)source))--;
    market->spare[class] -= source != (int)class;
    market->spare[source] += source != (int)class;
    market->waiting[job->domain]--;
    job->slot = slot;
    work->slots[slot].owner = (int)g_array_index(market->jobs, guint, i);
    vq_cluster_put(work, job, slot, 1);
}

/* What find_core() looks at. */
typedef struct {
    const Market *market;
    const guint *near, *around; /* threads of the VM by cluster, by package */
    guint *cluster, *package;   /* cores to be had in each */
    guint need;                 /* cores the VM still needs */
} View;

/* Closely: of two that have room for all the rest of the VM the smaller, else the larger one. */
static int
compare_fit(guint a, guint b, guint need)
{
    bool fits = a >= need, fitted = b >= need;

    if (fits != fitted)
        return fits ? -1 : 1;
    return a == b ? 0 : (a < b) == fits ? -1 : 1;
}

/* < 0 if @a is the better core: more of the VM in its package, then room there for the rest, then
 * the same for its cluster. */
static int
compare_cores(const View *view, const VqSlot *a, const VqSlot *b)
{
    int order;

    if (view->around[a->package] != view->around[b->package])
        return view->around[a->package] > view->around[b->package] ? -1 : 1;
    order = compare_fit(view->package[a->package], view->package[b->package], view->need);
    if (a->package != b->package && order)
        return order;
    if (view->near[a->cluster] != view->near[b->cluster])
        return view->near[a->cluster] > view->near[b->cluster] ? -1 : 1;
    return compare_fit(view->cluster[a->cluster], view->cluster[b->cluster], view->need);
}

/* Of the cores that the solution leaves to @i, or that cost the same: the best one for its VM to
 * be together; the first of several. @space: for all clusters, packages and classes. */
static guint
find_core(const Market *market, guint i, guint *space)
{
    const VqWork *work = market->work;
    const VqJob *job = market_job(market, i);
    guint *possible = space + work->n_clusters + work->n_packages;
    View view = {.market = market,
                 .near = work->clusters + (gsize)job->domain * work->n_clusters,
                 .around = work->packages + (gsize)job->domain * work->n_packages,
                 .cluster = space,
                 .package = space + work->n_clusters,
                 .need = market->waiting[job->domain]};
    int best = -1;

    memset(space, 0, (work->n_clusters + work->n_packages) * sizeof(guint));
    for (guint c = 0; c < market->classes->len; c++)
        possible[c] = source_of(market, i, c) >= 0;
    for (int round = 0; round < 2; round++) {
        for (guint s = 0; s < work->n_slots; s++) {
            const VqSlot *slot = &work->slots[s];

            if (market->class_of[s] < 0 || slot->owner >= 0 || !possible[market->class_of[s]])
                continue;
            if (round == 0) {
                view.cluster[slot->cluster]++;
                view.package[slot->package]++;
            } else if (best < 0 || compare_cores(&view, slot, &work->slots[best]) < 0) {
                best = (int)s;
            }
        }
    }
    return (guint)best;
}

/* Whether two newcomers bring their VMs together by changing cores, at the same cost. */
static bool
is_better_swapped(const Market *market, guint i, guint k)
{
    const VqWork *work = market->work;
    const VqJob *a = market_job(market, i), *b = market_job(market, k);
    guint x = (guint)market->class_of[a->slot], y = (guint)market->class_of[b->slot];
    VqObjective change;

    if (a->domain == b->domain || cost_in(market, i, x) + cost_in(market, k, y) !=
                                      cost_in(market, i, y) + cost_in(market, k, x))
        return false;
    change = vq_delta_swap(work, a, b).sum;
    return change.package < 0 || (change.package == 0 && change.scatter < 0);
}

static void
exchange(Market *market, guint i, guint k)
{
    VqWork *work = market->work;
    VqJob *a = market_job(market, i), *b = market_job(market, k);
    int slot = a->slot;

    vq_cluster_put(work, a, a->slot, -1);
    vq_cluster_put(work, b, b->slot, -1);
    a->slot = b->slot;
    b->slot = slot;
    vq_cluster_put(work, a, a->slot, 1);
    vq_cluster_put(work, b, b->slot, 1);
    work->slots[a->slot].owner = (int)g_array_index(market->jobs, guint, i);
    work->slots[b->slot].owner = (int)g_array_index(market->jobs, guint, k);
}

/* Dealt out one after the other, the last ones had the least choice. */
static void
bring_together(Market *market)
{
    bool changed = market->work->n_clusters > 1 && market->jobs->len <= SWAPS_MAX;

    while (changed) {
        changed = false;
        for (guint i = 0; i < market->jobs->len; i++) {
            for (guint k = i + 1; market_job(market, i)->home < 0 && k < market->jobs->len; k++) {
                if (market_job(market, k)->home >= 0 || !is_better_swapped(market, i, k))
                    continue;
                exchange(market, i, k);
                changed = true;
            }
        }
    }
}

static void
deal_out(Market *market)
{
    const VqWork *work = market->work;
    g_autofree guint *space =
        g_new(guint, work->n_clusters + work->n_packages + market->classes->len);

    for (guint i = 0; i < market->jobs->len; i++) {
        const VqJob *job = market_job(market, i);
        int class = job->home >= 0 ? market->class_of[job->home] : -1;

        if (class >= 0 && work->slots[job->home].owner < 0 && *flow_to(market, i, (guint) class))
            settle(market, i, job->home);
    }
    for (guint i = 0; i < market->jobs->len; i++) {
        if (market_job(market, i)->slot < 0)
            settle(market, i, (int)find_core(market, i, space));
    }
    bring_together(market);
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
