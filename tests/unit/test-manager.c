/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon does in its rounds; the fake libvirt and the machine are support/rounds.c. */
#include "base/error.h"
#include "support/rounds.h"

#define DEDICATED "placement='dedicated' polling='dedicated'"

static void
test_dedicated(void)
{
    g_auto(Rounds) bed;

    rounds_init(&bed);

    RoundsGuest *vm = rounds_start(&bed, "vm1", 1, 4, DEDICATED);

    rounds_one(&bed);
    /* pinned in the first round, polling only once the pin is seen */
    g_assert_nonnull(rounds_pin(vm, "iothread", 1));
    g_assert_cmpuint(g_hash_table_size(vm->polls), ==, 0);
    rounds_settle(&bed);
    g_assert_cmpuint(g_hash_table_size(vm->polls), ==, 4);

    g_autoptr(VqCpuset) cores = vq_cpuset_new();

    for (unsigned i = 1; i <= 4; i++) {
        g_autoptr(VqCpuset) pin = vq_cpuset_parse(rounds_pin(vm, "iothread", i), NULL);

        g_assert_cmpuint(vq_cpuset_count(pin), ==, 1);
        vq_cpuset_add(cores, vq_cpuset_next(pin, 0) / 2);
    }
    g_assert_cmpuint(vq_cpuset_count(cores), ==, 4);

    /* the shield leaves out whole cores, siblings too */
    g_autoptr(VqCpuset) shield = vq_cpuset_parse(rounds_pin(vm, "vcpu", 0), NULL);

    g_assert_cmpuint(vq_cpuset_count(shield), ==, 32 - 8);
    g_assert_cmpstr(rounds_pin(vm, "emulator", 0), ==, rounds_pin(vm, "vcpu", 1));
}

static void
test_restart_changes_nothing(void)
{
    g_auto(Rounds) bed;

    rounds_init(&bed);
    rounds_start(&bed, "vm1", 1, 4, DEDICATED);
    rounds_start(&bed, "vm2", 2, 3, "placement='shared'");
    rounds_settle(&bed);
    rounds_restart(&bed, false);
    g_assert_cmpuint(rounds_one(&bed), ==, 0);
    /* without the records the pins count as somebody's: nothing is moved either */
    rounds_restart(&bed, true);
    rounds_one(&bed);
    g_assert_cmpuint(rounds_one(&bed), ==, 0);
}

static void
test_hand(void)
{
    g_auto(Rounds) bed;

    rounds_init(&bed);

    RoundsGuest *vm = rounds_start(&bed, "vm1", 1, 2, DEDICATED);

    rounds_settle(&bed);
    rounds_set_pin(vm, "iothread", 1, "3");
    rounds_settle(&bed);
    g_assert_cmpstr(rounds_pin(vm, "iothread", 1), ==, "3");
    /* what polled on a core of its own does so no more */
    g_assert_true(g_str_has_prefix(g_hash_table_lookup(vm->polls, "1"), "<poll max='32768'"));
    rounds_restart(&bed, false);
    rounds_settle(&bed);
    g_assert_cmpstr(rounds_pin(vm, "iothread", 1), ==, "3");
    rounds_set_pin(vm, "iothread", 1, ALL);
    rounds_settle(&bed);
    g_assert_cmpstr(rounds_pin(vm, "iothread", 1), !=, ALL);
    /* and a vCPU pinned by its owner is never touched */
    rounds_set_pin(vm, "vcpu", 0, "1-2");
    rounds_settle(&bed);
    g_assert_cmpstr(rounds_pin(vm, "vcpu", 0), ==, "1-2");
}

