/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hwloc's tree -> ours, object kind by object kind. hwloc may leave out any level (cores, packages,
 * caches) and numbers that a file does not give; whatever is assumed instead is noted.
 *
 * Invariant: a PU of hwloc's tree is usable if it is in the allowed cpuset; PUs that hwloc only
 * knows to exist (offline) are in its complete cpuset and not in the tree.
 */
#include "host/topology-convert.h"
#include "base/error.h"

#include <hwloc/cpukinds.h>
#include <hwloc/distances.h>
#include <stdlib.h>

#define CAPACITY_MAX  1024 /* of the fastest kind, as in the kernel's cpu_capacity */
#define DISTANCE_MAX  65535
#define DISTANCE_SELF 10 /* ACPI SLIT */
#define DISTANCE_ELSE 20

static void
note(VqTopology *t, const char *text)
{
    g_ptr_array_add(t->notes, g_strdup(text));
}

static unsigned
number_of(hwloc_obj_t obj)
{
    return obj->os_index == HWLOC_UNKNOWN_INDEX ? obj->logical_index : obj->os_index;
}

static VqCpuset *
usable_of(const VqTopology *t, hwloc_const_bitmap_t cpus)
{
    VqCpuset *set = vq_cpuset_new();

    for (int cpu = cpus ? hwloc_bitmap_first(cpus) : -1; cpu >= 0 && cpu < VQ_CPUSET_MAX;
         cpu = hwloc_bitmap_next(cpus, cpu)) {
        if (vq_cpuset_has(t->usable, cpu))
            vq_cpuset_add(set, cpu);
    }
    return set;
}

static int
by_os(gconstpointer a, gconstpointer b)
{
    unsigned x = **(unsigned *const *)a, y = **(unsigned *const *)b;

    return x < y ? -1 : x > y;
}

static bool
check_number(const char *what, unsigned os, GError **error)
{
    if (os < VQ_CPUSET_MAX)
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT, "%s number %u is above the limit of %d", what, os,
                VQ_CPUSET_MAX - 1);
    return false;
}

static bool
check_count(hwloc_topology_t from, hwloc_obj_type_t type, int max, GError **error)
{
    int count = hwloc_get_nbobjs_by_type(from, type);

    if (count <= max)
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT, "%d %ss are above the limit of %d", count,
                hwloc_obj_type_string(type), max);
    return false;
}

static void
add_pu(VqTopology *t, unsigned os, bool usable)
{
    VqPu *pu = g_new0(VqPu, 1);

    pu->os = os;
    pu->core = -1;
    pu->usable = usable;
    g_ptr_array_add(t->pus, pu);
    if (usable)
        vq_cpuset_add(t->usable, os);
}

static bool
convert_pus(VqTopology *t, hwloc_topology_t from, GError **error)
{
    hwloc_const_cpuset_t allowed = hwloc_topology_get_allowed_cpuset(from);
    hwloc_const_cpuset_t complete = hwloc_topology_get_complete_cpuset(from);
    g_autoptr(VqCpuset) seen = vq_cpuset_new();
    hwloc_obj_t obj = NULL;

    while ((obj = hwloc_get_next_obj_by_type(from, HWLOC_OBJ_PU, obj))) {
        if (!check_number("CPU", obj->os_index, error))
            return false;
        if (vq_cpuset_has(seen, obj->os_index)) {
            g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "CPU %u is there twice", obj->os_index);
            return false;
        }
        vq_cpuset_add(seen, obj->os_index);
        add_pu(t, obj->os_index, hwloc_bitmap_isset(allowed, obj->os_index));
    }
    for (int os = hwloc_bitmap_first(complete); os >= 0 && os < VQ_CPUSET_MAX;
         os = hwloc_bitmap_next(complete, os)) {
        if (!vq_cpuset_has(seen, os))
            add_pu(t, os, false);
    }
    g_ptr_array_sort(t->pus, by_os);
    if (!vq_cpuset_empty(t->usable))
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "none of the %u CPUs is usable", t->pus->len);
    return false;
}

static void
add_package(VqTopology *t, unsigned os, VqCpuset *cpus)
{
    VqPackage *package = g_new0(VqPackage, 1);

    package->os = os;
    package->cpus = cpus;
    g_ptr_array_add(t->packages, package);
}

/* Packages with a usable PU; CPUs outside all packages are given one of their own. Numbers of
 * packages are the firmware's and may be anything (65536 on Itanium). */
