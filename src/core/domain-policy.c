/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A policy against the rest of its domain: which device it is in force for, and everything that
 * contradicts. What is written by hand wins; only where the policy names the device and says
 * something else is it refused, since then nobody can know what is meant.
 */
#include "base/error.h"
#include "core/domain-xml.h"

#include <string.h>

typedef struct {
    const VqDomain *domain;
    const xmlNode *root;
    VqProblems *problems;
} Check;

/* Named by our own element: the one case in which a device cannot just be passed over. */
static bool
is_named(const VqPolicyEntry *entry)
{
    return entry->origin == VQ_ORIGIN_ELEMENT && !vq_policy_entry_is_any(entry);
}

/* Queues that the owner's own <driver> speaks of; 0 if it does not. */
static unsigned
hand_queues(const VqDevice *device)
{
    unsigned queues = 0;

    if (device->queues_set)
        return device->queues;
    for (guint i = 0; device->maps_explicit && i < device->maps->len; i++) {
        const VqQueueMap *map = g_ptr_array_index(device->maps, i);

        queues += map->queues->len;
    }
    return queues;
}

VqDevicePlan
vq_device_plan(const VqDevice *device, unsigned vcpus)
{
    const VqPolicyEntry *entry = device->policy;
    unsigned by_hand = hand_queues(device);
    VqDevicePlan plan = {.queues = by_hand ? by_hand : entry->queues};

    if (!plan.queues)
        plan.queues = MIN(vcpus, vq_policy_queues_max(device->kind));
    if (device->maps->len)
        return plan;
    plan.iothreads = entry->iothreads ? entry->iothreads : plan.queues;
    /* for all disks alike: one with fewer queues by hand gets fewer threads */
    if (!is_named(entry) && by_hand)
        plan.iothreads = MIN(plan.iothreads, plan.queues);
    return plan;
}

static void
check_queues(Check *c, const VqDevice *device, const char *what)
{
    const VqPolicyEntry *entry = device->policy;
    unsigned by_hand = hand_queues(device), max = vq_policy_queues_max(device->kind);

    if (by_hand > max)
        vq_problems_add(c->problems, device->line, VQ_ERROR_LIMIT,
                        "%s: %u queues in its own <driver> are above the limit of %u", what,
                        by_hand, max);
    else if (is_named(entry) && entry->queues && by_hand && entry->queues != by_hand)
        vq_problems_add(
            c->problems, entry->line, VQ_ERROR_CONFLICT,
            "%s: queues='%u' of the policy contradicts the %u queues in the <driver> of "
            "line %u; change one, or write queues='auto'",
            what, entry->queues, by_hand, device->line);
}

static void
check_iothreads(Check *c, const VqDevice *device, const char *what)
{
    const VqPolicyEntry *entry = device->policy;
    VqDevicePlan plan = vq_device_plan(device, c->domain->vcpus);
    unsigned by_hand = device->maps->len;

    if (is_named(entry) && by_hand && entry->iothreads && entry->iothreads != by_hand)
        vq_problems_add(c->problems, entry->line, VQ_ERROR_CONFLICT,
                        "%s: iothreads='%u' of the policy contradicts its %u IOThread(s) in the "
                        "<driver> of line %u; change one, or write iothreads='auto'",
                        what, entry->iothreads, by_hand, device->line);
    else if (plan.iothreads > plan.queues)
        vq_problems_add(c->problems, entry->line, VQ_ERROR_CONFLICT,
                        "%s: iothreads='%u' is above the %u queues it has (%s)", what,
                        entry->iothreads, plan.queues,
                        hand_queues(device) ? "from its own <driver>"
                        : entry->queues     ? "from the policy"
                                            : "'auto': one for each vCPU");
}

static char *
describe(const VqDevice *device)
{
    return device->kind == VQ_DEVICE_DISK ? g_strdup_printf("disk '%s'", device->name)
                                          : g_strdup_printf("controller %u", device->index);
}

static const VqPolicyEntry *
entry_for(const VqPolicy *policy, const VqDevice *device)
{
    return device->kind == VQ_DEVICE_DISK ? vq_policy_for_disk(policy, device->name)
                                          : vq_policy_for_controller(policy, device->index);
}

static void
join_device(Check *c, VqDevice *device)
{
    const VqPolicyEntry *entry = entry_for(c->domain->policy, device);
    g_autofree char *what = describe(device);

    if (!entry)
        return;
    if (!is_named(entry) && (device->unsuitable || device->maps->len))
        return;
    if (device->unsuitable) {
        vq_problems_add(c->problems, entry->line, VQ_ERROR_UNSUPPORTED, "%s %s", what,
                        device->unsuitable);
        return;
    }
    device->policy = entry;
    check_queues(c, device, what);
    check_iothreads(c, device, what);
}

static const xmlNode *
find_disk(const xmlNode *root, const char *target)
{
    VQ_XML_FOREACH (disk, vq_xml_child(root, "devices", NULL), "disk") {
        g_autofree char *name = vq_xml_attr(vq_xml_child(disk, "target", NULL), "dev");

        if (g_strcmp0(name, target) == 0)
            return disk;
    }
    return NULL;
}

