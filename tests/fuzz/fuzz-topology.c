/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"

#include "core/pool.h"
#include "host/topology.h"

const char *__lsan_default_suppressions(void);

/* hwloc 2.12 leaks objects of XML that it refuses, a few kilobytes at most. */
const char *
__lsan_default_suppressions(void)
{
    return "leak:libhwloc\n";
}

/* hwloc XML if it begins like that, else a synthetic string. Whatever is accepted is sound (the
 * reader checks that itself), and its pool is never the whole machine. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autoptr(GError) error = NULL;
    g_autoptr(VqTopology) t = *text == '<' ? vq_host_topology_xml(text, size, "input", &error)
                                           : vq_host_topology_synthetic(text, &error);
    VqPoolRequest request = {.share = VQ_POOL_SHARE_DEFAULT};

    g_assert_true(!t == (error != NULL));
    if (!t)
        return 0;
    g_assert_true(vq_topology_check(t, NULL));

    g_autoptr(VqPool) pool = vq_pool_choose(t, &request, NULL);

    g_assert_true(pool || t->cores->len < 2);
    if (pool) {
        g_assert_true(vq_cpuset_subset(pool->cpus, t->usable));
        /* a single core is the host's: no pool then, said in its reason */
        g_assert_true(vq_cpuset_empty(pool->cpus) == (t->cores->len < 2));
        g_assert_false(vq_cpuset_equal(pool->cpus, t->usable));
    }
    return 0;
}
