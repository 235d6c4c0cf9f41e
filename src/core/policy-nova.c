/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The policy in a Nova flavor: <nova:instance><nova:flavor><nova:extraSpecs>, which Nova writes
 * since 32.0. Nova checks nothing of the values (unless our validators are installed on its API
 * hosts), so an error names the extra spec, which is what an operator can look for.
 */
#include "base/error.h"
#include "core/policy.h"

#include <string.h>

#define PREFIX "virtqueue:"

typedef struct {
    VqPolicy *policy;
    VqProblems *problems;
} Reader;

static VqPolicyEntry *
find(const VqPolicy *policy, const char *target)
{
    for (guint i = 0; i < policy->entries->len; i++) {
        VqPolicyEntry *entry = g_ptr_array_index(policy->entries, i);

        if (g_str_equal(entry->target, target))
            return entry;
    }
    return NULL;
}

/* The entry for @target; a new one starts as a copy of what the flavor says for every disk. */
static VqPolicyEntry *
ensure(VqPolicy *policy, const char *target, unsigned line)
{
    VqPolicyEntry *entry = find(policy, target);
    const VqPolicyEntry *any = find(policy, "*");

    if (entry)
        return entry;
    entry = vq_policy_entry_new(VQ_DEVICE_DISK, VQ_ORIGIN_NOVA, line);
    if (any)
        *entry = *any;
    entry->line = line;
    entry->target = g_strdup(target);
    g_ptr_array_add(policy->entries, entry);
    return entry;
}

static void
read_spec(Reader *r, const xmlNode *spec, const char *full, const char *name, const char *target)
{
    g_autofree char *value = vq_xml_text(spec);
    g_autoptr(GError) error = NULL;

    if (vq_policy_entry_set(ensure(r->policy, target, vq_xml_line(spec)), name, value, &error))
        return;

    g_autofree char *known = g_strjoinv(", ", (char **)vq_policy_attributes);

    if (error->code == VQ_ERROR_NOT_FOUND)
        vq_problems_add(r->problems, vq_xml_line(spec), VQ_ERROR_INVALID,
                        "flavor extra spec '%s' is unknown; after '" PREFIX "' or '" PREFIX
                        "DISK.' comes one of %s",
                        full, known);
    else
        vq_problems_add(r->problems, vq_xml_line(spec), error->code, "flavor extra spec '%s': %s",
                        full, error->message);
}

/* "virtqueue:queues" -> "*", "queues"; "virtqueue:vdb.queues" -> "vdb", "queues" */
static void
read_named(Reader *r, const xmlNode *spec, bool for_disk)
{
    g_autofree char *full = vq_xml_attr(spec, "name");

    if (!full || !g_str_has_prefix(full, PREFIX))
        return;

    const char *key = full + strlen(PREFIX);
    const char *dot = strrchr(key, '.');

    if ((dot != NULL) != for_disk)
        return;
    if (!dot) {
        read_spec(r, spec, full, key, "*");
        return;
    }

    g_autofree char *target = g_strndup(key, dot - key);

    read_spec(r, spec, full, dot + 1, target);
}

static void
read_specs(Reader *r, const xmlNode *specs, bool for_disk)
{
    for (const xmlNode *spec = vq_xml_child(specs, "extraSpec", VQ_NS_NOVA); spec;
         spec = vq_xml_next(spec, "extraSpec", VQ_NS_NOVA))
        read_named(r, spec, for_disk);
}

static void
check_entries(Reader *r)
{
    for (guint i = 0; i < r->policy->entries->len; i++) {
        const VqPolicyEntry *entry = g_ptr_array_index(r->policy->entries, i);
        g_autoptr(GError) error = NULL;

        if (!vq_policy_entry_check(entry, &error))
            vq_problems_add(r->problems, entry->line, error->code,
                            "flavor extra specs '" PREFIX "*' for %s: %s",
                            vq_policy_entry_is_any(entry) ? "every disk" : entry->target,
                            error->message);
    }
}

VqPolicy *
vq_policy_read_nova(const xmlNode *instance, VqProblems *problems)
{
    const xmlNode *flavor = vq_xml_child(instance, "flavor", VQ_NS_NOVA);
    const xmlNode *specs = vq_xml_child(flavor, "extraSpecs", VQ_NS_NOVA);
    g_autoptr(VqPolicy) policy = vq_policy_new();
    Reader r = {policy, problems};

    /* those for every disk first: they are the defaults of the others */
    read_specs(&r, specs, false);
    read_specs(&r, specs, true);
    if (policy->entries->len == 0)
        return NULL;
    check_entries(&r);
    return g_steal_pointer(&policy);
}
