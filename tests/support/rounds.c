/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support/rounds.h"

#include "base/error.h"
#include "host/topology.h"
#include "support/machine.h"

#include <string.h>

static void
guest_free(gpointer data)
{
    RoundsGuest *guest = data;

    g_hash_table_unref(guest->pins);
    g_hash_table_unref(guest->polls);
    g_free(guest);
}

RoundsGuest *
rounds_start(Rounds *bed, const char *name, int id, unsigned queues, const char *policy)
{
    RoundsGuest *guest = g_new0(RoundsGuest, 1);

    *guest = (RoundsGuest){.name = name, .id = id, .queues = queues, .policy = policy};
    guest->pins = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    guest->polls = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_ptr_array_add(bed->fake.guests, guest);
    return guest;
}

void
rounds_destroy(Rounds *bed, RoundsGuest *guest)
{
    g_ptr_array_remove(bed->fake.guests, guest);
}

const char *
rounds_pin(const RoundsGuest *guest, const char *kind, unsigned number)
{
    g_autofree char *key = g_strdup_printf("%s %u", kind, number);

    return g_hash_table_lookup(guest->pins, key);
}

void
rounds_set_pin(RoundsGuest *guest, const char *kind, unsigned number, const char *cpus)
{
    g_hash_table_replace(guest->pins, g_strdup_printf("%s %u", kind, number), g_strdup(cpus));
}

static char *
uuid_of(const char *name)
{
    return g_strdup_printf("00000000-0000-4000-8000-%012u", g_str_hash(name));
}

static void
write_pins(const RoundsGuest *guest, GString *xml)
{
    GHashTableIter iter;
    gpointer key, value;

    g_string_append(xml, "<cputune>");
    g_hash_table_iter_init(&iter, guest->pins);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        const char *number = strchr(key, ' ') + 1;

        if (g_str_has_prefix(key, "iothread"))
            g_string_append_printf(xml, "<iothreadpin iothread='%s' cpuset='%s'/>", number,
                                   (char *)value);
        else if (g_str_has_prefix(key, "vcpu"))
            g_string_append_printf(xml, "<vcpupin vcpu='%s' cpuset='%s'/>", number, (char *)value);
        else
            g_string_append_printf(xml, "<emulatorpin cpuset='%s'/>", (char *)value);
    }
    g_string_append(xml, "</cputune>");
}

char *
rounds_xml(const RoundsGuest *guest)
{
    GString *xml = g_string_new(NULL);
    g_autofree char *uuid = uuid_of(guest->name);

    g_string_append_printf(xml, "<domain type='qemu'");
    if (guest->id >= 0)
        g_string_append_printf(xml, " id='%d'", guest->id);
    g_string_append_printf(xml,
                           "><name>%s</name><uuid>%s</uuid><metadata><vq:storage "
                           "xmlns:vq='urn:virtqueued:domain:1.0'><vq:disk target='vda' queues='%u' "
                           "%s/></vq:storage></metadata><vcpu>2</vcpu><iothreads>%u</iothreads>"
                           "<iothreadids>",
                           guest->name, uuid, guest->queues, guest->policy, guest->queues);
    for (unsigned i = 1; i <= guest->queues; i++) {
        g_autofree char *id = g_strdup_printf("%u", i);
        const char *poll = g_hash_table_lookup(guest->polls, id);

        g_string_append_printf(xml, "<iothread id='%s'>%s</iothread>", id, poll ? poll : "");
    }
    g_string_append(xml, "</iothreadids>");
    write_pins(guest, xml);
    g_string_append_printf(xml,
                           "<devices><disk type='file' device='disk'><driver name='qemu' "
                           "queues='%u'><iothreads>",
                           guest->queues);
    for (unsigned i = 1; i <= guest->queues; i++)
        g_string_append_printf(xml, "<iothread id='%u'><queue id='%u'/></iothread>", i, i - 1);
    g_string_append(xml, "</iothreads></driver><source file='/x'/><target dev='vda' "
                         "bus='virtio'/></disk></devices></domain>");
    return g_string_free(xml, FALSE);
}

