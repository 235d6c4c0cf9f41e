/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"

#include "base/cpuset.h"

/* What is read is written again as something that reads the same. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autoptr(GError) error = NULL;
    g_autoptr(VqCpuset) set = vq_cpuset_parse(text, &error);

    g_assert_true(!set == (error != NULL));
    if (!set)
        return 0;

    g_autofree char *written = vq_cpuset_format(set);
    g_autoptr(VqCpuset) again = vq_cpuset_parse(written, NULL);

    g_assert_nonnull(again);
    g_assert_true(vq_cpuset_equal(set, again));
    g_assert_cmpuint(vq_cpuset_count(set), <=, VQ_CPUSET_MAX);
    return 0;
}
