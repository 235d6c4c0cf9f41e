/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a change of place does to the objective (objective.c), from the same terms; and the rules
 * that keep a thread that runs where it is although a little would be gained (hysteresis).
 */
#include "core/placement-work.h"

#define FIELD_BITS   24
#define OVERLOAD_MIN (VQ_LOAD_UNIT / 100) /* less than 1% of a core is not worth a move */

VqCost
vq_cost_pack(unsigned unrest, unsigned device, unsigned memory, unsigned slow, unsigned moves)
{
    VqCost cost = unrest;

    cost = (cost << FIELD_BITS) + device;
    cost = (cost << FIELD_BITS) + memory;
    cost = (cost << FIELD_BITS) + slow;
    return (cost << FIELD_BITS) + moves;
}

VqCost
vq_cost_dedicated(const VqWork *work, const VqJob *job, const VqSlot *slot)
{
    bool moved = job->home >= 0 && job->home != (int)(slot - work->slots);

    /* its guests have to leave */
    return vq_cost_pack(moved && job->thread->resting,
                        (unsigned)vq_term_distance(job->device, slot),
                        (unsigned)vq_term_distance(job->memory, slot), (unsigned)vq_term_slow(slot),
                        slot->guests + (moved ? 1 : 0));
}

/* Pairs of a domain's threads in different places that @job adds by going from @a (-1: from
 * nowhere) to @b; @row: the domain's placed threads in each place. */
static gint64
pairs(const VqWork *work, const VqJob *job, const guint *row, int a, int b)
{
    gint64 placed = VQ_WORK_DOMAIN(work, job->domain)->placed;

    if (a == b)
        return 0;
    return (a >= 0 ? (gint64)row[a] - 1 : placed) - (gint64)row[b];
}

static void
add_pairs(const VqWork *work, VqObjective *sum, const VqJob *job, const VqSlot *from,
          const VqSlot *to)
{
    const guint *packages = work->packages + (gsize)job->domain * work->n_packages;
    const guint *clusters = work->clusters + (gsize)job->domain * work->n_clusters;

    sum->package += pairs(work, job, packages, from ? (int)from->package : -1, (int)to->package);
    sum->scatter += pairs(work, job, clusters, from ? from->cluster : -1, to->cluster);
}

static void
add_thread(VqObjective *sum, const VqJob *job, const VqSlot *slot, int sign)
{
    sum->device += sign * vq_term_distance(job->device, slot);
    sum->memory += sign * vq_term_distance(job->memory, slot);
}

/* What becomes of one core when a load and a number of threads is added. */
static void
add_core(const VqWork *work, VqObjective *sum, const VqSlot *slot, gint64 load, gint64 claim,
         int threads)
{
    sum->overload += vq_term_overload(slot, load) - vq_term_overload(slot, 0);
    sum->cores += vq_term_in_use(work, slot, threads) - vq_term_in_use(work, slot, 0);
    sum->uneven += vq_term_uneven(slot, claim) - vq_term_uneven(slot, 0);
}

static gint64
imbalance(const VqSlot *from, const VqSlot *to, gint64 claim)
{
    return ABS(vq_slot_relative(from, -claim) - vq_slot_relative(to, claim)) -
           ABS(vq_slot_relative(from, 0) - vq_slot_relative(to, 0));
}

VqDelta
vq_delta_move(const VqWork *work, const VqJob *job, int from, int to)
{
    const VqSlot *source = from >= 0 ? &work->slots[from] : NULL;
    const VqSlot *target = &work->slots[to];
    VqDelta delta = {.sum.moves = vq_term_moved(job, to) - vq_term_moved(job, from)};

    if (source == target)
        return delta;
    add_pairs(work, &delta.sum, job, source, target);
    add_thread(&delta.sum, job, target, 1);
    add_core(work, &delta.sum, target, job->load, job->claim, 1);
    if (source) {
        add_thread(&delta.sum, job, source, -1);
        add_core(work, &delta.sum, source, -job->load, -job->claim, -1);
        delta.imbalance = imbalance(source, target, job->claim);
    }
    return delta;
}

VqDelta
vq_delta_swap(const VqWork *work, const VqJob *a, const VqJob *b)
{
    const VqSlot *from = &work->slots[a->slot], *to = &work->slots[b->slot];
    VqDelta delta = {
        .sum.moves = vq_term_moved(a, b->slot) - vq_term_moved(a, a->slot) +
                     vq_term_moved(b, a->slot) - vq_term_moved(b, b->slot),
        .imbalance = imbalance(from, to, a->claim - b->claim),
    };

    if (a->domain != b->domain) {
        add_pairs(work, &delta.sum, a, from, to);
        add_pairs(work, &delta.sum, b, to, from);
    }
    add_thread(&delta.sum, a, to, 1);
    add_thread(&delta.sum, a, from, -1);
    add_thread(&delta.sum, b, from, 1);
    add_thread(&delta.sum, b, to, -1);
    add_core(work, &delta.sum, from, b->load - a->load, b->claim - a->claim, 0);
    add_core(work, &delta.sum, to, a->load - b->load, a->claim - b->claim, 0);
    return delta;
}

/*
 * A settled thread moves for less overload, a nearer device or nearer memory, or to give up the
 * core; for even load only beyond the hysteresis; to be near its siblings alone it does not.
 */
bool
vq_delta_worthwhile(const VqWork *work, const VqDelta *delta, bool settled)
{
    static const VqObjective nothing;
    const VqObjective *sum = &delta->sum;

    if (vq_objective_compare(sum, &nothing) >= 0)
        return false;
    if (sum->overload < 0)
        return !settled || sum->overload <= -OVERLOAD_MIN;
    if (sum->device || sum->memory)
        return true;
    if (sum->package == 0 && sum->scatter == 0 && sum->cores == 0)
        return sum->uneven < -work->uneven_min && (!settled || delta->imbalance < -work->gain);
    return !settled;
}

void
vq_cluster_put(VqWork *work, const VqJob *job, int slot, int sign)
{
    const VqSlot *at = &work->slots[slot];

    work->clusters[(gsize)job->domain * work->n_clusters + (guint)at->cluster] += (guint)sign;
    work->packages[(gsize)job->domain * work->n_packages + at->package] += (guint)sign;
    VQ_WORK_DOMAIN(work, job->domain)->placed += (guint)sign;
}

void
vq_slot_put(VqWork *work, const VqJob *job, int slot, int sign)
{
    work->slots[slot].load += sign * job->load;
    work->slots[slot].claim += sign * job->claim;
    work->slots[slot].shared += (guint)sign;
    vq_cluster_put(work, job, slot, sign);
}

void
vq_slot_put_held(VqWork *work, VqJob *job)
{
    gint64 total = vq_cpuset_count(job->thread->current);

    for (guint i = 0; i < work->n_slots; i++) {
        g_autoptr(VqCpuset) common = vq_cpuset_copy(work->slots[i].core->pus);

        vq_cpuset_intersect(common, job->thread->current);

        gint64 share = vq_cpuset_count(common);

        work->slots[i].load += job->load * share / total;
        work->slots[i].claim += job->claim * share / total;
    }
    job->slot = job->home;
    if (job->home >= 0)
        vq_cluster_put(work, job, job->home, 1);
}
