/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shared threads over the cores that are left: settled ones stay where they are, newcomers come
 * in by load, the largest first, then passes of moves, swaps and cores given up as long as one
 * improves the objective. Every change lowers it strictly and it is a vector of integers, so this
 * ends; it ends where no pass finds anything, so the same input again moves nothing.
 */
#include "core/placement-share.h"

static bool
refused(const VqWork *work, const VqJob *job)
{
    return VQ_WORK_DOMAIN(work, job->domain)->required_refused;
}

static int
by_load(gconstpointer a, gconstpointer b, gpointer user_data)
{
    const VqWork *work = user_data;
    guint i = *(const guint *)a, k = *(const guint *)b;

    if (work->jobs[i].claim != work->jobs[k].claim)
        return work->jobs[i].claim > work->jobs[k].claim ? -1 : 1;
    return i < k ? -1 : i > k;
}

static void
collect(VqShare *share)
{
    VqWork *work = share->work;

    for (guint i = 0; i < work->n_jobs; i++) {
        VqJob *job = &work->jobs[i];

        if (!refused(work, job) && job->class != VQ_PLACEMENT_DEDICATED && !vq_job_held(job))
            g_array_append_val(share->jobs, i);
    }
    g_array_sort_with_data(share->jobs, by_load, work);
}

bool
vq_share_may_go(const VqShare *share, const VqJob *job, int slot, const VqDelta *delta)
{
    guint limit = share->work->input->max_moves;
    bool away = job->slot != job->home;

    if (!vq_share_settled(share, job))
        return true;
    if (limit && !away && slot != job->home && share->moved >= limit)
        return false;
    if (share->stage == VQ_STAGE_RESTING || share->stage == VQ_STAGE_OVERLOAD) {
        if (delta->sum.overload >= 0)
            return false;
    } else if (share->stage < VQ_STAGE_EVEN && delta->sum.device == 0 && delta->sum.memory == 0) {
        return false;
    }
    return share->stage == VQ_STAGE_RESTING || !job->thread->resting;
}

/* The best place found so far for one thread. */
typedef struct {
    const VqShare *share;
    const VqJob *job;
    bool any; /* it needs one, be it worthwhile or not */
    int slot; /* -1: none */
    VqDelta delta;
} Choice;

static void
consider(Choice *choice, guint slot)
{
    const VqShare *share = choice->share;
    VqDelta delta;

    if ((int)slot == choice->job->slot || (int)slot == share->closing)
        return;
    delta = vq_delta_move(share->work, choice->job, choice->job->slot, (int)slot);
    if (!choice->any &&
        (!vq_delta_worthwhile(share->work, &delta, vq_share_stays(share, choice->job)) ||
         !vq_share_may_go(share, choice->job, (int)slot, &delta)))
        return;
    if (choice->slot >= 0 && vq_objective_compare(&delta.sum, &choice->delta.sum) >= 0)
        return;
    choice->slot = (int)slot;
    choice->delta = delta;
}

/* In an over-committed pool claims and loads order cores differently. */
static int
roomiest(const VqShare *share, const VqZone *zone, int but)
{
    const VqSlot *slots = share->work->slots;
    int best = -1;

    for (guint i = 0; i < zone->n_used; i++) {
        if ((int)zone->used[i] == but)
            continue;
        if (best < 0 || slots[zone->used[i]].load < slots[best].load)
            best = (int)zone->used[i];
    }
    return best;
}

static void
consider_zone(Choice *choice, const VqZone *zone)
{
    const VqShare *share = choice->share;

    for (guint i = 0; i < MIN(zone->n_used, 2); i++) {
        consider(choice, zone->used[i]);
        if ((int)zone->used[i] != choice->job->slot)
            break;
    }
    if (share->work->overloaded && zone->n_used > 1)
        consider(choice, (guint)roomiest(share, zone, choice->job->slot));
    if (zone->n_empty > 0)
        consider(choice, zone->empty[0]);
}

/* A farther zone can only be better by less overload. */
static bool
is_too_far(const Choice *choice, const VqZone *zone)
{
    const VqShare *share = choice->share;
    const VqJob *job = choice->job;
    const VqSlot *than;

    if (job->slot >= 0 && !choice->any)
        than = &share->work->slots[job->slot];
    else if (job->slot < 0 && choice->slot >= 0 && choice->delta.sum.overload == 0)
        than = &share->work->slots[choice->slot];
    else
        return false;
    if (!choice->any && than->load > than->limit)
        return false;
    return vq_share_distance(share, job->profile, zone->node) >
           vq_share_distance(share, job->profile, than->node);
}

static Choice
choose(const VqShare *share, const VqJob *job, bool any)
{
    Choice choice = {.share = share, .job = job, .any = any, .slot = -1};
    guint floor = share->floor[job - share->work->jobs];

    for (guint i = 0; i < share->n_zones; i++) {
        const VqZone *zone = &share->zones[i];

        if (floor > 0 && vq_share_distance(share, job->profile, zone->node) < floor)
            continue;
        if (is_too_far(&choice, zone))
            continue;
        consider_zone(&choice, zone);
    }
    return choice;
}

int
vq_share_best(const VqShare *share, const VqJob *job)
{
    return choose(share, job, true).slot;
}

