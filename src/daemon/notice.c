/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/notice.h"

#include <string.h>

struct _VqNotice {
    GHashTable *failures; /* that were logged: object -> text */
    GHashTable *degraded; /* set of "domain/disk" */
};

VqNotice *
vq_notice_new(void)
{
    VqNotice *notice = g_new0(VqNotice, 1);

    notice->failures = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    notice->degraded = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return notice;
}

void
vq_notice_free(VqNotice *notice)
{
    if (!notice)
        return;
    g_hash_table_unref(notice->failures);
    g_hash_table_unref(notice->degraded);
    g_free(notice);
}

static void
tell_changes(const GPtrArray *actions)
{
    for (guint i = 0; i < actions->len; i++) {
        const VqAction *a = g_ptr_array_index(actions, i);
        g_autofree char *what = vq_action_object(a);
        g_autofree char *cpus = a->cpus ? vq_cpuset_format(a->cpus) : NULL;

        if (!a->error && a->cpus)
            g_info("%s: to CPU %s: %s", what, cpus, a->reason);
        else if (!a->error)
            g_info("%s: poll-max-ns %" G_GUINT64_FORMAT ": %s", what, a->poll.max_ns, a->reason);
    }
}

void
vq_notice_actions(VqNotice *notice, const VqManager *manager, const GPtrArray *actions)
{
    GHashTableIter iter;
    gpointer object, text;

    tell_changes(actions);
    g_hash_table_iter_init(&iter, manager->failures);
    while (g_hash_table_iter_next(&iter, &object, &text)) {
        if (g_strcmp0(g_hash_table_lookup(notice->failures, object), text) != 0)
            g_warning("%s", (char *)text);
    }
    g_hash_table_remove_all(notice->failures);
    g_hash_table_iter_init(&iter, manager->failures);
    while (g_hash_table_iter_next(&iter, &object, &text))
        g_hash_table_insert(notice->failures, g_strdup(object), g_strdup(text));
}

static bool
is_required(const VqManager *manager, const VqPlaced *placed)
{
    const VqGuest *guest = vq_manager_find(manager, placed->domain);

    for (guint i = 0; guest && i < guest->seen->domain->devices->len; i++) {
        const VqDevice *device = g_ptr_array_index(guest->seen->domain->devices, i);

        if (device->policy && g_str_equal(device->name, placed->disk))
            return device->policy->required;
    }
    return false;
}

/* "domain/disk" of those that the plan degrades -> a placement of it. */
static GHashTable *
degraded_devices(const VqPlan *plan)
{
    GHashTable *devices = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < plan->placements->len; i++) {
        VqPlaced *placed = g_ptr_array_index(plan->placements, i);
        g_autofree char *name = NULL;

        if (!placed->degraded)
            continue;
        name = g_strdup_printf("%s/%s", placed->domain, placed->disk);
        if (!g_hash_table_contains(devices, name))
            g_hash_table_insert(devices, g_steal_pointer(&name), placed);
    }
    return devices;
}

/* A device whose domain has ended has not recovered. */
static bool
is_placed(const VqPlan *plan, const char *name)
{
    for (guint i = 0; i < plan->placements->len; i++) {
        const VqPlaced *placed = g_ptr_array_index(plan->placements, i);
        gsize length = strlen(placed->domain);

        if (strncmp(name, placed->domain, length) == 0 && name[length] == '/' &&
            g_str_equal(name + length + 1, placed->disk))
            return true;
    }
    return false;
}

void
vq_notice_plan(VqNotice *notice, const VqManager *manager)
{
    g_autoptr(GHashTable) devices = degraded_devices(manager->plan);
    GHashTableIter iter;
    gpointer name, value;

    g_hash_table_iter_init(&iter, notice->degraded);
    while (g_hash_table_iter_next(&iter, &name, NULL)) {
        if (g_hash_table_contains(devices, name))
            continue;
        if (is_placed(manager->plan, name))
            g_message("%s: has what its policy asks for again", (char *)name);
        g_hash_table_iter_remove(&iter);
    }
    g_hash_table_iter_init(&iter, devices);
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        const VqPlaced *placed = value;

        if (g_hash_table_contains(notice->degraded, name))
            continue;
        g_warning("%s: degraded%s: %s", (char *)name,
                  is_required(manager, placed) ? " although required" : "", placed->degraded);
        g_hash_table_add(notice->degraded, g_strdup(name));
    }
}
