/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Newcomers, all at once: branch and bound over their places while everybody else stays, with a
 * budget of steps. What one change at a time cannot reach, because two or three threads have to go
 * together, is found here if the newcomers are few; if the budget ends first, the best plan found
 * so far stands, never a worse one than before.
 */
#include "core/placement-share.h"

#include <string.h>

#define THREADS_FEW 6     /* newcomers that are searched for among many threads */
#define THREADS_MAX 16    /* newcomers: with more of them the budget would be wasted */
#define STEPS_SMALL 60000 /* places tried, where few threads are placed in all ... */
#define STEPS_LARGE 1500  /* ... and where many are, so that a step stays below a millisecond */
#define SMALL       64    /* threads in all */

typedef struct {
    VqShare *share;
    guint n;
    guint jobs[THREADS_MAX];
    int place[THREADS_MAX]; /* where each of them is in the branch at hand */
    int best[THREADS_MAX];  /* ... and in the best plan so far */
    VqObjective least;      /* what the best one adds to the objective without any of them */
    VqObjective rest[THREADS_MAX + 1]; /* least that the threads from here on can add */
    GArray *slots;                     /* of guint: candidates */
    guint steps;
    bool found;
} Search;

/* Two cores on which nobody is, or only threads of others, are the same to a newcomer if their
 * loads are. */
static bool
is_repeated(const Search *search, guint i)
{
    const VqShare *share = search->share;
    guint slot = g_array_index(search->slots, guint, i);
    const VqSlot *s = &share->work->slots[slot];

    for (guint k = 0; k < i; k++) {
        guint other = g_array_index(search->slots, guint, k);
        const VqSlot *t = &share->work->slots[other];

        if (share->zone_of[slot] == share->zone_of[other] && s->load == t->load &&
            s->claim == t->claim && (s->shared > 0) == (t->shared > 0) && s->held == t->held)
            return true;
    }
    return false;
}

static void
finish(Search *search, const VqObjective *sum)
{
    if (search->found && vq_objective_compare(sum, &search->least) >= 0)
        return;
    search->least = *sum;
    search->found = true;
    memcpy(search->best, search->place, sizeof(search->best));
}

typedef struct {
    guint slot;
    VqObjective sum;
} Branch;

static int
by_sum(gconstpointer a, gconstpointer b)
{
    const Branch *x = a, *y = b;
    int order = vq_objective_compare(&x->sum, &y->sum);

    return order ? order : x->slot < y->slot ? -1 : x->slot > y->slot;
}

static void
put(Search *search, guint depth, int slot, int sign)
{
    VqWork *work = search->share->work;

    vq_slot_put(work, &work->jobs[search->jobs[depth]], slot, sign);
}

static void
descend(Search *search, guint depth, const VqObjective *sum)
{
    const VqWork *work = search->share->work;
    const VqJob *job;
    g_autoptr(GArray) branches = NULL;

    if (depth == search->n) {
        finish(search, sum);
        return;
    }
    job = &work->jobs[search->jobs[depth]];
    branches = g_array_sized_new(FALSE, FALSE, sizeof(Branch), search->slots->len);
    for (guint i = 0; i < search->slots->len; i++) {
        Branch branch = {.slot = g_array_index(search->slots, guint, i), .sum = *sum};
        VqDelta delta;

        if (search->steps == 0 || is_repeated(search, i))
            continue;
        search->steps--;
        delta = vq_delta_move(work, job, -1, (int)branch.slot);
        vq_objective_add(&branch.sum, &delta.sum);
        g_array_append_val(branches, branch);
    }
    g_array_sort(branches, by_sum);
    for (guint i = 0; i < branches->len && search->steps > 0; i++) {
        const Branch *branch = &g_array_index(branches, Branch, i);
        VqObjective bound = branch->sum;

        vq_objective_add(&bound, &search->rest[depth + 1]);
        if (search->found && vq_objective_compare(&bound, &search->least) >= 0)
            continue;
        search->place[depth] = (int)branch->slot;
        put(search, depth, (int)branch->slot, 1);
        descend(search, depth + 1, &branch->sum);
        put(search, depth, (int)branch->slot, -1);
    }
}

