/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A simulated host's VMs as threads, and the load that they ask for. */
#include "core/simulate-work.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

#define DAY_MS 86400000.0

const VqSimLoadModel vq_sim_load_defaults = {
    .day = 0.5,
    .peak_hour = 14,
    .vm_sigma = 0.5,
    .noise_sigma = 0.3,
    .noise_period = 300000,
};

/* What a number is drawn for, with the VM's key. */
enum { DRAW_NODE = 0x100000, DRAW_LEVEL, DRAW_PHASE }; /* below: queues */

static guint64
key_of(const char *name)
{
    guint64 key = 0;

    for (const char *p = name; *p; p++)
        key = vq_chance_bits(key, (guchar)*p, 0, 0);
    return key;
}

static bool
check_vm(const VqSimVm *vm, const VqTopology *topology, GError **error)
{
    if (vm->node < 0 || vq_topology_node(topology, (unsigned)vm->node))
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "VM '%s': the machine has no NUMA node %d",
                vm->name, vm->node);
    return false;
}

bool
vq_sim_trace_check(const VqSimTrace *trace, const VqTopology *topology, GError **error)
{
    for (guint i = 0; i < trace->flavors->len; i++) {
        const VqSimFlavor *flavor = g_ptr_array_index(trace->flavors, i);

        for (guint k = 0; k < flavor->disks->len; k++) {
            const VqSimDisk *disk = g_ptr_array_index(flavor->disks, k);

            if (!disk->device || vq_topology_block(topology, disk->device))
                continue;
            g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID,
                        "flavor '%s' disk '%s': the machine has no block device '%s'", flavor->name,
                        disk->target, disk->device);
            return false;
        }
    }
    for (guint i = 0; i < trace->vms->len; i++) {
        if (!check_vm(g_ptr_array_index(trace->vms, i), topology, error))
            return false;
    }
    return true;
}

void
vq_sim_host_init(VqSimHost *host)
{
    host->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    host->states = g_array_new(FALSE, FALSE, sizeof(VqSimThread));
}

static void
state_clear(VqSimThread *state)
{
    g_free(state->given);
}

void
vq_sim_host_clear(VqSimHost *host)
{
    for (guint i = 0; i < host->states->len; i++)
        state_clear(VQ_SIM_STATE(host, i));
    g_ptr_array_unref(host->threads);
    g_array_unref(host->states);
}

static int
node_of(const VqSimRun *run, const VqSimVm *vm, guint64 key)
{
    if (vm->node >= 0 || run->nodes->len == 0)
        return vm->node;
    return (int)g_array_index(run->nodes, unsigned,
                              vq_chance_bits(run->input->seed, key, DRAW_NODE, 0) %
                                  run->nodes->len);
}

static void
add_device_nodes(const VqSimRun *run, const VqSimDisk *disk, int node, GArray *nodes)
{
    const VqBlock *block =
        disk->device ? vq_topology_block(run->input->topology, disk->device) : NULL;
    unsigned own = (unsigned)node;

    if (block)
        g_array_append_vals(nodes, block->nodes->data, block->nodes->len);
    else if (node >= 0)
        g_array_append_val(nodes, own);
}

static void
add_thread(VqSimRun *run, VqSimHost *host, guint vm, guint disk_index, unsigned first_queue,
           unsigned iothread, int node)
{
    const VqSimVm *v = g_ptr_array_index(run->trace->vms, vm);
    const VqSimDisk *disk = g_ptr_array_index(vq_sim_flavor_of(run, vm)->disks, disk_index);
    VqThread *thread = vq_thread_new(v->name, iothread);
    VqServed *served = vq_thread_serve(thread, disk->target);
    VqSimThread state = {.vm = vm,
                         .disk = disk_index,
                         .policy = disk,
                         .key = key_of(v->name),
                         .noise_end = -1,
                         .cpu = -1,
                         .slot = VQ_SIM_NOWHERE,
                         .moved = -1};

    for (unsigned q = first_queue; q < disk->queues; q += disk->iothreads)
        g_array_append_val(served->queues, q);
    add_device_nodes(run, disk, node, served->device_nodes);
    if (node >= 0)
        vq_cpuset_add(thread->memory_nodes, (unsigned)node);
    thread->class = disk->placement;
    thread->weight = disk->weight;
    thread->required = disk->required;
    g_ptr_array_add(host->threads, thread);
    g_array_append_val(host->states, state);
}

