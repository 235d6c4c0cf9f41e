/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a path or a block device of this host down to the devices that do the I/O, and to their
 * NUMA nodes: file -> file system's device, partition -> disk, dm and md -> slaves, loop -> backing
 * file, NVMe multipath head -> paths. All of it read below a root directory, so that a test hands
 * in a directory. Partner: topology-hwloc.c; the daemon calls it for each disk.
 *
 * Invariant: each device is followed once, so cycles (a loop device on a file on itself) end.
 */
#include "host/block.h"
#include "base/error.h"
#include "base/xml.h"
#include "host/topology.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define DEVICES_MAX   256 /* followed for one path: a md of 100 multipath disks is not unheard of */
#define NODE_MAX      65535
#define MOUNTINFO_MAX (4 * 1024 * 1024)

typedef struct {
    const char *root;
    GPtrArray *chain; /* of char *: names in the order followed */
    GArray *nodes;    /* of unsigned, each once */
} Follow;

static void follow_device(Follow *f, const char *name);

/* The first line of a small sysfs file, or NULL. */
static char *
read_line(const char *directory, const char *file)
{
    g_autofree char *path = g_build_filename(directory, file, NULL);
    char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return NULL;
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static int
by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names in @directory that begin with @prefix, sorted. */
static GPtrArray *
list(const char *directory, const char *prefix)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        if (g_str_has_prefix(name, prefix))
            g_ptr_array_add(names, g_strdup(name));
    }
    g_ptr_array_sort(names, by_name);
    return names;
}

/* The canonical directory of device @name, or NULL if there is no such device. */
static char *
device_directory(const char *root, const char *name)
{
    static const char *const classes[] = {"sys/class/block", "sys/block"};

    for (guint i = 0; i < G_N_ELEMENTS(classes); i++) {
        g_autofree char *path = g_build_filename(root, classes[i], name, NULL);
        char *real = realpath(path, NULL);

        if (real)
            return real;
    }
    return NULL;
}

static char *
name_of_number(const char *root, dev_t number)
{
    g_autofree char *path =
        g_strdup_printf("%s/sys/dev/block/%u:%u", root, major(number), minor(number));
    g_autofree char *real = realpath(path, NULL);

    return real ? g_path_get_basename(real) : NULL;
}

/* /dev/mapper/NAME where udev has not made it a link to dm-N. */
static char *
name_of_mapped(const char *root, const char *mapped)
{
    g_autofree char *directory = g_build_filename(root, "sys/block", NULL);
    g_autoptr(GPtrArray) names = list(directory, "dm-");

    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *device = g_build_filename(directory, name, NULL);
        g_autofree char *called = read_line(device, "dm/name");

        if (g_strcmp0(called, mapped) == 0)
            return g_strdup(name);
    }
    return NULL;
}

/* A path below /dev that is no device node here (another mount namespace): by its name. */
static char *
name_of_node(const char *root, const char *path)
{
    g_autofree char *base = g_path_get_basename(path);
    g_autofree char *directory = NULL;

    if (!g_str_has_prefix(path, "/dev/"))
        return NULL;
    if (g_str_has_prefix(path, "/dev/mapper/"))
        return name_of_mapped(root, base);
    directory = device_directory(root, base);
    return directory ? g_path_get_basename(directory) : NULL;
}

/*
 * The source of the mount that holds @path, if it names a device: what btrfs and others with an
 * anonymous device number say only here. Of several the last one with the longest mount point is
 * on top.
 */
static char *
mount_source(const char *root, const char *path)
{
    g_autofree char *file = g_build_filename(root, "proc/self/mountinfo", NULL);
    g_autofree char *text = NULL;
    char *best = NULL;
    gsize longest = 0;

    if (!g_file_get_contents(file, &text, NULL, NULL) || strlen(text) > MOUNTINFO_MAX)
        return NULL;

    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line; line++) {
        char *tail = strstr(*line, " - ");
        g_auto(GStrv) head = g_strsplit(*line, " ", 6);
        g_auto(GStrv) rest = g_strsplit(tail ? tail + 3 : "", " ", 3);

        if (g_strv_length(head) < 5 || g_strv_length(rest) < 2)
            continue;

        g_autofree char *point = g_strcompress(head[4]) /* blanks are octal there */;
        gsize length = g_str_equal(point, "/") ? 0 : strlen(point);

        if (strncmp(path, point, length) != 0 || (path[length] != '/' && path[length] != '\0') ||
            length < longest)
            continue;
        longest = length;
        g_free(best);
        best = g_str_has_prefix(rest[1], "/dev/") ? g_strcompress(rest[1]) : NULL;
    }
    return best;
}

