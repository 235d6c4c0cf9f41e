/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support/machine.h"

#include "core/simulate.h"

#include <string.h>

#define HOUR G_GINT64_CONSTANT(3600000)

typedef struct {
    VqTopology *topology;
    VqCpuset *pool;
    VqSimTrace *trace;
    VqSimInput input;
} World;

static VqSimTrace *
read_text(const char *text)
{
    g_autoptr(GError) error = NULL;
    VqSimTrace *trace = vq_sim_trace_read(text, strlen(text), NULL, &error);

    g_assert_no_error(error);
    return trace;
}

/* 2 packages of 8 cores; the last 4 of each are the pool. */
static void
world_init(World *w, VqSimTrace *trace)
{
    w->topology = test_machine(2, 1, 8, 1);
    w->pool = vq_cpuset_parse("4-7,12-15", NULL);
    w->trace = trace;
    w->input = (VqSimInput){.topology = w->topology,
                            .pool = w->pool,
                            .hosts = 1,
                            .load = vq_sim_load_defaults,
                            .params = vq_placement_defaults,
                            .seed = 1,
                            .step = 60000,
                            .end = 6 * HOUR,
                            .plan_time = -1};
}

static void
world_clear(World *w)
{
    vq_topology_free(w->topology);
    vq_cpuset_free(w->pool);
    vq_sim_trace_free(w->trace);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

static void
generate(World *w, guint64 seed, double vms)
{
    g_autoptr(GError) error = NULL;
    VqSimArrivals arrivals = vq_sim_arrivals_defaults;

    arrivals.seed = seed;
    arrivals.vms = vms;
    arrivals.end = 2 * HOUR;
    arrivals.lifetime_hours = 1;
    world_init(w, read_text(vq_sim_flavors_text));
    w->input.seed = seed;
    w->input.end = arrivals.end;
    vq_sim_generate(w->trace, &arrivals, &error);
    g_assert_no_error(error);
}

static VqSimResult *
run(const World *w, VqSimPolicy policy)
{
    g_autoptr(GError) error = NULL;
    VqSimResult *result = vq_sim_run(w->trace, &w->input, policy, &error);

    g_assert_no_error(error);
    return result;
}

static char *
text_of(const VqSimResult *result)
{
    g_autoptr(GVariant) data = g_variant_ref_sink(vq_sim_result_to_variant(result));

    return g_variant_print(data, TRUE);
}

static void
check_plan(const VqPlan *plan, const VqPlacementInput *input, gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    guint *plans = user_data;

    vq_plan_check(plan, input, &error);
    g_assert_no_error(error);
    ++*plans;
}

/* Every VM is admitted or refused, once; who is admitted leaves or is still there; shares are
 * shares; every plan keeps its promises. */
static void
check_result(const VqSimResult *r)
{
    const double shares[] = {r->load_p50, r->load_p90,   r->load_p99,   r->load_max,
                             r->idle,     r->over_limit, r->lost,       r->remote,
                             r->degraded, r->outside,    r->fragmented, r->vcpus_used};
    guint64 refused = 0;

    for (guint i = 0; i < VQ_SIM_REFUSALS; i++) {
        refused += r->refused[i];
        g_assert_true((r->refused[i] > 0) == (r->refusal[i] != NULL));
    }
    g_assert_cmpuint(r->arrived, ==, r->admitted + refused);
    g_assert_cmpuint(r->admitted, ==, r->departed + r->running);
    for (guint i = 0; i < G_N_ELEMENTS(shares); i++) {
        g_assert_cmpfloat(shares[i], >=, 0);
        g_assert_cmpfloat(shares[i], <=, 1 + 1e-9);
    }
    g_assert_cmpfloat(r->load_p50, <=, r->load_p90);
    g_assert_cmpfloat(r->load_p90, <=, r->load_p99);
    g_assert_cmpfloat(r->load_p99, <=, r->load_max);
}

static void
test_conservation(void)
{
    for (guint seed = 1; seed <= 4; seed++) {
        g_auto(World) w = {0};
        guint plans = 0;

        generate(&w, seed, 4.0 * seed);
        w.input.vcpu_ratio = seed % 2 ? 4 : 0;
        w.input.hosts = seed > 2 ? 3 : 1;
        w.input.weigher = seed > 3 ? VQ_SIM_PACK : VQ_SIM_SPREAD;
        w.input.watch = check_plan;
        w.input.watch_data = &plans;
        for (int policy = 0; policy < VQ_SIM_POLICIES; policy++) {
            g_autoptr(VqSimResult) result = run(&w, (VqSimPolicy)policy);

            check_result(result);
            g_assert_cmpuint(result->arrived, >, 5);
        }
        g_assert_cmpuint(plans, >, 100);
    }
}

static void
test_determinism(void)
{
    for (int policy = 0; policy < VQ_SIM_POLICIES; policy++) {
        g_auto(World) a = {0}, b = {0}, c = {0};

        generate(&a, 1, 12);
        generate(&b, 1, 12);
        generate(&c, 2, 12);

        g_autoptr(VqSimResult) first = run(&a, (VqSimPolicy)policy);
        g_autoptr(VqSimResult) same = run(&b, (VqSimPolicy)policy);
        g_autoptr(VqSimResult) other = run(&c, (VqSimPolicy)policy);
        g_autofree char *x = text_of(first), *y = text_of(same), *z = text_of(other);

        g_assert_cmpstr(x, ==, y);
        g_assert_cmpstr(x, !=, z);
    }
}

/* Written and read back, a generated trace plays the same. */
static void
test_round_trip(void)
{
    g_auto(World) a = {0}, b = {0};

    generate(&a, 3, 15);

    g_autofree char *text = vq_sim_trace_write(a.trace);

    world_init(&b, read_text(text));
    b.input.seed = 3;
    b.input.end = a.input.end;

    g_autofree char *again = vq_sim_trace_write(b.trace);
    g_autoptr(VqSimResult) first = run(&a, VQ_SIM_OURS), second = run(&b, VQ_SIM_OURS);
    g_autofree char *x = text_of(first), *y = text_of(second);

    g_assert_cmpstr(text, ==, again);
    g_assert_cmpstr(x, ==, y);
}

/* Nobody loads anything: nobody moves, nothing is over its limit, whatever the policy. */
static void
test_idle(void)
{
    for (int policy = 0; policy < VQ_SIM_ORACLE; policy++) {
        g_auto(World) w = {0};

        world_init(&w, read_text("flavor f\n"
                                 "disk f vda queues=4 load=0\n"
                                 "at 0 arrive a f\nat 600 arrive b f\nat 1h arrive c f\n"));

        g_autoptr(VqSimResult) result = run(&w, (VqSimPolicy)policy);

        g_assert_cmpuint(result->moves, ==, 0);
        g_assert_cmpfloat(result->load_max, ==, 0);
        g_assert_cmpfloat(result->idle, ==, 1);
        g_assert_cmpfloat(result->lost, ==, 0);
    }
}

/* Loads that a trace gives: 8 threads of 0.9 on 8 cores are all over the limit of 0.8, and lose
 * nothing; 16 of them lose (16 x 0.9 - 8) / (16 x 0.9). */
static void
test_given_loads(void)
{
    g_autoptr(GString) text = g_string_new("flavor f\ndisk f vda queues=8 load=0.5\n"
                                           "at 0 arrive a f\nat 0 load a/vda 0.9\n");

    for (guint twice = 0; twice < 2; twice++) {
        g_auto(World) w = {0};

        world_init(&w, read_text(text->str));

        g_autoptr(VqSimResult) none = run(&w, VQ_SIM_NONE);
        g_autoptr(VqSimResult) turn = run(&w, VQ_SIM_ROUND_ROBIN);

        g_assert_cmpfloat_with_epsilon(none->lost, twice ? 6.4 / 14.4 : 0, 1e-9);
        g_assert_cmpfloat_with_epsilon(turn->lost, twice ? 6.4 / 14.4 : 0, 1e-9);
        g_assert_cmpfloat_with_epsilon(turn->over_limit, 1, 1e-9);
        g_assert_cmpfloat_with_epsilon(turn->load_p50, twice ? 1 : 0.9, 1e-9);
        g_assert_cmpfloat_with_epsilon(none->cores_mean, 8, 1e-9);
        g_string_append(text, "at 0 arrive b f\nat 0 load b/vda 0.9\n");
    }
}

/* Required cores: 8 of the pool, one of them for the shared thread. */
static void
test_refused(void)
{
    for (int policy = 0; policy < VQ_SIM_POLICIES; policy++) {
        g_auto(World) w = {0};

        world_init(&w, read_text("flavor s\ndisk s vda\n"
                                 "flavor d\ndisk d vda queues=3 placement=dedicated required=yes\n"
                                 "at 0 arrive s s\nat 1 arrive d1 d\nat 2 arrive d2 d\n"
                                 "at 3 arrive d3 d\nat 1h depart d1\nat 2h arrive d4 d\n"));

        g_autoptr(VqSimResult) result = run(&w, (VqSimPolicy)policy);
        guint64 refused = policy == VQ_SIM_NONE ? 0 : 1;

        g_assert_cmpuint(result->refused[VQ_SIM_NO_CORES], ==, refused);
        g_assert_cmpuint(result->departed, ==, 1);
        g_assert_cmpfloat(result->degraded, ==, policy == VQ_SIM_NONE ? 1 : 0);
        check_result(result);
    }
}

/* A fleet of two with 8 vCPUs each; three VMs of 5. */
static void
test_fleet(void)
{
    g_auto(World) w = {0};

    world_init(&w, read_text("flavor f vcpus=5 memory=1G\ndisk f vda\n"
                             "at 0 arrive a f\nat 1 arrive b f\nat 2 arrive c f\n"
                             "at 1h depart a\nat 2h arrive d f\n"));
    w.input.hosts = 2;
    w.input.vcpu_ratio = 1;

    g_autoptr(VqSimResult) result = run(&w, VQ_SIM_OURS);

    g_assert_cmpuint(result->refused[VQ_SIM_NO_VCPUS], ==, 1);
    g_assert_cmpuint(result->running, ==, 2);
    g_assert_cmpuint(result->cores_max, ==, 1);
    w.input.vcpu_ratio = 0;
    w.input.memory = (guint64)2 << 30;
    w.input.weigher = VQ_SIM_PACK;

    g_autoptr(VqSimResult) packed = run(&w, VQ_SIM_OURS);

    g_assert_cmpuint(packed->admitted, ==, 4);
    w.input.memory = ((guint64)1 << 30) - 1;

    g_autoptr(VqSimResult) full = run(&w, VQ_SIM_OURS);

    g_assert_cmpuint(full->refused[VQ_SIM_NO_MEMORY], ==, 4);
}

/* The load of four VMs swings between little and much every 2 minutes, for 3 hours: they are moved
 * apart on the first ways up and then left alone, and nobody moves twice within the cool-down. */
static void
test_oscillation(void)
{
    g_autoptr(GString) text = g_string_new("flavor f\ndisk f vda\n");
    g_auto(World) w = {0};

    for (guint i = 0; i < 4; i++)
        g_string_append_printf(text, "at 0 arrive vm%u f node=0\n", i);
    for (guint t = 0; t < 3 * 3600; t += 120) {
        for (guint i = 0; i < 4; i++)
            g_string_append_printf(text, "at %u load vm%u/vda %s\n", t, i,
                                   t / 120 % 2 ? "0.6" : "0.05");
    }
    world_init(&w, read_text(text->str));
    w.input.step = 5000;
    w.input.end = 3 * HOUR;

    g_autoptr(VqSimResult) result = run(&w, VQ_SIM_OURS);

    g_assert_cmpuint(result->moves, >, 0);
    g_assert_cmpuint(result->moves, <=, 12);
    g_assert_true(result->shortest_rest < 0 || result->shortest_rest >= 10000);
    g_assert_cmpfloat(result->over_limit, <, 0.01);
    g_assert_cmpfloat(result->remote, ==, 0);
}

/* A machine of one core has no pool: everything runs outside it. */
static void
test_no_pool(void)
{
    for (int policy = 0; policy < VQ_SIM_POLICIES; policy++) {
        g_auto(World) w = {0};
        g_autoptr(VqCpuset) none = vq_cpuset_new();

        world_init(&w, read_text("flavor f\ndisk f vda queues=2\nat 0 arrive a f\n"));
        w.input.pool = none;

        g_autoptr(VqSimResult) result = run(&w, (VqSimPolicy)policy);

        g_assert_cmpfloat(result->outside, ==, 1);
        g_assert_cmpfloat(result->lost, ==, 0);
        g_assert_cmpuint(result->cores_max, ==, 0);
        check_result(result);
    }
}

static void
test_bad_machine(void)
{
    static const char *const texts[] = {
        "flavor f\ndisk f vda device=nvme9n1\n",
        "flavor f\nat 0 arrive a f node=7\n",
    };

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_auto(World) w = {0};
        g_autoptr(GError) error = NULL;

        world_init(&w, read_text(texts[i]));
        g_assert_null(vq_sim_run(w.trace, &w.input, VQ_SIM_OURS, &error));
        g_assert_nonnull(strstr(error->message, i == 0 ? "'nvme9n1'" : "node 7"));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/simulate/conservation", test_conservation);
    g_test_add_func("/simulate/determinism", test_determinism);
    g_test_add_func("/simulate/round-trip", test_round_trip);
    g_test_add_func("/simulate/idle", test_idle);
    g_test_add_func("/simulate/given-loads", test_given_loads);
    g_test_add_func("/simulate/refused", test_refused);
    g_test_add_func("/simulate/fleet", test_fleet);
    g_test_add_func("/simulate/oscillation", test_oscillation);
    g_test_add_func("/simulate/no-pool", test_no_pool);
    g_test_add_func("/simulate/bad-machine", test_bad_machine);
    return g_test_run();
}
