/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "machine.h"

static void
add_package(VqTopology *t, guint index)
{
    VqPackage *package = g_new0(VqPackage, 1);

    package->os = index;
    package->cpus = vq_cpuset_new();
    g_ptr_array_add(t->packages, package);
}

static void
add_node(VqTopology *t, guint index, guint package)
{
    VqNode *node = g_new0(VqNode, 1);
    VqCache *cache = g_new0(VqCache, 1);

    node->os = index;
    node->package = (int)package;
    node->cpus = vq_cpuset_new();
    node->memory = 1 << 30;
    g_ptr_array_add(t->nodes, node);
    cache->level = 3;
    cache->size = 1 << 25;
    cache->cpus = vq_cpuset_new();
    g_ptr_array_add(t->caches, cache);
}

static void
add_core(VqTopology *t, guint index, guint node_index, guint stride, guint pus)
{
    VqNode *node = g_ptr_array_index(t->nodes, node_index);
    VqCore *core = g_new0(VqCore, 1);

    *core = (VqCore){.logical = index,
                     .package = node->package,
                     .node = (int)node_index,
                     .llc = (int)node_index,
                     .pus = vq_cpuset_new(),
                     .capacity = 1024};
    g_ptr_array_add(t->cores, core);
    for (guint k = 0; k < pus; k++) {
        VqPu *pu = g_new0(VqPu, 1);
        unsigned os = index + k * stride;

        *pu = (VqPu){.os = os, .core = (int)index, .usable = true};
        g_ptr_array_add(t->pus, pu);
        vq_cpuset_add(core->pus, os);
        vq_cpuset_add(node->cpus, os);
        vq_cpuset_add(t->usable, os);
        vq_cpuset_add(((VqCache *)g_ptr_array_index(t->caches, node_index))->cpus, os);
        vq_cpuset_add(((VqPackage *)g_ptr_array_index(t->packages, node->package))->cpus, os);
    }
}

static int
by_os(gconstpointer a, gconstpointer b)
{
    return (int)(*(VqPu *const *)a)->os - (int)(*(VqPu *const *)b)->os;
}

VqTopology *
test_machine(guint packages, guint nodes, guint cores, guint pus)
{
    VqTopology *t = vq_topology_new();
    guint n = packages * nodes;

    g_free(t->origin);
    t->origin = g_strdup("test machine");
    for (guint p = 0; p < packages; p++)
        add_package(t, p);
    for (guint i = 0; i < n; i++)
        add_node(t, i, i / nodes);
    for (guint i = 0; i < n * cores; i++)
        add_core(t, i, i / cores, n * cores, pus);
    g_ptr_array_sort(t->pus, by_os);
    g_free(t->distance);
    t->distance = g_new(unsigned, (gsize)n *n);
    for (guint i = 0; i < n * n; i++)
        t->distance[i] = i / n == i % n ? 10 : i / n / nodes == i % n / nodes ? 12 : 21;
    return t;
}

/* Cores without a PU are no more; the PUs of the others say so by their new index. */
static void
drop_empty_cores(VqTopology *t)
{
    for (guint i = t->cores->len; i-- > 0;) {
        if (vq_cpuset_empty(((VqCore *)g_ptr_array_index(t->cores, i))->pus))
            g_ptr_array_remove_index(t->cores, i);
    }
    for (guint i = 0; i < t->cores->len; i++) {
        VQ_CPUSET_FOREACH (pu, ((VqCore *)g_ptr_array_index(t->cores, i))->pus)
            ((VqPu *)vq_topology_pu(t, pu))->core = (int)i;
    }
}

static void
renumber(int *package, int gone)
{
    if (*package == gone)
        *package = -1;
    else if (*package > gone)
        --*package;
}

/* Nodes of memory without CPUs stay, and then belong to none. */
static void
drop_empty_packages(VqTopology *t)
{
    for (int i = (int)t->packages->len; i-- > 0;) {
        if (!vq_cpuset_empty(((VqPackage *)g_ptr_array_index(t->packages, i))->cpus))
            continue;
        g_ptr_array_remove_index(t->packages, i);
        for (guint k = 0; k < t->cores->len; k++)
            renumber(&((VqCore *)g_ptr_array_index(t->cores, k))->package, i);
        for (guint k = 0; k < t->nodes->len; k++)
            renumber(&((VqNode *)g_ptr_array_index(t->nodes, k))->package, i);
    }
}

void
test_machine_take_away(VqTopology *t, const VqCpuset *cpus)
{
    g_autoptr(GError) error = NULL;

    VQ_CPUSET_FOREACH (cpu, cpus) {
        VqPu *pu = (VqPu *)vq_topology_pu(t, cpu);

        pu->core = -1;
        pu->usable = pu->isolated = false;
    }
    vq_cpuset_subtract(t->usable, cpus);
    vq_cpuset_subtract(t->isolated, cpus);
    for (guint i = 0; i < t->cores->len; i++)
        vq_cpuset_subtract(((VqCore *)g_ptr_array_index(t->cores, i))->pus, cpus);
    for (guint i = 0; i < t->nodes->len; i++)
        vq_cpuset_subtract(((VqNode *)g_ptr_array_index(t->nodes, i))->cpus, cpus);
    for (guint i = 0; i < t->packages->len; i++)
        vq_cpuset_subtract(((VqPackage *)g_ptr_array_index(t->packages, i))->cpus, cpus);
    drop_empty_cores(t);
    drop_empty_packages(t);
    vq_topology_check(t, &error);
    g_assert_no_error(error);
}

