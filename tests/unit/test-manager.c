/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rounds of the daemon against a fake of the hypervisor port, on a machine of 16 cores with two
 * threads each: the same manager, actions and records as in the daemon, without threads.
 */
#include "base/error.h"
#include "daemon/manager.h"
#include "host/topology.h"

#include <string.h>

#define MACHINE "pack:2 numa:1 core:8 pu:2"
#define ALL     "0-31"
/* on this synthetic machine core N has the CPUs 2N and 2N+1 */
#define POOL "16-31"

typedef struct {
    const char *name;
    int id;
    unsigned queues;
    const char *policy; /* attributes after target and queues */
    GHashTable *pins;   /* "iothread 1", "vcpu 0", "emulator 0" -> cpus */
    GHashTable *polls;  /* "1" -> "<poll .../>" */
} Guest;

typedef struct {
    GPtrArray *guests;
    int fail_after; /* actions that still work; then the connection is lost; -1: all work */
    unsigned applied;
} Fake;

typedef struct {
    VqConfig config;
    VqManager *manager;
    Fake fake;
    gint64 now;
} Bed;

static void
guest_free(gpointer data)
{
    Guest *guest = data;

    g_hash_table_unref(guest->pins);
    g_hash_table_unref(guest->polls);
    g_free(guest);
}

static Guest *
start(Bed *bed, const char *name, int id, unsigned queues, const char *policy)
{
    Guest *guest = g_new0(Guest, 1);

    *guest = (Guest){.name = name, .id = id, .queues = queues, .policy = policy};
    guest->pins = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    guest->polls = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_ptr_array_add(bed->fake.guests, guest);
    return guest;
}

static void
destroy(Bed *bed, Guest *guest)
{
    g_ptr_array_remove(bed->fake.guests, guest);
}

static const char *
pin_of(const Guest *guest, const char *kind, unsigned number)
{
    g_autofree char *key = g_strdup_printf("%s %u", kind, number);

    return g_hash_table_lookup(guest->pins, key);
}

static void
set_pin(Guest *guest, const char *kind, unsigned number, const char *cpus)
{
    g_hash_table_replace(guest->pins, g_strdup_printf("%s %u", kind, number), g_strdup(cpus));
}

static char *
uuid_of(const char *name)
{
    return g_strdup_printf("00000000-0000-4000-8000-%012u", g_str_hash(name));
}

static void
write_pins(const Guest *guest, GString *xml)
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

static char *
xml_of(const Guest *guest)
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

static VqObservation *
fake_observe(const Fake *fake, gint64 now)
{
    VqObservation *observation = vq_observation_new();

    observation->time_us = now;
    for (guint i = 0; i < fake->guests->len; i++) {
        const Guest *guest = g_ptr_array_index(fake->guests, i);
        g_autofree char *xml = xml_of(guest);
        g_autoptr(VqProblems) problems = vq_problems_new();
        VqDomain *domain = vq_domain_read(xml, strlen(xml), problems, NULL);

        g_assert_nonnull(domain);
        g_assert_true(vq_problems_to_error(problems, NULL));
        g_ptr_array_add(observation->domains,
                        vq_seen_new(domain, vq_live_read(xml, strlen(xml), NULL)));
    }
    return observation;
}

static Guest *
fake_find(const Fake *fake, const VqAction *action)
{
    for (guint i = 0; i < fake->guests->len; i++) {
        Guest *guest = g_ptr_array_index(fake->guests, i);

        if (guest->id == action->id && g_str_equal(guest->name, action->domain))
            return guest;
    }
    return NULL;
}

