/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block devices followed down, in a sysfs tree made for each test below a directory of its own. */
#include "core/topology.h"
#include "host/block.h"
#include "host/topology.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static char *root;

static void
write_file(const char *path, const char *text)
{
    g_autofree char *full = g_build_filename(root, path, NULL);
    g_autofree char *dir = g_path_get_dirname(full);

    g_assert_cmpint(g_mkdir_with_parents(dir, 0755), ==, 0);
    g_assert_true(g_file_set_contents(full, text, -1, NULL));
}

/* @target as the link is to contain it, "@" at the beginning standing for the root directory. */
static void
make_link(const char *target, const char *path)
{
    g_autofree char *full = g_build_filename(root, path, NULL);
    g_autofree char *dir = g_path_get_dirname(full);
    g_autofree char *to =
        *target == '@' ? g_strconcat(root, "/", target + 1, NULL) : g_strdup(target);

    g_assert_cmpint(g_mkdir_with_parents(dir, 0755), ==, 0);
    g_assert_cmpint(symlink(to, full), ==, 0);
}

/* A device at @where below sys/devices, listed in the class; a disk also in sys/block. */
static void
make_device(const char *name, const char *where, bool disk)
{
    g_autofree char *directory = g_strdup_printf("sys/devices/%s/%s", where, name);
    g_autofree char *size = g_strconcat(directory, "/size", NULL);
    g_autofree char *target = g_strconcat("@", directory, NULL);
    g_autofree char *class = g_strconcat("sys/class/block/", name, NULL);
    g_autofree char *block = g_strconcat("sys/block/", name, NULL);

    write_file(size, "2048\n");
    make_link(target, class);
    if (disk)
        make_link(target, block);
}

/* A disk behind PCI device @pci on @node: <pci>/ctrl/block/NAME, with its device link. */
static void
make_disk(const char *name, const char *pci, const char *node)
{
    g_autofree char *ctrl = g_strdup_printf("pci0000:00/%s/ctrl-%s", pci, name);
    g_autofree char *numa = g_strdup_printf("sys/devices/pci0000:00/%s/numa_node", pci);
    g_autofree char *where = g_strdup_printf("%s/block", ctrl);
    g_autofree char *link = g_strdup_printf("sys/devices/%s/block/%s/device", ctrl, name);

    make_device(name, where, true);
    write_file(numa, node);
    make_link("../..", link);
}

static void
make_slave(const char *name, const char *slave)
{
    g_autofree char *path = g_strdup_printf("sys/devices/virtual/block/%s/slaves/%s", name, slave);
    g_autofree char *target = g_strdup_printf("@sys/class/block/%s", slave);

    make_link(target, path);
}

static void
expect(const char *path, const char *nodes, const char *chain)
{
    g_autoptr(GArray) got = vq_host_block_nodes(root, path);
    g_autoptr(GPtrArray) names = vq_host_block_chain(root, path);
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *joined = NULL;

    for (guint i = 0; i < got->len; i++)
        g_string_append_printf(text, "%s%u", i ? "," : "", g_array_index(got, unsigned, i));
    g_ptr_array_add(names, NULL);
    joined = g_strjoinv(" ", (char **)names->pdata);
    g_assert_cmpstr(joined, ==, chain);
    g_assert_cmpstr(text->str, ==, nodes);
}

static void
test_leaf(void)
{
    make_disk("sda", "0000:00:01.0", "1\n");
    make_disk("vda", "0000:00:02.0", "-1\n");
    expect("/dev/sda", "1", "sda");
    expect("/dev/vda", "", "vda");
    expect("/dev/absent", "", "");
    expect("/nonexistent/disk.img", "", "");
    expect("", "", "");
}

/* A controller's own -1 does not hide the bridge above it that knows. */
static void
test_bridge_knows(void)
{
    make_disk("sda", "0000:00:01.0", "2\n");
    write_file("sys/devices/pci0000:00/0000:00:01.0/ctrl-sda/numa_node", "-1\n");
    expect("/dev/sda", "2", "sda");
    write_file("sys/devices/pci0000:00/0000:00:01.0/ctrl-sda/numa_node", "rubbish\n");
    expect("/dev/sda", "2", "sda");
}

