/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The placement: its steps, and the threads it takes. placement-work.h tells what each step does,
 * placement-cost.c what is better than what. */
#include "core/placement-work.h"

const VqPlacementParams vq_placement_defaults = {
    .load_limit = 0.80,
    .default_load = 0.10,
    .move_gain = 0.10,
    .pack_below = 0.60,
    .smt_gain = 0.25,
};

static VqPlan *
compute(const VqPlacementInput *input, const VqPlan *last)
{
    VqWork *work = vq_work_new(input);
    VqPlan *plan = NULL;

    vq_work_admit(work);
    vq_work_dedicate(work);
    vq_work_weigh(work);
    vq_work_share(work);
    vq_work_write(work, last);
    vq_work_order_moves(work);
    plan = g_steal_pointer(&work->plan);
    vq_work_free(work);
    return plan;
}

VqPlan *
vq_placement_compute(const VqPlacementInput *input)
{
    return compute(input, NULL);
}

VqPlan *
vq_placement_step(const VqPlacementInput *input, const VqPlan *last)
{
    return compute(input, last);
}

static void
served_free(VqServed *served)
{
    g_free(served->disk);
    g_array_unref(served->queues);
    g_array_unref(served->device_nodes);
    g_free(served);
}

VqServed *
vq_thread_serve(VqThread *thread, const char *disk)
{
    VqServed *served = g_new0(VqServed, 1);

    served->disk = g_strdup(disk);
    served->queues = g_array_new(FALSE, FALSE, sizeof(unsigned));
    served->device_nodes = g_array_new(FALSE, FALSE, sizeof(unsigned));
    g_ptr_array_add(thread->serves, served);
    return served;
}

VqThread *
vq_thread_new(const char *domain, unsigned iothread)
{
    VqThread *thread = g_new0(VqThread, 1);

    thread->domain = g_strdup(domain);
    thread->iothread = iothread;
    thread->serves = g_ptr_array_new_with_free_func((GDestroyNotify)served_free);
    thread->class = VQ_PLACEMENT_SHARED;
    thread->weight = VQ_WEIGHT_DEFAULT;
    thread->load = -1;
    thread->load_source = "default";
    thread->memory_nodes = vq_cpuset_new();
    thread->current = vq_cpuset_new();
    return thread;
}

void
vq_thread_free(VqThread *thread)
{
    if (!thread)
        return;
    g_free(thread->domain);
    g_free(thread->uuid);
    g_ptr_array_unref(thread->serves);
    vq_cpuset_free(thread->memory_nodes);
    vq_cpuset_free(thread->current);
    g_free(thread);
}
