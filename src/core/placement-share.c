/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shared threads over the cores that are left: settled ones stay where they are, newcomers come
 * in by load, the largest first (LPT), then single moves and swaps as long as one improves the
 * objective. Every change lowers it strictly and it is a vector of integers, so this ends; it ends
 * where no move and no swap helps, so the same input again moves nothing.
 */
#include "core/placement-work.h"

/* What settled threads may move for, one after the other: what matters most has the first claim on
 * max_moves. */
typedef enum { STAGE_OVERLOAD, STAGE_LOCALITY, STAGE_ALL, STAGE_RESTING } Stage;

typedef struct {
    VqWork *work;
    GArray *jobs;  /* of guint: to be levelled */
    GArray *slots; /* of guint: open to them */
    Stage stage;
    guint moved; /* settled threads away from home */
} Level;

static VqJob *
level_job(const Level *level, guint i)
{
    return &level->work->jobs[g_array_index(level->jobs, guint, i)];
}

static bool
refused(const VqWork *work, const VqJob *job)
{
    return VQ_WORK_DOMAIN(work, job->domain)->required_refused;
}

static void
collect(Level *level)
{
    VqWork *work = level->work;

    for (guint i = 0; i < work->n_slots; i++) {
        if (work->slots[i].owner < 0)
            g_array_append_val(level->slots, i);
    }
    for (guint i = 0; i < work->n_jobs; i++) {
        VqJob *job = &work->jobs[i];

        if (refused(work, job) || job->class == VQ_PLACEMENT_DEDICATED)
            continue;
        if (vq_job_held(job))
            vq_slot_put_held(work, job);
        else
            g_array_append_val(level->jobs, i);
    }
}

static bool
is_open(const VqWork *work, int slot)
{
    return slot >= 0 && work->slots[slot].owner < 0;
}

static bool
is_settled(const VqWork *work, const VqJob *job)
{
    return is_open(work, job->home);
}

/* What @job adds to the moves that max_moves bounds by standing on @slot. */
static int
counted(const Level *level, const VqJob *job, int slot)
{
    return is_settled(level->work, job) && slot >= 0 && slot != job->home;
}

static void
place(Level *level, VqJob *job, int slot)
{
    level->moved += (guint)(counted(level, job, slot) - counted(level, job, job->slot));
    if (job->slot >= 0)
        vq_slot_put(level->work, job, job->slot, -1);
    job->slot = slot;
    vq_slot_put(level->work, job, slot, 1);
}

/* The best change for @job among all open slots but its own; -1 if none is open. */
static int
best_slot(const Level *level, const VqJob *job, VqDelta *best)
{
    int found = -1;

    for (guint i = 0; i < level->slots->len; i++) {
        int slot = (int)g_array_index(level->slots, guint, i);

        if (slot == job->slot)
            continue;

        VqDelta delta = vq_delta_move(level->work, job, job->slot, slot);

        if (found < 0 || vq_objective_compare(&delta.sum, &best->sum) < 0) {
            *best = delta;
            found = slot;
        }
    }
    return found;
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
let_in(Level *level)
{
    VqWork *work = level->work;

    for (guint i = 0; i < level->jobs->len; i++) {
        VqJob *job = level_job(level, i);

        if (is_open(work, job->home))
            place(level, job, job->home);
    }
    g_array_sort_with_data(level->jobs, by_load, work);
    for (guint i = 0; i < level->jobs->len; i++) {
        VqJob *job = level_job(level, i);
        VqDelta best;

        if (job->slot < 0)
            place(level, job, best_slot(level, job, &best));
    }
}

/* Whether the present stage, its rest and max_moves let @job go to @slot. */
static bool
may_go(const Level *level, const VqJob *job, int slot, const VqDelta *delta)
{
    guint limit = level->work->input->max_moves;
    int more = counted(level, job, slot) - counted(level, job, job->slot);

    if (!is_settled(level->work, job))
        return true;
    if (limit && more > 0 && level->moved + (guint)more > limit)
        return false;
    if (level->stage == STAGE_RESTING || level->stage == STAGE_OVERLOAD) {
        if (delta->sum.overload >= 0)
            return false;
    } else if (level->stage == STAGE_LOCALITY && delta->sum.device == 0 && delta->sum.memory == 0) {
        return false;
    }
    return level->stage == STAGE_RESTING || !job->thread->resting;
}

/* Each slot is asked by itself: a change that is worth it may hide behind a better one that is
 * not (hysteresis). */
static bool
try_move(Level *level, VqJob *job)
{
    VqWork *work = level->work;
    bool settled = is_settled(work, job);
    VqDelta best = {0};
    int found = -1;

    for (guint i = 0; i < level->slots->len; i++) {
        int slot = (int)g_array_index(level->slots, guint, i);

        if (slot == job->slot)
            continue;

        VqDelta delta = vq_delta_move(work, job, job->slot, slot);

        if (vq_delta_worthwhile(work, &delta, settled) && may_go(level, job, slot, &delta) &&
            (found < 0 || vq_objective_compare(&delta.sum, &best.sum) < 0)) {
            best = delta;
            found = slot;
        }
    }
    if (found >= 0)
        place(level, job, found);
    return found >= 0;
}

/* Between cores that differ in nothing but load, a swap can only help if the heavier thread is on
 * the heavier core: most pairs are done with here. */
static bool
is_pointless(const VqWork *work, const VqJob *a, const VqJob *b)
{
    const VqSlot *s = &work->slots[a->slot], *t = &work->slots[b->slot];

    if (s == t)
        return true;
    if (work->overloaded || s->cluster != t->cluster || s->node != t->node ||
        s->capacity != t->capacity)
        return false;
    return s->claim >= t->claim ? a->claim <= b->claim : a->claim >= b->claim;
}

static bool
try_swap(Level *level, VqJob *a, VqJob *b)
{
    VqWork *work = level->work;

    if (is_pointless(work, a, b))
        return false;

    VqDelta delta = vq_delta_swap(work, a, b);
    int slot = a->slot;

    if (!vq_delta_worthwhile(work, &delta, is_settled(work, a) || is_settled(work, b)) ||
        !may_go(level, a, b->slot, &delta) || !may_go(level, b, slot, &delta))
        return false;
    if (work->input->max_moves && is_settled(work, a) && is_settled(work, b) &&
        level->moved + 2 > work->input->max_moves)
        return false;
    place(level, a, b->slot);
    place(level, b, slot);
    return true;
}

static bool
improve(Level *level, Stage stage)
{
    bool changed = true, any = false;

    level->stage = stage;
    while (changed) {
        changed = false;
        for (guint i = 0; i < level->jobs->len; i++)
            changed |= try_move(level, level_job(level, i));
        for (guint i = 0; i < level->jobs->len; i++) {
            for (guint k = i + 1; k < level->jobs->len; k++)
                changed |= try_swap(level, level_job(level, i), level_job(level, k));
        }
        any |= changed;
    }
    return any;
}

void
vq_work_share(VqWork *work)
{
    Level level = {
        .work = work,
        .jobs = g_array_new(FALSE, FALSE, sizeof(guint)),
        .slots = g_array_new(FALSE, FALSE, sizeof(guint)),
    };

    Stage last = work->input->calm ? STAGE_ALL : STAGE_RESTING;

    collect(&level);
    if (level.slots->len > 0) {
        let_in(&level);
        for (bool changed = true; changed;) {
            changed = false;
            for (Stage stage = STAGE_OVERLOAD; stage <= last; stage++)
                changed |= improve(&level, stage);
        }
    }
    g_array_unref(level.jobs);
    g_array_unref(level.slots);
}
