/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Thousands of seeded random steps: domains come, load and go, the daemon is killed, its
 * connection breaks in mid-work, its records get lost, CPUs go offline, are drained, the pool is
 * changed, administrators pin by hand. Every round's plan passes the invariant checker (in
 * rounds_one()); when things are left to settle, what is really set is what is planned, and
 * nothing is left over. With -m slow ten times as long, with --verbose step by step.
 */
#include "base/error.h"
#include "core/policy.h"
#include "support/rounds.h"

#include <string.h>

#define VMS   10
#define STEPS 600
#define RUNS  15
/* Rounds in which everything must come to rest, whatever happened before. */
#define SETTLE_MAX 40

typedef struct {
    Rounds bed;
    GRand *random;
    RoundsGuest *vms[VMS];
    GHashTable *hands; /* "vm3 2": pinned by hand */
    GHashTable *off;   /* "vm3": handed back */
    int next_id;
} Chaos;

static const char *const names[VMS] = {"vm0", "vm1", "vm2", "vm3", "vm4",
                                       "vm5", "vm6", "vm7", "vm8", "vm9"};
static const char *const policies[] = {"placement='dedicated' polling='dedicated'",
                                       "placement='dedicated'",
                                       "placement='dedicated' polling='dedicated' required='yes'",
                                       "placement='shared'",
                                       "placement='shared' weight='500'",
                                       "placement='none'"};
static const char *const sets[] = {"", "16-19", "16-23", "0-3,17", "20-27", "31", "24-31"};

static int
draw(Chaos *c, int n)
{
    return g_rand_int_range(c->random, 0, n);
}

static void
forget(Chaos *c, const char *name)
{
    for (unsigned i = 1; i <= 8; i++) {
        g_autofree char *key = g_strdup_printf("%s %u", name, i);

        g_hash_table_remove(c->hands, key);
    }
}

static void
come(Chaos *c)
{
    int i = draw(c, VMS);

    if (c->vms[i])
        return;
    c->vms[i] = rounds_start(&c->bed, names[i], ++c->next_id, 1 + draw(c, 6),
                             policies[draw(c, G_N_ELEMENTS(policies))]);
    c->vms[i]->busy = draw(c, 3) * 0.2;
}

static void
leave(Chaos *c)
{
    int i = draw(c, VMS);

    if (!c->vms[i])
        return;
    forget(c, names[i]);
    rounds_destroy(&c->bed, c->vms[i]);
    c->vms[i] = NULL;
}

static void
load(Chaos *c)
{
    int i = draw(c, VMS);

    if (c->vms[i])
        c->vms[i]->busy = draw(c, 10) * 0.1;
}

static void
kill_daemon(Chaos *c)
{
    rounds_restart(&c->bed, false);
    rounds_one(&c->bed);
}

/* The connection breaks in the middle of a round's work, and the daemon dies of it or not. */
static void
break_off(Chaos *c)
{
    c->bed.fake.fail_after = draw(c, 12);
    rounds_one(&c->bed);
    c->bed.fake.fail_after = -1;
    if (draw(c, 2))
        kill_daemon(c);
}

static void
offline(Chaos *c)
{
    rounds_offline(&c->bed, sets[draw(c, G_N_ELEMENTS(sets))]);
}

static void
drain(Chaos *c)
{
    g_autoptr(VqCpuset) set = vq_cpuset_parse(sets[draw(c, G_N_ELEMENTS(sets))], NULL);

    g_assert_true(vq_manager_drain(c->bed.manager, vq_cpuset_empty(set) ? NULL : set, NULL));
}

static void
reload(Chaos *c)
{
    static const char *const pools[] = {POOL, "8-15", "4-31", "30-31", "2,4,6"};
    g_autoptr(GError) error = NULL;

    vq_cpuset_free(c->bed.config.pool_cpus);
    c->bed.config.pool_cpus = vq_cpuset_parse(pools[draw(c, G_N_ELEMENTS(pools))], NULL);
    vq_manager_configure(c->bed.manager, &c->bed.config, NULL, &error);
    g_assert_no_error(error);
}

