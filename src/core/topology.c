/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lookups in a machine's tree. Its invariants are in topology-check.c. */
#include "core/topology.h"

#include <string.h>

#define DISTANCE_LOCAL   10 /* ACPI SLIT */
#define DISTANCE_DEFAULT 20 /* what ACPI and Linux assume for any other node */
#define SERIAL_MIN       4  /* characters; shorter ones end too many names by chance */

static void
free_core(gpointer data)
{
    VqCore *core = data;

    vq_cpuset_free(core->pus);
    g_free(core);
}

static void
free_node(gpointer data)
{
    VqNode *node = data;

    vq_cpuset_free(node->cpus);
    g_free(node);
}

static void
free_package(gpointer data)
{
    VqPackage *package = data;

    vq_cpuset_free(package->cpus);
    g_free(package);
}

static void
free_cache(gpointer data)
{
    VqCache *cache = data;

    vq_cpuset_free(cache->cpus);
    g_free(cache);
}

static void
free_block(gpointer data)
{
    vq_block_free(data);
}

VqTopology *
vq_topology_new(void)
{
    VqTopology *t = g_new0(VqTopology, 1);

    t->packages = g_ptr_array_new_with_free_func(free_package);
    t->nodes = g_ptr_array_new_with_free_func(free_node);
    t->caches = g_ptr_array_new_with_free_func(free_cache);
    t->cores = g_ptr_array_new_with_free_func(free_core);
    t->pus = g_ptr_array_new_with_free_func(g_free);
    t->blocks = g_ptr_array_new_with_free_func(free_block);
    t->notes = g_ptr_array_new_with_free_func(g_free);
    t->usable = vq_cpuset_new();
    t->isolated = vq_cpuset_new();
    return t;
}

void
vq_topology_free(VqTopology *topology)
{
    if (!topology)
        return;
    g_ptr_array_unref(topology->packages);
    g_ptr_array_unref(topology->nodes);
    g_ptr_array_unref(topology->caches);
    g_ptr_array_unref(topology->cores);
    g_ptr_array_unref(topology->pus);
    g_ptr_array_unref(topology->blocks);
    g_ptr_array_unref(topology->notes);
    vq_cpuset_free(topology->usable);
    vq_cpuset_free(topology->isolated);
    g_free(topology->distance);
    g_free(topology->origin);
    g_free(topology);
}

VqBlock *
vq_block_new(const char *name)
{
    VqBlock *block = g_new0(VqBlock, 1);

    block->name = g_strdup(name);
    block->nodes = g_array_new(FALSE, FALSE, sizeof(unsigned));
    block->parents = g_ptr_array_new_with_free_func(g_free);
    return block;
}

void
vq_block_free(VqBlock *block)
{
    if (!block)
        return;
    g_free(block->name);
    g_free(block->model);
    g_free(block->serial);
    g_array_unref(block->nodes);
    g_ptr_array_unref(block->parents);
    g_free(block);
}

void
vq_block_add_node(VqBlock *block, unsigned node_os)
{
    for (guint i = 0; i < block->nodes->len; i++) {
        if (g_array_index(block->nodes, unsigned, i) == node_os)
            return;
    }
    g_array_append_val(block->nodes, node_os);
}

/* Index of the element numbered @os in @sorted, whose elements begin with their OS number; or -1.
 */