static void
test_off_and_on(void)
{
    g_auto(Rounds) bed;
    g_autoptr(GError) error = NULL;

    rounds_init(&bed);

    RoundsGuest *vm = rounds_start(&bed, "vm1", 1, 2, DEDICATED);

    rounds_settle(&bed);
    g_assert_true(vq_manager_set_managed(bed.manager, "vm1", false, &error));
    rounds_settle(&bed);
    g_assert_cmpstr(rounds_pin(vm, "iothread", 1), ==, ALL);
    g_assert_cmpstr(rounds_pin(vm, "vcpu", 0), ==, ALL);
    g_assert_cmpstr(rounds_pin(vm, "emulator", 0), ==, ALL);
    g_assert_true(g_str_has_prefix(g_hash_table_lookup(vm->polls, "2"), "<poll max='32768'"));
    rounds_restart(&bed, false);
    g_assert_cmpuint(rounds_one(&bed), ==, 0);
    g_assert_true(vq_manager_set_managed(bed.manager, "vm1", true, &error));
    rounds_settle(&bed);
    g_assert_cmpstr(rounds_pin(vm, "iothread", 1), !=, ALL);
    g_assert_false(vq_manager_set_managed(bed.manager, "nobody", true, &error));
    g_assert_error(error, VQ_ERROR, VQ_ERROR_NOT_FOUND);
}

/* The connection breaks at the @calls-th change, and the daemon is killed before it can look. */
static void
lose_at(int calls)
{
    g_auto(Rounds) bed;

    rounds_init(&bed);

    RoundsGuest *vm = rounds_start(&bed, "vm1", 1, 4, DEDICATED);

    bed.fake.fail_after = calls;
    rounds_one(&bed);
    rounds_restart(&bed, false);
    bed.fake.fail_after = -1;
    rounds_settle(&bed);
    g_assert_cmpuint(g_hash_table_size(vm->polls), ==, 4);
    g_assert_cmpstr(rounds_pin(vm, "vcpu", 0), ==, rounds_pin(vm, "vcpu", 1));

    g_autoptr(VqPlan) plan = vq_manager_compute(bed.manager);

    for (guint i = 0; i < plan->placements->len; i++)
        g_assert_false(((VqPlaced *)g_ptr_array_index(plan->placements, i))->held);
    g_assert_true(vq_manager_set_managed(bed.manager, "vm1", false, NULL));
    rounds_settle(&bed);
    g_assert_cmpstr(rounds_pin(vm, "vcpu", 0), ==, ALL);
    g_assert_cmpstr(rounds_pin(vm, "iothread", 1), ==, ALL);
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
    g_auto(Rounds) bed;

    rounds_init(&bed);
    rounds_start(&bed, "vm1", 1, 2, DEDICATED);

    RoundsGuest *vm2 = rounds_start(&bed, "vm2", 2, 2, DEDICATED);

    {
        g_autoptr(VqObservation) observation = rounds_observe(&bed.fake, bed.now);
        g_autoptr(VqPlan) plan = NULL;
        g_autoptr(GPtrArray) actions = NULL;

        vq_manager_see(bed.manager, observation, bed.now);
        plan = vq_manager_compute(bed.manager);
        actions = vq_manager_actions(bed.manager, plan);
        rounds_destroy(&bed, vm2); /* between event and pin */
        vq_manager_intend(bed.manager, actions);
        rounds_apply(&bed.fake, actions);
        vq_manager_applied(bed.manager, actions);
        g_assert_cmpuint(g_hash_table_size(bed.manager->failures), ==, 0);
    }
    rounds_settle(&bed);
    g_assert_cmpuint(bed.manager->guests->len, ==, 1);
    g_assert_cmpuint(g_hash_table_size(bed.manager->records->records), ==, 1);
}

