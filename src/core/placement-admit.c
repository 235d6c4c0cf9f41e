/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which promises can be kept. Any thread may run on any core of the pool, so counting decides;
 * which core each gets is for placement-dedicate.c.
 *
 * Order: groups that hold their cores now (required ones first, should the pool have shrunk),
 * then the others as their domains arrived. So what was granted is never taken away by a later
 * arrival, and a plan from nothing is what arrival one by one would give.
 */
#include "core/placement-work.h"

typedef struct {
    VqWork *work;
    guint available; /* cores without a thread pinned by hand */
    guint taken;     /* of them, promised */
    bool shared;     /* there are shared threads: one core must be left for them */
} Admission;

/* A thread pinned by hand to PUs of one core, all in the pool, that nobody else is pinned to:
 * dedicated there. */
static bool
is_fixed(const VqWork *work, const VqJob *job)
{
    return vq_job_held(job) && job->home >= 0 && work->slots[job->home].held == 1 &&
           vq_cpuset_subset(job->thread->current, work->slots[job->home].pus);
}

/* Cores with threads pinned by hand that are not anybody's own: shared threads find room there. */
static guint
count_blocked(const VqWork *work)
{
    guint blocked = 0;

    for (guint i = 0; i < work->n_slots; i++)
        blocked += work->slots[i].held > 0 && work->slots[i].owner < 0;
    return blocked;
}

/* Cores that may be promised now. With @keep_one (there are shared threads), or if there is
 * nothing outside the pool, one core stays for shared threads. */
static guint
count_free(const Admission *admission, bool keep_one)
{
    guint free = admission->available - admission->taken;
    bool need_room = keep_one || vq_cpuset_empty(admission->work->outside);

    if (need_room && free > 0 && count_blocked(admission->work) == 0)
        free--;
    return free;
}

/* Whether shared threads would be left without the room they need; cores that hand-pinned threads
 * of @group take count too. */
static bool
leaves_nothing(const Admission *admission, const VqGroup *group, bool keep_one)
{
    const VqWork *work = admission->work;
    guint rooms = admission->available - admission->taken + count_blocked(work), takes = 0;

    for (guint i = 0; i < group->jobs->len; i++) {
        const VqJob *job = &work->jobs[g_array_index(group->jobs, guint, i)];

        takes += job->thread->class == VQ_PLACEMENT_DEDICATED;
    }
    return (keep_one || vq_cpuset_empty(work->outside)) && takes >= rooms;
}

/* Cores that @group needs besides those its hand-pinned threads are on; NULL or why it cannot be
 * served on any number of cores. */
static char *
count_needed(const VqWork *work, const VqGroup *group, guint *needed)
{
    *needed = 0;
    for (guint i = 0; i < group->jobs->len; i++) {
        const VqJob *job = &work->jobs[g_array_index(group->jobs, guint, i)];

        if (job->thread->class != VQ_PLACEMENT_DEDICATED || is_fixed(work, job))
            continue;
        if (vq_job_held(job)) {
            g_autofree char *cpus = vq_cpuset_format(job->thread->current);
            g_autofree char *device = vq_text_device(group->disk);

            return g_strdup_printf("%s of '%s' has no cores of its own: its IOThread %u is pinned "
                                   "by hand to %s, not to a core of the pool alone; release the "
                                   "pin with 'virtq on %s'",
                                   device, job->thread->domain, job->thread->iothread, cpus,
                                   job->thread->domain);
        }
        (*needed)++;
    }
    return NULL;
}

/* Takes (or gives back) what @group was granted. */
static void
take(Admission *admission, VqGroup *group, bool grant)
{
    VqWork *work = admission->work;

    group->granted = grant;
    for (guint i = 0; i < group->jobs->len; i++) {
        guint index = g_array_index(group->jobs, guint, i);
        VqJob *job = &work->jobs[index];

        if (job->thread->class != VQ_PLACEMENT_DEDICATED)
            continue;
        job->class = grant ? VQ_PLACEMENT_DEDICATED : VQ_PLACEMENT_SHARED;
        if (!is_fixed(work, job))
            admission->taken += grant ? 1 : -1;
        else
            work->slots[job->home].owner = grant ? (int)index : -1;
        if (is_fixed(work, job))
            job->slot = grant ? job->home : -1;
    }
}

