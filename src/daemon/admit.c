/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Admission: what a domain that is about to start will get, promised and reserved until it is seen
 * running. Answered from memory.
 */
#include "daemon/manager.h"

#include "base/error.h"

#include <string.h>

static void
forget_promise(VqManager *manager, const VqDomain *domain)
{
    if (domain->uuid && vq_records_find(manager->records, domain->uuid, -1))
        g_hash_table_remove(manager->records->records, domain->uuid);
}

void
vq_manager_expire(VqManager *manager, gint64 now_us)
{
    for (guint i = manager->reservations->len; i-- > 0;) {
        const VqReservation *r = g_ptr_array_index(manager->reservations, i);

        if (r->expires_us > now_us)
            continue;
        forget_promise(manager, r->domain);
        g_ptr_array_remove_index(manager->reservations, i);
    }
}

static VqDomain *
read_candidate(const char *xml, GError **error)
{
    g_autoptr(VqProblems) problems = vq_problems_new();
    g_autoptr(VqDomain) domain = vq_domain_read(xml, strlen(xml), problems, error);

    if (!domain || !vq_problems_to_error(problems, error))
        return NULL;
    domain->id = -1;
    return g_steal_pointer(&domain);
}

/* Writes the promise down, so that its pins are known as ours even after kill -9. */
static void
record_promise(VqManager *manager, const VqReservation *reservation, const VqLive *live)
{
    const VqDomain *domain = reservation->domain;
    const VqCpuset *normal =
        live && live->default_cpus ? live->default_cpus : manager->topology->usable;
    g_autofree char *original = vq_cpuset_format(normal);
    GHashTableIter iter;
    gpointer iothread, cpus;

    if (!domain->uuid)
        return;

    VqRecord *record = vq_records_get(manager->records, domain->uuid, domain->name, -1);

    g_hash_table_iter_init(&iter, reservation->pins);
    while (g_hash_table_iter_next(&iter, &iothread, &cpus)) {
        VqPinRecord *pin =
            vq_record_add_pin(record, VQ_TARGET_IOTHREAD, GPOINTER_TO_UINT(iothread), original);

        g_free(pin->promised);
        pin->promised = g_strdup(cpus);
    }
}

static void
append_answer(const VqPlan *plan, const char *domain, GHashTable *promise, GVariantBuilder *pins,
              GVariantBuilder *notes)
{
    const char *last = NULL;

    for (guint i = 0; i < plan->placements->len; i++) {
        const VqPlaced *p = g_ptr_array_index(plan->placements, i);

        if (!g_str_equal(p->domain, domain))
            continue;
        g_hash_table_insert(promise, GUINT_TO_POINTER(p->iothread), g_strdup(p->cpus));
        g_variant_builder_add(pins, "(us)", p->iothread, p->cpus);
        /* all threads of a device are degraded alike: said once */
        if (p->degraded && g_strcmp0(p->degraded, last) != 0)
            g_variant_builder_add(notes, "s", last = p->degraded);
    }
}

/* Takes @domain. */
static void
reserve(VqManager *manager, VqDomain *domain, GHashTable *device_nodes, const char *xml,
        const VqPlan *plan, gint64 now_us, GVariant **pins, GVariant **notes)
{
    VqReservation *reservation = g_new0(VqReservation, 1);
    GVariantBuilder pin_list, note_list;
    g_autoptr(VqLive) live = vq_live_read(xml, strlen(xml), NULL);

    reservation->domain = domain;
    reservation->device_nodes = g_hash_table_ref(device_nodes);
    reservation->pins = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    reservation->expires_us =
        now_us + manager->config->reservation_seconds * (gint64)G_USEC_PER_SEC;
    g_variant_builder_init(&pin_list, G_VARIANT_TYPE("a(us)"));
    g_variant_builder_init(&note_list, G_VARIANT_TYPE("as"));
    append_answer(plan, domain->name, reservation->pins, &pin_list, &note_list);
    *pins = g_variant_ref_sink(g_variant_builder_end(&pin_list));
    *notes = g_variant_ref_sink(g_variant_builder_end(&note_list));
    g_ptr_array_add(manager->reservations, reservation);
    record_promise(manager, reservation, live);
}

/* A domain that is running or was handed back gets nothing that it does not have. */
static void
answer_nothing(GVariant **pins, GVariant **notes)
{
    *pins = g_variant_ref_sink(g_variant_new_array(G_VARIANT_TYPE("(us)"), NULL, 0));
    *notes = g_variant_ref_sink(g_variant_new_strv(NULL, 0));
}

bool
vq_manager_admit(VqManager *manager, const char *xml, GHashTable *device_nodes, gint64 now_us,
                 GVariant **pins, GVariant **notes, GError **error)
{
    g_autoptr(VqDomain) domain = read_candidate(xml, error);

    if (!domain)
        return false;
    if (!manager->observed) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_UNAVAILABLE,
                    "%s: libvirt's running domains are not known yet", domain->name);
        return false;
    }

    const char *key = domain->uuid ? domain->uuid : domain->name;

    if (!vq_domain_is_managed(domain) || vq_manager_find(manager, key) ||
        g_hash_table_contains(manager->records->off, key)) {
        answer_nothing(pins, notes);
        return true;
    }
    vq_manager_expire(manager, now_us);
    vq_manager_withdraw(manager, key);

    g_autoptr(GPtrArray) threads = vq_manager_threads(manager);

    vq_placement_add_domain(threads, domain, manager->topology, vq_manager_known_nodes,
                            device_nodes);

    g_autoptr(VqPlan) plan = vq_manager_place(manager, threads);
    const VqRefused *refused = vq_plan_refusal(plan, domain->name);

    if (refused) {
        manager->tally.refused++;
        g_set_error(error, VQ_ERROR, VQ_ERROR_REFUSED, "%s", refused->reason);
        return false;
    }
    manager->tally.admitted++;
    reserve(manager, g_steal_pointer(&domain), device_nodes, xml, plan, now_us, pins, notes);
    return true;
}

void
vq_manager_withdraw(VqManager *manager, const char *domain)
{
    for (guint i = manager->reservations->len; i-- > 0;) {
        const VqReservation *r = g_ptr_array_index(manager->reservations, i);

        if (!vq_domain_is_called(r->domain, domain))
            continue;
        forget_promise(manager, r->domain);
        g_ptr_array_remove_index(manager->reservations, i);
    }
}
