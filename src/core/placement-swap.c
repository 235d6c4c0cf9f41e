/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads of two cores change places: for less overload or more even load between a heavy core and
 * the lightest ones, and for locality where a thread is on a far node because the near one is full.
 * Only pairs that can gain are looked at (is_promising(), may_gain()).
 */
#include "core/placement-share.h"

#include <string.h>

#define PARTNERS  2  /* light cores of each zone that a heavy core is paired with */
#define ALL_PAIRS 64 /* of two cores' threads: up to so many, all are tried */

/* The best exchange found so far. */
typedef struct {
    VqShare *share;
    int a, b; /* jobs, -1: none */
    VqDelta delta;
} Exchange;

static bool
both_may_go(const VqShare *share, const VqJob *a, const VqJob *b, const VqDelta *delta)
{
    guint limit = share->work->input->max_moves, more = 0;

    more += vq_share_settled(share, a) && a->slot == a->home;
    more += vq_share_settled(share, b) && b->slot == b->home;
    return (!limit || !more || share->moved + more <= limit) &&
           vq_share_may_go(share, a, b->slot, delta) && vq_share_may_go(share, b, a->slot, delta);
}

/* By changing places, what device and memory distances change: < 0 less, > 0 more. */
static int
compare_distances(const VqShare *share, guint profile, int from, guint other, int to)
{
    const guint8 *p = vq_work_profile(share->work, profile);
    const guint8 *q = vq_work_profile(share->work, other);
    guint n = share->work->n_nodes;
    int device, memory;

    if (from == to || profile == other || from < 0 || to < 0)
        return 0;
    device = (int)p[to] - p[from] + q[from] - q[to];
    memory = (int)p[n + (guint)to] - p[n + (guint)from] + q[n + (guint)from] - q[n + (guint)to];
    return device ? device : memory;
}

/* Neither core is over its limit, and one would be, or locality is lost. */
static bool
is_hopeless(const VqShare *share, const VqJob *a, const VqJob *b)
{
    const VqSlot *s = &share->work->slots[a->slot], *t = &share->work->slots[b->slot];

    if (s->load > s->limit || t->load > t->limit)
        return false;
    return s->load - a->load + b->load > s->limit || t->load - b->load + a->load > t->limit ||
           compare_distances(share, a->profile, s->node, b->profile, t->node) > 0;
}

static void
consider(Exchange *exchange, guint a, guint b)
{
    const VqShare *share = exchange->share;
    const VqWork *work = share->work;
    const VqJob *x = &work->jobs[a], *y = &work->jobs[b];
    bool settled = vq_share_stays(share, x) || vq_share_stays(share, y);
    VqDelta delta;

    if (is_hopeless(share, x, y))
        return;
    delta = vq_delta_swap(work, x, y);
    if (!vq_delta_worthwhile(work, &delta, settled) || !both_may_go(share, x, y, &delta))
        return;
    if (exchange->a >= 0 && vq_objective_compare(&delta.sum, &exchange->delta.sum) >= 0)
        return;
    exchange->a = (int)a;
    exchange->b = (int)b;
    exchange->delta = delta;
}

static bool
apply(Exchange *exchange)
{
    VqShare *share = exchange->share;
    int from, to;

    if (exchange->a < 0)
        return false;
    from = share->work->jobs[exchange->a].slot;
    to = share->work->jobs[exchange->b].slot;
    vq_share_put(share, (guint)exchange->a, to);
    vq_share_put(share, (guint)exchange->b, from);
    return true;
}

typedef struct {
    guint *jobs; /* ascending by claim */
    guint len;
} Threads;

static Threads
threads_on(const VqShare *share, guint slot, guint *space)
{
    Threads threads = {.jobs = space};

    for (int job = share->first[slot]; job >= 0; job = share->next[job])
        threads.jobs[threads.len++] = (guint)job;
    return threads;
}