static void
pin_by_hand(Chaos *c)
{
    int i = draw(c, VMS);

    if (!c->vms[i] || g_hash_table_contains(c->off, names[i]))
        return;

    unsigned thread = 1 + draw(c, c->vms[i]->queues);
    char *key = g_strdup_printf("%s %u", names[i], thread);

    if (g_hash_table_remove(c->hands, key)) {
        rounds_set_pin(c->vms[i], "iothread", thread, ALL);
        g_free(key);
        return;
    }
    rounds_set_pin(c->vms[i], "iothread", thread, "1,3"); /* the daemon never does */
    g_hash_table_add(c->hands, key);
}

static void
off_and_on(Chaos *c)
{
    int i = draw(c, VMS);
    bool off = g_hash_table_contains(c->off, names[i]);

    if (!c->vms[i] || !vq_manager_find(c->bed.manager, names[i]))
        return;
    g_assert_true(vq_manager_set_managed(c->bed.manager, names[i], off, NULL));
    if (off) {
        g_hash_table_remove(c->off, names[i]);
        forget(c, names[i]); /* taken over */
    } else {
        g_hash_table_add(c->off, (gpointer)names[i]);
    }
}

/* Admitted; started by its starter with the promised pins, or not at all. */
static void
admit(Chaos *c)
{
    int i = draw(c, VMS);
    RoundsGuest *vm;
    g_autoptr(GVariant) pins = NULL, notes = NULL;
    g_autoptr(GHashTable) nodes = g_hash_table_new(g_str_hash, g_str_equal);

    if (c->vms[i])
        return;
    vm = rounds_start(&c->bed, names[i], -1, 1 + draw(c, 4), policies[draw(c, 4)]);

    g_autofree char *xml = rounds_xml(vm);

    if (!vq_manager_admit(c->bed.manager, xml, nodes, c->bed.now, &pins, &notes, NULL) ||
        draw(c, 4) == 0) {
        rounds_destroy(&c->bed, vm);
        return;
    }
    if (draw(c, 3) == 0)
        kill_daemon(c);
    vm->id = ++c->next_id;
    c->vms[i] = vm;

    GVariantIter iter;
    const char *cpus;
    guint32 id;

    g_variant_iter_init(&iter, pins);
    while (g_variant_iter_next(&iter, "(u&s)", &id, &cpus))
        rounds_set_pin(vm, "iothread", id, cpus);
}

/* What was set by the daemon that kept the records is now taken for somebody's hand; `virtq on`
 * of each domain takes it over. */
static void
lose_records(Chaos *c)
{
    rounds_restart(&c->bed, true);
    rounds_one(&c->bed);
    g_hash_table_remove_all(c->off);
    for (int i = 0; i < VMS; i++) {
        if (!c->vms[i])
            continue;
        forget(c, names[i]);
        vq_manager_set_managed(c->bed.manager, names[i], true, NULL);
    }
}

static void
settle(Rounds *bed)
{
    unsigned rounds = 0;

    while (rounds_one(bed) > 0)
        g_assert_cmpuint(++rounds, <, SETTLE_MAX);
}

static bool
polls_without_end(const RoundsGuest *vm, unsigned iothread)
{
    g_autofree char *key = g_strdup_printf("%u", iothread);
    const char *poll = g_hash_table_lookup(vm->polls, key);

    return poll && strstr(poll, "max='1000000000'");
}

/* A thread of a managed domain is where the plan says; it polls only on a core of its own. */
static void
check_thread(const Chaos *c, const VqPlan *plan, const RoundsGuest *vm, unsigned iothread)
{
    const VqPlaced *p = vq_plan_find(plan, vm->name, NULL, iothread);
    const char *pin = rounds_pin(vm, "iothread", iothread);
    g_autofree char *key = g_strdup_printf("%s %u", vm->name, iothread);

    if (p && !p->held)
        g_assert_cmpstr(pin, ==, p->cpus);
    if (p && g_hash_table_contains(c->hands, key))
        g_assert_true(p->held);
    if (polls_without_end(vm, iothread)) {
        g_assert_nonnull(p);
        g_assert_false(p->held);
        g_assert_cmpint(p->class, ==, VQ_PLACEMENT_DEDICATED);
        g_assert_cmpint(p->cpu, >=, 0);
    }
}

