/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plan's placements: a PU of the core for each thread, and what is to be said about it. */
#include "core/placement-share.h"

typedef struct {
    VqWork *work;
    gint64 *load; /* claim by PU OS number */
} Seats;

static void
seat(Seats *seats, VqJob *job, int pu)
{
    job->pu = pu;
    seats->load[pu] += job->claim;
}

/* The PU of @job's core with the least claim on it. */
static int
emptiest(const Seats *seats, const VqJob *job)
{
    int best = -1;

    VQ_CPUSET_FOREACH (pu, seats->work->slots[job->slot].pus) {
        if (best < 0 || seats->load[pu] < seats->load[best])
            best = pu;
    }
    return best;
}

/* The PU of its core that @job is on already, -1. */
static int
present_pu(const VqWork *work, const VqJob *job)
{
    if (job->slot < 0 || job->slot != job->home)
        return -1;

    int pu = vq_cpuset_next(job->thread->current, 0);

    return vq_cpuset_has(work->slots[job->slot].pus, (unsigned)pu) ? pu : -1;
}

/*
 * Threads stay on their PU, unless another one of the core is empty and theirs is not; then come
 * those new to the core. Every job's claim is above 0, so an empty PU is one of claim 0.
 */
static void
choose_seats(Seats *seats)
{
    VqWork *work = seats->work;

    for (guint i = 0; i < work->n_jobs; i++) {
        VqJob *job = &work->jobs[i];
        int pu = present_pu(work, job);

        job->pu = -1;
        if (!vq_job_held(job) && pu >= 0 && seats->load[pu] == 0)
            seat(seats, job, pu);
    }
    for (guint i = 0; i < work->n_jobs; i++) {
        VqJob *job = &work->jobs[i];
        int pu = present_pu(work, job);

        if (!vq_job_held(job) && job->pu < 0 && pu >= 0)
            seat(seats, job, seats->load[emptiest(seats, job)] == 0 ? emptiest(seats, job) : pu);
    }
    for (guint i = 0; i < work->n_jobs; i++) {
        VqJob *job = &work->jobs[i];

        if (!vq_job_held(job) && job->pu < 0 && job->slot >= 0)
            seat(seats, job, emptiest(seats, job));
        else if (vq_job_held(job) && job->home_core >= 0)
            job->pu = vq_cpuset_next(job->thread->current, 0);
    }
}

/* The node of @job's devices nearest to node index @node; the first one if that is -1. */
static int
nearest_device_node(const VqTopology *topology, const VqJob *job, int node_os)
{
    int best = -1;
    unsigned least = 0;

    for (guint i = 0; i < job->thread->serves->len; i++) {
        const VqServed *served = g_ptr_array_index(job->thread->serves, i);

        for (guint k = 0; k < served->device_nodes->len; k++) {
            unsigned os = g_array_index(served->device_nodes, unsigned, k);
            unsigned distance =
                node_os < 0 ? 0 : vq_topology_distance(topology, (unsigned)node_os, os);

            if (best < 0 || distance < least) {
                best = (int)os;
                least = distance;
            }
        }
    }
    return best;
}

static void
fill_queues(VqPlaced *placed, const VqThread *thread)
{
    if (thread->serves->len == 0)
        return;

    const VqServed *served = g_ptr_array_index(thread->serves, 0);

    g_array_append_vals(placed->queues, served->queues->data, served->queues->len);
}

static void
fill_place(const VqWork *work, const VqJob *job, VqPlaced *placed)
{
    int pu = job->pu;
    const VqTopology *topology = work->input->topology;

    g_free(placed->cpus);
    placed->cpu = pu;
    if (vq_job_held(job))
        placed->cpus = vq_cpuset_format(job->thread->current);
    else if (pu >= 0)
        placed->cpus = g_strdup_printf("%d", pu);
    else
        placed->cpus = vq_cpuset_format(work->outside);
    if (pu >= 0 && work->core_of[pu] >= 0) {
        const VqCore *core = g_ptr_array_index(topology->cores, work->core_of[pu]);

        placed->core = (int)core->logical;
        if (core->node >= 0)
            placed->node =
                (int)((const VqNode *)g_ptr_array_index(topology->nodes, core->node))->os;
    }
    placed->device_node = nearest_device_node(topology, job, placed->node);
}

static char *
text_degraded(const VqWork *work, const VqJob *job)
{
    const VqGroup *group = VQ_WORK_GROUP(work, job->group);

    if (job->thread->class == VQ_PLACEMENT_DEDICATED && job->class != VQ_PLACEMENT_DEDICATED)
        return g_strdup(group->degraded);
    if (job->slot < 0 && !vq_job_held(job))
        return vq_text_no_shared(work, job->thread->domain, vq_job_disk(job));
    return NULL;
}