static void
convert_packages(VqTopology *t, hwloc_topology_t from)
{
    g_autoptr(VqCpuset) rest = vq_cpuset_copy(t->usable);
    hwloc_obj_t obj = NULL;
    unsigned next = 0;

    while ((obj = hwloc_get_next_obj_by_type(from, HWLOC_OBJ_PACKAGE, obj))) {
        g_autoptr(VqCpuset) cpus = usable_of(t, obj->cpuset);

        next = MAX(next, number_of(obj) + 1);
        vq_cpuset_subtract(rest, cpus);
        if (!vq_cpuset_empty(cpus))
            add_package(t, number_of(obj), g_steal_pointer(&cpus));
    }
    if (vq_cpuset_empty(rest))
        return;
    note(t, t->packages->len ? "some CPUs are in no package: taken as one package of their own"
                             : "no package information: the machine is taken as one package");
    add_package(t, next, g_steal_pointer(&rest));
}

static int
package_with(const VqTopology *t, const VqCpuset *cpus)
{
    for (guint i = 0; i < t->packages->len; i++) {
        const VqPackage *package = g_ptr_array_index(t->packages, i);

        if (vq_cpuset_subset(cpus, package->cpus))
            return i;
    }
    return -1;
}

static bool
convert_nodes(VqTopology *t, hwloc_topology_t from, GError **error)
{
    hwloc_obj_t obj = NULL;

    if (!check_count(from, HWLOC_OBJ_NUMANODE, VQ_TOPOLOGY_NODES_MAX, error))
        return false;
    while ((obj = hwloc_get_next_obj_by_type(from, HWLOC_OBJ_NUMANODE, obj))) {
        g_autoptr(VqCpuset) reach = usable_of(t, obj->cpuset);
        VqNode *node;

        if (!check_number("NUMA node", number_of(obj), error))
            return false;
        node = g_new0(VqNode, 1);
        node->os = number_of(obj);
        node->package = vq_cpuset_empty(reach) ? -1 : package_with(t, reach);
        node->cpus = vq_cpuset_new(); /* filled by its cores */
        node->memory = obj->attr->numanode.local_memory;
        g_ptr_array_add(t->nodes, node);
    }
    g_ptr_array_sort(t->nodes, by_os);
    for (guint i = 1; i < t->nodes->len; i++) {
        unsigned os = *(unsigned *)g_ptr_array_index(t->nodes, i);

        if (*(unsigned *)g_ptr_array_index(t->nodes, i - 1) == os) {
            g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "NUMA node %u is there twice", os);
            return false;
        }
    }
    return true;
}

static int
node_index(const VqTopology *t, unsigned os)
{
    const VqNode *node = vq_topology_node(t, os);

    for (guint i = 0; node && i < t->nodes->len; i++) {
        if (g_ptr_array_index(t->nodes, i) == node)
            return i;
    }
    return -1;
}

/* The narrowest node around the core; among those with the same CPUs (DRAM and HBM of one die) one
 * that has memory, then the lowest number. */
static int
node_of_core(const VqTopology *t, hwloc_topology_t from, hwloc_const_cpuset_t core)
{
    hwloc_obj_t best = NULL, obj = NULL;

    while ((obj = hwloc_get_next_obj_by_type(from, HWLOC_OBJ_NUMANODE, obj))) {
        int wider, more;

        if (!obj->cpuset || !hwloc_bitmap_isincluded(core, obj->cpuset))
            continue;
        if (!best) {
            best = obj;
            continue;
        }
        wider = hwloc_bitmap_weight(obj->cpuset) - hwloc_bitmap_weight(best->cpuset);
        more = !!obj->attr->numanode.local_memory - !!best->attr->numanode.local_memory;
        if (wider < 0 ||
            (wider == 0 && (more > 0 || (more == 0 && number_of(obj) < number_of(best)))))
            best = obj;
    }
    return best ? node_index(t, number_of(best)) : -1;
}

/* The last level cache above the core, added when met for the first time. */
static int
llc_of_core(VqTopology *t, hwloc_obj_t core, GHashTable *caches)
{
    hwloc_obj_t llc = NULL;
    gpointer index;
    VqCache *cache;

    for (hwloc_obj_t obj = core; obj; obj = obj->parent) {
        if (hwloc_obj_type_is_dcache(obj->type) && obj->attr->cache.depth >= 2)
            llc = obj;
    }
    if (!llc)
        return -1;
    if (g_hash_table_lookup_extended(caches, llc, NULL, &index))
        return GPOINTER_TO_INT(index);
    cache = g_new0(VqCache, 1);
    cache->level = llc->attr->cache.depth;
    cache->size = llc->attr->cache.size;
    cache->cpus = usable_of(t, llc->cpuset);
    g_ptr_array_add(t->caches, cache);
    g_hash_table_insert(caches, llc, GINT_TO_POINTER(t->caches->len - 1));
    return t->caches->len - 1;
}

