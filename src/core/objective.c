/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The objective as a sum over threads and cores. The terms of the sums are in placement-work.h
 * (vq_term_*): placement-cost.c builds its differences from the same ones.
 */
#include "core/objective.h"

#include "core/placement-work.h"

static const char *const fields[] = {"required", "promises", "overload", "device", "memory", "slow",
                                     "package",  "scatter",  "cores",    "uneven", "moves"};

#define N_FIELDS G_N_ELEMENTS(fields)

static void
to_vector(const VqObjective *o, VqSquare *out)
{
    const VqSquare vector[N_FIELDS] = {o->required, o->promises, o->overload, o->device,
                                       o->memory,   o->slow,     o->package,  o->scatter,
                                       o->cores,    o->uneven,   o->moves};

    for (guint i = 0; i < N_FIELDS; i++)
        out[i] = vector[i];
}

void
vq_objective_add(VqObjective *sum, const VqObjective *more)
{
    sum->required += more->required;
    sum->promises += more->promises;
    sum->overload += more->overload;
    sum->device += more->device;
    sum->memory += more->memory;
    sum->slow += more->slow;
    sum->package += more->package;
    sum->scatter += more->scatter;
    sum->cores += more->cores;
    sum->uneven += more->uneven;
    sum->moves += more->moves;
}

#define COMPARE(field)                                                                             \
    if (a->field != b->field)                                                                      \
        return a->field < b->field ? -1 : 1;

/* Written out: it is the innermost step of every search. */
int
vq_objective_compare(const VqObjective *a, const VqObjective *b)
{
    COMPARE(required)
    COMPARE(promises)
    COMPARE(overload)
    COMPARE(device)
    COMPARE(memory)
    COMPARE(slow)
    COMPARE(package)
    COMPARE(scatter)
    COMPARE(cores)
    COMPARE(uneven)
    COMPARE(moves)
    return 0;
}

const char *
vq_objective_decides(const VqObjective *a, const VqObjective *b)
{
    VqSquare x[N_FIELDS], y[N_FIELDS];

    to_vector(a, x);
    to_vector(b, y);
    for (guint i = 0; i < N_FIELDS; i++) {
        if (x[i] != y[i])
            return fields[i];
    }
    return NULL;
}

char *
vq_objective_to_text(const VqObjective *objective)
{
    g_autoptr(GString) out = g_string_new(NULL);
    VqSquare vector[N_FIELDS];

    to_vector(objective, vector);
    for (guint i = 0; i < N_FIELDS; i++) {
        double value = (double)vector[i];

        g_string_append_printf(out, "%s%s ", i ? ", " : "", fields[i]);
        if (g_str_equal(fields[i], "overload"))
            g_string_append_printf(out, "%.3f", value / VQ_LOAD_UNIT);
        else if (g_str_equal(fields[i], "uneven"))
            g_string_append_printf(out, "%.4f", value / VQ_UNEVEN_UNIT);
        else
            g_string_append_printf(out, "%.0f", value);
    }
    return g_string_free(g_steal_pointer(&out), FALSE);
}

static void
add_promise(const VqWork *work, const VqJob *job, VqObjective *out)
{
    bool refused = VQ_WORK_DOMAIN(work, job->domain)->required_refused;
    bool less = refused || job->class != job->thread->class || (job->slot < 0 && !vq_job_held(job));

    out->promises += less;
    out->required += less && job->thread->required;
}

static void
add_thread(const VqWork *work, const VqJob *job, VqObjective *out)
{
    if (job->slot >= 0) {
        const VqSlot *slot = &work->slots[job->slot];

        out->device += vq_term_distance(job->device, slot);
        out->memory += vq_term_distance(job->memory, slot);
        if (job->class == VQ_PLACEMENT_DEDICATED)
            out->slow += vq_term_slow(slot);
    }
    out->moves += vq_term_moved(job, job->slot);
}

static void
add_core(const VqWork *work, const VqSlot *slot, VqObjective *out)
{
    if (slot->owner >= 0)
        return;
    out->overload += vq_term_overload(slot, 0);
    out->cores += vq_term_in_use(work, slot, 0);
    out->uneven += vq_term_uneven(slot, 0);
}

/* Pairs that a domain's threads make over @counts places, less those that are in one place. */
static gint64
pairs_apart(const guint *counts, guint n)
{
    gint64 all = 0, together = 0;

    for (guint i = 0; i < n; i++) {
        all += counts[i];
        together += (gint64)counts[i] * counts[i];
    }
    return (all * all - together) / 2;
}

void
vq_work_objective(const VqWork *work, VqObjective *out)
{
    *out = (VqObjective){0};
    for (guint i = 0; i < work->n_jobs; i++) {
        const VqJob *job = &work->jobs[i];

        add_promise(work, job, out);
        if (!VQ_WORK_DOMAIN(work, job->domain)->required_refused)
            add_thread(work, job, out);
    }
    for (guint i = 0; i < work->n_slots; i++)
        add_core(work, &work->slots[i], out);
    for (guint i = 0; i < work->domains->len; i++) {
        out->package += pairs_apart(work->packages + (gsize)i * work->n_packages, work->n_packages);
        out->scatter += pairs_apart(work->clusters + (gsize)i * work->n_clusters, work->n_clusters);
    }
}

/* Plans made here have the threads in the input's order: @hint. */
static const VqPlaced *
find_placed(const VqPlan *plan, const VqThread *thread, guint hint)
{
    if (hint < plan->placements->len) {
        const VqPlaced *placed = g_ptr_array_index(plan->placements, hint);

        if (placed->iothread == thread->iothread && g_str_equal(placed->domain, thread->domain))
            return placed;
    }
    return vq_plan_find(plan, thread->domain, NULL, thread->iothread);
}

/* What @plan says, as if the search had come to it. */
static void
take_plan(VqWork *work, const VqPlan *plan)
{
    for (guint i = 0; i < work->domains->len; i++) {
        VqDomainJobs *domain = VQ_WORK_DOMAIN(work, i);

        domain->required_refused = vq_plan_refusal(plan, domain->name) != NULL;
    }
    for (guint i = 0, next = 0; i < work->n_jobs; i++) {
        VqJob *job = &work->jobs[i];
        const VqPlaced *placed;

        if (VQ_WORK_DOMAIN(work, job->domain)->required_refused)
            continue;
        placed = find_placed(plan, job->thread, next++);
        g_return_if_fail(placed);
        job->class = placed->class;
        if (placed->cpu >= 0 && work->core_of[placed->cpu] >= 0)
            job->slot = work->slot_of[work->core_of[placed->cpu]];
        if (job->class == VQ_PLACEMENT_DEDICATED && job->slot >= 0)
            work->slots[job->slot].owner = (int)i;
    }
}

void
vq_objective_of_plan(const VqPlan *plan, const VqPlacementInput *input, VqObjective *out)
{
    VqWork *work = vq_work_new(input);

    take_plan(work, plan);
    vq_work_weigh(work);
    for (guint i = 0; i < work->n_jobs; i++) {
        VqJob *job = &work->jobs[i];

        if (VQ_WORK_DOMAIN(work, job->domain)->required_refused)
            continue;
        if (job->class == VQ_PLACEMENT_DEDICATED)
            vq_cluster_put(work, job, job->slot, 1);
        else if (vq_job_held(job))
            vq_slot_put_held(work, job);
        else if (job->slot >= 0)
            vq_slot_put(work, job, job->slot, 1);
    }
    vq_work_objective(work, out);
    vq_work_free(work);
}
