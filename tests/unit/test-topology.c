/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Machines from synthetic strings and from this host; lookups; and that the checker sees damage.
 * XML files are tested in tests/data. */
#include "base/error.h"
#include "core/pool.h"
#include "host/topology.h"

#include <stdio.h>
#include <string.h>

static VqTopology *
synthetic(const char *description)
{
    g_autoptr(GError) error = NULL;
    VqTopology *t = vq_host_topology_synthetic(description, &error);

    g_assert_no_error(error);
    return t;
}

static void
test_synthetic(void)
{
    static const struct {
        const char *text;
        guint packages, nodes, cores, pus, caches, notes;
    } cases[] = {
        {"pack:2 numa:1 core:8 pu:2", 2, 2, 16, 32, 0, 1},
        {"pack:2 numa:2 l3:1 core:4 pu:2", 2, 4, 16, 32, 4, 1},
        {"pack:1 l3:2 l2:2 core:1 pu:1", 1, 1, 4, 4, 2, 0},
        {"pack:1 l2:4 core:1 pu:1", 1, 1, 4, 4, 4, 0},
        {"numa:4 core:2 pu:1", 1, 4, 8, 8, 0, 2},
        {"core:4 pu:2", 1, 1, 4, 8, 0, 1},
        {"pu:4", 1, 1, 4, 4, 0, 2},
        {"8", 1, 1, 8, 8, 0, 2},
        {"2 3", 1, 2, 6, 6, 0, 3},
        {"pu:1", 1, 1, 1, 1, 0, 2},
        {"pack:2 [numa(memory=4GB)] core:2 pu:1", 2, 2, 4, 4, 0, 1},
        {"[numa(memory=8GB)] pack:2 [numa] core:2 pu:1", 2, 3, 4, 4, 0, 1},
        {"pack:2 [numa] [numa] core:2 pu:1", 2, 4, 4, 4, 0, 1},
        {"pack:3 group:2 numa:1 die:1 core:2 pu:4", 3, 6, 12, 48, 0, 1},
        {"pack:16 numa:4 core:32 pu:4(indexes=core:pu)", 16, 64, 2048, 8192, 0, 1},
        {"pack:16 numa:16 core:64 pu:1", 16, 256, 16384, 16384, 0, 1},
        {"  pack:2   core:2 pu:1 ", 2, 1, 4, 4, 0, 0},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(VqTopology) t = synthetic(cases[i].text);

        if (t->packages->len != cases[i].packages || t->nodes->len != cases[i].nodes ||
            t->cores->len != cases[i].cores || t->pus->len != cases[i].pus ||
            t->caches->len != cases[i].caches || t->notes->len != cases[i].notes)
            g_error("%s: %u packages, %u nodes, %u cores, %u PUs, %u caches, %u notes",
                    cases[i].text, t->packages->len, t->nodes->len, t->cores->len, t->pus->len,
                    t->caches->len, t->notes->len);
        g_assert_cmpuint(vq_cpuset_count(t->usable), ==, cases[i].pus);
    }
}

static void
test_synthetic_bad(void)
{
    g_autofree char *deep = g_strnfill(5000, '1');
    const struct {
        const char *text;
        int code;
        const char *part;
    } cases[] = {
        {"", VQ_ERROR_INVALID, "not a synthetic topology"},
        {"foo:2 pu:2", VQ_ERROR_INVALID, "'foo' in 'foo:2' is not a kind of object"},
        {"core:0 pu:2", VQ_ERROR_INVALID, "'core:0' lacks a number"},
        {"core:x pu:2", VQ_ERROR_INVALID, "'core:x' lacks a number"},
        {"core:-2 pu:2", VQ_ERROR_INVALID, "lacks a number"},
        {"core pu", VQ_ERROR_INVALID, "'core' lacks a number"},
        {"pu:2 core:2", VQ_ERROR_INVALID, "not a synthetic topology"},
        {"core:99999999999999999999 pu:1", VQ_ERROR_LIMIT, "limit of 1024 in one object"},
        {"core:1025 pu:1", VQ_ERROR_LIMIT, "limit of 1024 in one"},
        {"pack:1000 core:1000 pu:1000", VQ_ERROR_LIMIT, "'core:1000' it has more"},
        {"pack:2 numa:600 pu:1", VQ_ERROR_LIMIT, "1200 NUMANodes are above the limit of 1024"},
        {"core:2 pu:2(indexes=", VQ_ERROR_INVALID, "not a synthetic"},
        {deep, VQ_ERROR_LIMIT, "5000 bytes"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(VqTopology) t = vq_host_topology_synthetic(cases[i].text, &error);

        if (t || !g_error_matches(error, VQ_ERROR, cases[i].code) ||
            !strstr(error->message, cases[i].part))
            g_error("'%s': %s", cases[i].text, t ? "accepted" : error->message);
    }
}

static void
test_input(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VqTopology) t = vq_host_topology_input("core:2 pu:1", &error);

    g_assert_no_error(error);
    g_assert_cmpstr(t->origin, ==, "core:2 pu:1");
    g_assert_null(vq_host_topology_input("/nonexistent/x.xml", &error));
    g_assert_error(error, VQ_ERROR, VQ_ERROR_NOT_FOUND);
    g_clear_error(&error);
    g_assert_null(vq_host_topology_input("/dev/null", &error));
    g_assert_error(error, VQ_ERROR, VQ_ERROR_INVALID);
}

