/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plan's forms lead back to the same plan; and the invariant checker sees what is wrong. */
#include "support/machine.h"

#include "base/error.h"

#include <string.h>

/* Law: JSON -> plan -> JSON is the identity, for plans of all kinds. */
static void
test_round_trip(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(7);

    for (guint i = 0; i < 200; i++) {
        g_autoptr(TestCase) test = test_case_random(random);
        g_autoptr(VqPlan) plan = vq_placement_compute(&test->input);
        g_autoptr(GError) error = NULL;
        g_autofree char *json = vq_plan_to_json(plan);
        g_autoptr(VqPlan) again = vq_plan_from_json(json, -1, &error);

        g_assert_no_error(error);

        g_autofree char *second = vq_plan_to_json(again);

        g_assert_cmpstr(json, ==, second);
    }
}

static void
test_bad_json(void)
{
    static const struct {
        const char *json, *error;
    } cases[] = {
        {"", "not a JSON object"},
        {"[]", "not a JSON object"},
        {"{\"version\": 2}", "this release reads version 1"},
        {"{", "line 1:"},
        {"[[[[[[[[[[[[[[[[[[[[", "deeper than the limit of 16"},
        {"{\"version\": 1, \"placements\": 3}", "'placements' is not a list"},
        {"{\"version\": 1, \"placements\": [3]}", "placements[0] is not an object"},
        {"{\"version\": 1, \"placements\": [{}]}", "placements[0].domain: missing"},
        {"{\"version\": 1, \"placements\": [{\"domain\": 1}]}", "domain: not a text"},
        {"{\"version\": 1, \"placements\": [{\"domain\": \"a\", \"disk\": \"b\", \"cpu\": 99999}]}",
         "cpu: 99999 is not within -1..16383"},
        {"{\"version\": 1, \"placements\": [{\"domain\": \"a\", \"disk\": \"b\", \"load\": -1}]}",
         "load: -1 is not within 0..1e+06"},
        {"{\"version\": 1, \"placements\": [{\"domain\": \"a\", \"disk\": \"b\", \"cpus\": "
         "\"x\"}]}",
         "cpus"},
        {"{\"version\": 1, \"placements\": [{\"domain\": \"a\", \"disk\": \"b\", \"class\": "
         "\"c\"}]}",
         "class: 'c' is not dedicated, shared or none"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(VqPlan) plan = vq_plan_from_json(cases[i].json, -1, &error);

        g_assert_null(plan);
        if (!error || !strstr(error->message, cases[i].error))
            g_error("%s: wanted \"%s\", got \"%s\"", cases[i].json, cases[i].error,
                    error ? error->message : "(none)");
    }
}

/* A plan by hand: vm1's two dedicated threads on 4 and 5, vm2's shared one on 6. */
typedef struct {
    TestCase *test;
    VqPlan *plan;
} Hand;

static void
place_by_hand(Hand *hand, const char *domain, unsigned iothread, VqPlacement class, int cpu)
{
    VqPlaced *placed = vq_plan_add(hand->plan, domain, "vda", iothread);
    VqMove *move = vq_plan_add_move(hand->plan, domain, "vda", iothread);

    test_thread(hand->test->threads, domain, "vda", iothread, class, -1);
    placed->class = placed->wanted = class;
    placed->cpu = placed->core = move->to = cpu;
    g_free(placed->cpus);
    placed->cpus = g_strdup_printf("%d", cpu);
    placed->reason = g_strdup("by hand");
}

static Hand
hand_new(void)
{
    Hand hand = {g_new0(TestCase, 1), vq_plan_new()};

    hand.test->topology = test_machine(2, 1, 4, 2);
    hand.test->pool = vq_cpuset_parse("4-7,12-15", NULL);
    hand.test->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    hand.test->input = (VqPlacementInput){.topology = hand.test->topology,
                                          .pool = hand.test->pool,
                                          .threads = hand.test->threads,
                                          .params = vq_placement_defaults};
    place_by_hand(&hand, "vm1", 1, VQ_PLACEMENT_DEDICATED, 4);
    place_by_hand(&hand, "vm1", 2, VQ_PLACEMENT_DEDICATED, 5);
    place_by_hand(&hand, "vm2", 1, VQ_PLACEMENT_SHARED, 6);
    return hand;
}

static void
put_on(Hand *hand, guint index, int cpu, int core)
{
    VqPlaced *placed = g_ptr_array_index(hand->plan->placements, index);

    placed->cpu = ((VqMove *)g_ptr_array_index(hand->plan->moves, index))->to = cpu;
    placed->core = core;
    g_free(placed->cpus);
    placed->cpus = g_strdup_printf("%d", cpu);
}

static void
spoil_nothing(Hand *hand)
{
}

static void
spoil_same_core(Hand *hand)
{
    put_on(hand, 1, 4, 4);
}

static void
spoil_sibling(Hand *hand)
{
    put_on(hand, 2, 12, 4);
}

static void
spoil_outside(Hand *hand)
{
    put_on(hand, 2, 1, 1);
}

static void
spoil_missing(Hand *hand)
{
    g_ptr_array_remove_index(hand->plan->placements, 2);
}

static void
spoil_twice(Hand *hand)
{
    VqPlaced *placed = g_ptr_array_index(hand->plan->placements, 1);

    placed->iothread = 1;
}

static void
spoil_silence(Hand *hand)
{
    ((VqPlaced *)g_ptr_array_index(hand->plan->placements, 1))->class = VQ_PLACEMENT_SHARED;
}

static void
spoil_half(Hand *hand)
{
    spoil_silence(hand);
    ((VqPlaced *)g_ptr_array_index(hand->plan->placements, 1))->degraded = g_strdup("why not");
}

static void
spoil_required(Hand *hand)
{
    for (guint i = 0; i < 2; i++) {
        VqPlaced *placed = g_ptr_array_index(hand->plan->placements, i);

        placed->class = VQ_PLACEMENT_SHARED;
        placed->degraded = g_strdup("why not");
        ((VqThread *)g_ptr_array_index(hand->test->threads, i))->required = true;
    }
}

static void
spoil_refusal(Hand *hand)
{
    vq_plan_add_refused(hand->plan, "vm2", "vda", "no reason at all");
}

static void
spoil_moves(Hand *hand)
{
    g_ptr_array_remove_index(hand->plan->moves, 2);
}

/* vm1's threads exchange their cores, one straight onto the other. */
static void
spoil_order(Hand *hand)
{
    for (guint i = 0; i < 2; i++)
        vq_cpuset_add(((VqThread *)g_ptr_array_index(hand->test->threads, i))->current, 5 - i);
}

static void
test_checker(void)
{
    static const struct {
        void (*spoil)(Hand *hand);
        const char *error;
    } cases[] = {
        {spoil_nothing, NULL},
        {spoil_same_core, "core 4 is its own, but"},
        {spoil_sibling, "core 4 is its own, but"},
        {spoil_outside, "outside the pool"},
        {spoil_missing, "neither placed nor refused"},
        {spoil_twice, "placed twice"},
        {spoil_silence, "degraded without a word"},
        {spoil_half, "only some threads"},
        {spoil_required, "required, and admitted all the same"},
        {spoil_refusal, "placed although its domain is refused"},
        {spoil_moves, "the moves do not lead there"},
        {spoil_order, "meets vm1/vda IOThread 2 on core 4 on its way"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        Hand hand = hand_new();
        g_autoptr(GError) error = NULL;

        cases[i].spoil(&hand);

        bool ok = vq_plan_check(hand.plan, &hand.test->input, &error);

        g_assert_cmpint(ok, ==, !cases[i].error);
        if (error && !strstr(error->message, cases[i].error))
            g_error("wanted \"%s\", got \"%s\"", cases[i].error, error->message);
        test_case_free(hand.test);
        vq_plan_free(hand.plan);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/plan/round-trip", test_round_trip);
    g_test_add_func("/plan/bad-json", test_bad_json);
    g_test_add_func("/plan/checker", test_checker);
    return g_test_run();
}
