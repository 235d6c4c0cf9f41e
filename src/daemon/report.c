/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon tells people: list, why, status. Reads the manager, changes nothing. */
#include "daemon/manager.h"

#include "base/error.h"
#include "config.h"

static void
add_text(GVariantDict *dict, const char *key, const char *text)
{
    if (text)
        g_variant_dict_insert(dict, key, "s", text);
}

static const char *
origin_name(VqPinOrigin origin)
{
    return origin == VQ_PIN_OURS ? "virtqueued" : origin == VQ_PIN_HAND ? "manual" : "none";
}

static GVariant *
report_thread(const VqManager *manager, const VqGuest *guest, const VqLiveThread *live,
              const VqDomainMeters *meters, gint64 now_us)
{
    const VqMetered *metered =
        meters ? vq_meters_object(meters, VQ_METERED_IOTHREAD, NULL, live->iothread) : NULL;
    GVariantDict dict;
    g_autofree char *pin = live->pin ? vq_cpuset_format(live->pin) : NULL;
    VqPinOrigin origin =
        vq_manager_pin_origin(manager, guest, VQ_TARGET_IOTHREAD, live->iothread, live->pin);

    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "iothread", "u", live->iothread);
    add_text(&dict, "pin", pin);
    g_variant_dict_insert(&dict, "pinned_by", "s", origin_name(origin));
    g_variant_dict_insert(&dict, "poll_max_ns", "t", live->poll.max_ns);
    for (guint i = 0; i < guest->seen->times->len; i++) {
        const VqThreadTime *time = &g_array_index(guest->seen->times, VqThreadTime, i);

        if (time->iothread == live->iothread)
            g_variant_dict_insert(&dict, "cpu_time_ns", "t", time->cpu_ns);
    }
    if (metered)
        g_variant_dict_insert_value(&dict, "counters", vq_metered_counters(metered, now_us));
    return g_variant_dict_end(&dict);
}

GVariant *
vq_manager_report_guest(const VqManager *manager, const VqGuest *guest, gint64 now_us)
{
    const VqDomain *domain = guest->seen->domain;
    const VqDomainMeters *meters = vq_meters_find(manager->meters, domain->uuid, domain->id);
    const VqLive *live = guest->seen->live;
    g_autofree char *emulator = live->emulator_pin ? vq_cpuset_format(live->emulator_pin) : NULL;
    GVariantBuilder threads;
    GVariantDict dict;

    g_variant_builder_init(&threads, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < live->threads->len; i++)
        g_variant_builder_add_value(
            &threads,
            report_thread(manager, guest, g_ptr_array_index(live->threads, i), meters, now_us));
    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "name", "s", domain->name);
    g_variant_dict_insert(&dict, "uuid", "s", domain->uuid);
    g_variant_dict_insert(&dict, "id", "i", domain->id);
    g_variant_dict_insert(&dict, "managed", "b", vq_guest_is_managed(guest));
    add_text(&dict, "problems", guest->seen->problems);
    add_text(&dict, "emulator_pin", emulator);
    g_variant_dict_insert_value(&dict, "iothreads", g_variant_builder_end(&threads));
    g_variant_dict_insert_value(&dict, "disks", vq_meters_list(meters, VQ_METERED_DISK, now_us));
    g_variant_dict_insert_value(&dict, "queues", vq_meters_list(meters, VQ_METERED_QUEUE, now_us));
    return g_variant_dict_end(&dict);
}

static void
keep_domain(GPtrArray *list, const char *name, const char *(*name_of)(gconstpointer))
{
    for (guint i = list->len; i-- > 0;) {
        if (!g_str_equal(name_of(g_ptr_array_index(list, i)), name))
            g_ptr_array_remove_index(list, i);
    }
}

static const char *
placed_domain(gconstpointer p)
{
    return ((const VqPlaced *)p)->domain;
}

static const char *
refused_domain(gconstpointer p)
{
    return ((const VqRefused *)p)->domain;
}

static const char *
move_domain(gconstpointer p)
{
    return ((const VqMove *)p)->domain;
}

