/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plan's placements: a PU of the core for each thread, and what is to be said about it. */
#include "core/placement-work.h"

typedef struct {
    VqWork *work;
    int *pu;      /* of each job, -1 */
    gint64 *load; /* claim by PU OS number */
} Seats;

static void
seat(Seats *seats, guint index, int pu)
{
    seats->pu[index] = pu;
    seats->load[pu] += seats->work->jobs[index].claim;
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
        int pu = present_pu(work, &work->jobs[i]);

        seats->pu[i] = -1;
        if (!vq_job_held(&work->jobs[i]) && pu >= 0 && seats->load[pu] == 0)
            seat(seats, i, pu);
    }
    for (guint i = 0; i < work->n_jobs; i++) {
        VqJob *job = &work->jobs[i];
        int pu = present_pu(work, job);

        if (!vq_job_held(job) && seats->pu[i] < 0 && pu >= 0)
            seat(seats, i, seats->load[emptiest(seats, job)] == 0 ? emptiest(seats, job) : pu);
    }
    for (guint i = 0; i < work->n_jobs; i++) {
        VqJob *job = &work->jobs[i];

        if (!vq_job_held(job) && seats->pu[i] < 0 && job->slot >= 0)
            seat(seats, i, emptiest(seats, job));
        else if (vq_job_held(job) && job->home_core >= 0)
            seats->pu[i] = vq_cpuset_next(job->thread->current, 0);
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
fill_place(const VqWork *work, const VqJob *job, int pu, VqPlaced *placed)
{
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

static void
write_job(VqWork *work, const VqJob *job, int pu)
{
    const VqThread *thread = job->thread;
    VqPlaced *placed = vq_plan_add(work->plan, thread->domain, vq_job_disk(job), thread->iothread);

    fill_queues(placed, thread);
    fill_place(work, job, pu, placed);
    placed->class = job->class;
    placed->wanted = thread->class;
    placed->load = (double)job->load / VQ_LOAD_UNIT;
    placed->load_source = g_strdup(thread->load < 0 ? "default" : thread->load_source);
    placed->held = vq_job_held(job);
    placed->reason = vq_text_reason(work, job);
    placed->degraded = text_degraded(work, job);
    placed->alternative = vq_text_alternative(work, job);
}

void
vq_work_write(VqWork *work)
{
    g_autofree int *pu = g_new(int, MAX(work->n_jobs, 1));
    g_autofree gint64 *load = g_new0(gint64, VQ_CPUSET_MAX);
    Seats seats = {work, pu, load};

    choose_seats(&seats);
    for (guint i = 0; i < work->n_jobs; i++) {
        if (!VQ_WORK_DOMAIN(work, work->jobs[i].domain)->required_refused)
            write_job(work, &work->jobs[i], pu[i]);
    }
}
