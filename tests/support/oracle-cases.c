/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small random inputs for the oracle, with loads in whole per cent, and how they read. */
#include "oracle-cases.h"

#include <string.h>

/* Half of the nodes get two last level caches, as with core complexes. */
static void
split_caches(VqTopology *topology, GRand *random)
{
    guint nodes = topology->nodes->len;

    for (guint n = 0; n < nodes; n++) {
        VqCache *old = g_ptr_array_index(topology->caches, n);
        VqCache *new = g_new0(VqCache, 1);
        guint seen = 0, half = 0;

        new->level = 3;
        new->cpus = vq_cpuset_new();
        g_ptr_array_add(topology->caches, new);
        for (guint i = 0; i < topology->cores->len; i++)
            half += ((VqCore *)topology->cores->pdata[i])->node == (int)n;
        for (guint i = 0; i < topology->cores->len; i++) {
            VqCore *core = g_ptr_array_index(topology->cores, i);

            if (core->node != (int)n || seen++ < half / 2)
                continue;
            core->llc = (int)(nodes + n);
            vq_cpuset_union(new->cpus, core->pus);
            vq_cpuset_subtract(old->cpus, core->pus);
        }
    }
}

static void
random_pool(TestCase *test, GRand *random)
{
    bool all = g_rand_boolean(random);

    for (guint i = 0; i < test->topology->cores->len; i++) {
        const VqCore *core = g_ptr_array_index(test->topology->cores, i);

        if (all || g_rand_int_range(random, 0, 3) > 0 || i == 0)
            vq_cpuset_union(test->pool, core->pus);
        if (g_rand_int_range(random, 0, 12) == 0 && i > 0) /* without its sibling */
            vq_cpuset_remove(test->pool, (unsigned)vq_cpuset_next(core->pus, 0));
    }
}

static void
random_thread(TestCase *test, GRand *random, const char *domain, guint iothread, bool dedicated,
              const int range[2])
{
    static const unsigned weights[] = {100, 100, 50, 200};
    VqThread *thread = test_thread(test->threads, domain, dedicated ? "vdd" : "vda", iothread,
                                   dedicated ? VQ_PLACEMENT_DEDICATED : VQ_PLACEMENT_SHARED,
                                   g_rand_int_range(random, -1, (int)test->topology->nodes->len));

    thread->load = g_rand_int_range(random, range[0], range[1]) / 100.0;
    thread->weight = weights[g_rand_int_range(random, 0, 4)];
    if (g_rand_boolean(random))
        vq_cpuset_add(thread->memory_nodes,
                      (unsigned)g_rand_int_range(random, 0, (int)test->topology->nodes->len));
}

TestCase *
oracle_random_case(GRand *random, OracleFamily family)
{
    static const int ranges[][2] = {{0, 20}, {5, 45}, {20, 80}, {1, 80}};
    const int *range = ranges[g_rand_int_range(random, 0, 4)];
    TestCase *test = g_new0(TestCase, 1);
    guint packages = (guint)g_rand_int_range(random, 1, 3);
    guint nodes = packages == 1 ? (guint)g_rand_int_range(random, 1, 3) : 1;
    guint threads = (guint)g_rand_int_range(random, 2, 11);

    test->topology = test_machine(packages, nodes,
                                  (guint)g_rand_int_range(random, packages * nodes == 1 ? 2 : 1,
                                                          packages * nodes == 1 ? 7 : 5),
                                  (guint)g_rand_int_range(random, 1, 3));
    if (g_rand_int_range(random, 0, 3) == 0)
        split_caches(test->topology, random);
    if (g_rand_int_range(random, 0, 3) == 0) {
        for (guint i = 0; i < test->topology->cores->len; i++)
            ((VqCore *)test->topology->cores->pdata[i])->capacity =
                g_rand_boolean(random) ? 512 : 1024;
    }
    test->pool = vq_cpuset_new();
    random_pool(test, random);
    test->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    for (guint vm = 0; test->threads->len < threads; vm++) {
        g_autofree char *name = g_strdup_printf("vm%u", vm);
        guint count = (guint)g_rand_int_range(random, 1, 5);
        bool dedicated = family == ORACLE_DEDICATED ||
                         (family == ORACLE_MIXED && g_rand_int_range(random, 0, 4) == 0);

        for (guint i = 0; i < count && test->threads->len < threads; i++)
            random_thread(test, random, name, i + 1, dedicated, range);
    }
    test->input = (VqPlacementInput){.topology = test->topology,
                                     .pool = test->pool,
                                     .threads = test->threads,
                                     .params = vq_placement_defaults};
    return test;
}

char *
oracle_describe(const TestCase *test, const VqPlan *plan)
{
    GString *out = g_string_new(NULL);
    g_autofree char *pool = vq_cpuset_format(test->pool);

    for (guint i = 0; i < test->topology->cores->len; i++) {
        const VqCore *core = g_ptr_array_index(test->topology->cores, i);
        g_autofree char *pus = vq_cpuset_format(core->pus);

        g_string_append_printf(out, "  core %u: CPU %s, node %d, package %d, llc %d, capacity %u\n",
                               i, pus, core->node, core->package, core->llc, core->capacity);
    }
    g_string_append_printf(out, "  pool %s\n", pool);
    for (guint i = 0; i < test->threads->len; i++) {
        const VqThread *t = g_ptr_array_index(test->threads, i);
        const VqServed *served = g_ptr_array_index(t->serves, 0);
        const VqPlaced *placed = vq_plan_find(plan, t->domain, NULL, t->iothread);
        g_autofree char *current = vq_cpuset_format(t->current);
        g_autofree char *memory = vq_cpuset_format(t->memory_nodes);

        g_string_append_printf(
            out, "  %s/%u %s load %.2f weight %u device %d memory '%s' current '%s'%s -> %s\n",
            t->domain, t->iothread, t->class == VQ_PLACEMENT_DEDICATED ? "dedicated" : "shared",
            t->load, t->weight,
            served->device_nodes->len ? (int)g_array_index(served->device_nodes, unsigned, 0) : -1,
            memory, current, t->held ? " held" : "", placed ? placed->cpus : "refused");
    }
    return g_string_free(out, FALSE);
}

/* Loads change by up to a half, one VM in four leaves, and one comes. */
void
oracle_disturb(TestCase *test, GRand *random)
{
    static const int range[] = {5, 45};
    const char *leaves = NULL;
    guint arrives = (guint)g_rand_int_range(random, 0, 3);

    for (guint i = 0; i < test->threads->len;) {
        VqThread *thread = g_ptr_array_index(test->threads, i);
        double load = thread->load * 100 * g_rand_double_range(random, 0.5, 1.5);

        thread->load = (int)CLAMP(load, 0, 79) / 100.0;
        if (!leaves && g_rand_int_range(random, 0, 8) == 0)
            leaves = g_intern_string(thread->domain);
        if (leaves && g_str_equal(thread->domain, leaves) && test->threads->len > 2)
            g_ptr_array_remove_index(test->threads, i);
        else
            i++;
    }
    for (guint i = 0; i < arrives && test->threads->len < 10; i++)
        random_thread(test, random, "new", i + 1, false, range);
}
