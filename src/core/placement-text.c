/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What placement says to people: why here, what else, why not. */
#include "core/placement-work.h"

#define NAMES_MAX 4 /* holders of cores named in a refusal; the others are counted */

const char *
vq_job_disk(const VqJob *job)
{
    const GPtrArray *serves = job->thread->serves;

    return serves->len ? ((const VqServed *)g_ptr_array_index(serves, 0))->disk : "";
}

/* Targets of disks never begin with "scsi": libvirt takes fd, hd, sd, vd, xvd and ubd. */
char *
vq_text_device(const char *disk)
{
    return g_strdup_printf("%s '%s'", g_str_has_prefix(disk, "scsi") ? "controller" : "disk", disk);
}

static double
share(gint64 load)
{
    return (double)load / VQ_LOAD_UNIT;
}

static unsigned
node_os(const VqWork *work, int index)
{
    return ((const VqNode *)g_ptr_array_index(work->input->topology->nodes, index))->os;
}

/* "3, 4 and 5" of the nodes that the devices of @job hang on. */
static char *
device_nodes(const VqJob *job)
{
    g_autoptr(VqCpuset) nodes = vq_cpuset_new();

    for (guint i = 0; i < job->thread->serves->len; i++) {
        const VqServed *served = g_ptr_array_index(job->thread->serves, i);

        for (guint k = 0; k < served->device_nodes->len; k++)
            vq_cpuset_add(nodes, g_array_index(served->device_nodes, unsigned, k));
    }
    return vq_cpuset_format(nodes);
}

static bool
knows_device(const VqJob *job)
{
    for (guint i = 0; i < job->thread->serves->len; i++) {
        const VqServed *served = g_ptr_array_index(job->thread->serves, i);

        if (served->device_nodes->len > 0)
            return true;
    }
    return false;
}

/* "on node 1 where its device is", "on node 0, at distance 21 from node 1 where its device is" */
static char *
text_where(const VqWork *work, const VqJob *job, const VqSlot *slot)
{
    bool device = knows_device(job);
    const char *what = device ? "its device is" : "the VM's memory is";

    if (work->n_nodes < 2 || slot->node < 0)
        return g_strdup("all cores are as near");
    if (!device && vq_cpuset_empty(job->thread->memory_nodes))
        return g_strdup_printf("on node %u; where its device and memory are is not known",
                               node_os(work, slot->node));

    unsigned distance = device ? job->device[slot->node] : job->memory[slot->node];

    if (distance <= VQ_DISTANCE_LOCAL)
        return g_strdup_printf("on node %u where %s", node_os(work, slot->node), what);

    g_autofree char *nodes =
        device ? device_nodes(job) : vq_cpuset_format(job->thread->memory_nodes);

    return g_strdup_printf("on node %u, at distance %u from node %s where %s",
                           node_os(work, slot->node), distance, nodes, what);
}

static char *
reason_elsewhere(const VqWork *work, const VqJob *job)
{
    g_autofree char *cpus =
        vq_cpuset_format(vq_job_held(job) ? job->thread->current : work->outside);

    if (vq_job_held(job))
        return g_strdup_printf("pinned by hand to %s, which is respected until 'virtq on %s'", cpus,
                               job->thread->domain);
    return g_strdup_printf("on the host's CPUs outside the pool (%s)", cpus);
}

char *
vq_text_reason(const VqWork *work, const VqJob *job)
{
    if (vq_job_held(job) || job->slot < 0)
        return reason_elsewhere(work, job);

    const VqSlot *slot = &work->slots[job->slot];
    g_autofree char *where = text_where(work, job, slot);
    guint others = job->class == VQ_PLACEMENT_DEDICATED ? 0 : slot->present - 1;

    if (job->class == VQ_PLACEMENT_DEDICATED)
        return g_strdup_printf("core %u alone, %s", slot->core->logical, where);
    if (others == 0)
        return g_strdup_printf("core %u, nobody else on it so far, %s", slot->core->logical, where);
    return g_strdup_printf("core %u with %u other%s, load %.2f of %.2f, %s", slot->core->logical,
                           others, others == 1 ? "" : "s", share(slot->load), share(slot->limit),
                           where);
}