static bool
check_domain(const VqManager *manager, const char *domain, GError **error)
{
    if (!*domain || vq_manager_find(manager, domain))
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_NOT_FOUND,
                "domain '%s': no running domain with declared queues has this name", domain);
    return false;
}

GVariant *
vq_manager_report(const VqManager *manager, const char *domain, gint64 now_us, GError **error)
{
    g_autoptr(VqPlan) plan = vq_manager_compute(manager);
    GVariantBuilder domains;
    GVariantDict dict;

    if (!check_domain(manager, domain, error))
        return NULL;

    const VqGuest *one = *domain ? vq_manager_find(manager, domain) : NULL;

    if (one) {
        keep_domain(plan->placements, one->seen->domain->name, placed_domain);
        keep_domain(plan->refused, one->seen->domain->name, refused_domain);
        keep_domain(plan->moves, one->seen->domain->name, move_domain);
    }
    g_variant_builder_init(&domains, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < manager->guests->len; i++) {
        const VqGuest *guest = g_ptr_array_index(manager->guests, i);

        if (!one || guest == one)
            g_variant_builder_add_value(&domains, vq_manager_report_guest(manager, guest, now_us));
    }

    g_autoptr(GVariant) variant = g_variant_ref_sink(vq_plan_to_variant(plan));

    g_variant_dict_init(&dict, variant);
    g_variant_dict_insert_value(&dict, "domains", g_variant_builder_end(&domains));
    return g_variant_dict_end(&dict);
}

static bool
serves_queue(const VqPlaced *placed, int queue)
{
    for (guint i = 0; i < placed->queues->len; i++) {
        if (g_array_index(placed->queues, unsigned, i) == (unsigned)queue)
            return true;
    }
    return queue < 0;
}

/* The plan has one line a thread, under the first disk it serves; the map has them all. */
static const VqPlaced *
find_queue(const VqPlan *plan, const VqGuest *guest, const char *disk, int queue)
{
    const VqDomain *domain = guest->seen->domain;

    for (guint i = 0; i < plan->placements->len; i++) {
        const VqPlaced *p = g_ptr_array_index(plan->placements, i);

        if (g_str_equal(p->domain, domain->name) && g_str_equal(p->disk, disk) &&
            serves_queue(p, queue))
            return p;
    }
    for (guint i = 0; i < domain->devices->len; i++) {
        const VqDevice *device = g_ptr_array_index(domain->devices, i);

        if (!g_str_equal(device->name, disk) || device->maps->len == 0)
            continue;
        for (guint k = 0; k < device->maps->len; k++) {
            const VqQueueMap *map = g_ptr_array_index(device->maps, k);
            bool here = queue < 0;

            for (guint q = 0; q < map->queues->len; q++)
                here |= g_array_index(map->queues, unsigned, q) == (unsigned)queue;
            if (map->queues->len == 0 && queue >= 0)
                here = (unsigned)queue % device->maps->len == k && (unsigned)queue < device->queues;
            if (here)
                return vq_plan_find(plan, domain->name, NULL, map->iothread);
        }
    }
    return NULL;
}

static GVariant *
neighbours(const VqPlan *plan, const VqPlaced *placed)
{
    GVariantBuilder list;

    g_variant_builder_init(&list, G_VARIANT_TYPE_STRING_ARRAY);
    for (guint i = 0; i < plan->placements->len; i++) {
        const VqPlaced *p = g_ptr_array_index(plan->placements, i);

        if (p == placed || placed->core < 0 || p->core != placed->core)
            continue;

        g_autofree char *text =
            g_strdup_printf("%s/%s IOThread %u", p->domain, p->disk, p->iothread);

        g_variant_builder_add(&list, "s", text);
    }
    return g_variant_builder_end(&list);
}

