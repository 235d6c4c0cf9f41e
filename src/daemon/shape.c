/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The shape of what is to be placed: domains, policies, pins by hand, the pool, as a text. One that
 * is not that of the last round is an event, for which threads may move at once. libvirt also sends
 * events for what we ourselves change; those leave the shape as it is.
 */
#include "daemon/manager.h"

/* What of @device decides where its threads go, load apart. */
static void
describe_device(GString *text, const VqDevice *device)
{
    if (!device->policy)
        return;
    g_string_append_printf(text, " %s:%d,%d,%d,%u,%s", device->name, device->policy->placement,
                           device->policy->polling, device->policy->required,
                           device->policy->weight, device->source ? device->source : "");
    for (guint i = 0; i < device->maps->len; i++) {
        const VqQueueMap *map = g_ptr_array_index(device->maps, i);

        g_string_append_printf(text, "/%u", map->iothread);
    }
}

static void
describe_guest(GString *text, const VqManager *manager, const VqGuest *guest)
{
    const VqDomain *domain = guest->seen->domain;

    g_string_append_printf(text, "%s/%d", domain->uuid, domain->id);
    for (guint i = 0; i < domain->devices->len; i++)
        describe_device(text, g_ptr_array_index(domain->devices, i));
    for (guint i = 0; i < guest->seen->live->threads->len; i++) {
        const VqLiveThread *t = g_ptr_array_index(guest->seen->live->threads, i);

        if (vq_manager_pin_origin(manager, guest, VQ_TARGET_IOTHREAD, t->iothread, t->pin) ==
            VQ_PIN_HAND) {
            g_autofree char *cpus = vq_cpuset_format(t->pin);

            g_string_append_printf(text, " %u@%s", t->iothread, cpus);
        }
    }
    g_string_append_c(text, '\n');
}

void
vq_manager_note_shape(VqManager *manager)
{
    GString *text = g_string_new(NULL);
    g_autofree char *pool = vq_cpuset_format(manager->pool->cpus);

    g_string_append_printf(text, "%s\n", pool);
    for (guint i = 0; i < manager->guests->len; i++) {
        const VqGuest *guest = g_ptr_array_index(manager->guests, i);

        if (vq_guest_is_managed(guest))
            describe_guest(text, manager, guest);
    }
    if (g_strcmp0(text->str, manager->shape) != 0)
        vq_rebalance_event(manager->rebalance);
    g_free(manager->shape);
    manager->shape = g_string_free(text, FALSE);
}