/* What was not read this time is as it was, in its place in the order of starts. */
static void
test_kept(void)
{
    g_auto(Rounds) bed;

    rounds_init(&bed);
    rounds_start(&bed, "vm1", 1, 2, DEDICATED);
    rounds_start(&bed, "vm2", 2, 2, DEDICATED);
    rounds_settle(&bed);
    rounds_start(&bed, "vm3", 3, 2, DEDICATED);

    g_autoptr(VqObservation) observation = rounds_observe(&bed.fake, bed.now);
    g_autofree char *uuid = NULL;

    for (int i = 1; i >= 0; i--) {
        VqSeen *seen = g_ptr_array_index(observation->domains, i);

        /* vm1 is kept, of vm2 another start is said to run */
        g_ptr_array_add(observation->kept,
                        vq_kept_new(seen->domain->uuid, i == 0 ? seen->domain->id : 9));
        uuid = (g_free(uuid), g_strdup(seen->domain->uuid));
        g_ptr_array_remove_index(observation->domains, i);
    }
    vq_manager_see(bed.manager, observation, bed.now);
    g_assert_cmpuint(bed.manager->guests->len, ==, 2);
    g_assert_true(vq_manager_find(bed.manager, uuid) == bed.manager->guests->pdata[0]);
    g_assert_true(vq_manager_find(bed.manager, "vm3") == bed.manager->guests->pdata[1]);
}

static void
test_shield_follows(void)
{
    g_auto(Rounds) bed;

    rounds_init(&bed);

    RoundsGuest *shared = rounds_start(&bed, "vm1", 1, 2, "placement='shared'");

    rounds_settle(&bed);
    g_assert_null(rounds_pin(shared, "vcpu", 0));

    RoundsGuest *dedicated = rounds_start(&bed, "vm2", 2, 2, DEDICATED);

    rounds_settle(&bed);
    g_assert_nonnull(rounds_pin(shared, "vcpu", 0));
    g_assert_cmpstr(rounds_pin(shared, "vcpu", 0), !=, ALL);
    rounds_destroy(&bed, dedicated);
    rounds_settle(&bed);
    g_assert_cmpstr(rounds_pin(shared, "vcpu", 0), ==, ALL);
    g_assert_cmpstr(rounds_pin(shared, "emulator", 0), ==, ALL);
}

static bool
admit(Rounds *bed, const char *name, unsigned queues, const char *policy, GVariant **pins,
      GError **error)
{
    RoundsGuest guest = {.name = name, .id = -1, .queues = queues, .policy = policy};
    g_autoptr(GVariant) notes = NULL;

    guest.pins = g_hash_table_new(g_str_hash, g_str_equal);
    guest.polls = g_hash_table_new(g_str_hash, g_str_equal);

    g_autofree char *xml = rounds_xml(&guest);
    g_autoptr(GHashTable) nodes = g_hash_table_new(g_str_hash, g_str_equal);
    bool ok = vq_manager_admit(bed->manager, xml, nodes, bed->now, pins, &notes, error);

    g_hash_table_unref(guest.pins);
    g_hash_table_unref(guest.polls);
    return ok;
}

static void
test_admit(void)
{
    g_auto(Rounds) bed;
    g_autoptr(GVariant) pins = NULL, more = NULL, third = NULL;
    g_autoptr(GError) error = NULL;

    rounds_init(&bed);
    g_assert_false(admit(&bed, "vm1", 4, DEDICATED " required='yes'", &pins, &error));
    g_assert_error(error, VQ_ERROR, VQ_ERROR_UNAVAILABLE);
    g_clear_error(&error);
    rounds_one(&bed);
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
    g_auto(Rounds) bed;
    g_autoptr(GVariant) pins = NULL;
    g_autoptr(GError) error = NULL;
    GVariantIter iter;
    const char *cpus;
    guint32 id;

    rounds_init(&bed);
    rounds_one(&bed);
    g_assert_true(admit(&bed, "vm1", 2, DEDICATED, &pins, &error));
    rounds_restart(&bed, false);

    RoundsGuest *vm = rounds_start(&bed, "vm1", 7, 2, DEDICATED);

    g_variant_iter_init(&iter, pins);
    while (g_variant_iter_next(&iter, "(u&s)", &id, &cpus))
        rounds_set_pin(vm, "iothread", id, cpus);
    rounds_one(&bed);

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
    g_auto(Rounds) bed;
    g_autoptr(GError) error = NULL;
    g_autoptr(VqCpuset) some = vq_cpuset_parse("16-23", NULL);
    g_autoptr(VqCpuset) alien = vq_cpuset_parse("99", NULL);

    rounds_init(&bed);

    RoundsGuest *vm = rounds_start(&bed, "vm1", 1, 4, DEDICATED);

    rounds_settle(&bed);
    g_assert_true(vq_manager_drain(bed.manager, some, &error));
    rounds_settle(&bed);
    for (unsigned i = 1; i <= 4; i++) {
        g_autoptr(VqCpuset) pin = vq_cpuset_parse(rounds_pin(vm, "iothread", i), NULL);

        g_assert_false(vq_cpuset_intersects(pin, some));
    }
    g_assert_false(vq_manager_drain(bed.manager, alien, &error));
    g_assert_error(error, VQ_ERROR, VQ_ERROR_INVALID);
    rounds_restart(&bed, false);
    g_assert_true(vq_cpuset_equal(bed.manager->records->drained, some));
}