/* @real without the root directory before it. */
static const char *
below(const char *root, const char *real)
{
    g_autofree char *top = realpath(root, NULL);
    gsize length = top && !g_str_equal(top, "/") ? strlen(top) : 0;

    return length && strncmp(real, top, length) == 0 ? real + length : real;
}

/* Name of the block device that is, or holds, @path; NULL if unknown. */
static char *
device_of_path(const char *root, const char *path)
{
    g_autofree char *full = g_build_filename(root, path, NULL);
    g_autofree char *real = realpath(full, NULL);
    struct stat st;

    if (!real || stat(real, &st) < 0)
        return name_of_node(root, path);
    if (S_ISBLK(st.st_mode))
        return name_of_number(root, st.st_rdev);
    if (g_str_has_prefix(below(root, real), "/dev/"))
        return name_of_node(root, below(root, real));
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return NULL;

    char *name = name_of_number(root, st.st_dev);

    if (!name) {
        g_autofree char *source = mount_source(root, below(root, real));
        struct stat at;
        g_autofree char *node = source ? g_build_filename(root, source, NULL) : NULL;

        if (node && stat(node, &at) == 0 && S_ISBLK(at.st_mode))
            name = name_of_number(root, at.st_rdev);
        else if (node)
            name = name_of_node(root, source);
    }
    return name;
}

/* Paths behind the NVMe multipath head @name: the kernel lists them in multipath/ since 6.15;
 * before, only their names tell ("nvme2n1": "nvme2c0n1", "nvme2c1n1"). */
static GPtrArray *
multipath_paths(const char *root, const char *name, const char *directory)
{
    g_autofree char *multipath = g_build_filename(directory, "multipath", NULL);
    g_autofree char *class = g_build_filename(root, "sys/class/block", NULL);
    GPtrArray *paths = list(multipath, "nvme");
    unsigned subsystem, ns;
    char rest;

    if (paths->len || sscanf(name, "nvme%un%u%c", &subsystem, &ns, &rest) != 2)
        return paths;

    g_autofree char *prefix = g_strdup_printf("nvme%uc", subsystem);
    g_autofree char *suffix = g_strdup_printf("n%u", ns);
    g_autoptr(GPtrArray) candidates = list(class, prefix);

    for (guint i = 0; i < candidates->len; i++) {
        const char *path = g_ptr_array_index(candidates, i);
        const char *digits = path + strlen(prefix);

        if (g_str_equal(digits + strspn(digits, "0123456789"), suffix))
            g_ptr_array_add(paths, g_strdup(path));
    }
    return paths;
}

/* Devices that @name is stacked on; for a loop device, *@backing is its file instead. */
static GPtrArray *
parents_of(const char *root, const char *name, char **backing)
{
    g_autofree char *directory = device_directory(root, name);
    g_autofree char *slaves = directory ? g_build_filename(directory, "slaves", NULL) : NULL;
    g_autofree char *partition = directory ? read_line(directory, "partition") : NULL;
    GPtrArray *parents;

    *backing = NULL;
    if (!directory)
        return g_ptr_array_new_with_free_func(g_free);
    if (partition) {
        g_autofree char *disk = g_path_get_dirname(directory);

        parents = g_ptr_array_new_with_free_func(g_free);
        g_ptr_array_add(parents, g_path_get_basename(disk));
        return parents;
    }
    parents = list(slaves, "");
    if (parents->len)
        return parents;
    *backing = read_line(directory, "loop/backing_file");
    if (*backing)
        return parents;
    g_ptr_array_unref(parents);
    return multipath_paths(root, name, directory);
}

static void
add_node(GArray *nodes, unsigned node)
{
    for (guint i = 0; i < nodes->len; i++) {
        if (g_array_index(nodes, unsigned, i) == node)
            return;
    }
    g_array_append_val(nodes, node);
}

/* A leaf: the nearest device above it, up to the PCI root, that knows its node. */
static void
add_leaf_node(Follow *f, const char *name)
{
    g_autofree char *directory = device_directory(f->root, name);
    g_autofree char *link = directory ? g_build_filename(directory, "device", NULL) : NULL;
    g_autofree char *at = link ? realpath(link, NULL) : NULL;
    g_autofree char *sys = g_build_filename(f->root, "sys/devices", NULL);
    g_autofree char *top = realpath(sys, NULL);

    while (at && top && g_str_has_prefix(at, top) && strlen(at) > strlen(top)) {
        g_autofree char *text = read_line(at, "numa_node");
        unsigned node;
        char *up;

        if (text && vq_parse_uint(text, NODE_MAX, &node)) {
            add_node(f->nodes, node);
            return;
        }
        up = g_path_get_dirname(at);
        g_free(at);
        at = up;
    }
}

