/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/hypervisor.h"

#include "host/topology.h"

GHashTable *
vq_device_nodes_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_array_unref);
}

void
vq_device_nodes_look_up(GHashTable *device_nodes, const VqDomain *domain)
{
    for (guint i = 0; i < domain->devices->len; i++) {
        const VqDevice *device = g_ptr_array_index(domain->devices, i);

        if (device->source && device->policy &&
            !g_hash_table_contains(device_nodes, device->source))
            g_hash_table_insert(device_nodes, g_strdup(device->source),
                                vq_host_block_nodes("/", device->source));
    }
}

VqSeen *
vq_seen_new(VqDomain *domain, VqLive *live)
{
    VqSeen *seen = g_new0(VqSeen, 1);

    seen->domain = domain;
    seen->live = live;
    seen->times = g_array_new(FALSE, TRUE, sizeof(VqThreadTime));
    seen->device_nodes = vq_device_nodes_new();
    return seen;
}

void
vq_seen_free(VqSeen *seen)
{
    if (!seen)
        return;
    vq_domain_free(seen->domain);
    vq_live_free(seen->live);
    g_array_unref(seen->times);
    g_hash_table_unref(seen->device_nodes);
    g_free(seen->problems);
    g_free(seen);
}

VqKept *
vq_kept_new(const char *uuid, int id)
{
    VqKept *kept = g_new0(VqKept, 1);

    kept->uuid = g_strdup(uuid);
    kept->id = id;
    kept->times = g_array_new(FALSE, TRUE, sizeof(VqThreadTime));
    return kept;
}

void
vq_kept_free(VqKept *kept)
{
    if (!kept)
        return;
    g_free(kept->uuid);
    g_array_unref(kept->times);
    g_free(kept);
}

VqObservation *
vq_observation_new(void)
{
    VqObservation *observation = g_new0(VqObservation, 1);

    observation->domains = g_ptr_array_new_with_free_func((GDestroyNotify)vq_seen_free);
    observation->kept = g_ptr_array_new_with_free_func((GDestroyNotify)vq_kept_free);
    return observation;
}

void
vq_observation_free(VqObservation *observation)
{
    if (!observation)
        return;
    g_ptr_array_unref(observation->domains);
    g_ptr_array_unref(observation->kept);
    g_free(observation->online);
    g_free(observation);
}

VqAction *
vq_action_new(const VqDomain *domain, VqTarget target, unsigned number)
{
    VqAction *action = g_new0(VqAction, 1);

    action->uuid = g_strdup(domain->uuid);
    action->domain = g_strdup(domain->name);
    action->id = domain->id;
    action->target = target;
    action->number = number;
    return action;
}

void
vq_action_free(VqAction *action)
{
    if (!action)
        return;
    g_free(action->uuid);
    g_free(action->domain);
    vq_cpuset_free(action->cpus);
    g_free(action->reason);
    g_clear_error(&action->error);
    g_free(action);
}

char *
vq_action_object(const VqAction *action)
{
    switch (action->target) {
    case VQ_TARGET_IOTHREAD:
        return g_strdup_printf("%s: IOThread %u", action->domain, action->number);
    case VQ_TARGET_VCPU:
        return g_strdup_printf("%s: vCPU %u", action->domain, action->number);
    case VQ_TARGET_EMULATOR:
        break;
    }
    return g_strdup_printf("%s: emulator thread", action->domain);
}