/* Grants @group its cores, or leaves the reason in it. */
static void
try_group(Admission *admission, VqGroup *group)
{
    guint needed = 0;
    bool keep_one = admission->shared && !group->holds;
    guint free = count_free(admission, keep_one);

    g_clear_pointer(&group->degraded, g_free);
    group->degraded = count_needed(admission->work, group, &needed);
    if (group->degraded)
        return;
    if (needed <= free && !leaves_nothing(admission, group, keep_one))
        take(admission, group, true);
    else
        group->degraded = vq_text_no_cores(admission->work, group, needed, free);
}

static void
admit_holders(Admission *admission, bool required)
{
    VqWork *work = admission->work;

    for (guint i = 0; i < work->groups->len; i++) {
        VqGroup *group = VQ_WORK_GROUP(work, i);

        if (group->jobs->len > 0 && group->holds && group->required == required)
            try_group(admission, group);
    }
}

static bool
has_shared(const VqWork *work, const VqDomainJobs *domain)
{
    for (guint i = 0; i < domain->count; i++) {
        const VqJob *job = &work->jobs[domain->first + i];

        if (job->thread->class != VQ_PLACEMENT_DEDICATED && !vq_job_held(job))
            return true;
    }
    return false;
}

/* Whether a thread of @group is to share a core of the pool. */
static bool
wants_shared_room(const VqWork *work, const VqGroup *group)
{
    for (guint i = 0; i < group->jobs->len; i++) {
        const VqJob *job = &work->jobs[g_array_index(group->jobs, guint, i)];

        if (job->thread->class != VQ_PLACEMENT_DEDICATED && !vq_job_held(job))
            return true;
    }
    return false;
}

/* Refuses the domain if one of its groups lacks what was required of it. */
static void
refuse_groups(Admission *admission, guint index)
{
    VqWork *work = admission->work;
    VqDomainJobs *domain = VQ_WORK_DOMAIN(work, index);
    bool room = admission->available > admission->taken || count_blocked(work) > 0;

    for (guint i = 0; i < work->groups->len; i++) {
        VqGroup *group = VQ_WORK_GROUP(work, i);
        g_autofree char *reason = NULL;

        if (group->domain != index || group->jobs->len == 0 || group->running || !group->required)
            continue;
        if (group->dedicated && !group->granted)
            reason = g_strdup(group->degraded);
        else if (!room && wants_shared_room(work, group))
            reason = vq_text_no_shared(work, domain->name, group->disk);
        if (!reason)
            continue;
        vq_plan_add_refused(work->plan, domain->name, group->disk, reason);
        domain->required_refused = true;
    }
}

static void
give_back(Admission *admission, guint index)
{
    VqWork *work = admission->work;

    for (guint i = 0; i < work->groups->len; i++) {
        VqGroup *group = VQ_WORK_GROUP(work, i);

        if (group->domain == index && group->granted)
            take(admission, group, false);
    }
}

static void
admit_domain(Admission *admission, guint index, guint first_group, guint end_group)
{
    VqWork *work = admission->work;
    VqDomainJobs *domain = VQ_WORK_DOMAIN(work, index);
    bool shared_before = admission->shared;

    admission->shared |= has_shared(work, domain);
    for (guint i = first_group; i < end_group; i++) {
        VqGroup *group = VQ_WORK_GROUP(work, i);

        if (!group->dedicated || group->jobs->len == 0 || group->granted)
            continue;
        try_group(admission, group);
        admission->shared |= !group->granted;
    }
    refuse_groups(admission, index);
    if (domain->required_refused) {
        give_back(admission, index);
        admission->shared = shared_before;
    }
}

/* Shared threads that run in the pool already keep a core even from domains before them. */
static bool
shared_in_pool(const VqWork *work)
{
    for (guint i = 0; i < work->n_jobs; i++) {
        const VqJob *job = &work->jobs[i];

        if (job->thread->running && !vq_job_held(job) && job->home >= 0 &&
            job->thread->class == VQ_PLACEMENT_SHARED)
            return true;
    }
    return false;
}

void
vq_work_admit(VqWork *work)
{
    Admission admission = {.work = work, .shared = shared_in_pool(work)};
    guint group = 0;

    for (guint i = 0; i < work->n_slots; i++)
        admission.available += work->slots[i].held == 0;
    admit_holders(&admission, true);
    admit_holders(&admission, false);
    for (guint i = 0; i < work->domains->len; i++) {
        guint end = group;

        while (end < work->groups->len && VQ_WORK_GROUP(work, end)->domain == i)
            end++;
        admit_domain(&admission, i, group, end);
        group = end;
    }
}
