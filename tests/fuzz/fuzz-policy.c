/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"

#include "core/policy.h"

static void
check_entry(const VqPolicyEntry *entry)
{
    g_autofree char *what = vq_policy_entry_describe(entry);

    g_assert_nonnull(what);
    g_assert_cmpuint(entry->queues, <=, vq_policy_queues_max(entry->kind));
    g_assert_cmpuint(entry->iothreads, <=, vq_policy_queues_max(entry->kind));
    g_assert_cmpuint(entry->weight, >=, VQ_WEIGHT_MIN);
    g_assert_cmpuint(entry->weight, <=, VQ_WEIGHT_MAX);
    g_assert_nonnull(vq_enum_name(vq_placement_names, entry->placement));
    g_assert_nonnull(vq_enum_name(vq_polling_names, entry->polling));
    g_assert_true((entry->kind == VQ_DEVICE_DISK) == (entry->target != NULL));
}

/* A policy element or a <nova:instance>: whatever stands in it, the entries are within limits. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(xmlDoc) doc = vq_xml_parse((const char *)data, size, "input", NULL);
    g_autoptr(VqProblems) problems = vq_problems_new();

    if (!doc)
        return 0;

    g_autoptr(VqPolicy) policy = vq_policy_read(xmlDocGetRootElement(doc), problems);
    g_autoptr(VqPolicy) nova = vq_policy_read_nova(xmlDocGetRootElement(doc), problems);

    for (guint i = 0; i < policy->entries->len; i++)
        check_entry(g_ptr_array_index(policy->entries, i));
    for (guint i = 0; nova && i < nova->entries->len; i++)
        check_entry(g_ptr_array_index(nova->entries, i));
    return 0;
}