/* Of the thread, and of the disk as a whole. */
static GVariant *
counters_of(const VqManager *manager, const VqGuest *guest, const VqPlaced *placed,
            const char *disk, gint64 now_us)
{
    const VqDomain *domain = guest->seen->domain;
    const VqDomainMeters *meters = vq_meters_find(manager->meters, domain->uuid, domain->id);
    GVariantBuilder list = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));

    for (guint i = 0; meters && i < 2; i++) {
        const VqMetered *object =
            i == 0 ? vq_meters_object(meters, VQ_METERED_IOTHREAD, NULL, placed->iothread)
                   : vq_meters_object(meters, VQ_METERED_DISK, disk, 0);
        g_autoptr(GVariant) counters = g_variant_ref_sink(vq_metered_counters(object, now_us));

        for (gsize k = 0; k < g_variant_n_children(counters); k++) {
            g_autoptr(GVariant) entry = g_variant_get_child_value(counters, k);

            g_variant_builder_add_value(&list, entry);
        }
    }
    return g_variant_builder_end(&list);
}

GVariant *
vq_manager_why(const VqManager *manager, const char *domain, const char *disk, int queue,
               gint64 now_us, GError **error)
{
    g_autoptr(VqPlan) plan = vq_manager_compute(manager);
    const VqGuest *guest = *domain ? vq_manager_find(manager, domain) : NULL;
    const VqPlaced *placed = guest ? find_queue(plan, guest, disk, queue) : NULL;
    GVariantDict dict;

    if (!check_domain(manager, domain, error))
        return NULL;
    if (!placed) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_NOT_FOUND,
                    "%s/%s queue %d: no IOThread placed by virtqueued serves it%s", domain, disk,
                    MAX(queue, 0), guest && guest->off ? "; the domain was handed back" : "");
        return NULL;
    }
    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "version", "i", 1);
    g_variant_dict_insert(&dict, "domain", "s", placed->domain);
    g_variant_dict_insert(&dict, "disk", "s", disk);
    g_variant_dict_insert(&dict, "iothread", "u", placed->iothread);
    g_variant_dict_insert(&dict, "cpus", "s", placed->cpus ? placed->cpus : "");
    g_variant_dict_insert(&dict, "cpu", "i", placed->cpu);
    g_variant_dict_insert(&dict, "class", "s", vq_enum_name(vq_placement_names, placed->class));
    g_variant_dict_insert(&dict, "wanted", "s", vq_enum_name(vq_placement_names, placed->wanted));
    g_variant_dict_insert(&dict, "held", "b", placed->held);
    add_text(&dict, "reason", placed->reason);
    add_text(&dict, "degraded", placed->degraded);
    add_text(&dict, "alternative", placed->alternative);
    g_variant_dict_insert(&dict, "load", "d", placed->load);
    add_text(&dict, "load_source", placed->load_source);
    g_variant_dict_insert_value(&dict, "counters",
                                counters_of(manager, guest, placed, disk, now_us));
    g_variant_dict_insert_value(&dict, "shares_core_with", neighbours(plan, placed));
    return g_variant_dict_end(&dict);
}

GVariant *
vq_manager_status(const VqManager *manager)
{
    g_autofree char *pool = vq_cpuset_format(manager->pool->cpus);
    g_autofree char *drained = vq_cpuset_format(manager->records->drained);
    GVariantBuilder failures;
    GHashTableIter iter;
    gpointer text;
    GVariantDict dict;

    g_variant_builder_init(&failures, G_VARIANT_TYPE_STRING_ARRAY);
    g_hash_table_iter_init(&iter, manager->failures);
    while (g_hash_table_iter_next(&iter, NULL, &text))
        g_variant_builder_add(&failures, "s", text);
    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "version", "i", 1);
    g_variant_dict_insert(&dict, "daemon_version", "s", VQ_VERSION);
    g_variant_dict_insert(&dict, "libvirt_uri", "s", manager->config->uri);
    g_variant_dict_insert(&dict, "observed", "b", manager->observed);
    g_variant_dict_insert(&dict, "pool", "s", pool);
    g_variant_dict_insert(&dict, "pool_reason", "s", manager->pool->reason);
    g_variant_dict_insert(&dict, "drained", "s", drained);
    g_variant_dict_insert(&dict, "domains", "u", manager->guests->len);
    g_variant_dict_insert(&dict, "reservations", "u", manager->reservations->len);
    g_variant_dict_insert_value(&dict, "failures", g_variant_builder_end(&failures));
    return g_variant_dict_end(&dict);
}