/* "core 5 on node 0: distance 21 to its device instead of 10"; "core 5, as near" */
static char *
compare_slots(const VqWork *work, const VqJob *job, const VqSlot *slot)
{
    const VqSlot *here = &work->slots[job->slot];
    unsigned core = slot->core->logical;

    if (slot->node < 0 || here->node < 0)
        return g_strdup_printf("core %u", core);
    if (job->device[slot->node] != job->device[here->node])
        return g_strdup_printf("core %u on node %u: distance %u to its device instead of %u", core,
                               node_os(work, slot->node), job->device[slot->node],
                               job->device[here->node]);
    if (job->memory[slot->node] != job->memory[here->node])
        return g_strdup_printf("core %u on node %u: distance %u to the VM's memory instead of %u",
                               core, node_os(work, slot->node), job->memory[slot->node],
                               job->memory[here->node]);
    if (slot->speed != here->speed)
        return g_strdup_printf("core %u, as near: speed %d%% instead of %d%%", core,
                               (int)(slot->speed * 100 / VQ_CAPACITY_UNIT),
                               (int)(here->speed * 100 / VQ_CAPACITY_UNIT));
    return g_strdup_printf("core %u, as near", core);
}

static char *
alternative_dedicated(const VqWork *work, const VqJob *job, int other)
{
    const VqSlot *best = other >= 0 ? &work->slots[other] : NULL;

    if (!best)
        return g_strdup("none: no other core of the pool is free");

    g_autofree char *text = compare_slots(work, job, best);

    if (best->guests == 0)
        return g_steal_pointer(&text);
    return g_strdup_printf("%s; %u shared thread%s would have to leave", text, best->guests,
                           best->guests == 1 ? "" : "s");
}

static char *
alternative_shared(const VqWork *work, const VqJob *job, int other)
{
    if (other < 0)
        return g_strdup("none: no other core of the pool is for shared threads");

    g_autofree char *text = compare_slots(work, job, &work->slots[other]);

    return g_strdup_printf("%s; it would have load %.2f, this one has %.2f", text,
                           share(work->slots[other].load + job->load),
                           share(work->slots[job->slot].load));
}

char *
vq_text_alternative(const VqWork *work, const VqJob *job, int other)
{
    if (vq_job_held(job) || job->slot < 0)
        return NULL;
    return job->class == VQ_PLACEMENT_DEDICATED ? alternative_dedicated(work, job, other)
                                                : alternative_shared(work, job, other);
}

/* Why it leaves the core it is on. */
static char *
reason_to_leave(const VqWork *work, const VqJob *job)
{
    const VqCore *home = g_ptr_array_index(work->input->topology->cores, job->home_core);

    if (job->home < 0)
        return g_strdup_printf("core %u is not in the pool", home->logical);

    const VqSlot *from = &work->slots[job->home];

    if (from->owner >= 0 && &work->jobs[from->owner] != job) {
        const VqJob *owner = &work->jobs[from->owner];

        return g_strdup_printf("core %u now belongs to %s/%s alone", home->logical,
                               owner->thread->domain, vq_job_disk(owner));
    }
    if (from->held > 0 && job->class == VQ_PLACEMENT_DEDICATED)
        return g_strdup_printf("a thread is pinned by hand to core %u", home->logical);
    return NULL;
}

char *
vq_text_move(const VqWork *work, const VqJob *job)
{
    g_autofree char *reason = job->home_core >= 0 ? reason_to_leave(work, job) : NULL;
    const char *place = job->reason;

    if (reason || job->home < 0 || job->slot < 0)
        return reason ? g_strdup_printf("%s; to %s", reason, place) : g_strdup(place);

    const VqSlot *from = &work->slots[job->home], *to = &work->slots[job->slot];

    if (from == to)
        return g_strdup_printf("to another PU of core %u", to->core->logical);
    if (from->node >= 0 && to->node >= 0 && job->device[to->node] < job->device[from->node])
        return g_strdup_printf("nearer to its device: distance %u instead of %u",
                               job->device[to->node], job->device[from->node]);
    if (from->node >= 0 && to->node >= 0 && job->memory[to->node] < job->memory[from->node])
        return g_strdup_printf("nearer to the VM's memory: distance %u instead of %u",
                               job->memory[to->node], job->memory[from->node]);
    if (job->class == VQ_PLACEMENT_DEDICATED)
        return g_strdup_printf("to %s", place);
    if (from->before > from->limit)
        return g_strdup_printf("core %u was above its limit: %.2f of %.2f; it then has %.2f, "
                               "core %u %.2f",
                               from->core->logical, share(from->before), share(from->limit),
                               share(from->load), to->core->logical, share(to->load));
    if (from->present == 0 && from->before > 0)
        return g_strdup_printf("core %u is given up: core %u then has %.2f of %.2f",
                               from->core->logical, to->core->logical, share(to->load),
                               share(to->limit));
    return g_strdup_printf("evens the load: core %u then has %.2f, core %u %.2f",
                           from->core->logical, share(from->load), to->core->logical,
                           share(to->load));
}