VqThread *
test_thread(GPtrArray *threads, const char *domain, const char *disk, unsigned iothread,
            VqPlacement class, int node)
{
    VqThread *thread = vq_thread_new(domain, iothread);
    VqServed *served = vq_thread_serve(thread, disk);
    unsigned queue = iothread - 1, os = (unsigned)node;

    g_array_append_val(served->queues, queue);
    if (node >= 0)
        g_array_append_val(served->device_nodes, os);
    thread->class = class;
    g_ptr_array_add(threads, thread);
    return thread;
}

/* Present places of all kinds: none, a PU, a core, anything. */
static void
random_current(GRand *random, const TestCase *test, VqThread *thread)
{
    guint pus = test->topology->pus->len;
    int kind = g_rand_int_range(random, 0, 6);

    if (kind == 0 || !thread->running)
        return;
    if (kind <= 3)
        vq_cpuset_add(thread->current, (unsigned)g_rand_int_range(random, 0, (int)pus));
    else if (kind == 4)
        vq_cpuset_union(thread->current, test->topology->usable);
    else
        vq_cpuset_add_range(thread->current, 0, (unsigned)g_rand_int_range(random, 0, (int)pus));
    thread->held = g_rand_int_range(random, 0, 8) == 0;
}

static void
random_device(GRand *random, TestCase *test, const char *domain, bool running, guint disk,
              guint *iothread)
{
    int nodes = (int)test->topology->nodes->len;
    VqPlacement class = g_rand_boolean(random) ? VQ_PLACEMENT_DEDICATED : VQ_PLACEMENT_SHARED;
    bool required = g_rand_int_range(random, 0, 3) == 0;
    int node = g_rand_int_range(random, -1, nodes), threads = g_rand_int_range(random, 1, 6);
    g_autofree char *name = g_strdup_printf("vd%c", 'a' + (int)disk);

    for (int i = 0; i < threads; i++) {
        VqThread *thread = test_thread(test->threads, domain, name, ++*iothread, class, node);

        thread->required = required;
        thread->running = running;
        thread->weight = (unsigned)g_rand_int_range(random, 1, 300);
        if (g_rand_boolean(random))
            thread->load = g_rand_double_range(random, 0, 0.9);
        random_current(random, test, thread);
        if (g_rand_int_range(random, 0, 10) == 0) { /* one that serves another disk too */
            g_autofree char *other = g_strdup_printf("vd%c", 'a' + (int)disk / 2);

            vq_thread_serve(thread, other);
        }
    }
}

static void
random_domain(GRand *random, TestCase *test, guint index)
{
    g_autofree char *name = g_strdup_printf("vm%u", index);
    bool running = g_rand_boolean(random);
    guint iothread = 0, first = test->threads->len;
    int devices = g_rand_int_range(random, 1, 4);

    for (int d = 0; d < devices; d++)
        random_device(random, test, name, running, (guint)d, &iothread);
    if (g_rand_boolean(random))
        return;
    for (guint i = first; i < test->threads->len; i++)
        vq_cpuset_add(((VqThread *)g_ptr_array_index(test->threads, i))->memory_nodes, 0);
}

TestCase *
test_case_random(GRand *random)
{
    TestCase *test = g_new0(TestCase, 1);
    int domains = g_rand_int_range(random, 1, 7);

    test->topology =
        test_machine((guint)g_rand_int_range(random, 1, 3), (guint)g_rand_int_range(random, 1, 3),
                     (guint)g_rand_int_range(random, 1, 7), (guint)g_rand_int_range(random, 1, 3));
    test->pool = vq_cpuset_new();
    test->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    for (guint i = 0; i < test->topology->cores->len; i++) {
        VqCore *core = g_ptr_array_index(test->topology->cores, i);

        if (g_rand_int_range(random, 0, 4) == 0)
            core->capacity = 512;
        if (g_rand_boolean(random)) /* sometimes one of two siblings only */
            vq_cpuset_add(test->pool, (unsigned)vq_cpuset_next(core->pus, 0));
        if (g_rand_boolean(random))
            vq_cpuset_union(test->pool, core->pus);
    }
    for (int d = 0; d < domains; d++)
        random_domain(random, test, (guint)d);
    test->input = (VqPlacementInput){
        .topology = test->topology,
        .pool = test->pool,
        .threads = test->threads,
        .params = vq_placement_defaults,
    };
    return test;
}

void
test_case_free(TestCase *test)
{
    vq_topology_free(test->topology);
    vq_cpuset_free(test->pool);
    g_ptr_array_unref(test->threads);
    g_free(test);
}

void
test_case_follow(TestCase *test, const VqPlan *plan)
{
    for (guint i = 0; i < test->threads->len;) {
        VqThread *thread = g_ptr_array_index(test->threads, i);
        const VqPlaced *placed = vq_plan_find(plan, thread->domain, NULL, thread->iothread);

        if (!placed) {
            g_ptr_array_remove_index(test->threads, i);
            continue;
        }
        vq_cpuset_free(thread->current);
        thread->current = vq_cpuset_parse(placed->cpus, NULL);
        thread->running = true;
        i++;
    }
}
