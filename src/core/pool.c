/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Chooses the pool of I/O cores: configured, isolated by the kernel, or a share of each NUMA node.
 *
 * Invariants: a chosen pool has usable CPUs only and never all of them. It is empty on a host of
 * one core, and while all that was configured is drained or offline, which is for a time.
 */
#include "core/pool.h"
#include "base/error.h"

#define SHARE_MAX 90 /* per cent: above, too little is left for vCPUs to call it a host of VMs */

/* The cores of one NUMA node (or of none) and of one speed, in hwloc's order, and how many of them
 * are taken. */
typedef struct {
    GPtrArray *cores; /* of VqCore, borrowed */
    int node;         /* index, -1 if unknown */
    unsigned speed;   /* of 1024: hybrid machines have fast and slow cores on one node */
    unsigned can;     /* cores that may be taken: all but the host's first */
    unsigned take;
    unsigned rest; /* what rounding down has left of its part, in 1/cores of a core */
    bool devices;  /* has block devices */
} Group;

static void
group_free(gpointer data)
{
    Group *group = data;

    g_ptr_array_unref(group->cores);
    g_free(group);
}

void
vq_pool_free(VqPool *pool)
{
    if (!pool)
        return;
    vq_cpuset_free(pool->cpus);
    g_free(pool->reason);
    g_free(pool);
}

static VqPool *
pool_new(VqCpuset *cpus, const char *source, char *reason)
{
    VqPool *pool = g_new0(VqPool, 1);

    pool->cpus = cpus;
    pool->source = source;
    pool->reason = reason;
    return pool;
}

/* Of @cpus, those that this machine has not at all. */
static VqCpuset *
unknown_cpus(const VqTopology *topology, const VqCpuset *cpus)
{
    VqCpuset *unknown = vq_cpuset_new();

    VQ_CPUSET_FOREACH (cpu, cpus) {
        if (!vq_topology_pu(topology, cpu))
            vq_cpuset_add(unknown, cpu);
    }
    return unknown;
}

/* Logical numbers of cores of which @cpus has some CPUs but not all: "3,5"; NULL if none. */
static char *
split_cores(const VqTopology *topology, const VqCpuset *cpus)
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; i < topology->cores->len; i++) {
        const VqCore *core = g_ptr_array_index(topology->cores, i);

        if (vq_cpuset_intersects(core->pus, cpus) && !vq_cpuset_subset(core->pus, cpus))
            g_string_append_printf(out, "%s%u", out->len ? "," : "", core->logical);
    }
    return g_string_free(out, out->len == 0);
}

static char *
with_split_cores(const VqTopology *topology, const VqCpuset *cpus, char *reason)
{
    g_autofree char *split = split_cores(topology, cpus);
    char *text;

    if (!split)
        return reason;
    text = g_strdup_printf("%s; the pool has only some of the CPUs of core %s: what runs on the "
                           "others slows its I/O",
                           reason, split);
    g_free(reason);
    return text;
}

static bool
check_configured(const VqTopology *topology, const VqPoolRequest *request, GError **error)
{
    g_autoptr(VqCpuset) unknown = unknown_cpus(topology, request->cpus);
    g_autofree char *usable = vq_cpuset_format(topology->usable);

    if (vq_cpuset_empty(request->cpus)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID,
                    "the configured I/O pool is empty; usable CPUs are %s", usable);
        return false;
    }
    if (!request->hotplug && !vq_cpuset_empty(unknown)) {
        g_autofree char *list = vq_cpuset_format(unknown);

        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID,
                    "the configured I/O pool has CPU %s: %d is not on this host; usable CPUs are "
                    "%s",
                    list, vq_cpuset_next(unknown, 0), usable);
        return false;
    }
    /* where CPUs are offline they may be those that were meant for the host */
    if (!request->hotplug && vq_cpuset_count(topology->usable) == topology->pus->len &&
        vq_cpuset_subset(topology->usable, request->cpus)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_CONFLICT,
                    "the configured I/O pool has all usable CPUs (%s); leave at least one core to "
                    "the host and its vCPUs",
                    usable);
        return false;
    }
    return true;
}