guint
vq_sim_host_add(VqSimRun *run, VqSimHost *host, guint vm)
{
    const VqSimVm *v = g_ptr_array_index(run->trace->vms, vm);
    const VqSimFlavor *flavor = vq_sim_flavor_of(run, vm);
    guint first = host->threads->len;
    unsigned iothread = 0;
    int node = node_of(run, v, key_of(v->name));

    for (guint d = 0; d < flavor->disks->len; d++) {
        const VqSimDisk *disk = g_ptr_array_index(flavor->disks, d);

        for (unsigned i = 0; i < disk->iothreads; i++)
            add_thread(run, host, vm, d, i, ++iothread, node);
    }
    host->vms++;
    host->vcpus += flavor->vcpus;
    host->memory += flavor->memory;
    return first;
}

void
vq_sim_host_remove(VqSimRun *run, VqSimHost *host, guint vm)
{
    const VqSimFlavor *flavor = vq_sim_flavor_of(run, vm);
    guint first = 0, count = 0;

    while (first < host->states->len && VQ_SIM_STATE(host, first)->vm != vm)
        first++;
    for (guint i = first; i < host->states->len && VQ_SIM_STATE(host, i)->vm == vm; i++) {
        state_clear(VQ_SIM_STATE(host, i));
        count++;
    }
    if (count > 0) {
        g_array_remove_range(host->states, first, count);
        g_ptr_array_remove_range(host->threads, first, count);
    }
    host->vms--;
    host->vcpus -= flavor->vcpus;
    host->memory -= flavor->memory;
}

static const GArray *
queues_of(const VqThread *thread)
{
    return ((VqServed *)g_ptr_array_index(thread->serves, 0))->queues;
}

void
vq_sim_host_load(VqSimHost *host, const VqSimEvent *event)
{
    for (guint i = 0; i < host->states->len; i++) {
        VqSimThread *state = VQ_SIM_STATE(host, i);
        const GArray *queues = queues_of(g_ptr_array_index(host->threads, i));

        if (state->vm != event->vm || state->disk != event->disk)
            continue;
        if (!state->given) {
            state->given = g_new(double, queues->len);
            for (guint k = 0; k < queues->len; k++)
                state->given[k] = -1;
        }
        for (guint k = 0; k < queues->len; k++) {
            if (event->queue < 0 || g_array_index(queues, unsigned, k) == (unsigned)event->queue)
                state->given[k] = event->load;
        }
        state->noise_end = -1; /* drawn anew without this queue */
    }
}

/* Mean load of the thread's modelled queues without the daily wave, for as long as the noise
 * lasts; each VM's noise changes at times of its own. */
static void
draw_level(const VqSimRun *run, const VqThread *thread, VqSimThread *state)
{
    const VqSimLoadModel *model = &run->input->load;
    guint64 seed = run->input->seed;
    const GArray *queues = queues_of(thread);
    gint64 phase =
        (gint64)((double)model->noise_period * vq_chance_uniform(seed, state->key, DRAW_PHASE, 0));
    gint64 period = (run->now + phase) / model->noise_period;
    double of_vm = vq_chance_lognormal(vq_chance_uniform(seed, state->key, DRAW_LEVEL, 0),
                                       state->policy->load, model->vm_sigma);

    state->level = 0;
    for (guint k = 0; k < queues->len; k++) {
        guint64 queue = state->disk * VQ_QUEUES_MAX + g_array_index(queues, unsigned, k);
        double u = vq_chance_uniform(seed, state->key, queue, (guint64)period);

        if (!state->given || state->given[k] < 0)
            state->level += vq_chance_lognormal(u, of_vm, model->noise_sigma);
    }
    state->noise_end = (period + 1) * model->noise_period - phase;
}

static double
given_load(const VqThread *thread, const VqSimThread *state)
{
    double sum = 0;

    for (guint k = 0; state->given && k < queues_of(thread)->len; k++)
        sum += MAX(state->given[k], 0);
    return sum;
}

void
vq_sim_host_demand(const VqSimRun *run, VqSimHost *host)
{
    const VqSimLoadModel *model = &run->input->load;
    double hour = model->peak_hour / 24;
    double day = 1 + model->day * vq_chance_cos((double)run->now / DAY_MS - hour);

    for (guint i = 0; i < host->states->len; i++) {
        VqSimThread *state = VQ_SIM_STATE(host, i);
        const VqThread *thread = g_ptr_array_index(host->threads, i);

        if (run->now >= state->noise_end)
            draw_level(run, thread, state);
        state->demand = CLAMP(state->level * day + given_load(thread, state), 0, 1);
    }
}