static void
test_lookups(void)
{
    g_autoptr(VqTopology) t = synthetic("pack:2 numa:2 l3:1 core:4 pu:2");
    const VqCore *core = vq_topology_core_of(t, 13);

    g_assert_cmpuint(core->logical, ==, 6);
    g_assert_true(vq_cpuset_has(core->pus, 12));
    g_assert_cmpint(core->package, ==, 0);
    g_assert_cmpint(vq_topology_node_of(t, 13), ==, 1);
    g_assert_cmpint(vq_topology_node_of(t, 32), ==, -1);
    g_assert_null(vq_topology_core_of(t, 32));
    g_assert_null(vq_topology_pu(t, 32));
    g_assert_cmpuint(vq_topology_pu(t, 31)->os, ==, 31);
    g_assert_null(vq_topology_node(t, 4));
    g_assert_cmpuint(vq_topology_distance(t, 3, 3), ==, 10);
    g_assert_cmpuint(vq_topology_distance(t, 0, 3), ==, 20);
    g_assert_cmpuint(vq_topology_distance(t, 0, 77), ==, 20);
}

static VqBlock *
add_block(VqTopology *t, const char *name, const char *serial, int node)
{
    VqBlock *block = vq_block_new(name);

    block->serial = g_strdup(serial);
    if (node >= 0)
        vq_block_add_node(block, node);
    g_ptr_array_add(t->blocks, block);
    return block;
}

static void
assert_block(const VqTopology *t, const char *name, const char *expected)
{
    const VqBlock *block = vq_topology_block(t, name);

    g_assert_cmpstr(block ? block->name : NULL, ==, expected);
}

static void
test_blocks(void)
{
    g_autoptr(VqTopology) t = synthetic("numa:2 core:2 pu:1");

    add_block(t, "sda", "S1234567", 0);
    add_block(t, "nvme0n1", "ABCD99", 1);
    add_block(t, "vda", NULL, -1);
    add_block(t, "md127", "XY", -1); /* too short to be found by */
    assert_block(t, "sda", "sda");
    assert_block(t, "/dev/sda", "sda");
    assert_block(t, "/dev/sda1", "sda");
    assert_block(t, "sdaa", NULL);
    assert_block(t, "/dev/nvme0n1", "nvme0n1");
    assert_block(t, "/dev/nvme0n1p12", "nvme0n1");
    assert_block(t, "/dev/nvme0n12", NULL);
    assert_block(t, "/dev/md127", "md127");
    assert_block(t, "/dev/md127p1", "md127");
    assert_block(t, "", NULL);
    assert_block(t, "/dev/", NULL);
    assert_block(t, "1", NULL);
    assert_block(t, "/dev/disk/by-id/ata-MAKER_MODEL_S1234567", "sda");
    assert_block(t, "/dev/disk/by-id/ata-MAKER_MODEL_S1234567-part3", "sda");
    assert_block(t, "/dev/disk/by-id/nvme-MODEL_ABCD99_1", "nvme0n1");
    assert_block(t, "/dev/disk/by-id/nvme-MODEL_ABCD99_1-part1", "nvme0n1");
    assert_block(t, "/dev/disk/by-id/nvme-MODEL_ABCD991", NULL);
    assert_block(t, "/dev/disk/by-id/md-name-XY", NULL);
}

static void
test_multipath(void)
{
    g_autoptr(VqTopology) t = synthetic("numa:3 core:2 pu:1");
    const VqBlock *head;
    g_autoptr(GError) error = NULL;

    add_block(t, "nvme2c2n1", NULL, 2);
    add_block(t, "nvme2c13n1", NULL, 0);
    add_block(t, "nvme2c2n2", NULL, 1);
    add_block(t, "nvme5n1", NULL, 1);
    add_block(t, "nvmec1n1", NULL, 1); /* not a path's name */
    vq_topology_add_multipath_heads(t);
    vq_topology_add_multipath_heads(t); /* again changes nothing */
    g_assert_cmpuint(t->blocks->len, ==, 7);
    head = vq_topology_block(t, "/dev/nvme2n1");
    g_assert_cmpuint(head->parents->len, ==, 2);
    g_assert_cmpuint(head->nodes->len, ==, 2);
    g_assert_cmpuint(g_array_index(head->nodes, unsigned, 0), ==, 2);
    g_assert_cmpuint(g_array_index(head->nodes, unsigned, 1), ==, 0);
    g_assert_cmpuint(vq_topology_block(t, "nvme2n2")->parents->len, ==, 1);
    g_assert_true(vq_topology_check(t, &error));
}