static void
add_times(const RoundsGuest *guest, GArray *times)
{
    for (unsigned i = 1; guest->busy > 0 && i <= guest->queues; i++) {
        VqThreadTime time = {.iothread = i,
                             .pid = 1000 * guest->id,
                             .tid = 1000 * guest->id + (int)i,
                             .cpu_ns = guest->cpu_ns};

        g_array_append_val(times, time);
    }
}

VqObservation *
rounds_observe(const RoundsFake *fake, gint64 now)
{
    VqObservation *observation = vq_observation_new();

    observation->time_us = now;
    for (guint i = 0; i < fake->guests->len; i++) {
        const RoundsGuest *guest = g_ptr_array_index(fake->guests, i);
        g_autofree char *xml = rounds_xml(guest);
        g_autoptr(VqProblems) problems = vq_problems_new();
        VqDomain *domain = vq_domain_read(xml, strlen(xml), problems, NULL);

        g_assert_nonnull(domain);
        g_assert_true(vq_problems_to_error(problems, NULL));

        VqSeen *seen = vq_seen_new(domain, vq_live_read(xml, strlen(xml), NULL));

        add_times(guest, seen->times);
        g_ptr_array_add(observation->domains, seen);
    }
    return observation;
}

static RoundsGuest *
fake_find(const RoundsFake *fake, const VqAction *action)
{
    for (guint i = 0; i < fake->guests->len; i++) {
        RoundsGuest *guest = g_ptr_array_index(fake->guests, i);

        if (guest->id == action->id && g_str_equal(guest->name, action->domain))
            return guest;
    }
    return NULL;
}

void
rounds_apply(RoundsFake *fake, GPtrArray *actions)
{
    static const char *const kinds[] = {"iothread", "vcpu", "emulator"};
    bool broken = false;

    for (guint i = 0; i < actions->len; i++) {
        VqAction *a = g_ptr_array_index(actions, i);
        RoundsGuest *guest = fake_find(fake, a);

        /* of the call that breaks off, the work is done and only the answer is lost */
        if (fake->fail_after == 0)
            g_set_error(&a->error, VQ_ERROR, VQ_ERROR_UNAVAILABLE, "lost");
        if (fake->fail_after == 0 && broken)
            continue;
        broken = fake->fail_after == 0;
        if (fake->fail_after > 0)
            fake->fail_after--;
        if (!guest) {
            g_set_error(&a->error, VQ_ERROR, VQ_ERROR_NOT_FOUND, "gone");
            continue;
        }
        fake->applied++;
        if (a->cpus) {
            g_autofree char *cpus = vq_cpuset_format(a->cpus);

            rounds_set_pin(guest, kinds[a->target], a->number, cpus);
        }
        if (a->set_poll)
            g_hash_table_replace(guest->polls, g_strdup_printf("%u", a->number),
                                 g_strdup_printf("<poll max='%" G_GUINT64_FORMAT
                                                 "' grow='%u' shrink='%u'/>",
                                                 a->poll.max_ns, a->poll.grow, a->poll.shrink));
    }
}

/* Not two dedicated threads on one core, and nobody else on it; by what is really pinned. */
static void
check_cores(const Rounds *bed, const VqPlan *plan)
{
    bool dedicated[16] = {false};
    unsigned users[16] = {0};

    for (guint i = 0; i < plan->placements->len; i++) {
        const VqPlaced *p = g_ptr_array_index(plan->placements, i);

        if (p->cpu < 0)
            continue;
        users[p->cpu / 2]++;
        dedicated[p->cpu / 2] |= p->class == VQ_PLACEMENT_DEDICATED;
    }
    for (guint i = 0; i < G_N_ELEMENTS(users); i++)
        g_assert_true(!dedicated[i] || users[i] == 1);
}

/* By the checker that placement's own tests use, on the same input. */
static void
check_plan(const Rounds *bed, const VqPlan *plan)
{
    const VqManager *manager = bed->manager;
    g_autoptr(GPtrArray) threads = vq_manager_threads(manager);
    const VqPlacementInput input = {.topology = manager->topology,
                                    .pool = manager->pool->cpus,
                                    .threads = threads,
                                    .params = manager->config->placement};
    g_autoptr(GError) error = NULL;

    vq_plan_check(plan, &input, &error);
    g_assert_no_error(error);
}