static void
report_disk(Check *c, const VqPolicyEntry *entry)
{
    const xmlNode *disk = find_disk(c->root, entry->target);

    if (!disk) {
        vq_problems_add(c->problems, entry->line, VQ_ERROR_NOT_FOUND,
                        "disk '%s': the domain has no disk with this <target dev>", entry->target);
        return;
    }

    g_autofree char *bus = vq_disk_bus(disk);
    g_autofree char *controller = vq_xml_attr(vq_xml_child(disk, "address", NULL), "controller");

    if (g_str_equal(bus, "scsi"))
        vq_problems_add(c->problems, entry->line, VQ_ERROR_UNSUPPORTED,
                        "disk '%s' is on bus 'scsi', whose queues belong to the controller; write "
                        "<controller index='%s'> instead",
                        entry->target, controller ? controller : "0");
    else
        vq_problems_add(c->problems, entry->line, VQ_ERROR_UNSUPPORTED,
                        "disk '%s' is on bus '%s', which has no virtqueues; change it to bus "
                        "'virtio' or remove it from the policy",
                        entry->target, bus);
}

static const xmlNode *
find_controller(const xmlNode *root, unsigned index)
{
    g_autoptr(GArray) indexes = vq_scsi_indexes(root);
    guint i = 0;

    VQ_XML_FOREACH (node, vq_xml_child(root, "devices", NULL), "controller") {
        g_autofree char *type = vq_xml_attr(node, "type");

        if (g_strcmp0(type, "scsi") == 0 && g_array_index(indexes, unsigned, i++) == index)
            return node;
    }
    return NULL;
}

static void
report_controller(Check *c, const VqPolicyEntry *entry)
{
    const xmlNode *node = find_controller(c->root, entry->index);
    g_autofree char *model = vq_xml_attr(node, "model");

    if (!node)
        vq_problems_add(c->problems, entry->line, VQ_ERROR_NOT_FOUND,
                        "controller %u: the domain has no scsi controller with this index",
                        entry->index);
    else if (!model || g_str_equal(model, "auto"))
        vq_problems_add(c->problems, entry->line, VQ_ERROR_UNSUPPORTED,
                        "controller %u has no model in line %u; write model='virtio-scsi' there",
                        entry->index, vq_xml_line(node));
    else
        vq_problems_add(c->problems, entry->line, VQ_ERROR_UNSUPPORTED,
                        "controller %u is a '%s', which has no virtqueues; change it to "
                        "'virtio-scsi' or remove it from the policy",
                        entry->index, model);
}

static bool
has_device(const VqDomain *domain, const VqPolicyEntry *entry)
{
    for (guint i = 0; i < domain->devices->len; i++) {
        const VqDevice *device = g_ptr_array_index(domain->devices, i);

        if (device->kind != entry->kind)
            continue;
        if (entry->kind == VQ_DEVICE_DISK ? g_str_equal(device->name, entry->target)
                                          : device->index == entry->index)
            return true;
    }
    return false;
}

/* A flavor serves many VMs, so a disk that it names need not be there; our element's must. */
static void
report_missing(Check *c)
{
    for (guint i = 0; i < c->domain->policy->entries->len; i++) {
        const VqPolicyEntry *entry = g_ptr_array_index(c->domain->policy->entries, i);

        if (!is_named(entry) || has_device(c->domain, entry))
            continue;
        if (entry->kind == VQ_DEVICE_DISK)
            report_disk(c, entry);
        else
            report_controller(c, entry);
    }
}

static void
check_totals(Check *c, unsigned line)
{
    unsigned queues = 0, iothreads = c->domain->iothreads->len;

    for (guint i = 0; i < c->domain->devices->len; i++) {
        const VqDevice *device = g_ptr_array_index(c->domain->devices, i);

        if (!device->policy)
            continue;

        VqDevicePlan plan = vq_device_plan(device, c->domain->vcpus);

        queues += MIN(plan.queues, VQ_QUEUES_MAX);
        iothreads += plan.iothreads;
    }
    if (queues > VQ_QUEUES_TOTAL_MAX)
        vq_problems_add(c->problems, line, VQ_ERROR_LIMIT,
                        "%u queues of all devices together are above the limit of %d", queues,
                        VQ_QUEUES_TOTAL_MAX);
    if (iothreads > VQ_IOTHREADS_MAX)
        vq_problems_add(
            c->problems, line, VQ_ERROR_LIMIT,
            "%u IOThreads of the domain are above the limit of %d; give the disks fewer "
            "iothreads",
            iothreads, VQ_IOTHREADS_MAX);
    if (c->domain->devices->len >= VQ_DEVICES_MAX)
        vq_problems_add(c->problems, line, VQ_ERROR_LIMIT,
                        "%d or more virtio disks and controllers are above the limit of a domain "
                        "with a policy",
                        VQ_DEVICES_MAX);
}

/* libvirt refuses it as well; here it is a record that could not tell them apart. */
static void
check_names(Check *c)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < c->domain->devices->len; i++) {
        const VqDevice *device = g_ptr_array_index(c->domain->devices, i);
        g_autofree char *what = describe(device);

        if (!g_hash_table_add(seen, device->name))
            vq_problems_add(c->problems, device->line, VQ_ERROR_CONFLICT,
                            "%s stands in the domain twice", what);
    }
}

void
vq_domain_join(VqDomain *domain, const xmlNode *root, VqProblems *problems)
{
    VqMetadata metadata = vq_metadata_find(root);
    Check c = {domain, root, problems};

    vq_metadata_check(root->doc, &metadata, problems);
    domain->policy = vq_policy_from_metadata(&metadata, problems);
    if (!domain->policy)
        return;
    if (!metadata.state) /* else that was done before the expansion was taken out */
        vq_iothreads_check(root, problems);
    for (guint i = 0; i < domain->devices->len; i++)
        join_device(&c, g_ptr_array_index(domain->devices, i));
    report_missing(&c);
    check_names(&c);
    check_totals(&c, vq_xml_line(metadata.policy ? metadata.policy : metadata.nova));
}