/* No record is left of a domain that is gone, or of one that was given back whole. */
static void
check_records(const Chaos *c)
{
    const VqManager *manager = c->bed.manager;
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, manager->records->records);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const VqRecord *record = value;
        const VqGuest *guest = vq_manager_find(manager, record->uuid);

        if (record->id < 0)
            continue; /* a promise whose time is not over */
        g_assert_nonnull(guest);
        g_assert_cmpint(guest->seen->domain->id, ==, record->id);
        if (guest->off) {
            g_assert_cmpuint(record->polls->len, ==, 0);
            for (guint i = 0; i < record->pins->len; i++)
                g_assert_cmpint(((VqPinRecord *)g_ptr_array_index(record->pins, i))->target, ==,
                                VQ_TARGET_IOTHREAD);
        }
    }
}

static void
check_rest(Chaos *c)
{
    g_autoptr(VqPlan) plan = NULL;

    settle(&c->bed);
    plan = vq_manager_compute(c->bed.manager);
    for (int i = 0; i < VMS; i++) {
        for (unsigned k = 1; c->vms[i] && k <= c->vms[i]->queues; k++)
            check_thread(c, plan, c->vms[i], k);
    }
    check_records(c);
    g_assert_cmpuint(g_hash_table_size(c->bed.manager->failures), ==, 0);
}

typedef struct {
    void (*call)(Chaos *chaos);
    int weight;
    const char *name; /* for --verbose */
} Step;

static const Step steps[] = {
    {come, 30, "come"},
    {leave, 18, "leave"},
    {load, 15, "load"},
    {kill_daemon, 10, "kill"},
    {break_off, 10, "break off"},
    {offline, 4, "offline"},
    {drain, 4, "drain"},
    {reload, 3, "reload"},
    {pin_by_hand, 5, "pin by hand"},
    {off_and_on, 5, "off and on"},
    {admit, 15, "admit"},
    {lose_records, 1, "lose records"},
};

static void
step(Chaos *c)
{
    int total = 0, at;

    for (guint i = 0; i < G_N_ELEMENTS(steps); i++)
        total += steps[i].weight;
    at = draw(c, total);
    for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
        if ((at -= steps[i].weight) < 0) {
            if (g_test_verbose())
                g_test_message("%s", steps[i].name);
            steps[i].call(c);
            return;
        }
    }
}

static void
chaos_init(Chaos *c, guint32 seed)
{
    *c = (Chaos){.random = g_rand_new_with_seed(seed)};
    c->hands = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    c->off = g_hash_table_new(g_str_hash, g_str_equal);
    rounds_init(&c->bed);
}

static void
chaos_clear(Chaos *c)
{
    rounds_clear(&c->bed);
    g_hash_table_unref(c->hands);
    g_hash_table_unref(c->off);
    g_rand_free(c->random);
}

static void
test_steps(gconstpointer data)
{
    Chaos c;

    chaos_init(&c, GPOINTER_TO_UINT(data));
    for (int i = 0; i < (g_test_slow() ? 10 * STEPS : STEPS); i++) {
        step(&c);
        rounds_one(&c.bed);
        if (i % 10 == 9)
            check_rest(&c);
    }
    chaos_clear(&c);
}

/* All pins and polls of all domains, as text. */
static char *
picture(const Chaos *c)
{
    GString *out = g_string_new(NULL);

    for (int i = 0; i < VMS; i++) {
        const RoundsGuest *vm = c->vms[i];

        for (unsigned k = 1; vm && k <= vm->queues; k++)
            g_string_append_printf(out, "%s %u: %s%s\n", vm->name, k, rounds_pin(vm, "iothread", k),
                                   polls_without_end(vm, k) ? " polls" : "");
    }
    return g_string_free(out, FALSE);
}