/* The best core but the one it has, for those that share and for one alone; -1. */
static int
next_best(const VqShare *share, const VqJob *job, const GArray *unowned)
{
    const VqWork *work = share->work;
    int best = -1;
    VqCost least = 0;

    if (job->slot < 0 || vq_job_held(job))
        return -1;
    if (job->class != VQ_PLACEMENT_DEDICATED)
        return vq_share_best(share, job);
    for (guint i = 0; i < unowned->len; i++) {
        guint slot = g_array_index(unowned, guint, i);
        VqCost cost = vq_cost_dedicated(work, job, &work->slots[slot]);

        if (best < 0 || cost < least) {
            best = (int)slot;
            least = cost;
        }
    }
    return best;
}

static void
write_job(VqWork *work, VqJob *job, int other)
{
    const VqThread *thread = job->thread;
    VqPlaced *placed = vq_plan_add(work->plan, thread->domain, vq_job_disk(job), thread->iothread);

    fill_queues(placed, thread);
    fill_place(work, job, placed);
    placed->class = job->class;
    placed->wanted = thread->class;
    placed->load = (double)job->load / VQ_LOAD_UNIT;
    placed->load_source = g_strdup(thread->load < 0 ? "default" : thread->load_source);
    placed->held = vq_job_held(job);
    placed->reason = vq_text_reason(work, job);
    placed->degraded = text_degraded(work, job);
    placed->alternative = vq_text_alternative(work, job, other);
    job->reason = placed->reason;
}

/* Whether it is to be pinned to something else than now. */
static bool
is_changed(const VqWork *work, const VqJob *job)
{
    if (vq_job_held(job))
        return false;
    if (job->pu >= 0)
        return job->home_pu != job->pu;
    return !vq_cpuset_equal(job->thread->current, work->outside);
}

static void
count_present(VqWork *work)
{
    for (guint i = 0; i < work->n_jobs; i++) {
        const VqJob *job = &work->jobs[i];

        if (VQ_WORK_DOMAIN(work, job->domain)->required_refused)
            continue;
        if (job->slot >= 0)
            work->slots[job->slot].present++;
        if (job->home >= 0)
            work->slots[job->home].before += job->load;
    }
}

/* Cores that could be given to a dedicated thread. */
static GArray *
find_unowned(const VqWork *work)
{
    GArray *unowned = g_array_new(FALSE, FALSE, sizeof(guint));

    for (guint i = 0; i < work->n_slots; i++) {
        if (work->slots[i].owner < 0 && work->slots[i].held == 0)
            g_array_append_val(unowned, i);
    }
    return unowned;
}

/* Goes through @last in step with the threads: what was there before is found at once. */
typedef struct {
    const VqPlan *plan;
    guint next;
} Reader;

static bool
is_thread(const VqPlaced *placed, const VqThread *thread)
{
    return placed->iothread == thread->iothread && g_str_equal(placed->domain, thread->domain);
}

static const VqPlaced *
read_last(Reader *reader, const VqThread *thread)
{
    const GPtrArray *placements = reader->plan->placements;

    for (guint i = reader->next; i < placements->len; i++) {
        const VqPlaced *placed = g_ptr_array_index(placements, i);

        if (is_thread(placed, thread)) {
            reader->next = i + 1;
            return placed;
        }
    }
    for (guint i = 0; i < MIN(reader->next, placements->len); i++) {
        if (is_thread(g_ptr_array_index(placements, i), thread))
            return g_ptr_array_index(placements, i);
    }
    return NULL;
}

static bool
is_like(const VqPlaced *placed, const VqJob *job)
{
    return placed && placed->cpu == job->pu && placed->class == job->class &&
           placed->wanted == job->thread->class && placed->held == vq_job_held(job);
}

void
vq_work_write(VqWork *work, const VqPlan *last)
{
    g_autofree gint64 *load = g_new0(gint64, VQ_CPUSET_MAX);
    g_autoptr(GArray) unowned = find_unowned(work);
    Seats seats = {work, load};
    Reader reader = {last, 0};
    VqShare share;

    choose_seats(&seats);
    count_present(work);
    vq_share_open(&share, work);
    for (guint i = 0; i < work->n_jobs; i++) {
        VqJob *job = &work->jobs[i];

        if (VQ_WORK_DOMAIN(work, job->domain)->required_refused)
            continue;
        job->changed = is_changed(work, job);
        if (!last || job->changed || !is_like(read_last(&reader, job->thread), job))
            write_job(work, job, next_best(&share, job, unowned));
    }
    vq_share_close(&share);
}
