/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/manager.h"

#include "base/error.h"

static void
guest_free(gpointer data)
{
    VqGuest *guest = data;

    vq_seen_free(guest->seen);
    g_free(guest);
}

static void
reservation_free(gpointer data)
{
    VqReservation *reservation = data;

    vq_domain_free(reservation->domain);
    g_hash_table_unref(reservation->pins);
    g_hash_table_unref(reservation->device_nodes);
    g_free(reservation);
}

static VqPool *
choose_pool(const VqConfig *config, const VqTopology *topology, const VqCpuset *drained,
            bool hotplug, GError **error)
{
    const VqPoolRequest request = {.cpus = config->pool_cpus,
                                   .share = config->pool_share,
                                   .drained = drained,
                                   .hotplug = hotplug};

    return vq_pool_choose(topology, &request, error);
}

VqManager *
vq_manager_new(const VqConfig *config, VqTopology *topology, VqRecords *records, GError **error)
{
    VqManager *manager = g_new0(VqManager, 1);

    manager->config = config;
    manager->topology = topology;
    manager->records = records;
    manager->guests = g_ptr_array_new_with_free_func(guest_free);
    manager->reservations = g_ptr_array_new_with_free_func(reservation_free);
    manager->rebalance = vq_rebalance_new(&config->rebalance, &config->placement);
    manager->failures = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    manager->meters = vq_meters_new();
    manager->plan = vq_plan_new();
    manager->pool = choose_pool(config, topology, records->drained, false, error);
    if (manager->pool)
        return manager;
    vq_manager_free(manager);
    return NULL;
}

void
vq_manager_free(VqManager *manager)
{
    if (!manager)
        return;
    vq_topology_free(manager->topology);
    vq_pool_free(manager->pool);
    vq_records_free(manager->records);
    g_ptr_array_unref(manager->guests);
    g_ptr_array_unref(manager->reservations);
    vq_rebalance_free(manager->rebalance);
    g_free(manager->shape);
    g_hash_table_unref(manager->failures);
    vq_meters_free(manager->meters);
    vq_plan_free(manager->plan);
    g_free(manager);
}

bool
vq_manager_configure(VqManager *manager, const VqConfig *config, VqTopology *topology,
                     GError **error)
{
    const VqTopology *machine = topology ? topology : manager->topology;
    bool hotplug = config == manager->config; /* was accepted, and must do on what is left */
    VqPool *pool = choose_pool(config, machine, manager->records->drained, hotplug, error);

    if (!pool)
        return false;
    vq_pool_free(manager->pool);
    manager->pool = pool;
    manager->config = config;
    vq_rebalance_configure(manager->rebalance, &config->rebalance, &config->placement);
    if (topology && topology != manager->topology) {
        vq_topology_free(manager->topology);
        manager->topology = topology;
    }
    return true;
}

/* Offline ones too: what is drained while it is away does not come back. */
static bool
has_all(const VqTopology *topology, const VqCpuset *cpus)
{
    VQ_CPUSET_FOREACH (cpu, cpus) {
        if (!vq_topology_pu(topology, cpu))
            return false;
    }
    return true;
}

bool
vq_manager_drain(VqManager *manager, const VqCpuset *cpus, GError **error)
{
    g_autoptr(VqCpuset) drained = cpus ? vq_cpuset_copy(cpus) : vq_cpuset_new();

    if (cpus && !has_all(manager->topology, cpus)) {
        g_autofree char *asked = vq_cpuset_format(cpus);
        g_autofree char *usable = vq_cpuset_format(manager->topology->usable);

        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID,
                    "drain %s: not all of them are CPUs of this host (%s)", asked, usable);
        return false;
    }
    if (cpus)
        vq_cpuset_union(drained, manager->records->drained);

    VqPool *pool = choose_pool(manager->config, manager->topology, drained, true, error);

    if (!pool)
        return false;
    vq_pool_free(manager->pool);
    manager->pool = pool;
    vq_cpuset_free(manager->records->drained);
    manager->records->drained = g_steal_pointer(&drained);
    return true;
}

GHashTable *
vq_manager_wanted(const VqManager *manager)
{
    GHashTable *wanted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GHashTableIter iter;
    gpointer uuid;

    g_hash_table_iter_init(&iter, manager->records->records);
    while (g_hash_table_iter_next(&iter, &uuid, NULL))
        g_hash_table_add(wanted, g_strdup(uuid));
    return wanted;
}

bool
vq_domain_is_called(const VqDomain *domain, const char *name_or_uuid)
{
    return g_str_equal(domain->name, name_or_uuid) ||
           (domain->uuid && g_ascii_strcasecmp(domain->uuid, name_or_uuid) == 0);
}

VqGuest *
vq_manager_find(const VqManager *manager, const char *domain)
{
    for (guint i = 0; i < manager->guests->len; i++) {
        VqGuest *guest = g_ptr_array_index(manager->guests, i);

        if (vq_domain_is_called(guest->seen->domain, domain))
            return guest;
    }
    return NULL;
}

