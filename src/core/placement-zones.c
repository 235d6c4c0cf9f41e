/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Zones of like cores, and who is on each core; placement-share.h says what for. */
#include "core/placement-share.h"

#include <string.h>

static VqZone *
zone_for(VqShare *share, const VqSlot *slot)
{
    VqZone *zone;

    for (guint i = 0; i < share->n_zones; i++) {
        zone = &share->zones[i];
        if (zone->node == slot->node && zone->cluster == slot->cluster &&
            zone->package == slot->package && zone->capacity == slot->capacity)
            return zone;
    }
    zone = &share->zones[share->n_zones++];
    zone->node = slot->node;
    zone->cluster = slot->cluster;
    zone->package = slot->package;
    zone->capacity = slot->capacity;
    return zone;
}

static bool
in_use(const VqShare *share, const VqSlot *slot)
{
    return slot->shared > 0 || slot->held > 0 || share->work->input->params.spread;
}

static bool
is_before(const VqShare *share, guint a, guint b)
{
    const VqSlot *slots = share->work->slots;

    return slots[a].claim != slots[b].claim ? slots[a].claim < slots[b].claim : a < b;
}

/* Where @slot is or belongs in the zone's list. */
static guint
position(const VqShare *share, const guint *list, guint length, guint slot, bool by_claim)
{
    guint low = 0, high = length;

    while (low < high) {
        guint middle = (low + high) / 2;
        bool before = by_claim ? is_before(share, list[middle], slot) : list[middle] < slot;

        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
list_slot(VqShare *share, guint slot, bool add)
{
    VqZone *zone = &share->zones[share->zone_of[slot]];
    bool used = in_use(share, &share->work->slots[slot]);
    guint *list = used ? zone->used : zone->empty;
    guint *length = used ? &zone->n_used : &zone->n_empty;
    guint at = position(share, list, *length, slot, used);

    if (add) {
        memmove(list + at + 1, list + at, (*length - at) * sizeof(guint));
        list[at] = slot;
        (*length)++;
    } else {
        (*length)--;
        memmove(list + at, list + at + 1, (*length - at) * sizeof(guint));
    }
}

static void
find_lowest(VqShare *share)
{
    share->lowest = G_MAXINT64;
    share->fastest = 0;
    for (guint i = 0; i < share->n_zones; i++) {
        const VqZone *zone = &share->zones[i];

        if (zone->n_empty > 0)
            share->fastest = MAX(share->fastest, zone->capacity);
        if (zone->n_used > 0)
            share->lowest =
                MIN(share->lowest, vq_slot_relative(&share->work->slots[zone->used[0]], 0));
    }
}

static void
unlink_job(VqShare *share, guint job, int slot)
{
    int before = share->before[job], next = share->next[job];

    if (before >= 0)
        share->next[before] = next;
    else
        share->first[slot] = next;
    if (next >= 0)
        share->before[next] = before;
}

/* Keeps a core's threads in ascending order of claim. Newcomers come in the heaviest first, so that
 * the place is mostly the first one. */
static void
link_job(VqShare *share, guint job, int slot)
{
    const VqJob *jobs = share->work->jobs;
    int before = -1, next = share->first[slot];

    while (next >= 0 && (jobs[next].claim < jobs[job].claim ||
                         (jobs[next].claim == jobs[job].claim && next < (int)job))) {
        before = next;
        next = share->next[next];
    }
    share->next[job] = next;
    share->before[job] = before;
    if (next >= 0)
        share->before[next] = (int)job;
    if (before >= 0)
        share->next[before] = (int)job;
    else
        share->first[slot] = (int)job;
}

static void
change(VqShare *share, guint index, int slot, int sign)
{
    VqJob *job = &share->work->jobs[index];
    bool settled = vq_share_settled(share, job);

    list_slot(share, (guint)slot, false);
    vq_slot_put(share->work, job, slot, sign);
    list_slot(share, (guint)slot, true);
    share->zones[share->zone_of[slot]].profiles[job->profile] += (guint)sign;
    share->fresh[slot] += settled ? 0 : (guint)sign;
    share->moved += settled && slot != job->home ? (guint)sign : 0;
}

void
vq_share_put(VqShare *share, guint index, int slot)
{
    VqJob *job = &share->work->jobs[index];

    if (job->slot >= 0) {
        unlink_job(share, index, job->slot);
        change(share, index, job->slot, -1);
    }
    job->slot = slot;
    if (slot >= 0) {
        change(share, index, slot, 1);
        link_job(share, index, slot);
    }
    find_lowest(share);
}

static int
by_place(gconstpointer a, gconstpointer b, gpointer user_data)
{
    guint x = *(const guint *)a, y = *(const guint *)b;

    return x == y ? 0 : is_before(user_data, x, y) ? -1 : 1;
}

/* All zones' lists anew. */
static void
list_all(VqShare *share)
{
    for (guint i = 0; i < share->n_zones; i++)
        share->zones[i].n_used = share->zones[i].n_empty = 0;
    for (guint i = 0; i < share->work->n_slots; i++) {
        VqZone *zone = share->zone_of[i] >= 0 ? &share->zones[share->zone_of[i]] : NULL;

        if (zone && in_use(share, &share->work->slots[i]))
            zone->used[zone->n_used++] = i;
        else if (zone)
            zone->empty[zone->n_empty++] = i;
    }
    for (guint i = 0; i < share->n_zones; i++) {
        VqZone *zone = &share->zones[i];

        g_qsort_with_data(zone->used, (int)zone->n_used, sizeof(guint), by_place, share);
    }
    find_lowest(share);
}

void
vq_share_settle(VqShare *share)
{
    VqWork *work = share->work;

    for (guint i = 0; i < share->jobs->len; i++) {
        guint index = g_array_index(share->jobs, guint, i);
        VqJob *job = &work->jobs[index];

        if (!vq_share_settled(share, job))
            continue;
        job->slot = job->home;
        vq_slot_put(work, job, job->slot, 1);
        share->zones[share->zone_of[job->slot]].profiles[job->profile]++;
        link_job(share, index, job->slot);
    }
    list_all(share);
}

guint
vq_share_distance(const VqShare *share, guint profile, int node)
{
    const guint8 *row = vq_work_profile(share->work, profile);

    return node < 0 ? 0 : (guint)row[node] << 8 | row[share->work->n_nodes + (guint)node];
}

static void
find_nearest(VqShare *share)
{
    for (guint p = 0; p < share->work->n_profiles; p++) {
        share->nearest[p] = G_MAXUINT;
        for (guint i = 0; i < share->n_zones; i++)
            share->nearest[p] =
                MIN(share->nearest[p], vq_share_distance(share, p, share->zones[i].node));
    }
}

/* Each zone's lists have room for all of its cores. */
static void
make_zones(VqShare *share)
{
    VqWork *work = share->work;
    guint n = MAX(work->n_slots, 1), *place;
    g_autofree guint *size = g_new0(guint, n);

    share->zones = g_new0(VqZone, n);
    share->zone_of = g_new(int, n);
    for (guint i = 0; i < work->n_slots; i++) {
        share->zone_of[i] = -1;
        if (work->slots[i].owner >= 0)
            continue;
        share->zone_of[i] = (int)(zone_for(share, &work->slots[i]) - share->zones);
        size[share->zone_of[i]]++;
    }
    share->memory = g_new0(guint, 2 * (gsize)n + (gsize)share->n_zones * work->n_profiles +
                                      work->n_profiles + n);
    place = share->memory;
    for (guint i = 0; i < share->n_zones; i++) {
        share->zones[i].used = place;
        share->zones[i].empty = place + size[i];
        share->zones[i].profiles = place + 2 * size[i];
        place += 2 * size[i] + work->n_profiles;
    }
    share->nearest = place;
    share->fresh = place + work->n_profiles;
}

void
vq_share_open(VqShare *share, VqWork *work)
{
    *share =
        (VqShare){.work = work, .closing = -1, .jobs = g_array_new(FALSE, FALSE, sizeof(guint))};
    make_zones(share);
    share->first = g_new(int, MAX(work->n_slots, 1));
    share->next = g_new(int, MAX(work->n_jobs, 1));
    share->floor = g_new0(guint, MAX(work->n_jobs, 1));
    share->scratch = g_new(guint, 2 * (gsize)MAX(work->n_jobs, 1));
    share->neutral = g_new(gint8, MAX(share->n_zones, 1));
    share->before = g_new(int, MAX(work->n_jobs, 1));
    for (guint i = 0; i < work->n_slots; i++)
        share->first[i] = -1;
    find_nearest(share);
    list_all(share);
}

void
vq_share_close(VqShare *share)
{
    g_array_unref(share->jobs);
    g_free(share->zones);
    g_free(share->zone_of);
    g_free(share->first);
    g_free(share->next);
    g_free(share->before);
    g_free(share->floor);
    g_free(share->scratch);
    g_free(share->neutral);
    g_free(share->memory);
}