/* What each domain was granted, and what was not, whichever of the equal cores it is on. */
static char *
granted(const Chaos *c)
{
    g_autoptr(VqPlan) plan = vq_manager_compute(c->bed.manager);
    GString *out = g_string_new(NULL);

    for (guint i = 0; i < plan->placements->len; i++) {
        const VqPlaced *p = g_ptr_array_index(plan->placements, i);

        g_string_append_printf(out, "%s %u: %s, %s\n", p->domain, p->iothread,
                               vq_enum_name(vq_placement_names, p->class), p->degraded);
    }
    return g_string_free(out, FALSE);
}

typedef struct {
    GRand *random; /* of the trouble alone: arrivals are the same with and without */
    bool kills, breaks;
} Trouble;

static bool
strikes(const Trouble *t)
{
    return g_rand_int_range(t->random, 0, 3) == 0;
}

static void
arrive_or_leave(Chaos *c)
{
    if (draw(c, 5) < 3)
        come(c);
    else
        leave(c);
    for (int k = 0; k < VMS; k++) {
        if (c->vms[k])
            c->vms[k]->busy = 0;
    }
}

/* Arrivals and departures, with or without (NULL) trouble: pins and grants at the end. */
static void
play(guint32 seed, const Trouble *trouble, char **pins, char **grants)
{
    Chaos c;

    chaos_init(&c, seed);
    for (int i = 0; i < 60; i++) {
        arrive_or_leave(&c);
        if (trouble && trouble->kills && strikes(trouble))
            rounds_restart(&c.bed, false);
        if (trouble && trouble->breaks && strikes(trouble))
            c.bed.fake.fail_after = g_rand_int_range(trouble->random, 0, 8);
        rounds_one(&c.bed);
        c.bed.fake.fail_after = -1;
        if (trouble && trouble->kills && strikes(trouble))
            rounds_restart(&c.bed, false);
        settle(&c.bed);
    }
    *pins = picture(&c);
    *grants = granted(&c);
    chaos_clear(&c);
}

/* Killed at any moment, the daemon ends in the placement of an undisturbed run, to the CPU. */
static void
test_kills(void)
{
    for (guint32 seed = 1; seed <= RUNS; seed++) {
        g_autofree char *pins = NULL, *grants = NULL, *quiet_pins = NULL, *quiet_grants = NULL;
        Trouble trouble = {g_rand_new_with_seed(seed + 1000), .kills = true};

        play(seed, NULL, &quiet_pins, &quiet_grants);
        play(seed, &trouble, &pins, &grants);
        g_assert_cmpstr(pins, ==, quiet_pins);
        g_assert_cmpstr(grants, ==, quiet_grants);
        g_rand_free(trouble.random);
    }
}

/*
 * A round that breaks off in its middle leaves another place to go on from, and of several equal
 * cores another one may then be near: the same is granted to everybody.
 */
static void
test_breaks(void)
{
    unsigned same = 0;

    for (guint32 seed = 1; seed <= RUNS; seed++) {
        g_autofree char *pins = NULL, *grants = NULL, *quiet_pins = NULL, *quiet_grants = NULL;
        Trouble trouble = {g_rand_new_with_seed(seed + 2000), .kills = true, .breaks = true};

        play(seed, NULL, &quiet_pins, &quiet_grants);
        play(seed, &trouble, &pins, &grants);
        g_assert_cmpstr(grants, ==, quiet_grants);
        same += g_str_equal(pins, quiet_pins);
        g_rand_free(trouble.random);
    }
    g_test_message("%u of %d runs ended on the same CPUs", same, RUNS);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint seed = 1; seed <= (g_test_slow() ? 40 : 4); seed++) {
        g_autofree char *path = g_strdup_printf("/chaos/steps-%u", seed);

        g_test_add_data_func(path, GUINT_TO_POINTER(seed), test_steps);
    }
    g_test_add_func("/chaos/kills", test_kills);
    g_test_add_func("/chaos/breaks", test_breaks);
    return g_test_run();
}
