/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cores given up: all shared threads of one core go to others in use, none of them farther from
 * what it serves. Newcomers may fill the others up to load_limit; threads that run already leave
 * their core only if the others stay below pack_below, so that a core given up is not needed again
 * at the next small rise. With max_moves left for some of them only, some go now and the rest at
 * the next call: a core half given up is the lightest and stays the first to go.
 */
#include "core/placement-share.h"

typedef struct {
    VqShare *share;
    guint slot;     /* to be given up */
    double ceiling; /* share of a core up to which the others may be filled */
    guint budget;   /* settled threads that may still leave their home */
    GArray *gone;   /* of guint: jobs that went, in order */
    VqObjective sum;
} Closing;

static double
ceiling(const VqShare *share, bool settled)
{
    const VqPlacementParams *params = &share->work->input->params;

    return settled ? params->pack_below : params->load_limit;
}

static gint64
room(const Closing *closing, const VqSlot *slot)
{
    gint64 limit = (gint64)(closing->ceiling * VQ_LOAD_UNIT) * slot->capacity / VQ_CAPACITY_UNIT;

    return MIN(limit, slot->limit) - slot->load;
}

/* The best of the other cores in use that have room; -1 if there is none. */
static int
find_place(const Closing *closing, const VqJob *job, VqDelta *best)
{
    const VqShare *share = closing->share;
    int found = -1;

    for (guint z = 0; z < share->n_zones; z++) {
        const VqZone *zone = &share->zones[z];

        for (guint i = 0; i < MIN(zone->n_used, 2); i++) {
            guint slot = zone->used[i];
            VqDelta delta;

            if (slot == closing->slot || room(closing, &share->work->slots[slot]) < job->load)
                continue;
            delta = vq_delta_move(share->work, job, job->slot, (int)slot);
            if (found < 0 || vq_objective_compare(&delta.sum, &best->sum) < 0) {
                found = (int)slot;
                *best = delta;
            }
            break;
        }
    }
    return found;
}

static bool
send_away(Closing *closing, guint index)
{
    VqShare *share = closing->share;
    VqDelta delta;
    int slot = find_place(closing, &share->work->jobs[index], &delta);

    if (slot < 0)
        return false;
    vq_share_put(share, index, slot);
    g_array_append_val(closing->gone, index);
    vq_objective_add(&closing->sum, &delta.sum);
    return true;
}

/* Brings back all but the first @keep of those that went. */
static void
bring_back(Closing *closing, guint keep)
{
    while (closing->gone->len > keep) {
        vq_share_put(closing->share, g_array_index(closing->gone, guint, closing->gone->len - 1),
                     (int)closing->slot);
        g_array_set_size(closing->gone, closing->gone->len - 1);
    }
}

/* How many of those that went, in order, max_moves lets go now. */
static guint
within_budget(const Closing *closing)
{
    const VqShare *share = closing->share;
    guint limit = share->work->input->max_moves, moved = closing->budget, keep = 0;

    if (!limit)
        return closing->gone->len;
    for (; keep < closing->gone->len; keep++) {
        const VqJob *job = &share->work->jobs[g_array_index(closing->gone, guint, keep)];

        if (!vq_share_settled(share, job) || job->home != (int)closing->slot)
            continue;
        if (moved == 0)
            break;
        moved--;
    }
    return keep;
}

static int
by_load(gconstpointer a, gconstpointer b, gpointer user_data)
{
    const VqJob *jobs = user_data;
    guint i = *(const guint *)a, k = *(const guint *)b;

    if (jobs[i].load != jobs[k].load)
        return jobs[i].load > jobs[k].load ? -1 : 1;
    return i < k ? -1 : i > k;
}

/* The threads on the core, the largest first; NULL if one of them rests. */
static GArray *
threads_to_go(const Closing *closing, bool *settled)
{
    const VqShare *share = closing->share;
    g_autoptr(GArray) jobs = g_array_new(FALSE, FALSE, sizeof(guint));

    for (int k = share->first[closing->slot]; k >= 0; k = share->next[k]) {
        const VqJob *job = &share->work->jobs[k];
        guint index = (guint)k;

        if (vq_share_settled(share, job)) {
            *settled = true;
            if (job->thread->resting)
                return NULL;
        }
        g_array_append_val(jobs, index);
    }
    g_array_sort_with_data(jobs, by_load, share->work->jobs);
    return g_steal_pointer(&jobs);
}

static bool
try_close(VqShare *share, guint slot)
{
    static const VqObjective nothing;
    const VqPlacementInput *input = share->work->input;
    g_autoptr(GArray) gone = g_array_new(FALSE, FALSE, sizeof(guint));
    bool settled = false;
    Closing closing = {.share = share, .slot = slot, .gone = gone};
    g_autoptr(GArray) jobs = threads_to_go(&closing, &settled);
    guint sent = 0, keep;

    if (!jobs)
        return false;
    closing.ceiling = ceiling(share, settled);
    closing.budget = input->max_moves > share->moved ? input->max_moves - share->moved : 0;
    if (settled && input->max_moves && closing.budget == 0)
        return false;
    while (sent < jobs->len && send_away(&closing, g_array_index(jobs, guint, sent)))
        sent++;
    if (sent < jobs->len || vq_objective_compare(&closing.sum, &nothing) >= 0) {
        bring_back(&closing, 0);
        return false;
    }
    keep = within_budget(&closing);
    bring_back(&closing, keep);
    if (keep < sent)
        share->closing = (int)slot;
    return keep > 0;
}

/* Without this much room elsewhere a try is in vain. */
static bool
may_close(const VqShare *share, guint slot)
{
    const VqSlot *s = &share->work->slots[slot];
    bool settled = share->fresh[slot] < s->shared;
    Closing closing = {.share = (VqShare *)share, .slot = slot, .ceiling = ceiling(share, settled)};
    gint64 load = s->load, space = 0;

    if (s->held > 0 || s->shared == 0)
        return false;
    for (guint z = 0; z < share->n_zones && space < load; z++) {
        const VqZone *zone = &share->zones[z];

        for (guint i = 0; i < zone->n_used && space < load; i++) {
            const VqSlot *t = &share->work->slots[zone->used[i]];

            if (zone->used[i] != slot)
                space += MAX(room(&closing, t), 0);
        }
    }
    return space >= load;
}

bool
vq_share_pass_pack(VqShare *share)
{
    bool changed = false;

    if (share->work->input->params.spread || share->closing >= 0)
        return false;
    for (guint z = 0; z < share->n_zones; z++) {
        const VqZone *zone = &share->zones[z];
        g_autofree guint *slots = g_memdup2(zone->used, zone->n_used * sizeof(guint));
        guint n = zone->n_used;

        for (guint i = 0; i < n; i++) {
            if (share->closing < 0 && may_close(share, slots[i]))
                changed |= try_close(share, slots[i]);
        }
    }
    return changed;
}
