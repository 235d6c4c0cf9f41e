/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The moves in an order that keeps promises at every moment: a dedicated thread enters a core
 * after everybody else has left it, and nobody enters a core before its dedicated thread has left.
 * Where threads exchange cores, one of them waits on a spare CPU: an empty core of the pool, else
 * a CPU outside it, else a core of shared threads.
 */
#include "core/placement-work.h"

typedef struct {
    VqWork *work;
    GArray *pending; /* of guint: jobs still to be moved, in the order of the plan */
    int *on;         /* the core (index) each job is on now, -1 */
    guint *crowd;    /* jobs on each core */
    guint *owners;   /* of them, those that are to be dedicated */
    bool *waited;    /* jobs that stepped aside once: never twice, so this ends */
    int *at;         /* the PU each job is on now, -1 unknown or several */
} Sequence;

static bool
is_dedicated(const Sequence *sequence, guint job)
{
    return sequence->work->jobs[job].class == VQ_PLACEMENT_DEDICATED;
}

static int
target_core(const Sequence *sequence, guint job)
{
    int cpu = sequence->work->jobs[job].pu;

    return cpu >= 0 ? sequence->work->core_of[cpu] : -1;
}

static void
enter(Sequence *sequence, guint job, int core, int sign)
{
    if (core < 0)
        return;
    sequence->crowd[core] += (guint)sign;
    if (is_dedicated(sequence, job))
        sequence->owners[core] += (guint)sign;
}

static bool
may_enter(const Sequence *sequence, guint job, int core)
{
    if (core < 0 || core == sequence->on[job])
        return true;
    return is_dedicated(sequence, job) ? sequence->crowd[core] == 0 : sequence->owners[core] == 0;
}

static void
add_move(Sequence *sequence, guint job, int core, int pu, char *reason)
{
    const VqJob *j = &sequence->work->jobs[job];
    VqMove *move = vq_plan_add_move(sequence->work->plan, j->thread->domain, vq_job_disk(j),
                                    j->thread->iothread);

    move->from = sequence->at[job];
    move->to = pu;
    move->reason = reason;
    enter(sequence, job, sequence->on[job], -1);
    sequence->on[job] = core;
    sequence->at[job] = pu;
    enter(sequence, job, core, 1);
}

static void
finish(Sequence *sequence, guint job)
{
    add_move(sequence, job, target_core(sequence, job), sequence->work->jobs[job].pu,
             vq_text_move(sequence->work, &sequence->work->jobs[job]));
}

/* All moves possible now; whether there was any. */
static bool
sweep(Sequence *sequence)
{
    guint kept = 0, before = sequence->pending->len;

    for (guint i = 0; i < before; i++) {
        guint job = g_array_index(sequence->pending, guint, i);

        if (may_enter(sequence, job, target_core(sequence, job)))
            finish(sequence, job);
        else
            g_array_index(sequence->pending, guint, kept++) = job;
    }
    g_array_set_size(sequence->pending, kept);
    return kept < before;
}

/* A pending job that is on the core @job wants and keeps it from going there. */
static guint
blocker_of(const Sequence *sequence, guint job)
{
    int core = target_core(sequence, job);

    for (guint i = 0; i < sequence->pending->len; i++) {
        guint other = g_array_index(sequence->pending, guint, i);

        if (other != job && sequence->on[other] == core &&
            (is_dedicated(sequence, job) || is_dedicated(sequence, other)))
            return other;
    }
    return job;
}

/* From one blocked job to the one that blocks it, until one comes up again: that is in a cycle.
 * One that waits already will not do; its index in pending, -1 if there is nobody else. */
static int
find_cycle(const Sequence *sequence)
{
    g_autofree bool *seen = g_new0(bool, sequence->work->n_jobs);
    guint job = g_array_index(sequence->pending, guint, 0);

    while (!seen[job]) {
        seen[job] = true;
        job = blocker_of(sequence, job);
    }
    for (guint i = 0; i < sequence->pending->len; i++) {
        if (g_array_index(sequence->pending, guint, i) == job && !sequence->waited[job])
            return (int)i;
    }
    for (guint i = 0; i < sequence->pending->len; i++) {
        if (!sequence->waited[g_array_index(sequence->pending, guint, i)])
            return (int)i;
    }
    return -1;
}

/* The first PU of @set on whose core there is nobody, else no thread to be dedicated; -1. */
static int
quiet_pu(const Sequence *sequence, const VqCpuset *set, bool empty)
{
    VQ_CPUSET_FOREACH (pu, set) {
        int core = sequence->work->core_of[pu];

        if (core >= 0 && (empty ? sequence->crowd[core] : sequence->owners[core]) == 0)
            return pu;
    }
    return -1;
}

/* A PU to wait on; -1 if the machine has none. */
static int
find_spare(const Sequence *sequence)
{
    const VqWork *work = sequence->work;
    int pu = -1;

    for (guint i = 0; pu < 0 && i < work->n_slots; i++) {
        if (work->slots[i].held == 0)
            pu = quiet_pu(sequence, work->slots[i].pus, true);
    }
    if (pu < 0)
        pu = quiet_pu(sequence, work->outside, false);
    for (guint i = 0; pu < 0 && i < work->n_slots; i++)
        pu = quiet_pu(sequence, work->slots[i].pus, false);
    return pu;
}

/* Nothing can go: somebody in a cycle steps aside. */
static void
step_aside(Sequence *sequence)
{
    int index = find_cycle(sequence), pu = find_spare(sequence);

    if (index < 0 || pu < 0) { /* no spare CPU on the whole machine */
        finish(sequence, g_array_index(sequence->pending, guint, 0));
        g_array_remove_index(sequence->pending, 0);
        return;
    }

    guint job = g_array_index(sequence->pending, guint, index);
    const VqCore *to =
        g_ptr_array_index(sequence->work->input->topology->cores, target_core(sequence, job));

    sequence->waited[job] = true;
    add_move(
        sequence, job, sequence->work->core_of[pu], pu,
        g_strdup_printf("waits there until core %u is free, on its way in an exchange of cores",
                        to->logical));
}

static void
begin(Sequence *sequence)
{
    VqWork *work = sequence->work;
    for (guint i = 0; i < work->n_jobs; i++) {
        const VqJob *job = &work->jobs[i];
        bool refused = VQ_WORK_DOMAIN(work, job->domain)->required_refused;

        sequence->on[i] = refused ? -1 : job->home_core;
        sequence->at[i] = job->home_pu;
        enter(sequence, i, sequence->on[i], 1);
        if (job->changed)
            g_array_append_val(sequence->pending, i);
    }
}

void
vq_work_order_moves(VqWork *work)
{
    g_autoptr(GArray) pending = g_array_new(FALSE, FALSE, sizeof(guint));
    g_autofree int *on = g_new(int, work->n_jobs + 1);
    g_autofree int *at = g_new(int, work->n_jobs + 1);
    g_autofree guint *crowd = g_new0(guint, work->n_cores + 1);
    g_autofree guint *owners = g_new0(guint, work->n_cores + 1);
    g_autofree bool *waited = g_new0(bool, work->n_jobs + 1);
    Sequence sequence = {work, pending, on, crowd, owners, waited, at};

    begin(&sequence);
    while (pending->len > 0) {
        if (!sweep(&sequence))
            step_aside(&sequence);
    }
}
