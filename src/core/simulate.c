/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The clock of the simulator: plays events at their time, and looks at the load at every step.
 *
 *   each step:  events up to now -> look at the last step's load -> this step's load -> count
 *
 * With several hosts, a scheduler like Nova's finds one for each VM: filters (vCPUs, memory, cores
 * for a required promise), then the weigher; the host has the last word, and if it refuses, the
 * next best is asked, three at most (Nova's max_attempts).
 */
#include "core/simulate-work.h"

#include "base/error.h"

#include <string.h>

#define ATTEMPTS 3

const VqEnumEntry vq_sim_weigher_names[] = {
    {VQ_SIM_SPREAD, "spread"},
    {VQ_SIM_PACK, "pack"},
    {0, NULL},
};

const VqEnumEntry vq_sim_refusal_names[] = {
    {VQ_SIM_NO_VCPUS, "vcpus"},
    {VQ_SIM_NO_MEMORY, "memory"},
    {VQ_SIM_NO_CORES, "io_cores"},
    {0, NULL},
};

static void
add_slot(VqSimRun *run, const VqCore *core)
{
    const VqTopology *topology = run->input->topology;
    g_autoptr(VqCpuset) pus = vq_cpuset_copy(core->pus);
    VqSimSlot *slot = &run->slots[run->n_slots];

    vq_cpuset_intersect(pus, run->input->pool);
    if (vq_cpuset_empty(pus))
        return;
    slot->core = core;
    slot->speed = core->capacity / 1024.0;
    slot->capacity = slot->speed;
    if (vq_cpuset_count(pus) > 1)
        slot->capacity *= 1 + CLAMP(run->input->params.smt_gain, 0, 1);
    slot->node =
        core->node >= 0 ? (int)((VqNode *)g_ptr_array_index(topology->nodes, core->node))->os : -1;
    run->slot_of[core->logical] = (int)run->n_slots++;
    run->capacity += slot->capacity;
}

static void
read_machine(VqSimRun *run)
{
    const VqTopology *topology = run->input->topology;
    g_autoptr(VqCpuset) outside = vq_cpuset_copy(topology->usable);

    for (guint i = 0; i < topology->cores->len; i++)
        run->n_logical =
            MAX(run->n_logical, ((VqCore *)g_ptr_array_index(topology->cores, i))->logical + 1);
    run->slots = g_new0(VqSimSlot, topology->cores->len + 1);
    run->slot_of = g_new(int, run->n_logical + 1);
    for (guint i = 0; i < run->n_logical; i++)
        run->slot_of[i] = VQ_SIM_OUTSIDE;
    for (guint i = 0; i < topology->cores->len; i++)
        add_slot(run, g_ptr_array_index(topology->cores, i));
    run->nodes = g_array_new(FALSE, FALSE, sizeof(unsigned));
    for (guint i = 0; i < topology->nodes->len; i++) {
        const VqNode *node = g_ptr_array_index(topology->nodes, i);

        if (!vq_cpuset_empty(node->cpus))
            g_array_append_val(run->nodes, node->os);
    }
    vq_cpuset_subtract(outside, run->input->pool);
    run->vcpus = run->input->vcpu_ratio > 0
                     ? (guint)(vq_cpuset_count(outside) * run->input->vcpu_ratio)
                     : G_MAXUINT;
}

static VqSimRun *
run_new(const VqSimTrace *trace, const VqSimInput *input, VqSimPolicy policy)
{
    VqSimRun *run = g_new0(VqSimRun, 1);

    run->trace = trace;
    run->input = input;
    run->policy = policy;
    read_machine(run);
    run->hosts = g_new0(VqSimHost, input->hosts);
    for (guint i = 0; i < input->hosts; i++)
        vq_sim_host_init(&run->hosts[i]);
    for (guint i = 0; policy == VQ_SIM_OURS && i < input->hosts; i++)
        vq_sim_rebalance_init(run, &run->hosts[i]);
    run->where = g_new(int, trace->vms->len + 1);
    for (guint i = 0; i < trace->vms->len; i++)
        run->where[i] = -1;
    run->result = g_new0(VqSimResult, 1);
    run->result->policy = policy;
    run->result->shortest_rest = -1;
    run->result->samples = g_array_new(FALSE, FALSE, sizeof(VqSimSample));
    run->account = vq_sim_account_new(run);
    return run;
}

static void
run_free(VqSimRun *run)
{
    for (guint i = 0; i < run->input->hosts; i++) {
        vq_sim_rebalance_clear(&run->hosts[i]);
        vq_sim_host_clear(&run->hosts[i]);
    }
    g_free(run->hosts);
    g_free(run->slots);
    g_free(run->slot_of);
    g_free(run->where);
    g_array_unref(run->nodes);
    vq_sim_account_free(run->account);
    vq_sim_result_free(run->result);
    g_free(run);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqSimRun, run_free)

static guint
required_cores(const VqSimFlavor *flavor)
{
    guint cores = 0;

    for (guint i = 0; i < flavor->disks->len; i++) {
        const VqSimDisk *disk = g_ptr_array_index(flavor->disks, i);

        if (disk->required && disk->placement == VQ_PLACEMENT_DEDICATED)
            cores += disk->iothreads;
    }
    return cores;
}

static guint
owned_cores(const VqSimHost *host)
{
    guint owned = 0;

    for (guint i = 0; i < host->states->len; i++)
        owned += VQ_SIM_STATE(host, i)->own;
    return owned;
}

/* How far @host comes through the filters: VQ_SIM_REFUSALS if through all of them. */
static guint
filter(const VqSimRun *run, const VqSimHost *host, const VqSimFlavor *flavor, guint cores)
{
    if (flavor->vcpus > run->vcpus - MIN(host->vcpus, run->vcpus))
        return VQ_SIM_NO_VCPUS;
    if (run->input->memory > 0 && host->memory + flavor->memory > run->input->memory)
        return VQ_SIM_NO_MEMORY;
    if (cores > 0 && run->policy != VQ_SIM_NONE && owned_cores(host) + cores > run->n_slots)
        return VQ_SIM_NO_CORES;
    return VQ_SIM_REFUSALS;
}

static bool
is_better(const VqSimRun *run, const VqSimHost *a, const VqSimHost *b)
{
    return run->input->weigher == VQ_SIM_SPREAD ? a->vcpus < b->vcpus : a->vcpus > b->vcpus;
}

/* The best host that has not been @tried; -1, with the filter that left none in @reached. */
static int
choose_host(const VqSimRun *run, const VqSimFlavor *flavor, const int *tried, guint n_tried,
            guint *reached)
{
    guint cores = required_cores(flavor);
    int best = -1;

    *reached = 0;
    for (guint i = 0; i < run->input->hosts; i++) {
        guint passed = filter(run, &run->hosts[i], flavor, cores);
        bool again = false;

        *reached = MAX(*reached, passed);
        for (guint k = 0; k < n_tried; k++)
            again |= tried[k] == (int)i;
        if (passed == VQ_SIM_REFUSALS && !again &&
            (best < 0 || is_better(run, &run->hosts[i], &run->hosts[best])))
            best = (int)i;
    }
    return best;
}

static void
refuse(VqSimRun *run, VqSimRefusal why, const VqSimVm *vm, const char *reason)
{
    VqSimResult *result = run->result;

    result->refused[why]++;
    if (!result->refusal[why])
        result->refusal[why] = g_strdup_printf("%s: %s", vm->name, reason);
}

static void
refuse_filtered(VqSimRun *run, guint reached, guint vm)
{
    const VqSimFlavor *flavor = vq_sim_flavor_of(run, vm);
    const VqSimVm *v = g_ptr_array_index(run->trace->vms, vm);
    const char *host = run->input->hosts == 1 ? "the host has fewer than" : "no host has";
    g_autofree char *text = NULL;

    if (reached == VQ_SIM_NO_VCPUS)
        text = g_strdup_printf("%s %u of %u vCPUs free", host, flavor->vcpus, run->vcpus);
    else if (reached == VQ_SIM_NO_MEMORY)
        text = g_strdup_printf("%s %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " MiB free", host,
                               flavor->memory >> 20, run->input->memory >> 20);
    else
        text = g_strdup_printf("%s %u of %u pool cores free", host, required_cores(flavor),
                               run->n_slots);
    refuse(run, (VqSimRefusal)reached, v, text);
}

static void
arrive(VqSimRun *run, guint vm)
{
    const VqSimFlavor *flavor = vq_sim_flavor_of(run, vm);
    g_autofree char *reason = NULL;
    int tried[ATTEMPTS];
    guint reached = 0;

    run->result->arrived++;
    for (guint n = 0; n < ATTEMPTS; n++) {
        int chosen = choose_host(run, flavor, tried, n, &reached);

        if (chosen < 0)
            break;

        VqSimHost *host = &run->hosts[chosen];
        guint first = vq_sim_host_add(run, host, vm);

        g_clear_pointer(&reason, g_free);
        if (vq_sim_place(run, host, first, &reason)) {
            run->where[vm] = chosen;
            run->result->admitted++;
            return;
        }
        vq_sim_host_remove(run, host, vm);
        tried[n] = chosen;
    }
    if (reason)
        refuse(run, VQ_SIM_NO_CORES, g_ptr_array_index(run->trace->vms, vm), reason);
    else
        refuse_filtered(run, reached, vm);
}

static void
play(VqSimRun *run, const VqSimEvent *event)
{
    const VqSimVm *vm = g_ptr_array_index(run->trace->vms, event->vm);
    int where = run->where[event->vm];

    if (event->kind == VQ_SIM_ARRIVE) {
        arrive(run, event->vm);
    } else if (where >= 0 && event->kind == VQ_SIM_LOAD) {
        vq_sim_host_load(&run->hosts[where], event);
    } else if (where >= 0) {
        vq_sim_host_remove(run, &run->hosts[where], event->vm);
        run->where[event->vm] = -1;
        run->result->departed++;
        vq_sim_left(run, &run->hosts[where], vm->name);
    }
}

static void
step(VqSimRun *run, gint64 span)
{
    for (guint i = 0; i < run->input->hosts; i++) {
        VqSimHost *host = &run->hosts[i];

        if (run->now > 0)
            vq_sim_tick(run, host);
        vq_sim_host_demand(run, host);
        vq_sim_account_host(run, host, span);
    }
    vq_sim_account_step(run, span);
    if (run->input->plan_time >= run->now && run->input->plan_time < run->now + span) {
        VqPlacementInput input = vq_sim_input(run, &run->hosts[0]);

        run->result->plan = vq_placement_compute(&input);
    }
}

static bool
check_input(const VqSimInput *input, GError **error)
{
    if (input->step > 0 && input->end > 0 && input->hosts > 0 && input->load.noise_period > 0)
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID,
                "step, end, hosts and noise period must be above 0");
    return false;
}

VqSimResult *
vq_sim_run(const VqSimTrace *trace, const VqSimInput *input, VqSimPolicy policy, GError **error)
{
    if (!check_input(input, error) || !vq_sim_trace_check(trace, input->topology, error))
        return NULL;

    g_autoptr(VqSimRun) run = run_new(trace, input, policy);
    guint next = 0;

    for (gint64 now = 0; now < input->end; now += input->step) {
        while (next < trace->events->len &&
               g_array_index(trace->events, VqSimEvent, next).time <= now) {
            const VqSimEvent *event = &g_array_index(trace->events, VqSimEvent, next++);

            run->now = event->time;
            play(run, event);
        }
        run->now = now;
        step(run, MIN(input->step, input->end - now));
    }
    for (guint i = 0; i < input->hosts; i++)
        run->result->running += run->hosts[i].vms;
    vq_sim_account_finish(run);
    return g_steal_pointer(&run->result);
}