static bool
anywhere_in(const RoundsGuest *vm, const char *cpus)
{
    g_autoptr(VqCpuset) set = vq_cpuset_parse(cpus, NULL);

    for (unsigned i = 1; i <= vm->queues; i++) {
        g_autoptr(VqCpuset) pin = vq_cpuset_parse(rounds_pin(vm, "iothread", i), NULL);

        if (vq_cpuset_intersects(pin, set))
            return true;
    }
    return false;
}

/* The degraded text of the domain's first thread, or NULL. */
static char *
degraded(const Rounds *bed, const char *domain)
{
    g_autoptr(VqPlan) plan = vq_manager_compute(bed->manager);

    return g_strdup(vq_plan_find(plan, domain, NULL, 1)->degraded);
}

/* Threads leave CPUs that go offline at once, promises hold while there is room, and come back. */
static void
test_hotplug(void)
{
    g_auto(Rounds) bed;
    g_autofree char *first = NULL, *said = NULL, *after = NULL;

    rounds_init(&bed);

    RoundsGuest *dedicated = rounds_start(&bed, "vm1", 1, 4, DEDICATED);
    RoundsGuest *shared = rounds_start(&bed, "vm2", 2, 4, "placement='shared'");

    rounds_settle(&bed);
    /* half of the pool goes, and one sibling: 4 cores are left, the shared threads keep one */
    rounds_offline(&bed, "16-23,31");
    rounds_settle(&bed);
    g_assert_false(anywhere_in(dedicated, "16-23,31"));
    g_assert_false(anywhere_in(shared, "16-23,31"));
    first = degraded(&bed, "vm1");
    g_assert_nonnull(first);
    /* all of it: on the host's other CPUs, and said */
    rounds_offline(&bed, "16-31");
    rounds_settle(&bed);
    g_assert_false(anywhere_in(dedicated, "16-31"));
    said = degraded(&bed, "vm2");
    g_assert_nonnull(said);
    g_assert_nonnull(strstr(bed.manager->pool->reason, "without 16-31, offline"));
    rounds_restart(&bed, false);
    rounds_settle(&bed);
    rounds_offline(&bed, "");
    rounds_settle(&bed);
    g_assert_false(anywhere_in(dedicated, "0-15"));
    g_assert_false(anywhere_in(shared, "0-15"));
    after = degraded(&bed, "vm1");
    g_assert_null(after);
    g_assert_cmpuint(g_hash_table_size(dedicated->polls), ==, 4);
}

