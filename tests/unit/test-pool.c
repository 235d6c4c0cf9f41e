/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pool: each source by example, and its laws over many machines and shares. */
#include "support/machine.h"

#include "base/error.h"
#include "core/pool.h"

#include <string.h>

static VqPool *
choose(const VqTopology *topology, const char *cpus, unsigned share, const char *drained,
       GError **error)
{
    g_autoptr(VqCpuset) given = cpus ? vq_cpuset_parse(cpus, NULL) : NULL;
    g_autoptr(VqCpuset) out = drained ? vq_cpuset_parse(drained, NULL) : NULL;
    VqPoolRequest request = {.cpus = given, .share = share, .drained = out};

    return vq_pool_choose(topology, &request, error);
}

static void
expect(const VqTopology *topology, const char *cpus, unsigned share, const char *drained,
       const char *expected, const char *source, const char *reason)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VqPool) pool = choose(topology, cpus, share, drained, &error);
    g_autofree char *text = pool ? vq_cpuset_format(pool->cpus) : NULL;

    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, expected);
    g_assert_cmpstr(pool->source, ==, source);
    if (!strstr(pool->reason, reason))
        g_error("reason '%s' lacks '%s'", pool->reason, reason);
}

static void
refused(const VqTopology *topology, const char *cpus, unsigned share, int code, const char *part)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VqPool) pool = choose(topology, cpus, share, NULL, &error);

    g_assert_null(pool);
    g_assert_error(error, VQ_ERROR, code);
    if (!strstr(error->message, part))
        g_error("message '%s' lacks '%s'", error->message, part);
}

static void
isolate(VqTopology *topology, const char *cpus)
{
    g_autoptr(VqCpuset) set = vq_cpuset_parse(cpus, NULL);

    vq_cpuset_union(topology->isolated, set);
    VQ_CPUSET_FOREACH (cpu, set)
        ((VqPu *)vq_topology_pu(topology, cpu))->isolated = true;
}

static void
test_configured(void)
{
    g_autoptr(VqTopology) t = test_machine(2, 1, 4, 2); /* CPU n and n + 8 are siblings */

    expect(t, "6-7,14-15", 25, NULL, "6-7,14-15", "configured", "configured");
    expect(t, "6-7", 25, NULL, "6-7", "configured", "only some of the CPUs of core 6,7");
    expect(t, "1-15", 25, NULL, "1-15", "configured", "core 0");
    refused(t, "", 25, VQ_ERROR_INVALID, "is empty");
    refused(t, "0-15", 25, VQ_ERROR_CONFLICT, "all usable CPUs (0-15)");
    refused(t, "4,16-17", 25, VQ_ERROR_INVALID, "16 is not on this host");
}

static void
test_isolated(void)
{
    g_autoptr(VqTopology) t = test_machine(2, 1, 4, 2);
    g_autoptr(VqTopology) all = test_machine(1, 1, 4, 1);

    isolate(t, "3,11");
    expect(t, NULL, 25, NULL, "3,11", "isolated", "isolated by the kernel");
    expect(t, "6,14", 25, NULL, "6,14", "configured", "configured");
    isolate(all, "0-3");
    expect(all, NULL, 25, NULL, "3", "share", "25% of 4 cores");
}

static void
test_share(void)
{
    g_autoptr(VqTopology) two = test_machine(1, 1, 2, 1);
    g_autoptr(VqTopology) smt = test_machine(1, 1, 2, 2);
    g_autoptr(VqTopology) big = test_machine(2, 2, 4, 2);
    g_autoptr(VqTopology) one = test_machine(1, 1, 1, 2);

    expect(two, NULL, 25, NULL, "1", "share", "25% of 2 cores: 1");
    expect(two, NULL, 90, NULL, "1", "share", "90% of 2 cores: 1");
    expect(smt, NULL, 25, NULL, "1,3", "share", "1");
    expect(big, NULL, 25, NULL, "3,7,11,15,19,23,27,31", "share",
           "25% of 16 cores: 4 (1 on node 0, 1 on node 1, 1 on node 2, 1 on node 3)");
    /* fewer cores than nodes: the later ones, away from the host's own work */
    expect(big, NULL, 13, NULL, "11,15,27,31", "share", "(1 on node 2, 1 on node 3)");
    expect(one, NULL, 25, NULL, "", "none", "one usable core");
    refused(two, NULL, 0, VQ_ERROR_LIMIT, "0% is not 1..90%");
    refused(two, NULL, 91, VQ_ERROR_LIMIT, "91% is not 1..90%");
}

/* A rest goes to the node with a disk. */
static void
test_share_near_devices(void)
{
    g_autoptr(VqTopology) t = test_machine(2, 2, 4, 1);
    VqBlock *block = vq_block_new("nvme0n1");

    vq_block_add_node(block, 1);
    g_ptr_array_add(t->blocks, block);
    expect(t, NULL, 7, NULL, "7", "share", "(1 on node 1)");
}