static void
follow_path(Follow *f, const char *path)
{
    g_autofree char *name = device_of_path(f->root, path);
    g_autofree char *base = g_path_get_basename(path);

    if (name && !g_str_equal(name, base))
        g_ptr_array_add(f->chain, g_strdup(base));
    if (name)
        follow_device(f, name);
}

static void
follow_device(Follow *f, const char *name)
{
    g_autoptr(GPtrArray) parents = NULL;
    g_autofree char *backing = NULL;

    if (f->chain->len >= DEVICES_MAX ||
        g_ptr_array_find_with_equal_func(f->chain, name, g_str_equal, NULL))
        return;
    g_ptr_array_add(f->chain, g_strdup(name));
    parents = parents_of(f->root, name, &backing);
    if (backing)
        follow_path(f, backing);
    else if (!parents->len)
        add_leaf_node(f, name);
    for (guint i = 0; i < parents->len; i++)
        follow_device(f, g_ptr_array_index(parents, i));
}

static Follow
follow_new(const char *root)
{
    return (Follow){
        .root = root,
        .chain = g_ptr_array_new_with_free_func(g_free),
        .nodes = g_array_new(FALSE, FALSE, sizeof(unsigned)),
    };
}

GArray *
vq_host_block_nodes(const char *root, const char *path)
{
    Follow f = follow_new(root);

    follow_path(&f, path);
    g_ptr_array_unref(f.chain);
    return f.nodes;
}

GPtrArray *
vq_host_block_chain(const char *root, const char *path)
{
    Follow f = follow_new(root);

    follow_path(&f, path);
    g_array_unref(f.nodes);
    return f.chain;
}

static VqBlock *
find_exact(const VqTopology *topology, const char *name)
{
    for (guint i = 0; i < topology->blocks->len; i++) {
        VqBlock *block = g_ptr_array_index(topology->blocks, i);

        if (g_str_equal(block->name, name))
            return block;
    }
    return NULL;
}

static void
scan_device(const char *root, VqTopology *topology, const char *name)
{
    Follow f = follow_new(root);
    g_autofree char *backing = NULL;
    g_autoptr(GPtrArray) parents = parents_of(root, name, &backing);
    g_autofree char *below_loop = backing ? device_of_path(root, backing) : NULL;
    VqBlock *block = find_exact(topology, name);

    if (!block) {
        block = vq_block_new(name);
        g_ptr_array_add(topology->blocks, block);
    }
    if (below_loop && !g_str_equal(below_loop, name))
        g_ptr_array_add(parents, g_steal_pointer(&below_loop));
    for (guint i = 0; i < parents->len; i++) {
        const char *parent = g_ptr_array_index(parents, i);

        if (!g_ptr_array_find_with_equal_func(block->parents, parent, g_str_equal, NULL))
            g_ptr_array_add(block->parents, g_strdup(parent));
    }
    follow_device(&f, name);
    for (guint i = 0; i < f.nodes->len; i++) {
        unsigned node = g_array_index(f.nodes, unsigned, i);

        if (vq_topology_node(topology, node))
            vq_block_add_node(block, node);
    }
    g_ptr_array_unref(f.chain);
    g_array_unref(f.nodes);
}

/* Where sysfs does not know a leaf's node but hwloc does, what is stacked on it knows it too. */
static void
inherit_nodes(VqTopology *topology)
{
    for (int level = 0; level < 8; level++) {
        for (guint i = 0; i < topology->blocks->len; i++) {
            VqBlock *block = g_ptr_array_index(topology->blocks, i);

            for (guint k = 0; k < block->parents->len; k++) {
                const VqBlock *parent =
                    vq_topology_block(topology, g_ptr_array_index(block->parents, k));

                for (guint n = 0; parent && parent != block && n < parent->nodes->len; n++)
                    vq_block_add_node(block, g_array_index(parent->nodes, unsigned, n));
            }
        }
    }
}

void
vq_host_block_scan(const char *root, VqTopology *topology)
{
    g_autofree char *directory = g_build_filename(root, "sys/block", NULL);
    g_autoptr(GPtrArray) names = list(directory, "");

    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *device = g_build_filename(directory, name, NULL);
        g_autofree char *size = read_line(device, "size");

        if (g_strcmp0(size, "0") != 0 || find_exact(topology, name))
            scan_device(root, topology, name);
    }
    inherit_nodes(topology);
}