static void
fake_apply(Fake *fake, GPtrArray *actions)
{
    static const char *const kinds[] = {"iothread", "vcpu", "emulator"};
    bool broken = false;

    for (guint i = 0; i < actions->len; i++) {
        VqAction *a = g_ptr_array_index(actions, i);
        Guest *guest = fake_find(fake, a);

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

            set_pin(guest, kinds[a->target], a->number, cpus);
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
check_cores(const Bed *bed, const VqPlan *plan)
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

/* One round; the number of actions that were carried out. */
static unsigned
one_round(Bed *bed)
{
    g_autoptr(VqObservation) observation = fake_observe(&bed->fake, bed->now);
    unsigned before = bed->fake.applied;

    bed->now += G_USEC_PER_SEC;
    vq_manager_see(bed->manager, observation, bed->now);

    g_autoptr(VqPlan) plan = vq_manager_compute(bed->manager);
    g_autoptr(GPtrArray) actions = vq_manager_actions(bed->manager, plan);

    check_cores(bed, plan);
    vq_manager_intend(bed->manager, actions);
    fake_apply(&bed->fake, actions);
    vq_manager_applied(bed->manager, actions);
    return bed->fake.applied - before;
}

static void
settle(Bed *bed)
{
    unsigned rounds = 0;

    while (one_round(bed) > 0)
        g_assert_cmpuint(++rounds, <, 5);
}

static VqManager *
new_manager(Bed *bed, VqRecords *records)
{
    g_autoptr(GError) error = NULL;
    VqTopology *topology = vq_host_topology_synthetic(MACHINE, &error);

    g_assert_no_error(error);

    VqManager *manager = vq_manager_new(&bed->config, topology, records, &error);

    g_assert_no_error(error);
    return manager;
}

static void
bed_init(Bed *bed)
{
    *bed = (Bed){.now = G_USEC_PER_SEC, .fake = {.fail_after = -1}};
    bed->config = (VqConfig){.pool_share = 25,
                             .shield = true,
                             .placement = vq_placement_defaults,
                             .uri = (char *)"test:///",
                             .reservation_seconds = 30,
                             .poll = {1000000000, 1000, 1}};
    bed->config.pool_cpus = vq_cpuset_parse(POOL, NULL);
    bed->fake.guests = g_ptr_array_new_with_free_func(guest_free);
    bed->manager = new_manager(bed, vq_records_new());
}

static void
bed_clear(Bed *bed)
{
    vq_manager_free(bed->manager);
    g_ptr_array_unref(bed->fake.guests);
    vq_cpuset_free(bed->config.pool_cpus);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Bed, bed_clear)

/* kill -9 and start: only what is on disk survives. */
static void
restart(Bed *bed, bool lose_records)
{
    g_autofree char *text = vq_records_format(bed->manager->records, "boot");
    g_autoptr(GError) error = NULL;
    VqRecords *records = lose_records ? vq_records_new() : vq_records_parse(text, "boot", &error);

    g_assert_no_error(error);
    vq_manager_free(bed->manager);
    bed->manager = new_manager(bed, records);
}

#define DEDICATED "placement='dedicated' polling='dedicated'"

static void
test_dedicated(void)
{
    g_auto(Bed) bed;

    bed_init(&bed);

    Guest *vm = start(&bed, "vm1", 1, 4, DEDICATED);

    one_round(&bed);
    /* pinned in the first round, polling only once the pin is seen */
    g_assert_nonnull(pin_of(vm, "iothread", 1));
    g_assert_cmpuint(g_hash_table_size(vm->polls), ==, 0);
    settle(&bed);
    g_assert_cmpuint(g_hash_table_size(vm->polls), ==, 4);

    g_autoptr(VqCpuset) cores = vq_cpuset_new();

    for (unsigned i = 1; i <= 4; i++) {
        g_autoptr(VqCpuset) pin = vq_cpuset_parse(pin_of(vm, "iothread", i), NULL);

        g_assert_cmpuint(vq_cpuset_count(pin), ==, 1);
        vq_cpuset_add(cores, vq_cpuset_next(pin, 0) / 2);
    }
    g_assert_cmpuint(vq_cpuset_count(cores), ==, 4);

    /* the shield leaves out whole cores, siblings too */
    g_autoptr(VqCpuset) shield = vq_cpuset_parse(pin_of(vm, "vcpu", 0), NULL);

    g_assert_cmpuint(vq_cpuset_count(shield), ==, 32 - 8);
    g_assert_cmpstr(pin_of(vm, "emulator", 0), ==, pin_of(vm, "vcpu", 1));
}

static void
test_restart_changes_nothing(void)
{
    g_auto(Bed) bed;

    bed_init(&bed);
    start(&bed, "vm1", 1, 4, DEDICATED);
    start(&bed, "vm2", 2, 3, "placement='shared'");
    settle(&bed);
    restart(&bed, false);
    g_assert_cmpuint(one_round(&bed), ==, 0);
    /* without the records the pins count as somebody's: nothing is moved either */
    restart(&bed, true);
    one_round(&bed);
    g_assert_cmpuint(one_round(&bed), ==, 0);
}

static void
test_hand(void)
{
    g_auto(Bed) bed;

    bed_init(&bed);

    Guest *vm = start(&bed, "vm1", 1, 2, DEDICATED);

    settle(&bed);
    set_pin(vm, "iothread", 1, "3");
    settle(&bed);
    g_assert_cmpstr(pin_of(vm, "iothread", 1), ==, "3");
    /* what polled on a core of its own does so no more */
    g_assert_true(g_str_has_prefix(g_hash_table_lookup(vm->polls, "1"), "<poll max='32768'"));
    restart(&bed, false);
    settle(&bed);
    g_assert_cmpstr(pin_of(vm, "iothread", 1), ==, "3");
    set_pin(vm, "iothread", 1, ALL);
    settle(&bed);
    g_assert_cmpstr(pin_of(vm, "iothread", 1), !=, ALL);
    /* and a vCPU pinned by its owner is never touched */
    set_pin(vm, "vcpu", 0, "1-2");
    settle(&bed);
    g_assert_cmpstr(pin_of(vm, "vcpu", 0), ==, "1-2");
}

static void
test_off_and_on(void)
{
    g_auto(Bed) bed;
    g_autoptr(GError) error = NULL;

    bed_init(&bed);

    Guest *vm = start(&bed, "vm1", 1, 2, DEDICATED);

    settle(&bed);
    g_assert_true(vq_manager_set_managed(bed.manager, "vm1", false, &error));
    settle(&bed);
    g_assert_cmpstr(pin_of(vm, "iothread", 1), ==, ALL);
    g_assert_cmpstr(pin_of(vm, "vcpu", 0), ==, ALL);
    g_assert_cmpstr(pin_of(vm, "emulator", 0), ==, ALL);
    g_assert_true(g_str_has_prefix(g_hash_table_lookup(vm->polls, "2"), "<poll max='32768'"));
    restart(&bed, false);
    g_assert_cmpuint(one_round(&bed), ==, 0);
    g_assert_true(vq_manager_set_managed(bed.manager, "vm1", true, &error));
    settle(&bed);
    g_assert_cmpstr(pin_of(vm, "iothread", 1), !=, ALL);
    g_assert_false(vq_manager_set_managed(bed.manager, "nobody", true, &error));
    g_assert_error(error, VQ_ERROR, VQ_ERROR_NOT_FOUND);
}

/* The connection breaks at the @calls-th change, and the daemon is killed before it can look. */
static void
lose_at(int calls)
{
    g_auto(Bed) bed;

    bed_init(&bed);

    Guest *vm = start(&bed, "vm1", 1, 4, DEDICATED);

    bed.fake.fail_after = calls;
    one_round(&bed);
    restart(&bed, false);
    bed.fake.fail_after = -1;
    settle(&bed);
    g_assert_cmpuint(g_hash_table_size(vm->polls), ==, 4);
    g_assert_cmpstr(pin_of(vm, "vcpu", 0), ==, pin_of(vm, "vcpu", 1));

    g_autoptr(VqPlan) plan = vq_manager_compute(bed.manager);

    for (guint i = 0; i < plan->placements->len; i++)
        g_assert_false(((VqPlaced *)g_ptr_array_index(plan->placements, i))->held);
    g_assert_true(vq_manager_set_managed(bed.manager, "vm1", false, NULL));
    settle(&bed);
    g_assert_cmpstr(pin_of(vm, "vcpu", 0), ==, ALL);
    g_assert_cmpstr(pin_of(vm, "iothread", 1), ==, ALL);
}

static void
test_lost_in_mid_apply(void)
{
    for (int calls = 0; calls < 8; calls++)
        lose_at(calls);
}

static void
test_domain_gone(void)
{
    g_auto(Bed) bed;

    bed_init(&bed);
    start(&bed, "vm1", 1, 2, DEDICATED);

    Guest *vm2 = start(&bed, "vm2", 2, 2, DEDICATED);

    {
        g_autoptr(VqObservation) observation = fake_observe(&bed.fake, bed.now);
        g_autoptr(VqPlan) plan = NULL;
        g_autoptr(GPtrArray) actions = NULL;

        vq_manager_see(bed.manager, observation, bed.now);
        plan = vq_manager_compute(bed.manager);
        actions = vq_manager_actions(bed.manager, plan);
        destroy(&bed, vm2); /* between event and pin */
        vq_manager_intend(bed.manager, actions);
        fake_apply(&bed.fake, actions);
        vq_manager_applied(bed.manager, actions);
        g_assert_cmpuint(g_hash_table_size(bed.manager->failures), ==, 0);
    }
    settle(&bed);
    g_assert_cmpuint(bed.manager->guests->len, ==, 1);
    g_assert_cmpuint(g_hash_table_size(bed.manager->records->records), ==, 1);
}

static void
test_shield_follows(void)
{
    g_auto(Bed) bed;

    bed_init(&bed);

    Guest *shared = start(&bed, "vm1", 1, 2, "placement='shared'");

    settle(&bed);
    g_assert_null(pin_of(shared, "vcpu", 0));

    Guest *dedicated = start(&bed, "vm2", 2, 2, DEDICATED);

    settle(&bed);
    g_assert_nonnull(pin_of(shared, "vcpu", 0));
    g_assert_cmpstr(pin_of(shared, "vcpu", 0), !=, ALL);
    destroy(&bed, dedicated);
    settle(&bed);
    g_assert_cmpstr(pin_of(shared, "vcpu", 0), ==, ALL);
    g_assert_cmpstr(pin_of(shared, "emulator", 0), ==, ALL);
}

static bool
admit(Bed *bed, const char *name, unsigned queues, const char *policy, GVariant **pins,
      GError **error)
{
    Guest guest = {.name = name, .id = -1, .queues = queues, .policy = policy};
    g_autoptr(GVariant) notes = NULL;

    guest.pins = g_hash_table_new(g_str_hash, g_str_equal);
    guest.polls = g_hash_table_new(g_str_hash, g_str_equal);

    g_autofree char *xml = xml_of(&guest);
    bool ok = vq_manager_admit(bed->manager, xml, bed->now, pins, &notes, error);

    g_hash_table_unref(guest.pins);
    g_hash_table_unref(guest.polls);
    return ok;
}

static void
test_admit(void)
{
    g_auto(Bed) bed;
    g_autoptr(GVariant) pins = NULL, more = NULL, third = NULL;
    g_autoptr(GError) error = NULL;

    bed_init(&bed);
    g_assert_false(admit(&bed, "vm1", 4, DEDICATED " required='yes'", &pins, &error));
    g_assert_error(error, VQ_ERROR, VQ_ERROR_UNAVAILABLE);
    g_clear_error(&error);
    one_round(&bed);
    g_assert_true(admit(&bed, "vm1", 4, DEDICATED " required='yes'", &pins, &error));
    g_assert_cmpuint(g_variant_n_children(pins), ==, 4);
    /* 8 cores: 4 are reserved, 5 more cannot be had */
    g_assert_false(admit(&bed, "vm2", 5, DEDICATED " required='yes'", &more, &error));
    g_assert_error(error, VQ_ERROR, VQ_ERROR_REFUSED);
    g_clear_error(&error);
    vq_manager_withdraw(bed.manager, "vm1");
    g_assert_true(admit(&bed, "vm2", 5, DEDICATED " required='yes'", &more, &error));
    bed.now += 31 * G_USEC_PER_SEC;
    g_assert_true(admit(&bed, "vm3", 8, DEDICATED " required='yes'", &third, &error));
}

/* The starter applied the promise; the daemon, killed meanwhile, knows the pins as its own. */
static void
test_promise(void)
{
    g_auto(Bed) bed;
    g_autoptr(GVariant) pins = NULL;
    g_autoptr(GError) error = NULL;
    GVariantIter iter;
    const char *cpus;
    guint32 id;

    bed_init(&bed);
    one_round(&bed);
    g_assert_true(admit(&bed, "vm1", 2, DEDICATED, &pins, &error));
    restart(&bed, false);

    Guest *vm = start(&bed, "vm1", 7, 2, DEDICATED);

    g_variant_iter_init(&iter, pins);
    while (g_variant_iter_next(&iter, "(u&s)", &id, &cpus))
        set_pin(vm, "iothread", id, cpus);
    one_round(&bed);

    g_autoptr(VqPlan) plan = vq_manager_compute(bed.manager);

    for (guint i = 0; i < plan->placements->len; i++) {
        const VqPlaced *p = g_ptr_array_index(plan->placements, i);

        g_assert_false(p->held);
        g_assert_cmpint(p->class, ==, VQ_PLACEMENT_DEDICATED);
    }
    g_assert_cmpuint(bed.manager->reservations->len, ==, 0);
}

static void
test_drain(void)
{
    g_auto(Bed) bed;
    g_autoptr(GError) error = NULL;
    g_autoptr(VqCpuset) some = vq_cpuset_parse("16-23", NULL);
    g_autoptr(VqCpuset) alien = vq_cpuset_parse("99", NULL);

    bed_init(&bed);

    Guest *vm = start(&bed, "vm1", 1, 4, DEDICATED);

    settle(&bed);
    g_assert_true(vq_manager_drain(bed.manager, some, &error));
    settle(&bed);
    for (unsigned i = 1; i <= 4; i++) {
        g_autoptr(VqCpuset) pin = vq_cpuset_parse(pin_of(vm, "iothread", i), NULL);

        g_assert_false(vq_cpuset_intersects(pin, some));
    }
    g_assert_false(vq_manager_drain(bed.manager, alien, &error));
    g_assert_error(error, VQ_ERROR, VQ_ERROR_INVALID);
    restart(&bed, false);
    g_assert_true(vq_cpuset_equal(bed.manager->records->drained, some));
}

static void
test_records_damaged(void)
{
    static const char *const bad[] = {"", "(", "(uint32 1, 'b', '', [], [])x", "@a(s) []",
                                      "(uint32 9, 'b', '', @a(ss) [], "
                                      "@a(ssia(uussss)a(utuutuu)) [])"};

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(vq_records_parse(bad[i], "b", &error));
        g_assert_nonnull(error);
    }
}

static void
test_another_boot(void)
{
    g_auto(Bed) bed;
    g_autoptr(GError) error = NULL;

    bed_init(&bed);
    start(&bed, "vm1", 1, 2, DEDICATED);
    settle(&bed);
    g_assert_true(vq_manager_set_managed(bed.manager, "vm1", false, &error));

    g_autofree char *text = vq_records_format(bed.manager->records, "boot");
    g_autoptr(VqRecords) records = vq_records_parse(text, "next boot", &error);

    g_assert_cmpuint(g_hash_table_size(records->records), ==, 0);
    g_assert_cmpuint(g_hash_table_size(records->off), ==, 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/manager/dedicated", test_dedicated);
    g_test_add_func("/manager/restart", test_restart_changes_nothing);
    g_test_add_func("/manager/hand", test_hand);
    g_test_add_func("/manager/off-and-on", test_off_and_on);
    g_test_add_func("/manager/lost-in-mid-apply", test_lost_in_mid_apply);
    g_test_add_func("/manager/domain-gone", test_domain_gone);
    g_test_add_func("/manager/shield", test_shield_follows);
    g_test_add_func("/manager/admit", test_admit);
    g_test_add_func("/manager/promise", test_promise);
    g_test_add_func("/manager/drain", test_drain);
    g_test_add_func("/manager/records-damaged", test_records_damaged);
    g_test_add_func("/manager/another-boot", test_another_boot);
    return g_test_run();
}