/* "6 taken by vm1/vda, vm2/vda", "1 with threads pinned by hand", "1 kept for shared threads" */
static void
list_taken(const VqWork *work, GPtrArray *parts, guint free)
{
    g_autoptr(GString) names = g_string_new(NULL);
    guint taken = 0, groups = 0, blocked = 0;

    for (guint i = 0; i < work->groups->len; i++) {
        const VqGroup *group = VQ_WORK_GROUP(work, i);
        guint cores = 0;

        for (guint k = 0; group->granted && k < group->jobs->len; k++)
            cores +=
                work->jobs[g_array_index(group->jobs, guint, k)].class == VQ_PLACEMENT_DEDICATED;
        taken += cores;
        if (cores && groups++ < NAMES_MAX)
            g_string_append_printf(names, "%s%s/%s", groups == 1 ? "" : ", ",
                                   VQ_WORK_DOMAIN(work, group->domain)->name, group->disk);
    }
    for (guint i = 0; i < work->n_slots; i++)
        blocked += work->slots[i].held > 0 && work->slots[i].owner < 0;
    if (groups > NAMES_MAX)
        g_string_append_printf(names, " and %u more", groups - NAMES_MAX);
    if (taken)
        g_ptr_array_add(parts, g_strdup_printf("%u taken by %s", taken, names->str));
    if (blocked)
        g_ptr_array_add(parts, g_strdup_printf("%u with threads pinned by hand", blocked));
    if (taken + blocked + free < work->n_slots)
        g_ptr_array_add(parts, g_strdup_printf("%u kept for shared threads",
                                               work->n_slots - taken - blocked - free));
}

static char *
text_taken(const VqWork *work, guint free)
{
    g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func(g_free);

    list_taken(work, parts, free);
    if (parts->len == 0)
        return g_strdup("");
    g_ptr_array_add(parts, NULL);

    g_autofree char *list = g_strjoinv(", ", (char **)parts->pdata);

    return g_strdup_printf(" (%s)", list);
}

static char *
text_pool(const VqWork *work)
{
    g_autofree char *cpus = work->input->pool ? vq_cpuset_format(work->input->pool) : NULL;

    if (!cpus || !*cpus)
        return g_strdup("the pool is empty");
    return g_strdup_printf("the pool (CPU %s) has %u core%s", cpus, work->n_slots,
                           work->n_slots == 1 ? "" : "s");
}

char *
vq_text_no_cores(const VqWork *work, const VqGroup *group, guint needed, guint free)
{
    g_autofree char *device = vq_text_device(group->disk);
    g_autofree char *pool = text_pool(work);
    g_autofree char *taken = text_taken(work, free);

    return g_strdup_printf("%s of '%s' needs %u core%s of its own; %s, %u free%s: add cores to the "
                           "pool, or use placement='shared'",
                           device, VQ_WORK_DOMAIN(work, group->domain)->name, needed,
                           needed == 1 ? "" : "s", pool, free, taken);
}

char *
vq_text_no_shared(const VqWork *work, const char *domain, const char *disk)
{
    g_autofree char *device = vq_text_device(disk);
    g_autofree char *pool = text_pool(work);
    g_autofree char *taken = text_taken(work, 0);

    return g_strdup_printf("%s of '%s' needs a core of the pool to share; %s, none of them for "
                           "shared threads%s: add cores to the pool",
                           device, domain, pool, taken);
}