static int
find_os(const GPtrArray *sorted, unsigned os)
{
    guint low = 0, high = sorted->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        unsigned here = *(const unsigned *)g_ptr_array_index(sorted, middle);

        if (here == os)
            return middle;
        if (here < os)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

const VqPu *
vq_topology_pu(const VqTopology *topology, unsigned os)
{
    int i = find_os(topology->pus, os);

    return i < 0 ? NULL : g_ptr_array_index(topology->pus, i);
}

const VqCore *
vq_topology_core_of(const VqTopology *topology, unsigned pu_os)
{
    const VqPu *pu = vq_topology_pu(topology, pu_os);

    return pu && pu->core >= 0 ? g_ptr_array_index(topology->cores, pu->core) : NULL;
}

const VqNode *
vq_topology_node(const VqTopology *topology, unsigned os)
{
    int i = find_os(topology->nodes, os);

    return i < 0 ? NULL : g_ptr_array_index(topology->nodes, i);
}

int
vq_topology_node_of(const VqTopology *topology, unsigned pu_os)
{
    const VqCore *core = vq_topology_core_of(topology, pu_os);

    if (!core || core->node < 0)
        return -1;
    return ((const VqNode *)g_ptr_array_index(topology->nodes, core->node))->os;
}

unsigned
vq_topology_distance(const VqTopology *topology, unsigned node_a_os, unsigned node_b_os)
{
    int a = find_os(topology->nodes, node_a_os), b = find_os(topology->nodes, node_b_os);

    if (node_a_os == node_b_os)
        return DISTANCE_LOCAL;
    if (a < 0 || b < 0 || !topology->distance)
        return DISTANCE_DEFAULT;
    return topology->distance[a * topology->nodes->len + b];
}

static VqBlock *
block_named(const VqTopology *topology, const char *name, gsize length)
{
    for (guint i = 0; i < topology->blocks->len; i++) {
        VqBlock *block = g_ptr_array_index(topology->blocks, i);

        if (strncmp(block->name, name, length) == 0 && block->name[length] == '\0')
            return block;
    }
    return NULL;
}

/* udev's by-id names end in the serial number ("nvme-MODEL_SERIAL"), with "-partN" for partitions
 * and "_1" for a namespace behind it. */
static VqBlock *
block_by_id(const VqTopology *topology, const char *id)
{
    for (guint i = 0; i < topology->blocks->len; i++) {
        VqBlock *block = g_ptr_array_index(topology->blocks, i);
        const char *at = block->serial && strlen(block->serial) >= SERIAL_MIN
                             ? g_strrstr(id, block->serial)
                             : NULL;

        if (!at || at == id || (at[-1] != '_' && at[-1] != '-'))
            continue;
        at += strlen(block->serial);
        if (*at == '_')
            at += 1 + strspn(at + 1, "0123456789");
        if (!*at || g_str_has_prefix(at, "-part"))
            return block;
    }
    return NULL;
}

/* "sda1" -> "sda"; after a digit the kernel puts a 'p' between: "nvme0n1p2" -> "nvme0n1". */
static gsize
length_without_partition(const char *name)
{
    gsize length = strlen(name), stem = length;

    while (stem > 0 && g_ascii_isdigit(name[stem - 1]))
        stem--;
    if (stem == length || stem < 2)
        return length;
    if (name[stem - 1] == 'p' && g_ascii_isdigit(name[stem - 2]))
        return stem - 1;
    return stem;
}

const VqBlock *
vq_topology_block(const VqTopology *topology, const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    VqBlock *block;

    if (!*base)
        return NULL;
    if (strstr(name, "/by-id/"))
        return block_by_id(topology, base);
    block = block_named(topology, base, strlen(base));
    return block ? block : block_named(topology, base, length_without_partition(base));
}

/* Reads "<letters><digits>" at *@p and moves behind it. */
static bool
skip_numbered(const char **p, const char *letters)
{
    gsize digits;

    if (!g_str_has_prefix(*p, letters))
        return false;
    *p += strlen(letters);
    digits = strspn(*p, "0123456789");
    *p += digits;
    return digits > 0;
}

/* "nvme2c3n1" -> "nvme2n1"; NULL for anything else. */
static char *
head_of_path(const char *name)
{
    const char *p = name, *c, *n;

    if (!skip_numbered(&p, "nvme"))
        return NULL;
    c = p;
    if (!skip_numbered(&p, "c"))
        return NULL;
    n = p;
    if (!skip_numbered(&p, "n") || *p)
        return NULL;
    return g_strdup_printf("%.*s%s", (int)(c - name), name, n);
}

void
vq_topology_add_multipath_heads(VqTopology *topology)
{
    guint count = topology->blocks->len;

    for (guint i = 0; i < count; i++) {
        const VqBlock *path = g_ptr_array_index(topology->blocks, i);
        g_autofree char *name = head_of_path(path->name);
        VqBlock *head = name ? block_named(topology, name, strlen(name)) : NULL;

        if (!name)
            continue;
        if (!head) {
            head = vq_block_new(name);
            head->model = g_strdup(path->model);
            head->serial = g_strdup(path->serial);
            g_ptr_array_add(topology->blocks, head);
        }
        if (!g_ptr_array_find_with_equal_func(head->parents, path->name, g_str_equal, NULL))
            g_ptr_array_add(head->parents, g_strdup(path->name));
        for (guint k = 0; k < path->nodes->len; k++)
            vq_block_add_node(head, g_array_index(path->nodes, unsigned, k));
    }
}