static void
test_partition(void)
{
    make_disk("sda", "0000:00:01.0", "1\n");
    make_device("sda3", "pci0000:00/0000:00:01.0/ctrl-sda/block/sda", false);
    write_file("sys/devices/pci0000:00/0000:00:01.0/ctrl-sda/block/sda/sda3/partition", "3\n");
    expect("/dev/sda3", "1", "sda3 sda");
}

static void
test_links(void)
{
    make_disk("sda", "0000:00:01.0", "1\n");
    write_file("dev/sda", ""); /* stands for the device node */
    make_link("../../sda", "dev/disk/by-id/ata-X");
    expect("/dev/disk/by-id/ata-X", "1", "ata-X sda");
}

static void
test_mapper_and_md(void)
{
    make_disk("sda", "0000:00:01.0", "0\n");
    make_disk("sdb", "0000:00:02.0", "1\n");
    make_device("md0", "virtual/block", true);
    make_device("dm-3", "virtual/block", true);
    write_file("sys/devices/virtual/block/dm-3/dm/name", "vg-lv\n");
    make_slave("md0", "sda");
    make_slave("md0", "sdb");
    make_slave("dm-3", "md0");
    expect("/dev/md0", "0,1", "md0 sda sdb");
    expect("/dev/dm-3", "0,1", "dm-3 md0 sda sdb");
    expect("/dev/mapper/vg-lv", "0,1", "vg-lv dm-3 md0 sda sdb");
    expect("/dev/mapper/other", "", "");
}

static void
test_multipath(void)
{
    make_disk("nvme2c0n1", "0000:00:01.0", "0\n");
    make_disk("nvme2c11n1", "0000:00:02.0", "3\n");
    make_disk("nvme2c0n2", "0000:00:03.0", "5\n");  /* another namespace */
    make_disk("nvme22c0n1", "0000:00:04.0", "6\n"); /* another subsystem */
    make_device("nvme2n1", "virtual/nvme-subsystem/nvme-subsys2", true);
    expect("/dev/nvme2n1", "0,3", "nvme2n1 nvme2c0n1 nvme2c11n1");
}

/* What the kernel lists in multipath/ goes before what names tell. */
static void
test_multipath_listed(void)
{
    make_disk("nvme2c0n1", "0000:00:01.0", "0\n");
    make_disk("nvme7c1n1", "0000:00:02.0", "3\n");
    make_device("nvme2n1", "virtual/nvme-subsystem/nvme-subsys2", true);
    make_link("@sys/class/block/nvme7c1n1",
              "sys/devices/virtual/nvme-subsystem/nvme-subsys2/nvme2n1/multipath/nvme7c1n1");
    expect("/dev/nvme2n1", "3", "nvme2n1 nvme7c1n1");
}