bool
vq_guest_is_managed(const VqGuest *guest)
{
    return !guest->off && vq_domain_is_managed(guest->seen->domain);
}

static void
add_guest(VqManager *manager, VqSeen *seen)
{
    VqGuest *guest = g_new0(VqGuest, 1);

    guest->seen = seen;
    guest->off =
        manager->releasing || g_hash_table_contains(manager->records->off, seen->domain->uuid);
    g_ptr_array_add(manager->guests, guest);
}

/* Domains that were not read keep what was known of them, unless they were started anew. */
static void
keep_guests(VqManager *manager, GPtrArray *before, GPtrArray *kept)
{
    g_autoptr(GHashTable) by_uuid = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < before->len; i++) {
        VqGuest *guest = g_ptr_array_index(before, i);

        g_hash_table_insert(by_uuid, guest->seen->domain->uuid, guest);
    }
    for (guint i = 0; i < kept->len; i++) {
        VqKept *k = g_ptr_array_index(kept, i);
        VqGuest *guest = g_hash_table_lookup(by_uuid, k->uuid);

        if (!guest || !guest->seen || (k->id >= 0 && guest->seen->domain->id != k->id))
            continue;
        if (k->times->len > 0) {
            g_array_unref(guest->seen->times);
            guest->seen->times = g_array_ref(k->times);
        }
        add_guest(manager, g_steal_pointer(&guest->seen));
    }
}

static int
by_start(gconstpointer a, gconstpointer b)
{
    const VqGuest *left = *(VqGuest *const *)a, *right = *(VqGuest *const *)b;

    return left->seen->domain->id - right->seen->domain->id;
}

/* The reservation has become a running domain: what it was promised is known as ours. */
static void
consume_reservation(VqManager *manager, const VqDomain *domain)
{
    VqRecord *record = vq_records_find(manager->records, domain->uuid, -1);

    if (record)
        record->id = domain->id;
    for (guint i = manager->reservations->len; i-- > 0;) {
        const VqReservation *r = g_ptr_array_index(manager->reservations, i);

        if (vq_domain_is_called(r->domain, r->domain->uuid ? domain->uuid : domain->name))
            g_ptr_array_remove_index(manager->reservations, i);
    }
}

/* Records of starts that are over; promises are kept, their domain may be starting right now. */
static void
drop_old_records(VqManager *manager)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, manager->records->records);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const VqRecord *record = value;
        const VqGuest *guest = vq_manager_find(manager, record->uuid);

        if (record->id >= 0 && (!guest || guest->seen->domain->id != record->id))
            g_hash_table_iter_remove(&iter);
    }
}

void
vq_manager_see(VqManager *manager, VqObservation *observation, gint64 now_us)
{
    g_autoptr(GPtrArray) before = g_steal_pointer(&manager->guests);

    manager->guests = g_ptr_array_new_with_free_func(guest_free);
    for (guint i = 0; i < observation->domains->len; i++) {
        add_guest(manager, g_ptr_array_index(observation->domains, i));
        g_ptr_array_index(observation->domains, i) = NULL;
    }
    keep_guests(manager, before, observation->kept);
    g_ptr_array_sort(manager->guests, by_start);
    for (guint i = 0; i < manager->guests->len; i++) {
        const VqGuest *guest = g_ptr_array_index(manager->guests, i);

        consume_reservation(manager, guest->seen->domain);
    }
    vq_manager_expire(manager, now_us);
    drop_old_records(manager);
    manager->observed = true;
    manager->now_us = now_us;
    vq_manager_note_shape(manager);
}

VqPinOrigin
vq_manager_pin_origin(const VqManager *manager, const VqGuest *guest, VqTarget target,
                      unsigned number, const VqCpuset *pin)
{
    const VqDomain *domain = guest->seen->domain;
    const VqRecord *record = vq_records_find(manager->records, domain->uuid, domain->id);
    const VqPinRecord *ours = vq_record_pin(record, target, number);
    const VqCpuset *normal = guest->seen->live->default_cpus;

    if (ours && pin && vq_pin_record_is_ours(ours, pin))
        return VQ_PIN_OURS;
    if (!pin || vq_cpuset_subset(manager->topology->usable, pin) ||
        (normal && vq_cpuset_equal(normal, pin)))
        return VQ_PIN_FREE;
    return VQ_PIN_HAND;
}

GArray *
vq_manager_known_nodes(const VqDevice *device, gpointer device_nodes)
{
    GArray *nodes = device->source ? g_hash_table_lookup(device_nodes, device->source) : NULL;

    return nodes ? g_array_ref(nodes) : NULL;
}

/* Puts in what is known of a running domain's thread: place, hand. */
static void
complete_thread(const VqManager *manager, const VqGuest *guest, VqThread *thread)
{
    const VqLiveThread *live = vq_live_thread(guest->seen->live, thread->iothread);
    VqPinOrigin origin = vq_manager_pin_origin(manager, guest, VQ_TARGET_IOTHREAD, thread->iothread,
                                               live ? live->pin : NULL);

    thread->held = origin == VQ_PIN_HAND;
    if (origin != VQ_PIN_FREE)
        vq_cpuset_union(thread->current, live->pin);
}

