/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is to go elsewhere if not all newcomers find room on the nodes nearest to them. The sum of
 * the distances is least if those stay for whom the next node would be farthest, and of several
 * those with little load, since more of them fit. Placed by load alone, the heaviest first, it
 * would be the many light ones that have to go.
 */
#include "core/placement-share.h"

#define FILL 0.98 /* of a node's room: threads do not fill every core exactly */

typedef struct {
    guint job;
    guint regret; /* what its second nearest node is farther than its nearest */
    gint64 load;
} Claimant;

typedef struct {
    VqShare *share;
    gint64 *room; /* by node; the last one: cores without a node */
    guint n;
} Nodes;

static guint
node_index(const Nodes *nodes, int node)
{
    return node >= 0 ? (guint)node : nodes->n - 1;
}

static int
node_number(const Nodes *nodes, guint index)
{
    return index + 1 < nodes->n ? (int)index : -1;
}

static void
find_room(Nodes *nodes)
{
    const VqWork *work = nodes->share->work;

    for (guint i = 0; i < work->n_slots; i++) {
        const VqSlot *slot = &work->slots[i];

        if (slot->owner < 0)
            nodes->room[node_index(nodes, slot->node)] += MAX(slot->limit - slot->load, 0);
    }
    for (guint i = 0; i < nodes->n; i++)
        nodes->room[i] = (gint64)((double)nodes->room[i] * FILL);
}

static guint
distance(const Nodes *nodes, const VqJob *job, guint index)
{
    return vq_share_distance(nodes->share, job->profile, node_number(nodes, index));
}

/* The least distance to a node with room for @load, and the next least one. */
static int
nearest_with_room(const Nodes *nodes, const VqJob *job, gint64 load, guint *regret)
{
    guint least = G_MAXUINT, second = G_MAXUINT;
    int found = -1;

    for (guint i = 0; i < nodes->n; i++) {
        guint d;

        if (nodes->room[i] < MAX(load, 1))
            continue;
        d = distance(nodes, job, i);
        if (d < least) {
            second = least;
            least = d;
            found = (int)i;
        } else {
            second = MIN(second, d);
        }
    }
    *regret = second == G_MAXUINT ? 0 : second - least;
    return found;
}

/* Who has the first claim on near cores. Products of 16 and 40 bits fit. */
static int
by_regret(gconstpointer a, gconstpointer b)
{
    const Claimant *x = a, *y = b;
    gint64 left = (gint64)x->regret * MAX(y->load, 1), right = (gint64)y->regret * MAX(x->load, 1);

    if (left != right)
        return left > right ? -1 : 1;
    if (x->load != y->load)
        return x->load < y->load ? -1 : 1;
    return x->job < y->job ? -1 : x->job > y->job;
}

static GArray *
find_claimants(const Nodes *nodes)
{
    const VqShare *share = nodes->share;
    GArray *claimants = g_array_new(FALSE, FALSE, sizeof(Claimant));

    for (guint i = 0; i < share->jobs->len; i++) {
        guint index = g_array_index(share->jobs, guint, i);
        const VqJob *job = &share->work->jobs[index];
        Claimant claimant = {.job = index, .load = job->load};

        if (job->slot >= 0)
            continue;
        nearest_with_room(nodes, job, 0, &claimant.regret);
        g_array_append_val(claimants, claimant);
    }
    return claimants;
}

void
vq_share_find_spill(VqShare *share)
{
    Nodes nodes = {.share = share, .n = share->work->n_nodes + 1};
    g_autofree gint64 *room = g_new0(gint64, nodes.n);
    g_autoptr(GArray) claimants = NULL;

    nodes.room = room;
    find_room(&nodes);
    claimants = find_claimants(&nodes);
    g_array_sort(claimants, by_regret);
    for (guint i = 0; i < claimants->len; i++) {
        const Claimant *claimant = &g_array_index(claimants, Claimant, i);
        const VqJob *job = &share->work->jobs[claimant->job];
        guint regret;
        int node = nearest_with_room(&nodes, job, job->load, &regret);

        share->floor[claimant->job] = node < 0 ? 0 : distance(&nodes, job, (guint)node);
        if (node >= 0)
            room[node] -= job->load;
    }
}