/* The device number of the file system that the test's directory is on, made to mean @name. */
static void
files_are_on(const char *name)
{
    struct stat st;
    g_autofree char *number = NULL;
    g_autofree char *target = g_strdup_printf("@sys/class/block/%s", name);

    g_assert_cmpint(stat(root, &st), ==, 0);
    number = g_strdup_printf("sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
    make_link(target, number);
}

static void
test_file(void)
{
    make_disk("sda", "0000:00:01.0", "1\n");
    write_file("images/vm.img", "data");
    make_link("vm.img", "images/link.img");
    files_are_on("sda");
    expect("/images/vm.img", "1", "vm.img sda");
    expect("/images/link.img", "1", "link.img sda");
    expect("/images", "1", "images sda");
    expect("/images/absent.img", "", "");
}

/* btrfs: the number is anonymous; the mount's source names the device. */
static void
test_file_by_mount(void)
{
    make_disk("sda", "0000:00:01.0", "1\n");
    make_disk("sdb", "0000:00:02.0", "2\n");
    write_file("images/vm.img", "data");
    write_file("images/pool one/vm.img", "data");
    write_file("imagesother/vm.img", "data");
    write_file("proc/self/mountinfo",
               "1 0 0:20 / / rw - overlay overlay rw\n"
               "2 1 0:21 / /images rw shared:1 - btrfs /dev/sda rw\n"
               "broken line\n"
               "3 2 0:22 /sub /images/pool\\040one rw - btrfs /dev/sdb rw\n");
    expect("/images/vm.img", "1", "vm.img sda");
    expect("/images/pool one/vm.img", "2", "vm.img sdb");
    expect("/imagesother/vm.img", "", "");
}

static void
test_loop(void)
{
    g_autofree char *self = NULL;

    make_disk("sda", "0000:00:01.0", "1\n");
    make_device("loop0", "virtual/block", true);
    write_file("sys/devices/virtual/block/loop0/loop/backing_file", "/images/vm.img\n");
    write_file("images/vm.img", "data");
    files_are_on("sda");
    expect("/dev/loop0", "1", "loop0 vm.img sda");
}

static void
test_cycles(void)
{
    make_device("loop0", "virtual/block", true);
    write_file("sys/devices/virtual/block/loop0/loop/backing_file", "/images/vm.img\n");
    write_file("images/vm.img", "data");
    files_are_on("loop0"); /* a file system on the loop device of its own file */
    expect("/dev/loop0", "", "loop0 vm.img");
    make_device("dm-0", "virtual/block", true);
    make_device("dm-1", "virtual/block", true);
    make_slave("dm-0", "dm-1");
    make_slave("dm-1", "dm-0");
    expect("/dev/dm-0", "", "dm-0 dm-1");
}

static void
test_scan(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VqTopology) t = vq_host_topology_synthetic("numa:2 core:2 pu:1", &error);
    VqBlock *known = vq_block_new("vda");

    g_assert_no_error(error);
    vq_block_add_node(known, 1); /* hwloc knew what this sysfs does not */
    g_ptr_array_add(t->blocks, known);
    make_disk("vda", "0000:00:02.0", "-1\n");
    make_disk("sda", "0000:00:01.0", "0\n");
    make_disk("sdz", "0000:00:03.0", "77\n"); /* a node this machine lacks */
    make_device("dm-0", "virtual/block", true);
    make_slave("dm-0", "vda");
    make_device("loop7", "virtual/block", true);
    write_file("sys/devices/virtual/block/loop7/size", "0\n");
    vq_host_block_scan(root, t);
    vq_host_block_scan(root, t); /* again changes nothing */
    g_assert_true(vq_topology_check(t, &error));
    g_assert_cmpuint(t->blocks->len, ==, 4);
    g_assert_cmpuint(vq_topology_block(t, "sda")->nodes->len, ==, 1);
    g_assert_cmpuint(vq_topology_block(t, "sdz")->nodes->len, ==, 0);
    g_assert_cmpuint(vq_topology_block(t, "dm-0")->nodes->len, ==, 1);
    g_assert_cmpuint(g_array_index(vq_topology_block(t, "dm-0")->nodes, unsigned, 0), ==, 1);
    g_assert_cmpstr(vq_topology_block(t, "dm-0")->parents->pdata[0], ==, "vda");
    g_assert_null(vq_topology_block(t, "loop7"));
}

static void
remove_tree(const char *path)
{
    g_autoptr(GDir) dir =
        g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *child = g_build_filename(path, name, NULL);

        remove_tree(child);
    }
    g_remove(path);
}

static void
in_own_root(gconstpointer test)
{
    root = g_dir_make_tmp("vq-block-XXXXXX", NULL);
    g_assert_nonnull(root);
    ((void (*)(void))test)();
    remove_tree(root);
    g_clear_pointer(&root, g_free);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(void);
    } tests[] = {
        {"/block/leaf", test_leaf},
        {"/block/bridge-knows", test_bridge_knows},
        {"/block/partition", test_partition},
        {"/block/links", test_links},
        {"/block/mapper-and-md", test_mapper_and_md},
        {"/block/multipath", test_multipath},
        {"/block/multipath-listed", test_multipath_listed},
        {"/block/file", test_file},
        {"/block/file-by-mount", test_file_by_mount},
        {"/block/loop", test_loop},
        {"/block/cycles", test_cycles},
        {"/block/scan", test_scan},
    };

    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_data_func(tests[i].name, (gconstpointer)tests[i].test, in_own_root);
    return g_test_run();
}
