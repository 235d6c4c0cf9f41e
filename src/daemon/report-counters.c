/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What monitoring asks for: counters, the cores of the pool, the daemon's own doings. */
#include "daemon/manager.h"

/* Share of a core that the thread takes by its CPU time; false: not known. */
static bool
busy_share(const VqManager *manager, const VqPlaced *placed, double *share)
{
    const VqGuest *guest = vq_manager_find(manager, placed->domain);
    const VqDomainMeters *meters =
        guest ? vq_meters_find(manager->meters, guest->seen->domain->uuid, guest->seen->domain->id)
              : NULL;
    const VqMetered *thread =
        meters ? vq_meters_object(meters, VQ_METERED_IOTHREAD, NULL, placed->iothread) : NULL;
    const VqMeter *times = vq_metered_by(thread, VQ_SOURCE_THREAD);

    return times && vq_meter_share(times, VQ_COUNT_CPU_NS, share);
}

static void
add_users(const VqManager *manager, unsigned logical, GVariantDict *dict)
{
    GVariantBuilder threads = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_STRING_ARRAY);
    double load = 0, busy = 0, share;
    bool dedicated = false, known = true;

    for (guint i = 0; i < manager->plan->placements->len; i++) {
        const VqPlaced *placed = g_ptr_array_index(manager->plan->placements, i);
        g_autofree char *name = NULL;

        if (placed->core < 0 || (unsigned)placed->core != logical)
            continue;
        name = g_strdup_printf("%s/%s IOThread %u", placed->domain, placed->disk, placed->iothread);
        g_variant_builder_add(&threads, "s", name);
        load += placed->load;
        dedicated |= placed->class == VQ_PLACEMENT_DEDICATED;
        if (busy_share(manager, placed, &share))
            busy += share;
        else
            known = false;
    }
    g_variant_dict_insert(dict, "load", "d", load);
    if (known)
        g_variant_dict_insert(dict, "busy", "d", busy);
    g_variant_dict_insert(dict, "dedicated", "b", dedicated);
    g_variant_dict_insert_value(dict, "threads", g_variant_builder_end(&threads));
}

/* The cores that have a CPU in the pool. */
static GVariant *
report_cores(const VqManager *manager)
{
    const VqTopology *topology = manager->topology;
    GVariantBuilder list = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));

    for (guint i = 0; i < topology->cores->len; i++) {
        const VqCore *core = g_ptr_array_index(topology->cores, i);
        g_autofree char *cpus = vq_cpuset_format(core->pus);
        GVariantDict dict;

        if (!vq_cpuset_intersects(core->pus, manager->pool->cpus))
            continue;
        g_variant_dict_init(&dict, NULL);
        g_variant_dict_insert(&dict, "core", "u", core->logical);
        g_variant_dict_insert(&dict, "cpus", "s", cpus);
        g_variant_dict_insert(
            &dict, "node", "i",
            core->node < 0
                ? -1
                : (gint32)((VqNode *)g_ptr_array_index(topology->nodes, core->node))->os);
        g_variant_dict_insert(&dict, "capacity", "u", core->capacity);
        add_users(manager, core->logical, &dict);
        g_variant_builder_add_value(&list, g_variant_dict_end(&dict));
    }
    return g_variant_builder_end(&list);
}

GVariant *
vq_manager_counters(const VqManager *manager, gint64 now_us)
{
    const VqTally *tally = &manager->tally;
    GVariantBuilder domains = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));
    g_autoptr(GVariant) plan = g_variant_ref_sink(vq_plan_to_variant(manager->plan));
    GVariantDict dict;

    for (guint i = 0; i < manager->guests->len; i++) {
        const VqGuest *guest = g_ptr_array_index(manager->guests, i);

        g_variant_builder_add_value(&domains, vq_manager_report_guest(manager, guest, now_us));
    }
    g_variant_dict_init(&dict, plan);
    g_variant_dict_insert_value(&dict, "domains", g_variant_builder_end(&domains));
    g_variant_dict_insert_value(&dict, "cores", report_cores(manager));
    g_variant_dict_insert(&dict, "admitted", "t", tally->admitted);
    g_variant_dict_insert(&dict, "not_admitted", "t", tally->refused);
    g_variant_dict_insert(&dict, "changes", "t", tally->changes);
    g_variant_dict_insert(&dict, "change_failures", "t", tally->failures);
    g_variant_dict_insert(&dict, "thread_moves", "t", tally->moves);
    return g_variant_dict_end(&dict);
}