static VqPlacementInput
placement_input(const VqManager *manager)
{
    return (VqPlacementInput){.topology = manager->topology,
                              .pool = manager->pool->cpus,
                              .params = manager->config->placement};
}

VqStep
vq_manager_tick(VqManager *manager, gint64 now_us, char **why)
{
    manager->now_us = now_us;
    manager->step = vq_rebalance_tick(manager->rebalance, now_us, why);
    return manager->step;
}

void
vq_manager_follow(VqManager *manager, VqPlan *plan)
{
    const VqPlacementInput input = placement_input(manager);

    vq_rebalance_follow(manager->rebalance, plan, &input, manager->step, manager->now_us);
    manager->step = VQ_STEP_NONE;
    vq_plan_free(manager->plan);
    manager->plan = plan;
}

static void
add_guest_threads(const VqManager *manager, const VqGuest *guest, GPtrArray *threads)
{
    guint first = threads->len;

    vq_placement_add_domain(threads, guest->seen->domain, manager->topology, vq_manager_known_nodes,
                            guest->seen->device_nodes);
    for (guint i = first; i < threads->len; i++)
        complete_thread(manager, guest, g_ptr_array_index(threads, i));
}

static void
add_reserved_threads(const VqManager *manager, const VqReservation *reservation, GPtrArray *threads)
{
    guint first = threads->len;

    vq_placement_add_domain(threads, reservation->domain, manager->topology, vq_manager_known_nodes,
                            reservation->device_nodes);
    for (guint i = first; i < threads->len; i++) {
        VqThread *thread = g_ptr_array_index(threads, i);
        const char *pin =
            g_hash_table_lookup(reservation->pins, GUINT_TO_POINTER(thread->iothread));
        g_autoptr(VqCpuset) cpus = pin ? vq_cpuset_parse(pin, NULL) : NULL;

        /* admitted is as good as running: its promise is not taken back */
        thread->running = true;
        if (cpus)
            vq_cpuset_union(thread->current, cpus);
    }
}

GPtrArray *
vq_manager_threads(const VqManager *manager)
{
    GPtrArray *threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);

    for (guint i = 0; i < manager->guests->len; i++) {
        const VqGuest *guest = g_ptr_array_index(manager->guests, i);

        if (vq_guest_is_managed(guest))
            add_guest_threads(manager, guest, threads);
    }
    for (guint i = 0; i < manager->reservations->len; i++)
        add_reserved_threads(manager, g_ptr_array_index(manager->reservations, i), threads);
    return threads;
}

VqPlan *
vq_manager_place(const VqManager *manager, GPtrArray *threads)
{
    VqPlacementInput input = placement_input(manager);

    input.threads = threads;
    vq_rebalance_prepare(manager->rebalance, &input, threads, manager->step, manager->now_us);
    return vq_placement_compute(&input);
}

VqPlan *
vq_manager_compute(const VqManager *manager)
{
    g_autoptr(GPtrArray) threads = vq_manager_threads(manager);

    return vq_manager_place(manager, threads);
}

VqPlan *
vq_manager_preview(VqManager *manager)
{
    VqStep step = manager->step;
    VqPlan *plan;

    manager->step = VQ_STEP_EVENT;
    plan = vq_manager_compute(manager);
    manager->step = step;
    return plan;
}

/* The threads that are on CPUs of somebody's choice are taken over, and given back there. */
static void
take_hand_pins(VqManager *manager, const VqGuest *guest)
{
    const VqDomain *domain = guest->seen->domain;
    VqRecord *record = vq_records_get(manager->records, domain->uuid, domain->name, domain->id);

    for (guint i = 0; i < guest->seen->live->threads->len; i++) {
        const VqLiveThread *t = g_ptr_array_index(guest->seen->live->threads, i);

        if (vq_manager_pin_origin(manager, guest, VQ_TARGET_IOTHREAD, t->iothread, t->pin) !=
            VQ_PIN_HAND)
            continue;

        g_autofree char *cpus = vq_cpuset_format(t->pin);
        VqPinRecord *pin = vq_record_add_pin(record, VQ_TARGET_IOTHREAD, t->iothread, cpus);

        g_free(pin->original);
        g_free(pin->pinned);
        pin->original = g_strdup(cpus);
        pin->pinned = g_steal_pointer(&cpus);
    }
}

bool
vq_manager_set_managed(VqManager *manager, const char *domain, bool managed, GError **error)
{
    VqGuest *guest = vq_manager_find(manager, domain);

    if (!guest) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_NOT_FOUND,
                    "domain '%s': no running domain with declared queues has this name", domain);
        return false;
    }

    const VqDomain *d = guest->seen->domain;

    guest->off = !managed;
    if (managed) {
        g_hash_table_remove(manager->records->off, d->uuid);
        take_hand_pins(manager, guest);
    } else {
        g_hash_table_replace(manager->records->off, g_strdup(d->uuid), g_strdup(d->name));
    }
    return true;
}