static void
add_core(VqTopology *t, hwloc_topology_t from, hwloc_obj_t obj, unsigned logical,
         GHashTable *caches)
{
    g_autoptr(VqCpuset) pus = usable_of(t, obj->cpuset);
    VqCore *core;

    if (vq_cpuset_empty(pus))
        return;
    core = g_new0(VqCore, 1);
    core->logical = logical;
    core->capacity = CAPACITY_MAX;
    core->package = package_with(t, pus);
    core->node = node_of_core(t, from, obj->cpuset);
    core->llc = llc_of_core(t, obj, caches);
    VQ_CPUSET_FOREACH (os, pus)
        ((VqPu *)vq_topology_pu(t, os))->core = t->cores->len;
    if (core->node >= 0)
        vq_cpuset_union(((VqNode *)g_ptr_array_index(t->nodes, core->node))->cpus, pus);
    core->pus = g_steal_pointer(&pus);
    g_ptr_array_add(t->cores, core);
}

static void
convert_cores(VqTopology *t, hwloc_topology_t from)
{
    g_autoptr(GHashTable) caches = g_hash_table_new(NULL, NULL);
    hwloc_obj_t obj = NULL;
    unsigned cores = 0;

    while ((obj = hwloc_get_next_obj_by_type(from, HWLOC_OBJ_CORE, obj)))
        add_core(t, from, obj, cores++, caches);
    if (!cores)
        note(t, "no core information: each CPU is taken as a core of its own");
    while ((obj = hwloc_get_next_obj_by_type(from, HWLOC_OBJ_PU, obj))) {
        const VqPu *pu = vq_topology_pu(t, obj->os_index);

        if (pu->usable && pu->core < 0)
            add_core(t, from, obj, cores++, caches);
    }
}

/* Relative speed of kind @i: what the kernel says (cpu_capacity), else the highest frequency; 0 if
 * neither is known. */
static double
speed_of_kind(hwloc_topology_t from, unsigned i, const char *key)
{
    struct hwloc_info_s *infos;
    unsigned count;
    int efficiency;

    if (hwloc_cpukinds_get_info(from, i, NULL, &efficiency, &count, &infos, 0) < 0)
        return 0;
    for (unsigned k = 0; k < count; k++) {
        if (g_str_equal(infos[k].name, key))
            return g_ascii_strtod(infos[k].value, NULL);
    }
    return 0;
}

/* Speeds of all kinds by one measure known for each; else their rank. */
static void
speeds_of_kinds(hwloc_topology_t from, double *speeds, int count)
{
    static const char *const keys[] = {"LinuxCapacity", "FrequencyMaxMHz"};

    for (guint k = 0; k < G_N_ELEMENTS(keys); k++) {
        bool all = true;

        for (int i = 0; i < count; i++) {
            speeds[i] = speed_of_kind(from, i, keys[k]);
            all = all && speeds[i] > 0 && speeds[i] < 1e9;
        }
        if (all)
            return;
    }
    for (int i = 0; i < count; i++) {
        int efficiency = -1;

        hwloc_cpukinds_get_info(from, i, NULL, &efficiency, NULL, NULL, 0);
        speeds[i] = efficiency < 0 ? 1 : efficiency + 1; /* hwloc ranks from 0, the slowest */
    }
}

static void
convert_kinds(VqTopology *t, hwloc_topology_t from)
{
    int count = hwloc_cpukinds_get_nr(from, 0);
    g_autofree double *speeds = g_new0(double, MAX(count, 1));
    double fastest = 0;

    if (count < 2)
        return;
    speeds_of_kinds(from, speeds, count);
    /* the fastest that we may use is the measure: our cpuset may hold slow cores only */
    for (int pass = 0; pass < 2; pass++) {
        for (guint i = 0; i < t->cores->len; i++) {
            VqCore *core = g_ptr_array_index(t->cores, i);
            hwloc_bitmap_t one = hwloc_bitmap_alloc();
            int kind;

            hwloc_bitmap_only(one, vq_cpuset_next(core->pus, 0));
            kind = hwloc_cpukinds_get_by_cpuset(from, one, 0);
            hwloc_bitmap_free(one);
            if (kind < 0 || kind >= count)
                continue;
            if (pass == 0)
                fastest = MAX(fastest, speeds[kind]);
            else
                core->capacity = CLAMP(CAPACITY_MAX * speeds[kind] / fastest, 1, CAPACITY_MAX);
        }
    }
}

