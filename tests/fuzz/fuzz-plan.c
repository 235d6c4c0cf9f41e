/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"

#include "core/plan.h"

/* What is read as a plan is written as something that reads, and writes, the same. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VqPlan) plan = vq_plan_from_json((const char *)data, (gssize)size, &error);

    g_assert_true(!plan == (error != NULL));
    if (!plan)
        return 0;

    g_autofree char *first = vq_plan_to_json(plan);
    g_autoptr(VqPlan) again = vq_plan_from_json(first, -1, NULL);

    g_assert_nonnull(again);

    g_autofree char *second = vq_plan_to_json(again);

    g_assert_cmpstr(first, ==, second);
    return 0;
}