/* What was configured, as far as it is there: CPUs that are offline may come back. */
static VqPool *
choose_configured(const VqTopology *topology, const VqPoolRequest *request, GError **error)
{
    g_autoptr(VqCpuset) here = vq_cpuset_copy(request->cpus);
    g_autoptr(VqCpuset) gone = vq_cpuset_copy(request->cpus);
    g_autoptr(GString) reason = g_string_new("configured");

    if (!check_configured(topology, request, error))
        return NULL;
    vq_cpuset_intersect(here, topology->usable);
    vq_cpuset_subtract(gone, topology->usable);
    if (!vq_cpuset_empty(gone)) {
        g_autofree char *list = vq_cpuset_format(gone);

        g_string_append_printf(reason, "; without %s, offline or outside the cpuset of virtqueued",
                               list);
    }
    if (vq_cpuset_subset(topology->usable, here)) {
        const VqCore *first = vq_topology_core_of(topology, vq_cpuset_next(topology->usable, 0));

        vq_cpuset_subtract(here, first->pus);
        g_string_append_printf(reason, "; without core %u, left to the host", first->logical);
    }
    if (vq_cpuset_empty(here))
        g_string_append(reason, ": I/O threads run on the host's other CPUs");

    char *text = with_split_cores(topology, here, g_strdup(reason->str));

    return pool_new(g_steal_pointer(&here), "configured", text);
}

static Group *
group_for(GPtrArray *groups, const VqCore *core)
{
    Group *group;

    for (guint i = 0; i < groups->len; i++) {
        group = g_ptr_array_index(groups, i);
        if (group->node == core->node && group->speed == core->capacity)
            return group;
    }
    group = g_new0(Group, 1);
    group->node = core->node;
    group->speed = core->capacity;
    group->cores = g_ptr_array_new();
    g_ptr_array_add(groups, group);
    return group;
}

static bool
has_devices(const VqTopology *topology, int node)
{
    const VqNode *at = node < 0 ? NULL : g_ptr_array_index(topology->nodes, node);

    for (guint i = 0; at && i < topology->blocks->len; i++) {
        const VqBlock *block = g_ptr_array_index(topology->blocks, i);

        for (guint k = 0; k < block->nodes->len; k++) {
            if (g_array_index(block->nodes, unsigned, k) == at->os)
                return true;
        }
    }
    return false;
}

/* Cores by node and speed; the host's first core, where the kernel's own work gathers, may not be
 * taken. */
static GPtrArray *
group_cores(const VqTopology *topology)
{
    GPtrArray *groups = g_ptr_array_new_with_free_func(group_free);
    const VqCore *first = vq_topology_core_of(topology, vq_cpuset_next(topology->usable, 0));

    for (guint i = 0; i < topology->cores->len; i++) {
        const VqCore *core = g_ptr_array_index(topology->cores, i);
        Group *group = group_for(groups, core);

        g_ptr_array_add(group->cores, (gpointer)core);
        group->can += core != first;
        group->devices = has_devices(topology, core->node);
    }
    return groups;
}

/* Whether @a is due a core before @b: the larger remainder, then the faster cores (the slow ones
 * alone would make every device slow), then one with devices, then the later one, since the host's
 * own work is at the beginning. */
static bool
is_due(const Group *a, const Group *b)
{
    if (a->rest != b->rest)
        return a->rest > b->rest;
    if (a->speed != b->speed)
        return a->speed > b->speed;
    return a->devices >= b->devices;
}

static Group *
next_group(const GPtrArray *groups)
{
    Group *best = NULL;

    for (guint i = 0; i < groups->len; i++) {
        Group *group = g_ptr_array_index(groups, i);

        if (group->take >= group->can)
            continue;
        if (!best || is_due(group, best))
            best = group;
    }
    return best;
}

/* Spreads @count cores over the groups in proportion to their size (largest remainder): a pool has
 * fast and slow cores as the host has. */
static void
spread(const GPtrArray *groups, unsigned count, unsigned total)
{
    unsigned taken = 0;

    for (guint i = 0; i < groups->len; i++) {
        Group *group = g_ptr_array_index(groups, i);
        unsigned part = count * group->cores->len;

        group->take = MIN(part / total, group->can);
        group->rest = part % total;
        taken += group->take;
    }
    for (Group *group; taken < count && (group = next_group(groups)); taken++) {
        group->take++;
        group->rest = 0;
    }
}

