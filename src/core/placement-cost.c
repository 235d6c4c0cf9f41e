/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * THE objective: what makes one place better than another. Lexicographic, in this order:
 *
 *   1. promises: kept by placement-admit.c, which alone decides who gets a core of its own
 *   2. overload: load above a core's limit, summed over the shared cores
 *   3. device:   distance from the core's NUMA node to the devices' nodes, summed over threads
 *   4. memory:   ... to the VM's memory
 *   5. scatter:  pairs of threads of one VM that share neither last level cache nor package
 *                (for dedicated threads after the speed of their cores)
 *   6. uneven:   sum over cores of claim^2/capacity, least when all are loaded alike; a thread that
 *                runs somewhere already moves for it only if the gap between the two cores shrinks
 *                by more than move_gain
 *   7. moves:    threads that change their core, and threads that have to make room for them
 */
#include "core/placement-work.h"

#define FIELD_BITS   24
#define OVERLOAD_MIN (VQ_LOAD_UNIT / 100) /* less than 1% of a core is not worth a move */

VqCost
vq_cost_pack(unsigned device, unsigned memory, unsigned slow, unsigned moves)
{
    VqCost cost = device;

    cost = (cost << FIELD_BITS) + memory;
    cost = (cost << FIELD_BITS) + slow;
    return (cost << FIELD_BITS) + moves;
}

static guint8
distance_of(const guint8 *row, const VqSlot *slot)
{
    return slot->node >= 0 ? row[slot->node] : 0;
}

VqCost
vq_cost_dedicated(const VqWork *work, const VqJob *job, const VqSlot *slot)
{
    int index = (int)(slot - work->slots);
    unsigned moves = slot->guests; /* they have to leave */

    if (job->home >= 0 && job->home != index)
        moves++;
    return vq_cost_pack(distance_of(job->device, slot), distance_of(job->memory, slot),
                        (unsigned)(VQ_CAPACITY_UNIT - slot->capacity), moves);
}

static gint64
limit_of(const VqWork *work, const VqSlot *slot)
{
    return work->limit * slot->capacity / VQ_CAPACITY_UNIT;
}

static gint64
overload(const VqWork *work, const VqSlot *slot, gint64 more)
{
    return MAX(slot->load + more - limit_of(work, slot), 0);
}

/* Claim on a core relative to its capacity. */
static gint64
relative(const VqSlot *slot, gint64 more)
{
    return (slot->claim + more) * VQ_CAPACITY_UNIT / slot->capacity;
}

/* claim^2/capacity, times 1024 to stay whole for all capacities of 1024/n. */
static __int128
unevenness(const VqSlot *slot, gint64 more)
{
    __int128 claim = slot->claim + more;

    if (slot->capacity == VQ_CAPACITY_UNIT) /* nearly always; dividing 128 bits is slow */
        return claim * claim;
    return claim * claim * VQ_CAPACITY_UNIT / slot->capacity;
}

/* Pairs of a domain's threads in different clusters that @job adds by coming to @to from @from. */
static int
scatter(const VqWork *work, const VqJob *job, int from, int to)
{
    const guint *row = work->clusters + (gsize)job->domain * work->n_clusters;
    int a = from >= 0 ? work->slots[from].cluster : -1;
    int b = work->slots[to].cluster;

    if (a == b)
        return 0;
    return (a >= 0 ? (int)row[a] - 1 : 0) - (int)row[b];
}

/* The part of a delta that concerns two cores' loads. */
static void
weigh_cores(const VqWork *work, VqDelta *delta, const VqSlot *from, const VqSlot *to, gint64 load,
            gint64 claim)
{
    delta->overload = overload(work, to, load) - overload(work, to, 0);
    delta->uneven = unevenness(to, claim) - unevenness(to, 0);
    delta->imbalance = 0;
    if (!from)
        return;
    delta->overload += overload(work, from, -load) - overload(work, from, 0);
    delta->uneven += unevenness(from, -claim) - unevenness(from, 0);
    delta->imbalance = ABS(relative(from, -claim) - relative(to, claim)) -
                       ABS(relative(from, 0) - relative(to, 0));
}

VqDelta
vq_delta_move(const VqWork *work, const VqJob *job, int from, int to)
{
    const VqSlot *source = from >= 0 ? &work->slots[from] : NULL;
    const VqSlot *target = &work->slots[to];
    VqDelta delta = {
        .device = distance_of(job->device, target),
        .memory = distance_of(job->memory, target),
        .scatter = scatter(work, job, from, to),
    };

    if (source) {
        delta.device -= distance_of(job->device, source);
        delta.memory -= distance_of(job->memory, source);
    }
    weigh_cores(work, &delta, source, target, job->load, job->claim);
    return delta;
}

VqDelta
vq_delta_swap(const VqWork *work, const VqJob *a, const VqJob *b)
{
    const VqSlot *from = &work->slots[a->slot], *to = &work->slots[b->slot];
    VqDelta delta = {
        .device = distance_of(a->device, to) - distance_of(a->device, from) +
                  distance_of(b->device, from) - distance_of(b->device, to),
        .memory = distance_of(a->memory, to) - distance_of(a->memory, from) +
                  distance_of(b->memory, from) - distance_of(b->memory, to),
    };

    if (a->domain != b->domain)
        delta.scatter = scatter(work, a, a->slot, b->slot) + scatter(work, b, b->slot, a->slot);
    weigh_cores(work, &delta, from, to, a->load - b->load, a->claim - b->claim);
    return delta;
}

int
vq_delta_compare(const VqDelta *a, const VqDelta *b)
{
    if (a->overload != b->overload)
        return a->overload < b->overload ? -1 : 1;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    if (a->memory != b->memory)
        return a->memory < b->memory ? -1 : 1;
    if (a->scatter != b->scatter)
        return a->scatter < b->scatter ? -1 : 1;
    if (a->uneven != b->uneven)
        return a->uneven < b->uneven ? -1 : 1;
    return 0;
}

/*
 * A settled thread moves for less overload, a nearer device or nearer memory; for even load only
 * beyond the hysteresis; to be near its siblings alone it does not.
 */
bool
vq_delta_worthwhile(const VqWork *work, const VqDelta *delta, bool settled)
{
    static const VqDelta nothing;

    if (vq_delta_compare(delta, &nothing) >= 0)
        return false;
    if (settled && delta->overload < 0)
        return delta->overload <= -OVERLOAD_MIN;
    if (!settled || delta->device || delta->memory)
        return true;
    return delta->scatter == 0 && delta->imbalance < -work->gain;
}

void
vq_cluster_put(VqWork *work, const VqJob *job, int slot, int sign)
{
    int cluster = work->slots[slot].cluster;

    work->clusters[(gsize)job->domain * work->n_clusters + (guint)cluster] += (guint)sign;
}

void
vq_slot_put(VqWork *work, const VqJob *job, int slot, int sign)
{
    work->slots[slot].load += sign * job->load;
    work->slots[slot].claim += sign * job->claim;
    vq_cluster_put(work, job, slot, sign);
}