static void
test_drained(void)
{
    g_autoptr(VqTopology) t = test_machine(2, 1, 4, 2);

    expect(t, "6-7,14-15", 25, "7,15", "6,14", "configured", "without 7,15, drained");
    expect(t, "6-7,14-15", 25, "0-3", "6-7,14-15", "configured", "configured");
    expect(t, "6,14", 25, "0-15", "", "configured", "all of it (6,14) is drained");
}

/* A pool that was accepted is served from what is left of it, and never takes the last core. */
static void
test_offline(void)
{
    g_autoptr(VqTopology) t = test_machine(2, 1, 4, 2);
    g_autoptr(VqCpuset) some = vq_cpuset_parse("7,15", NULL);
    g_autoptr(VqCpuset) pool = vq_cpuset_parse("6-7,14-15", NULL);
    g_autoptr(VqCpuset) host = vq_cpuset_parse("0-3,8-11", NULL);

    test_machine_take_away(t, some);
    expect(t, "6-7,14-15", 25, NULL, "6,14", "configured", "without 7,15, offline");
    test_machine_take_away(t, pool);
    expect(t, "6-7,14-15", 25, NULL, "", "configured", "on the host's other CPUs");
    refused(t, "7,16", 25, VQ_ERROR_INVALID, "16 is not on this host");
    /* the host's own cores go: the pool that was all the rest gives one */
    t = (vq_topology_free(t), test_machine(2, 1, 4, 2));
    test_machine_take_away(t, host);
    expect(t, "4-7,12-15", 25, NULL, "5-7,13-15", "configured", "without core 4, left to the host");
}

/* Whole cores, as many as asked, never all, never the first, each node within one of its part. */
static void
check_share(const VqTopology *t, unsigned share)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VqPool) pool = choose(t, NULL, share, NULL, &error);
    unsigned cores = t->cores->len, wanted = MIN(MAX(cores * share / 100, 1), cores - 1), got = 0;

    g_assert_no_error(error);
    for (guint i = 0; i < cores; i++) {
        const VqCore *core = g_ptr_array_index(t->cores, i);
        bool in = vq_cpuset_subset(core->pus, pool->cpus);

        g_assert_true(in || !vq_cpuset_intersects(core->pus, pool->cpus));
        got += in;
    }
    g_assert_cmpuint(got, ==, wanted);
    g_assert_false(vq_cpuset_has(pool->cpus, vq_cpuset_next(t->usable, 0)));
    for (guint i = 0; i < t->nodes->len; i++) {
        const VqNode *node = g_ptr_array_index(t->nodes, i);
        g_autoptr(VqCpuset) here = vq_cpuset_copy(node->cpus);
        double part = (double)vq_cpuset_count(pool->cpus) * vq_cpuset_count(node->cpus) /
                      vq_cpuset_count(t->usable);
        unsigned smt = vq_cpuset_count(((const VqCore *)g_ptr_array_index(t->cores, 0))->pus);

        vq_cpuset_intersect(here, pool->cpus);
        /* a node of one core that is the first gives its part to the others */
        g_assert_cmpfloat(ABS(part - vq_cpuset_count(here)), <=, 2 * smt);
    }
}

static void
test_share_laws(void)
{
    for (guint packages = 1; packages <= 4; packages++) {
        for (guint nodes = 1; nodes <= 3; nodes++) {
            for (guint cores = 1; cores <= 9; cores += 2) {
                g_autoptr(VqTopology) t = test_machine(packages, nodes, cores, 1 + cores % 3);

                for (unsigned share = 1; t->cores->len > 1 && share <= 90; share += 7)
                    check_share(t, share);
            }
        }
    }
}

/* Fast and slow cores in proportion; one alone is a fast one. */
static void
test_hybrid(void)
{
    g_autoptr(VqTopology) topology = test_machine(1, 1, 16, 1);

    for (guint i = 8; i < 16; i++)
        ((VqCore *)topology->cores->pdata[i])->capacity = 512;
    expect(topology, NULL, 25, NULL, "6-7,14-15", "share",
           "25% of 16 cores: 4 (2 on node 0, 2 on node 0 at speed 50%)");
    expect(topology, NULL, 20, NULL, "6-7,15", "share",
           "3 (2 on node 0, 1 on node 0 at speed 50%)");
    expect(topology, NULL, 7, NULL, "7", "share", "1 (1 on node 0)");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pool/configured", test_configured);
    g_test_add_func("/pool/isolated", test_isolated);
    g_test_add_func("/pool/share", test_share);
    g_test_add_func("/pool/share-near-devices", test_share_near_devices);
    g_test_add_func("/pool/drained", test_drained);
    g_test_add_func("/pool/offline", test_offline);
    g_test_add_func("/pool/share-laws", test_share_laws);
    g_test_add_func("/pool/hybrid", test_hybrid);
    return g_test_run();
}