static void
default_distances(VqTopology *t)
{
    guint n = t->nodes->len;

    t->distance = g_new(unsigned, MAX(n * n, 1));
    for (guint i = 0; i < n * n; i++)
        t->distance[i] = i / n == i % n ? DISTANCE_SELF : DISTANCE_ELSE;
}

/* Scales so that the matrix's smallest value, a node to itself, is 10: files written by hwloc 1
 * count in other units. False, with nothing changed, if that is not a distance. */
static bool
take_distances(VqTopology *t, const struct hwloc_distances_s *d)
{
    guint n = t->nodes->len;
    guint64 least = G_MAXUINT64;

    for (guint i = 0; i < n; i++)
        least = MIN(least, d->values[i * n + i]);
    if (least == 0)
        return false;
    for (guint i = 0; i < n * n; i++) {
        if (d->values[i] < least || d->values[i] > least * (DISTANCE_MAX / DISTANCE_SELF))
            return false;
    }
    for (guint i = 0; i < n * n; i++) {
        int a = node_index(t, number_of(d->objs[i / n])),
            b = node_index(t, number_of(d->objs[i % n]));

        if (a != b)
            t->distance[a * n + b] = (d->values[i] * DISTANCE_SELF + least / 2) / least;
    }
    return true;
}

static void
convert_distances(VqTopology *t, hwloc_topology_t from)
{
    struct hwloc_distances_s *d = NULL;
    unsigned count = 1;

    default_distances(t);
    if (t->nodes->len < 2)
        return;
    if (hwloc_distances_get_by_type(from, HWLOC_OBJ_NUMANODE, &count, &d,
                                    HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) < 0)
        count = 0;
    if (count == 0 || !d || d->nbobjs != t->nodes->len || !take_distances(t, d))
        note(t, "no distances between NUMA nodes: all are taken as equally far");
    if (d)
        hwloc_distances_release(from, d);
}

/* The nodes nearest to an I/O object: those of the object it hangs on, those with CPUs first. */
static void
nodes_of_device(VqTopology *t, hwloc_topology_t from, hwloc_obj_t device, VqBlock *block)
{
    hwloc_obj_t at = hwloc_get_non_io_ancestor_obj(from, device);
    guint within = 0, with_cpus = 0;

    for (guint i = 0; i < t->nodes->len; i++) {
        const VqNode *node = g_ptr_array_index(t->nodes, i);

        if (at->nodeset && hwloc_bitmap_isset(at->nodeset, node->os)) {
            within++;
            with_cpus += !vq_cpuset_empty(node->cpus);
        }
    }
    if (within == t->nodes->len && within > 1)
        return; /* hangs on the machine as a whole: the firmware did not say where */
    for (guint i = 0; i < t->nodes->len; i++) {
        const VqNode *node = g_ptr_array_index(t->nodes, i);

        if (at->nodeset && hwloc_bitmap_isset(at->nodeset, node->os) &&
            (!with_cpus || !vq_cpuset_empty(node->cpus)))
            vq_block_add_node(block, node->os);
    }
}

static void
convert_blocks(VqTopology *t, hwloc_topology_t from)
{
    hwloc_obj_t obj = NULL;

    while ((obj = hwloc_get_next_osdev(from, obj))) {
        VqBlock *block;

        if (obj->attr->osdev.type != HWLOC_OBJ_OSDEV_BLOCK || !obj->name || !*obj->name ||
            vq_topology_block(t, obj->name))
            continue;
        block = vq_block_new(obj->name);
        block->model = g_strdup(hwloc_obj_get_info_by_name(obj, "Model"));
        block->serial = g_strdup(hwloc_obj_get_info_by_name(obj, "SerialNumber"));
        nodes_of_device(t, from, obj, block);
        g_ptr_array_add(t->blocks, block);
    }
    vq_topology_add_multipath_heads(t);
}

VqTopology *
vq_topology_convert(hwloc_topology_t from, const char *origin, GError **error)
{
    g_autoptr(VqTopology) t = vq_topology_new();

    t->origin = g_strdup(origin);
    if (!check_count(from, HWLOC_OBJ_PU, VQ_TOPOLOGY_PUS_MAX, error) ||
        !convert_pus(t, from, error))
        return NULL;
    convert_packages(t, from);
    if (!convert_nodes(t, from, error))
        return NULL;
    convert_cores(t, from);
    convert_kinds(t, from);
    convert_distances(t, from);
    convert_blocks(t, from);
    return g_steal_pointer(&t);
}
