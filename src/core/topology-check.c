/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The invariants of a machine's tree, in the order of its arrays. Partner: topology.c. */
#include "core/topology.h"
#include "base/error.h"

#define CAPACITY_MAX  1024
#define DISTANCE_SELF 10

#define WRONG(error, ...) (g_set_error((error), VQ_ERROR, VQ_ERROR_INVALID, __VA_ARGS__), false)

static bool
in_range(int index, const GPtrArray *array)
{
    return index >= -1 && index < (int)array->len;
}

static bool
check_pus(const VqTopology *t, GError **error)
{
    g_autoptr(VqCpuset) usable = vq_cpuset_new();
    const VqPu *last = NULL;

    for (guint i = 0; i < t->pus->len; i++) {
        const VqPu *pu = g_ptr_array_index(t->pus, i);

        if (pu->os >= VQ_CPUSET_MAX || (last && last->os >= pu->os))
            return WRONG(error, "CPU %u is out of order or above %d", pu->os, VQ_CPUSET_MAX - 1);
        if (!in_range(pu->core, t->cores) || pu->usable != (pu->core >= 0))
            return WRONG(error, "CPU %u: usable=%d but core %d", pu->os, pu->usable, pu->core);
        if (pu->isolated != vq_cpuset_has(t->isolated, pu->os))
            return WRONG(error, "CPU %u: isolated=%d contradicts the set", pu->os, pu->isolated);
        if (pu->usable)
            vq_cpuset_add(usable, pu->os);
        last = pu;
    }
    if (vq_cpuset_empty(usable) || !vq_cpuset_equal(usable, t->usable))
        return WRONG(error, "usable CPUs contradict the set, or there are none");
    if (!vq_cpuset_subset(t->isolated, t->usable))
        return WRONG(error, "an isolated CPU is not usable");
    return true;
}

static bool
check_core(const VqTopology *t, guint index, VqCpuset *seen, GError **error)
{
    const VqCore *core = g_ptr_array_index(t->cores, index);

    if (vq_cpuset_empty(core->pus) || vq_cpuset_intersects(core->pus, seen))
        return WRONG(error, "core %u is empty or shares a CPU with another core", core->logical);
    if (core->package < 0 || !in_range(core->package, t->packages) ||
        !in_range(core->node, t->nodes) || !in_range(core->llc, t->caches))
        return WRONG(error, "core %u: package %d, node %d or cache %d is out of range",
                     core->logical, core->package, core->node, core->llc);
    if (core->capacity < 1 || core->capacity > CAPACITY_MAX)
        return WRONG(error, "core %u: capacity %u is not 1..%d", core->logical, core->capacity,
                     CAPACITY_MAX);
    VQ_CPUSET_FOREACH (os, core->pus) {
        const VqPu *pu = vq_topology_pu(t, os);

        if (!pu || pu->core != (int)index)
            return WRONG(error, "core %u: CPU %d belongs to another core", core->logical, os);
    }
    if (core->llc >= 0) {
        const VqCache *cache = g_ptr_array_index(t->caches, core->llc);

        if (!vq_cpuset_subset(core->pus, cache->cpus))
            return WRONG(error, "core %u is outside its last level cache", core->logical);
    }
    vq_cpuset_union(seen, core->pus);
    return true;
}

static bool
check_cores(const VqTopology *t, GError **error)
{
    g_autoptr(VqCpuset) seen = vq_cpuset_new();
    g_autoptr(VqCpuset) numbers = vq_cpuset_new();
    unsigned fastest = 0;

    for (guint i = 0; i < t->cores->len; i++) {
        const VqCore *core = g_ptr_array_index(t->cores, i);

        if (!check_core(t, i, seen, error))
            return false;
        if (vq_cpuset_has(numbers, core->logical))
            return WRONG(error, "core %u is there twice", core->logical);
        vq_cpuset_add(numbers, core->logical);
        fastest = MAX(fastest, core->capacity);
    }
    if (!vq_cpuset_equal(seen, t->usable))
        return WRONG(error, "a usable CPU is in no core");
    if (fastest != CAPACITY_MAX)
        return WRONG(error, "no core has the capacity of %d", CAPACITY_MAX);
    return true;
}

static bool
check_packages(const VqTopology *t, GError **error)
{
    g_autoptr(VqCpuset) seen = vq_cpuset_new();

    for (guint i = 0; i < t->packages->len; i++) {
        const VqPackage *package = g_ptr_array_index(t->packages, i);

        if (vq_cpuset_empty(package->cpus) || vq_cpuset_intersects(package->cpus, seen))
            return WRONG(error, "package %u is empty or shares a CPU with another", package->os);
        vq_cpuset_union(seen, package->cpus);
    }
    return vq_cpuset_equal(seen, t->usable) || WRONG(error, "a usable CPU is in no package");
}

/* What the cores that call @index theirs have. */
static VqCpuset *
cpus_of_node(const VqTopology *t, int index)
{
    VqCpuset *cpus = vq_cpuset_new();

    for (guint i = 0; i < t->cores->len; i++) {
        const VqCore *core = g_ptr_array_index(t->cores, i);

        if (core->node == index)
            vq_cpuset_union(cpus, core->pus);
    }
    return cpus;
}

static bool
check_nodes(const VqTopology *t, GError **error)
{
    guint n = t->nodes->len;

    for (guint i = 0; i < n; i++) {
        const VqNode *node = g_ptr_array_index(t->nodes, i);
        g_autoptr(VqCpuset) cpus = cpus_of_node(t, i);

        if (i > 0 && ((const VqNode *)g_ptr_array_index(t->nodes, i - 1))->os >= node->os)
            return WRONG(error, "NUMA node %u is out of order", node->os);
        if (!in_range(node->package, t->packages) || !vq_cpuset_equal(cpus, node->cpus))
            return WRONG(error, "NUMA node %u: package or CPUs contradict its cores", node->os);
        for (guint k = 0; k < n; k++) {
            unsigned distance = t->distance ? t->distance[i * n + k] : 0;

            if (i == k ? distance != DISTANCE_SELF : distance < DISTANCE_SELF)
                return WRONG(error, "distance %u from NUMA node %u to number %u is impossible",
                             distance, node->os, k);
        }
    }
    return true;
}

static bool
check_blocks(const VqTopology *t, GError **error)
{
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < t->blocks->len; i++) {
        const VqBlock *block = g_ptr_array_index(t->blocks, i);

        if (!block->name || !*block->name || !g_hash_table_add(names, block->name))
            return WRONG(error, "block device '%s' is there twice", block->name);
        if (g_ptr_array_find_with_equal_func(block->parents, block->name, g_str_equal, NULL))
            return WRONG(error, "block device '%s' is stacked on itself", block->name);
        for (guint k = 0; k < block->nodes->len; k++) {
            unsigned node = g_array_index(block->nodes, unsigned, k);

            if (!vq_topology_node(t, node))
                return WRONG(error, "block device '%s' is on NUMA node %u, which does not exist",
                             block->name, node);
        }
    }
    return true;
}

bool
vq_topology_check(const VqTopology *topology, GError **error)
{
    return check_pus(topology, error) && check_packages(topology, error) &&
           check_cores(topology, error) && check_nodes(topology, error) &&
           check_blocks(topology, error);
}