/* Each kind of damage alone; what is borrowed is damaged in place, in a fresh tree. */
static void
damage(VqTopology *t, int kind)
{
    VqCore *core = t->cores->pdata[1];
    VqPu *pu = t->pus->pdata[3];
    VqNode *node = t->nodes->pdata[1];
    VqPackage *package = t->packages->pdata[0];
    unsigned nowhere = 9;

    switch (kind) {
    case 0:
        core->node = 7;
        break;
    case 1:
        core->package = -1;
        break;
    case 2:
        core->llc = 99;
        break;
    case 3:
        core->capacity = 0;
        break;
    case 4:
        vq_cpuset_add(core->pus, 0);
        break;
    case 5:
        vq_cpuset_remove(core->pus, 2);
        break;
    case 6:
        pu->usable = false;
        break;
    case 7:
        pu->core = 0;
        break;
    case 8:
        pu->os = 1;
        break;
    case 9:
        pu->isolated = true;
        break;
    case 10:
        vq_cpuset_add(node->cpus, 0);
        break;
    case 11:
        node->os = 0;
        break;
    case 12:
        vq_cpuset_remove(package->cpus, 0);
        break;
    case 13:
        t->distance[0] = 11;
        break;
    case 14:
        t->distance[1] = 9;
        break;
    case 15:
        vq_cpuset_remove(t->usable, 1);
        break;
    case 16:
        vq_cpuset_add(t->isolated, 200);
        break;
    case 17:
        core->logical = 0;
        break;
    case 18:
        g_array_append_val(add_block(t, "sda", NULL, -1)->nodes, nowhere);
        break;
    case 19:
        add_block(t, "sda", NULL, -1);
        add_block(t, "sda", NULL, -1);
        break;
    case 20:
        g_ptr_array_add(add_block(t, "dm-0", NULL, -1)->parents, g_strdup("dm-0"));
        break;
    case 21:
        vq_cpuset_remove(((VqCache *)t->caches->pdata[0])->cpus, 2);
        break;
    default:
        g_assert_not_reached();
    }
}

static void
test_check_sees_damage(void)
{
    for (int kind = 0; kind < 22; kind++) {
        g_autoptr(VqTopology) t = synthetic("pack:2 numa:1 l3:1 core:2 pu:2");
        g_autoptr(GError) error = NULL;

        g_assert_true(vq_topology_check(t, NULL));
        damage(t, kind);
        if (vq_topology_check(t, &error))
            g_error("damage %d is not seen", kind);
        g_assert_error(error, VQ_ERROR, VQ_ERROR_INVALID);
    }
}

/* This host: what /proc/cpuinfo numbers is what we have, and the kernel's online list contains all
 * that is usable. */
static void
test_live(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VqTopology) t = vq_host_topology_live("/", &error);
    g_autofree char *online_text = NULL, *cpuinfo = NULL;
    unsigned processors = 0;

    g_assert_no_error(error);
    g_assert_cmpstr(t->origin, ==, "this host");
    if (!g_file_get_contents("/sys/devices/system/cpu/online", &online_text, NULL, NULL) ||
        !g_file_get_contents("/proc/cpuinfo", &cpuinfo, NULL, NULL)) {
        g_test_skip("no /sys or /proc here");
        return;
    }

    g_autoptr(VqCpuset) online = vq_cpuset_parse(online_text, &error);
    g_auto(GStrv) lines = g_strsplit(cpuinfo, "\n", -1);

    g_assert_no_error(error);
    g_assert_true(vq_cpuset_subset(t->usable, online));
    for (char **line = lines; *line; line++) {
        unsigned cpu;

        if (sscanf(*line, "processor : %u", &cpu) == 1) {
            processors++;
            g_assert_nonnull(vq_topology_pu(t, cpu));
        }
    }
    g_assert_cmpuint(vq_cpuset_count(online), ==, processors);
    g_assert_cmpuint(t->pus->len, >=, processors);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/topology/synthetic", test_synthetic);
    g_test_add_func("/topology/synthetic-bad", test_synthetic_bad);
    g_test_add_func("/topology/input", test_input);
    g_test_add_func("/topology/lookups", test_lookups);
    g_test_add_func("/topology/blocks", test_blocks);
    g_test_add_func("/topology/multipath", test_multipath);
    g_test_add_func("/topology/check-sees-damage", test_check_sees_damage);
    g_test_add_func("/topology/live", test_live);
    return g_test_run();
}
