/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a domain to the threads that are to be placed. Queues without an explicit map are dealt
 * out to the device's threads round robin, as QEMU does.
 */
#include "core/placement.h"

typedef struct {
    GPtrArray *threads; /* of VqThread: the domain's own */
    const VqDomain *domain;
    const VqTopology *topology;
    VqDeviceNodesFunc device_nodes;
    gpointer user_data;
} Request;

static VqThread *
thread_for(Request *request, unsigned iothread)
{
    for (guint i = 0; i < request->threads->len; i++) {
        VqThread *thread = g_ptr_array_index(request->threads, i);

        if (thread->iothread == iothread)
            return thread;
    }

    VqThread *thread = vq_thread_new(request->domain->name, iothread);

    thread->uuid = g_strdup(request->domain->uuid);
    thread->running = request->domain->id >= 0;
    thread->weight = 0;
    vq_cpuset_union(thread->memory_nodes, request->domain->memory_nodes);
    g_ptr_array_add(request->threads, thread);
    return thread;
}

/* Memory is where <numatune> says; else near the CPUs that the owner pinned vCPUs to. */
static void
guess_memory(Request *request, VqThread *thread)
{
    if (!vq_cpuset_empty(thread->memory_nodes))
        return;
    VQ_CPUSET_FOREACH (cpu, request->domain->vcpu_cpus) {
        int node = vq_topology_node_of(request->topology, (unsigned)cpu);

        if (node >= 0)
            vq_cpuset_add(thread->memory_nodes, (unsigned)node);
    }
}

static GArray *
nodes_of(const Request *request, const VqDevice *device)
{
    if (request->device_nodes)
        return request->device_nodes(device, request->user_data);

    const VqBlock *block =
        device->source ? vq_topology_block(request->topology, device->source) : NULL;

    return block ? g_array_ref(block->nodes) : NULL;
}

static bool
mapped_explicitly(const VqDevice *device)
{
    for (guint i = 0; i < device->maps->len; i++) {
        const VqQueueMap *map = g_ptr_array_index(device->maps, i);

        if (map->queues->len > 0)
            return true;
    }
    return false;
}

static void
deal_queues(const VqDevice *device, guint index, VqServed *served)
{
    const VqQueueMap *map = g_ptr_array_index(device->maps, index);

    if (mapped_explicitly(device)) {
        g_array_append_vals(served->queues, map->queues->data, map->queues->len);
        return;
    }
    for (unsigned queue = index; queue < device->queues; queue += device->maps->len)
        g_array_append_val(served->queues, queue);
}

/* One that serves several devices gets the best that any of them asks for. */
static void
take_policy(VqThread *thread, const VqPolicyEntry *policy)
{
    if (policy->placement == VQ_PLACEMENT_DEDICATED)
        thread->class = VQ_PLACEMENT_DEDICATED;
    thread->required |= policy->required;
    thread->weight = MAX(thread->weight, policy->weight);
}

static void
add_device(Request *request, const VqDevice *device)
{
    g_autoptr(GArray) nodes = nodes_of(request, device);

    for (guint i = 0; i < device->maps->len; i++) {
        const VqQueueMap *map = g_ptr_array_index(device->maps, i);
        VqThread *thread = thread_for(request, map->iothread);
        VqServed *served = vq_thread_serve(thread, device->name);

        guess_memory(request, thread);
        take_policy(thread, device->policy);
        deal_queues(device, i, served);
        if (nodes)
            g_array_append_vals(served->device_nodes, nodes->data, nodes->len);
    }
}

static int
by_iothread(gconstpointer a, gconstpointer b)
{
    const VqThread *x = *(VqThread *const *)a, *y = *(VqThread *const *)b;

    return x->iothread < y->iothread ? -1 : x->iothread > y->iothread;
}

void
vq_placement_add_domain(GPtrArray *threads, const VqDomain *domain, const VqTopology *topology,
                        VqDeviceNodesFunc device_nodes, gpointer user_data)
{
    g_autoptr(GPtrArray) own = g_ptr_array_new();
    Request request = {own, domain, topology, device_nodes, user_data};

    for (guint i = 0; i < domain->devices->len; i++) {
        const VqDevice *device = g_ptr_array_index(domain->devices, i);

        if (device->policy && device->policy->placement != VQ_PLACEMENT_NONE)
            add_device(&request, device);
    }
    g_ptr_array_sort(own, by_iothread);
    for (guint i = 0; i < own->len; i++)
        g_ptr_array_add(threads, g_ptr_array_index(own, i));
}
