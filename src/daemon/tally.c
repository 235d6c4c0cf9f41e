/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Counts what the daemon does: for report-counters.c. */
#include "daemon/manager.h"

/* A running IOThread that we had placed goes elsewhere. */
static bool
is_move(const VqManager *manager, const VqGuest *guest, const VqAction *action)
{
    const VqLiveThread *live = vq_live_thread(guest->seen->live, action->number);

    return action->target == VQ_TARGET_IOTHREAD && action->cpus && !action->undo && live &&
           live->pin && !vq_cpuset_equal(live->pin, action->cpus) &&
           vq_manager_pin_origin(manager, guest, action->target, action->number, live->pin) ==
               VQ_PIN_OURS;
}

void
vq_manager_tally(VqManager *manager, const GPtrArray *actions, gint64 now_us)
{
    for (guint i = 0; i < actions->len; i++) {
        const VqAction *action = g_ptr_array_index(actions, i);
        const VqGuest *guest = vq_manager_find(manager, action->uuid);

        if (action->error) {
            manager->tally.failures++;
            continue;
        }
        manager->tally.changes++;
        if (!guest || !is_move(manager, guest, action))
            continue;
        manager->tally.moves++;
        vq_meters_count_move(manager->meters, action->uuid, action->id, action->number, now_us);
    }
}