/* The partners of @a among @light whose claims are nearest to what would level the two cores. */
static void
consider_levelling(Exchange *exchange, guint a, const Threads *light, gint64 surplus)
{
    const VqJob *jobs = exchange->share->work->jobs;
    gint64 wanted = jobs[a].claim - surplus;
    guint low = 0, high = light->len;

    while (low < high) {
        guint middle = (low + high) / 2;

        if (jobs[light->jobs[middle]].claim < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < light->len)
        consider(exchange, a, light->jobs[low]);
    if (low > 0)
        consider(exchange, a, light->jobs[low - 1]);
}

static bool
try_pair(VqShare *share, guint heavy, guint light)
{
    const VqSlot *s = &share->work->slots[heavy], *t = &share->work->slots[light];
    Threads from = threads_on(share, heavy, share->scratch);
    Threads to = threads_on(share, light, share->scratch + share->work->n_jobs);
    bool alike = share->zone_of[heavy] == share->zone_of[light];
    bool all =
        (!alike || (share->work->overloaded && share->room)) && from.len * to.len <= ALL_PAIRS;
    /* what has to change hands for both to be as full */
    gint64 surplus =
        (s->claim * t->capacity - t->claim * s->capacity) / (s->capacity + t->capacity);
    Exchange exchange = {.share = share, .a = -1, .b = -1};

    for (guint i = 0; i < from.len; i++) {
        for (guint k = 0; all && k < to.len; k++)
            consider(&exchange, from.jobs[i], to.jobs[k]);
        if (!all)
            consider_levelling(&exchange, from.jobs[i], &to, surplus);
    }
    return apply(&exchange);
}

/* Whether threads of the two zones could change places at all without one being farther. */
static bool
is_neutral(VqShare *share, guint from, guint to)
{
    const VqZone *a = &share->zones[from], *b = &share->zones[to];
    guint n = share->work->n_profiles;

    if (a->node == b->node)
        return true;
    if (share->neutral[to] >= 0)
        return share->neutral[to];
    share->neutral[to] = 0;
    for (guint p = 0; p < n && !share->neutral[to]; p++) {
        for (guint q = 0; a->profiles[p] && q < n && !share->neutral[to]; q++)
            share->neutral[to] =
                b->profiles[q] && compare_distances(share, p, a->node, q, b->node) <= 0;
    }
    return share->neutral[to];
}

/* Settled threads change places for even load only beyond the hysteresis. */
static bool
may_gain(const VqShare *share, guint heavy, guint light)
{
    const VqSlot *s = &share->work->slots[heavy], *t = &share->work->slots[light];
    gint64 gap = vq_slot_relative(s, 0) - vq_slot_relative(t, 0);

    if (heavy == light || (int)light == share->closing)
        return false;
    if (s->load > s->limit && t->load < t->limit)
        return true;
    if ((VqSquare)gap * gap * VQ_CAPACITY_UNIT <= share->work->uneven_min)
        return false; /* even if they were levelled exactly */
    if (share->fresh[heavy] > 0 && share->fresh[light] > 0 && share->passes <= VQ_PASSES_MAX)
        return gap > 0;
    return share->stage == VQ_STAGE_EVEN && gap > share->work->gain;
}

static bool
level_core(VqShare *share, guint from, guint heavy)
{
    const VqSlot *slot = &share->work->slots[heavy];
    bool changed = false;

    for (guint z = 0; z < share->n_zones; z++) {
        const VqZone *zone = &share->zones[z];

        for (guint i = 0; i < MIN(zone->n_used, PARTNERS); i++) {
            if (may_gain(share, heavy, zone->used[i]) &&
                (slot->load > slot->limit || is_neutral(share, from, z)))
                changed |= try_pair(share, heavy, zone->used[i]);
        }
    }
    return changed;
}

static bool
level_zone(VqShare *share, guint index)
{
    const VqZone *zone = &share->zones[index];
    g_autofree guint *heavy = g_memdup2(zone->used, zone->n_used * sizeof(guint));
    bool changed = false;

    memset(share->neutral, -1, share->n_zones);
    for (guint i = zone->n_used; i-- > 0;)
        changed |= level_core(share, index, heavy[i]);
    return changed;
}

static void
consider_zone(Exchange *exchange, guint a, const VqZone *zone)
{
    const VqShare *share = exchange->share;
    const VqWork *work = share->work;
    const VqJob *job = &work->jobs[a];
    int from = work->slots[job->slot].node;
    bool any = false;

    for (guint p = 0; p < work->n_profiles && !any; p++)
        any = zone->profiles[p] > 0 &&
              compare_distances(share, job->profile, from, p, zone->node) < 0;
    for (guint i = 0; any && i < zone->n_used; i++) {
        for (int b = share->first[zone->used[i]]; b >= 0; b = share->next[b]) {
            if (compare_distances(share, job->profile, from, work->jobs[b].profile, zone->node) < 0)
                consider(exchange, a, (guint)b);
        }
    }
}

/* A thread that is farther than it could be goes for the place of one that would mind less. */
static bool
bring_near(VqShare *share, guint a)
{
    const VqJob *job = &share->work->jobs[a];
    int node = share->work->slots[job->slot].node;
    guint here = vq_share_distance(share, job->profile, node);
    Exchange exchange = {.share = share, .a = -1, .b = -1};

    if (node < 0 || here <= share->nearest[job->profile])
        return false;
    for (guint z = 0; z < share->n_zones; z++) {
        const VqZone *zone = &share->zones[z];

        if (zone->node >= 0 && vq_share_distance(share, job->profile, zone->node) < here)
            consider_zone(&exchange, a, zone);
    }
    return apply(&exchange);
}

bool
vq_share_pass_swaps(VqShare *share)
{
    bool changed = false;

    if (share->stage != VQ_STAGE_LOCALITY) {
        for (guint z = 0; z < share->n_zones; z++)
            changed |= level_zone(share, z);
        return changed;
    }
    for (guint i = 0; i < share->jobs->len; i++)
        changed |= bring_near(share, g_array_index(share->jobs, guint, i));
    return changed;
}
