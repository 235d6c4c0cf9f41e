/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A machine after CPUs went offline or the cpuset of the process shrank, as a reader of it would
 * see it: cores, packages and numbers that are left without a CPU are gone. */
#include "base/error.h"
#include "walk.h"

/* Which elements remain, and their new index. */
static int *
renumber(guint n, const bool *keep)
{
    int *index = g_new(int, n + 1);
    int next = 0;

    for (guint i = 0; i < n; i++)
        index[i] = keep[i] ? next++ : -1;
    return index;
}

static VqCpuset *
left_of(const VqCpuset *cpus, const VqCpuset *gone)
{
    VqCpuset *left = vq_cpuset_copy(cpus);

    vq_cpuset_subtract(left, gone);
    return left;
}

static int *
copy_packages(const VqTopology *from, VqTopology *to, const VqCpuset *gone)
{
    g_autofree bool *keep = g_new0(bool, from->packages->len + 1);

    for (guint i = 0; i < from->packages->len; i++) {
        const VqPackage *old = g_ptr_array_index(from->packages, i);

        keep[i] = !vq_cpuset_subset(old->cpus, gone);
        if (keep[i]) {
            VqPackage *package = g_new0(VqPackage, 1);

            *package = (VqPackage){old->os, left_of(old->cpus, gone)};
            g_ptr_array_add(to->packages, package);
        }
    }
    return renumber(from->packages->len, keep);
}

static void
copy_caches_and_nodes(const VqTopology *from, VqTopology *to, const VqCpuset *gone,
                      const int *packages)
{
    guint n = from->nodes->len;

    for (guint i = 0; i < from->caches->len; i++) {
        VqCache *cache = g_memdup2(g_ptr_array_index(from->caches, i), sizeof(VqCache));

        cache->cpus = left_of(cache->cpus, gone);
        g_ptr_array_add(to->caches, cache);
    }
    for (guint i = 0; i < n; i++) {
        VqNode *node = g_memdup2(g_ptr_array_index(from->nodes, i), sizeof(VqNode));

        node->cpus = left_of(node->cpus, gone);
        node->package = node->package < 0 ? -1 : packages[node->package];
        g_ptr_array_add(to->nodes, node);
    }
    g_free(to->distance);
    to->distance = g_memdup2(from->distance, sizeof(unsigned) * n * n);
}

static int *
copy_cores(const VqTopology *from, VqTopology *to, const VqCpuset *gone, const int *packages)
{
    g_autofree bool *keep = g_new0(bool, from->cores->len + 1);
    unsigned fastest = 1;

    for (guint i = 0; i < from->cores->len; i++) {
        const VqCore *old = g_ptr_array_index(from->cores, i);

        keep[i] = !vq_cpuset_subset(old->pus, gone);
        if (keep[i]) {
            VqCore *core = g_memdup2(old, sizeof(VqCore));

            core->pus = left_of(old->pus, gone);
            core->package = packages[old->package];
            fastest = MAX(fastest, core->capacity);
            g_ptr_array_add(to->cores, core);
        }
    }
    for (guint i = 0; i < to->cores->len; i++) {
        VqCore *core = g_ptr_array_index(to->cores, i);

        core->capacity = MAX(core->capacity * 1024 / fastest, 1);
    }
    return renumber(from->cores->len, keep);
}

VqTopology *
walk_without(const VqTopology *machine, const VqCpuset *gone)
{
    VqTopology *to = vq_topology_new();
    g_autofree int *packages = copy_packages(machine, to, gone);
    g_autofree int *cores = copy_cores(machine, to, gone, packages);

    copy_caches_and_nodes(machine, to, gone, packages);
    for (guint i = 0; i < machine->pus->len; i++) {
        VqPu *pu = g_memdup2(g_ptr_array_index(machine->pus, i), sizeof(VqPu));

        pu->usable = pu->usable && !vq_cpuset_has(gone, pu->os);
        pu->isolated = pu->isolated && pu->usable;
        pu->core = pu->usable ? cores[pu->core] : -1;
        g_ptr_array_add(to->pus, pu);
    }
    for (guint i = 0; i < machine->blocks->len; i++) {
        const VqBlock *old = g_ptr_array_index(machine->blocks, i);
        VqBlock *block = vq_block_new(old->name);

        for (guint k = 0; k < old->nodes->len; k++)
            vq_block_add_node(block, g_array_index(old->nodes, unsigned, k));
        g_ptr_array_add(to->blocks, block);
    }
    vq_cpuset_union(to->usable, machine->usable);
    vq_cpuset_subtract(to->usable, gone);
    vq_cpuset_union(to->isolated, machine->isolated);
    vq_cpuset_intersect(to->isolated, to->usable);
    g_free(to->origin);
    to->origin = g_strdup(machine->origin);
    return to;
}