static void
let_in(VqShare *share)
{
    VqWork *work = share->work;

    vq_share_settle(share);
    vq_share_find_spill(share);
    for (guint i = 0; i < share->jobs->len; i++) {
        guint index = g_array_index(share->jobs, guint, i);
        const VqJob *job = &work->jobs[index];
        Choice choice;

        if (job->slot >= 0)
            continue;
        choice = choose(share, job, true);
        share->floor[index] = 0;
        if (choice.slot < 0)
            choice = choose(share, job, true);
        vq_share_put(share, index, choice.slot);
    }
}

/* Whether there can be a better place at all, judged by what is known without looking at any. */
static bool
is_promising(const VqShare *share, const VqJob *job)
{
    const VqWork *work = share->work;
    const VqSlot *slot = &work->slots[job->slot];
    bool settled = vq_share_stays(share, job);
    gint64 lowest;
    const guint *row = work->clusters + (gsize)job->domain * work->n_clusters;

    if ((slot->load > slot->limit && share->room) ||
        vq_share_distance(share, job->profile, slot->node) > share->nearest[job->profile])
        return true;
    if (settled && share->stage != VQ_STAGE_EVEN)
        return false;
    if (!settled &&
        (slot->shared == 1 || row[slot->cluster] < VQ_WORK_DOMAIN(work, job->domain)->placed))
        return true;
    lowest = slot->capacity < share->fastest ? 0 : share->lowest;
    /* a core takes 1.25 times a thread's claim at most, as a whole: less of a gap is none */
    return vq_slot_relative(slot, 0) - lowest > (settled ? work->gain : job->claim * 4 / 5);
}

/* Whether any core has room; without, no move makes overload less. */
static bool
find_room(const VqShare *share)
{
    for (guint z = 0; z < share->n_zones; z++) {
        const VqZone *zone = &share->zones[z];

        if (zone->n_empty > 0)
            return true;
        for (guint i = 0; i < zone->n_used; i++) {
            const VqSlot *slot = &share->work->slots[zone->used[i]];

            if (slot->load < slot->limit)
                return true;
        }
    }
    return false;
}

/* The best move of all that a thread of @slot can make. */
static bool
relieve(VqShare *share, guint slot)
{
    Choice best = {.slot = -1};
    guint who = 0;

    for (int k = share->first[slot]; k >= 0; k = share->next[k]) {
        Choice choice = choose(share, &share->work->jobs[k], false);

        if (choice.slot < 0)
            continue;
        if (best.slot >= 0) {
            int order = vq_objective_compare(&choice.delta.sum, &best.delta.sum);

            if (order > 0 || (order == 0 && (guint)k > who))
                continue;
        }
        best = choice;
        who = (guint)k;
    }
    if (best.slot < 0)
        return false;
    vq_share_put(share, who, best.slot);
    return true;
}

/* Cores above their limit, the fullest first: who leaves is whoever makes the best plan by it, so
 * that one move does where one can. */
static bool
pass_relief(VqShare *share)
{
    bool changed = false;

    for (guint z = 0; share->room && z < share->n_zones; z++) {
        const VqZone *zone = &share->zones[z];
        g_autofree guint *slots = g_memdup2(zone->used, zone->n_used * sizeof(guint));

        for (guint i = zone->n_used; i-- > 0;) {
            const VqSlot *slot = &share->work->slots[slots[i]];

            while (slot->load > slot->limit && relieve(share, slots[i]))
                changed = true;
        }
    }
    return changed;
}

bool
vq_share_pass_moves(VqShare *share)
{
    bool changed = false;

    share->room = find_room(share);
    if (share->stage == VQ_STAGE_OVERLOAD || share->stage == VQ_STAGE_RESTING)
        return pass_relief(share);

    for (guint i = 0; i < share->jobs->len; i++) {
        guint index = g_array_index(share->jobs, guint, i);
        const VqJob *job = &share->work->jobs[index];
        Choice choice;

        if (!is_promising(share, job))
            continue;
        choice = choose(share, job, false);
        if (choice.slot < 0)
            continue;
        vq_share_put(share, index, choice.slot);
        changed = true;
    }
    return changed;
}

static bool
run_stage(VqShare *share, VqStage stage)
{
    bool any = false;

    share->stage = stage;
    if (stage == VQ_STAGE_PACK)
        return vq_share_pass_pack(share);
    for (bool changed = true; changed; any |= changed) {
        share->passes += share->jobs->len > VQ_PASSES_MANY;
        changed = vq_share_pass_moves(share);
        changed |= vq_share_pass_swaps(share);
    }
    return any;
}

static void
improve(VqShare *share)
{
    VqStage end = share->work->input->calm ? VQ_STAGE_RESTING : VQ_STAGES;

    for (bool changed = true; changed;) {
        changed = false;
        for (VqStage stage = 0; stage < end; stage++)
            changed |= run_stage(share, stage);
    }
}

void
vq_work_share(VqWork *work)
{
    VqShare share;

    for (guint i = 0; i < work->n_jobs; i++) {
        VqJob *job = &work->jobs[i];

        if (!refused(work, job) && job->class != VQ_PLACEMENT_DEDICATED && vq_job_held(job))
            vq_slot_put_held(work, job);
    }
    vq_share_open(&share, work);
    if (share.n_zones > 0) {
        collect(&share);
        let_in(&share);
        improve(&share);
        if (vq_share_pass_exact(&share))
            improve(&share);
    }
    vq_share_close(&share);
}