/* No thread can be nearer than to the nearest core. */
static void
bound_rest(Search *search)
{
    const VqShare *share = search->share;

    search->rest[search->n] = (VqObjective){0};
    for (guint i = search->n; i-- > 0;) {
        guint nearest = share->nearest[share->work->jobs[search->jobs[i]].profile];

        search->rest[i] = search->rest[i + 1];
        search->rest[i].device += nearest >> 8;
        /* memory only where it does not compete with the device */
        if (nearest >> 8 == 0)
            search->rest[i].memory += nearest & 0xff;
    }
}

static void
add_candidate(GArray *slots, guint slot)
{
    for (guint i = 0; i < slots->len; i++) {
        if (g_array_index(slots, guint, i) == slot)
            return;
    }
    g_array_append_val(slots, slot);
}

static int
by_number(gconstpointer a, gconstpointer b)
{
    guint x = *(const guint *)a, y = *(const guint *)b;

    return x < y ? -1 : x > y;
}

/* The lightest and the empty ones of each zone, and where the newcomers are now. */
static void
find_candidates(Search *search)
{
    const VqShare *share = search->share;
    guint each = share->work->n_jobs <= SMALL ? 8 : 2;

    for (guint z = 0; z < share->n_zones; z++) {
        const VqZone *zone = &share->zones[z];

        for (guint i = 0; i < MIN(zone->n_used, each); i++)
            add_candidate(search->slots, zone->used[i]);
        for (guint i = 0; i < MIN(zone->n_empty, MIN(each, search->n)); i++)
            add_candidate(search->slots, zone->empty[i]);
    }
    for (guint i = 0; i < search->n; i++)
        add_candidate(search->slots, (guint)search->place[i]);
    g_array_sort(search->slots, by_number);
}

static bool
find_newcomers(Search *search)
{
    const VqShare *share = search->share;
    guint most = share->work->n_jobs <= SMALL ? THREADS_MAX : THREADS_FEW;

    for (guint i = 0; i < share->jobs->len; i++) {
        guint index = g_array_index(share->jobs, guint, i);
        const VqJob *job = &share->work->jobs[index];

        if (vq_share_settled(share, job))
            continue;
        if (search->n == most)
            return false;
        search->place[search->n] = job->slot;
        search->jobs[search->n++] = index;
    }
    return search->n > 1;
}

bool
vq_share_pass_exact(VqShare *share)
{
    Search search = {.share = share};
    VqObjective sum = {0};
    int before[THREADS_MAX];

    if (!find_newcomers(&search))
        return false;
    memcpy(before, search.place, sizeof(before));
    search.slots = g_array_new(FALSE, FALSE, sizeof(guint));
    find_candidates(&search);
    search.steps = share->work->n_jobs <= SMALL ? STEPS_SMALL : STEPS_LARGE;
    bound_rest(&search);
    for (guint i = 0; i < search.n; i++)
        vq_share_put(share, search.jobs[i], -1);
    /* what they add where the passes have put them is to be beaten */
    for (guint i = 0; i < search.n; i++) {
        VqDelta delta =
            vq_delta_move(share->work, &share->work->jobs[search.jobs[i]], -1, before[i]);

        vq_objective_add(&sum, &delta.sum);
        put(&search, i, before[i], 1);
    }
    for (guint i = 0; i < search.n; i++)
        put(&search, i, before[i], -1);
    finish(&search, &sum);
    descend(&search, 0, &(VqObjective){0});
    for (guint i = 0; i < search.n; i++)
        vq_share_put(share, search.jobs[i], search.best[i]);
    g_array_unref(search.slots);
    return memcmp(before, search.best, search.n * sizeof(int)) != 0;
}