static void
test_pool_change(void)
{
    g_auto(Rounds) bed;
    g_autoptr(GError) error = NULL;
    VqConfig other, wrong;

    rounds_init(&bed);

    RoundsGuest *vm = rounds_start(&bed, "vm1", 1, 4, DEDICATED);

    rounds_settle(&bed);
    other = wrong = bed.config;
    other.pool_cpus = vq_cpuset_parse("4-11", NULL);
    wrong.pool_cpus = vq_cpuset_parse("4-11,99", NULL);
    g_assert_true(vq_manager_configure(bed.manager, &other, NULL, &error));
    rounds_settle(&bed);
    g_assert_false(anywhere_in(vm, "0-3,12-31"));
    g_assert_false(vq_manager_configure(bed.manager, &wrong, NULL, &error));
    g_assert_error(error, VQ_ERROR, VQ_ERROR_INVALID);
    g_assert_cmpuint(rounds_one(&bed), ==, 0);
    g_assert_true(vq_manager_configure(bed.manager, &bed.config, NULL, NULL));
    rounds_settle(&bed);
    g_assert_false(anywhere_in(vm, "0-15"));
    vq_cpuset_free(other.pool_cpus);
    vq_cpuset_free(wrong.pool_cpus);
}

static void
test_records_damaged(void)
{
    static const char *const bad[] = {"", "(", "(uint32 1, 'b', '', [], [])x", "@a(s) []",
                                      ("(uint32 9, 'b', '', @a(ss) [], "
                                       "@a(ssia(uussss)a(utuutuu)) [])")};

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(vq_records_parse(bad[i], "b", &error));
        g_assert_nonnull(error);
    }
}

/* Names are libvirt's: almost anything. */
static void
test_records_names(void)
{
    static const char *const names[] = {
        "plain", "it's", "back\\slash", "tab\tand\nline", "zwölf", "\"both' kinds\"", ""};
    g_autoptr(VqRecords) records = vq_records_new();

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *uuid = g_strdup_printf("u-%u", i);
        VqRecord *record = vq_records_get(records, uuid, names[i], (int)i - 1);

        vq_record_add_poll(record, 3, (VqPollValues){.max_ns = G_MAXUINT64, .grow = G_MAXUINT});
        vq_pin_record_add_pending(vq_record_add_pin(record, VQ_TARGET_VCPU, 7, "0-3"), "1");
        g_hash_table_insert(records->off, g_strdup(uuid), g_strdup(names[i]));
    }

    g_autofree char *text = vq_records_format(records, "boot");
    g_autoptr(GError) error = NULL;
    g_autoptr(VqRecords) again = vq_records_parse(text, "boot", &error);

    g_assert_no_error(error);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *uuid = g_strdup_printf("u-%u", i);
        const VqRecord *record = vq_records_find(again, uuid, (int)i - 1);

        g_assert_cmpstr(record->name, ==, names[i]);
        g_assert_cmpstr(g_hash_table_lookup(again->off, uuid), ==, names[i]);
        g_assert_cmpuint(vq_record_poll(record, 3)->original.max_ns, ==, G_MAXUINT64);
        g_assert_cmpstr(vq_record_pin(record, VQ_TARGET_VCPU, 7)->pending, ==, "1");
    }
}

static void
test_another_boot(void)
{
    g_auto(Rounds) bed;
    g_autoptr(GError) error = NULL;

    rounds_init(&bed);
    rounds_start(&bed, "vm1", 1, 2, DEDICATED);
    rounds_settle(&bed);
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
    g_test_add_func("/manager/kept", test_kept);
    g_test_add_func("/manager/shield", test_shield_follows);
    g_test_add_func("/manager/admit", test_admit);
    g_test_add_func("/manager/promise", test_promise);
    g_test_add_func("/manager/drain", test_drain);
    g_test_add_func("/manager/hotplug", test_hotplug);
    g_test_add_func("/manager/pool-change", test_pool_change);
    g_test_add_func("/manager/records-damaged", test_records_damaged);
    g_test_add_func("/manager/records-names", test_records_names);
    g_test_add_func("/manager/another-boot", test_another_boot);
    return g_test_run();
}