/* Takes each group's last cores, whole. */
static VqCpuset *
take(const GPtrArray *groups)
{
    VqCpuset *cpus = vq_cpuset_new();

    for (guint i = 0; i < groups->len; i++) {
        const Group *group = g_ptr_array_index(groups, i);
        guint len = group->cores->len;

        /* the first core of all is the first of its group, and take <= can leaves it out */
        for (guint k = len - group->take; k < len; k++)
            vq_cpuset_union(cpus, ((const VqCore *)g_ptr_array_index(group->cores, k))->pus);
    }
    return cpus;
}

static unsigned
fastest(const GPtrArray *groups)
{
    unsigned speed = 0;

    for (guint i = 0; i < groups->len; i++)
        speed = MAX(speed, ((const Group *)g_ptr_array_index(groups, i))->speed);
    return speed;
}

/* "2 on node 0", "2 on node 0 at speed 58%" */
static void
tell_group(GString *out, const VqTopology *topology, const Group *group, unsigned fast)
{
    g_string_append_printf(out, "%u on ", group->take);
    if (group->node >= 0)
        g_string_append_printf(
            out, "node %u", ((const VqNode *)g_ptr_array_index(topology->nodes, group->node))->os);
    else
        g_string_append(out, "no node");
    if (group->speed < fast)
        g_string_append_printf(out, " at speed %u%%", group->speed * 100 / fast);
}

static char *
share_reason(const VqTopology *topology, const GPtrArray *groups, unsigned share, unsigned count)
{
    g_autoptr(GString) out = g_string_new(NULL);
    unsigned cores = topology->cores->len;

    g_string_append_printf(out, "%u%% of %u cores: %u", share, cores, count);
    for (guint i = 0, shown = 0; groups->len > 1 && i < groups->len; i++) {
        const Group *group = g_ptr_array_index(groups, i);

        if (!group->take)
            continue;
        g_string_append(out, shown++ ? ", " : " (");
        tell_group(out, topology, group, fastest(groups));
    }
    if (groups->len > 1)
        g_string_append_c(out, ')');
    return g_string_free(g_steal_pointer(&out), FALSE);
}

static VqPool *
choose_share(const VqTopology *topology, unsigned share)
{
    unsigned total = topology->cores->len;
    unsigned count = MIN(MAX(total * share / 100, 1), MAX(total, 1) - 1);
    g_autoptr(GPtrArray) groups = NULL;
    VqCpuset *cpus;

    if (total < 2)
        return pool_new(vq_cpuset_new(), "none",
                        g_strdup("there is none: this host has one usable core, and the pool must "
                                 "leave one to the host; I/O threads run on the host's CPUs"));
    groups = group_cores(topology);
    spread(groups, count, total);
    cpus = take(groups);
    return pool_new(cpus, "share", share_reason(topology, groups, share, count));
}

static VqPool *
choose(const VqTopology *topology, const VqPoolRequest *request, GError **error)
{
    const VqCpuset *isolated = topology->isolated;

    if (request->cpus)
        return choose_configured(topology, request, error);
    if (vq_cpuset_empty(isolated) || vq_cpuset_subset(topology->usable, isolated))
        return choose_share(topology, request->share);
    return pool_new(vq_cpuset_copy(isolated), "isolated",
                    with_split_cores(topology, isolated, g_strdup("isolated by the kernel")));
}

static void
drain(VqPool *pool, const VqCpuset *drained)
{
    g_autofree char *reason = pool->reason;
    g_autoptr(VqCpuset) out = vq_cpuset_copy(pool->cpus);
    g_autofree char *list = NULL;

    vq_cpuset_intersect(out, drained);
    vq_cpuset_subtract(pool->cpus, drained);
    list = vq_cpuset_format(out);
    if (vq_cpuset_empty(out))
        pool->reason = g_steal_pointer(&reason);
    else if (vq_cpuset_empty(pool->cpus))
        pool->reason = g_strdup_printf("%s; all of it (%s) is drained: I/O threads run on the "
                                       "host's other CPUs",
                                       reason, list);
    else
        pool->reason = g_strdup_printf("%s; without %s, drained", reason, list);
}

VqPool *
vq_pool_choose(const VqTopology *topology, const VqPoolRequest *request, GError **error)
{
    g_autoptr(VqPool) pool = NULL;

    if (!request->cpus && (request->share < 1 || request->share > SHARE_MAX)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT, "the I/O pool's share of %u%% is not 1..%d%%",
                    request->share, SHARE_MAX);
        return NULL;
    }
    pool = choose(topology, request, error);
    if (pool && request->drained)
        drain(pool, request->drained);
    return g_steal_pointer(&pool);
}