/* What the daemon's sampler does between rounds. */
static void
read_loads(VqManager *manager, gint64 now)
{
    for (guint i = 0; i < manager->guests->len; i++) {
        const VqSeen *seen = ((VqGuest *)g_ptr_array_index(manager->guests, i))->seen;

        for (guint k = 0; k < seen->times->len; k++) {
            const VqThreadTime *time = &g_array_index(seen->times, VqThreadTime, k);
            VqTracked *thread =
                vq_rebalance_thread(manager->rebalance, seen->domain->name, time->iothread);

            vq_rebalance_sample(manager->rebalance, thread, now, time->cpu_ns, VQ_WORK_CPU_TIME);
        }
    }
}

/* One round; the number of actions that were carried out. */
unsigned
rounds_one(Rounds *bed)
{
    g_autoptr(VqObservation) observation = rounds_observe(&bed->fake, bed->now);
    unsigned before = bed->fake.applied;

    bed->now += G_USEC_PER_SEC;
    for (guint i = 0; i < bed->fake.guests->len; i++) {
        RoundsGuest *guest = g_ptr_array_index(bed->fake.guests, i);

        guest->cpu_ns += guest->busy * 1e9;
    }
    vq_manager_see(bed->manager, observation, bed->now);
    read_loads(bed->manager, bed->now);
    vq_manager_tick(bed->manager, bed->now, NULL);

    VqPlan *plan = vq_manager_compute(bed->manager);
    g_autoptr(GPtrArray) actions = vq_manager_actions(bed->manager, plan);

    check_plan(bed, plan);
    check_cores(bed, plan);
    vq_manager_follow(bed->manager, plan);
    vq_manager_intend(bed->manager, actions);
    rounds_apply(&bed->fake, actions);
    vq_manager_applied(bed->manager, actions);
    return bed->fake.applied - before;
}

void
rounds_settle(Rounds *bed)
{
    unsigned rounds = 0;

    while (rounds_one(bed) > 0)
        g_assert_cmpuint(++rounds, <, 5);
}

static VqTopology *
machine(const Rounds *bed)
{
    g_autoptr(GError) error = NULL;
    VqTopology *topology = vq_host_topology_synthetic(MACHINE, &error);

    g_assert_no_error(error);
    test_machine_take_away(topology, bed->offline);
    return topology;
}

void
rounds_offline(Rounds *bed, const char *cpus)
{
    g_autoptr(GError) error = NULL;

    vq_cpuset_free(bed->offline);
    bed->offline = vq_cpuset_parse(cpus, NULL);
    g_assert_true(vq_manager_configure(bed->manager, &bed->config, machine(bed), &error));
}

static VqManager *
new_manager(Rounds *bed, VqRecords *records)
{
    g_autoptr(GError) error = NULL;
    VqTopology *topology = machine(bed);

    VqManager *manager = vq_manager_new(&bed->config, topology, records, &error);

    g_assert_no_error(error);
    return manager;
}

void
rounds_init(Rounds *bed)
{
    *bed = (Rounds){.now = G_USEC_PER_SEC, .fake = {.fail_after = -1}};
    bed->config = (VqConfig){.pool_share = 25,
                             .shield = true,
                             .placement = vq_placement_defaults,
                             .rebalance = vq_rebalance_params(NULL),
                             .uri = (char *)"test:///",
                             .reservation_seconds = 30,
                             .poll = {1000000000, 1000, 1}};
    bed->config.pool_cpus = vq_cpuset_parse(POOL, NULL);
    bed->offline = vq_cpuset_new();
    bed->fake.guests = g_ptr_array_new_with_free_func(guest_free);
    bed->manager = new_manager(bed, vq_records_new());
}

void
rounds_clear(Rounds *bed)
{
    vq_manager_free(bed->manager);
    g_ptr_array_unref(bed->fake.guests);
    vq_cpuset_free(bed->config.pool_cpus);
    vq_cpuset_free(bed->offline);
}

/* kill -9 and start: only what is on disk survives. */
void
rounds_restart(Rounds *bed, bool lose_records)
{
    g_autofree char *text = vq_records_format(bed->manager->records, "boot");
    g_autoptr(GError) error = NULL;
    VqRecords *records = lose_records ? vq_records_new() : vq_records_parse(text, "boot", &error);

    g_assert_no_error(error);
    vq_manager_free(bed->manager);
    bed->manager = new_manager(bed, records);
}
