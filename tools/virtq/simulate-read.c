/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options of virtq simulate, made into a machine, a trace and an input. */
#include "simulate.h"

#include "base/error.h"
#include "host/topology.h"

#include <string.h>

void
vq_simulate_options_init(VqSimulateOptions *options)
{
    *options = (VqSimulateOptions){
        .seed = (gint64)vq_sim_arrivals_defaults.seed,
        .hosts = 1,
        .vms = vq_sim_arrivals_defaults.vms,
        .vcpu_ratio = 4,
        .sigma = vq_sim_arrivals_defaults.lifetime_sigma,
        .day = vq_sim_load_defaults.day,
        .peak = vq_sim_load_defaults.peak_hour,
        .noise = vq_sim_load_defaults.noise_sigma,
        .refused_max = 0.1,
        .over_max = 1,
        .degraded_max = 1,
    };
}

void
vq_simulate_options_clear(VqSimulateOptions *o)
{
    char **texts[] = {&o->topology, &o->pool,     &o->trace,    &o->flavors, &o->write_trace,
                      &o->policies, &o->duration, &o->lifetime, &o->step,    &o->noise_period,
                      &o->plan_at,  &o->memory,   &o->schedule, &o->plot,    &o->pool_share};

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
        g_clear_pointer(texts[i], g_free);
}

static bool
bad_option(GError **error, const char *option, const char *value, const char *want)
{
    g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s: '%s' is not %s", option, value, want);
    return false;
}

static bool
read_time(const char *option, const char *text, gint64 fallback, gint64 *ms, GError **error)
{
    *ms = fallback;
    if (!text)
        return true;
    if (vq_sim_time_parse(text, ms))
        return true;
    return bad_option(error, option, text, "a time such as 90, 30m, 12h or 7d, of 366d at most");
}

/* Times that nothing could be done with if they were 0. */
static bool
read_span(const char *option, const char *text, gint64 fallback, gint64 *ms, GError **error)
{
    if (!read_time(option, text, fallback, ms, error))
        return false;
    return *ms > 0 || bad_option(error, option, text, "longer than 0");
}

static bool
check_number(const char *option, double value, double min, double max, GError **error)
{
    if (value >= min && value <= max)
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT, "%s: %g is not within the limits %g..%g", option,
                value, min, max);
    return false;
}

static bool
check_numbers(const VqSimulateOptions *o, GError **error)
{
    return check_number("--fleet", o->hosts, 1, VQ_SIM_HOSTS_MAX, error) &&
           check_number("--vms", o->vms, 0.001, 10000, error) &&
           check_number("--vcpu-ratio", o->vcpu_ratio, 0, 100, error) &&
           check_number("--lifetime-sigma", o->sigma, 0, 3, error) &&
           check_number("--day", o->day, 0, 1, error) &&
           check_number("--peak", o->peak, 0, 24, error) &&
           check_number("--noise", o->noise, 0, 2, error) &&
           check_number("--seed", (double)o->seed, 0, 9e15, error) &&
           check_number("--refused-max", o->refused_max, 0, 100, error) &&
           check_number("--over-max", o->over_max, 0, 100, error) &&
           check_number("--degraded-max", o->degraded_max, 0, 100, error);
}

static VqSimTrace *
read_trace(const char *path, const VqSimTrace *known, GError **error)
{
    g_autofree char *text = NULL;
    gsize length;

    if (!vq_tool_read(path, VQ_SIM_TEXT_MAX, &text, &length, error))
        return NULL;

    VqSimTrace *trace = vq_sim_trace_read(text, length, known, error);

    if (!trace)
        g_prefix_error(error, "%s: ", path);
    return trace;
}

/* The flavors of --flavors, or the built-in ones. */
static VqSimTrace *
read_flavors(const char *path, GError **error)
{
    g_autoptr(VqSimTrace) trace =
        path ? read_trace(path, NULL, error)
             : vq_sim_trace_read(vq_sim_flavors_text, strlen(vq_sim_flavors_text), NULL, error);

    if (!trace || trace->events->len == 0)
        return g_steal_pointer(&trace);
    g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID,
                "%s: a file of flavors has no events; give it with --trace", path);
    return NULL;
}

static bool
make_trace(VqSimulation *s, const VqSimulateOptions *o, GError **error)
{
    g_autoptr(VqSimTrace) flavors = read_flavors(o->flavors, error);
    VqSimArrivals arrivals = vq_sim_arrivals_defaults;
    gint64 lifetime;

    if (!flavors || !read_span("--lifetime", o->lifetime,
                               (gint64)(arrivals.lifetime_hours * 3600000), &lifetime, error))
        return false;
    if (o->trace) {
        s->trace = read_trace(o->trace, flavors, error);
        return s->trace;
    }
    arrivals.seed = (guint64)o->seed;
    arrivals.end = s->input.end;
    arrivals.vms = o->vms * o->hosts;
    arrivals.lifetime_hours = (double)lifetime / 3600000.0;
    arrivals.lifetime_sigma = o->sigma;
    s->generated = true;
    s->vms = o->vms;
    s->trace = g_steal_pointer(&flavors);
    return vq_sim_generate(s->trace, &arrivals, error);
}

static bool
read_memory(const char *text, guint64 *bytes, GError **error)
{
    static const char units[] = "KMGT";
    char *end = NULL;
    guint64 number = text ? g_ascii_strtoull(text, &end, 10) : 0;
    const char *unit = text && *end ? strchr(units, *end) : NULL;

    *bytes = 0;
    if (!text)
        return true;
    if (!g_ascii_isdigit(*text) || !unit || end[1] || number == 0 || number > 1024 * 1024)
        return bad_option(error, "--memory", text, "a size such as 512G or 2T");
    *bytes = number << (10 * (unit - units + 1));
    return true;
}

static bool
read_policies(VqSimulation *s, const VqSimulateOptions *o, GError **error)
{
    /* of a fleet, one question is asked: how many I/O cores */
    const char *text = o->policies                                        ? o->policies
                       : o->hosts > 1 || s->shares.last > s->shares.first ? "ours"
                                                                          : "all";
    g_auto(GStrv) names = g_strsplit(text, ",", 2 * VQ_SIM_POLICIES);

    for (guint i = 0; names[i]; i++) {
        int policy;

        if (g_str_equal(names[i], "all")) {
            for (guint k = 0; k < VQ_SIM_POLICIES; k++)
                s->policies[k] = true;
        } else if (vq_enum_from_name(vq_sim_policy_names, names[i], &policy)) {
            s->policies[policy] = true;
        } else {
            g_autofree char *list = vq_enum_list(vq_sim_policy_names);
            g_autofree char *want = g_strdup_printf("all, %s", list);

            return bad_option(error, "--policy", names[i], want);
        }
    }
    return true;
}

static bool
read_input(VqSimulation *s, const VqSimulateOptions *o, GError **error)
{
    VqSimInput *input = &s->input;
    int weigher = VQ_SIM_SPREAD;

    *input = (VqSimInput){.topology = s->topology,
                          .pool = s->pool->cpus,
                          .hosts = (guint)o->hosts,
                          .vcpu_ratio = o->vcpu_ratio,
                          .load = vq_sim_load_defaults,
                          .params = vq_placement_defaults,
                          .seed = (guint64)o->seed,
                          .counters = o->counters,
                          .plan_time = -1,
                          .samples = o->plot != NULL};
    input->load.day = o->day;
    input->load.peak_hour = o->peak;
    input->load.noise_sigma = o->noise;
    if (o->schedule && !vq_enum_from_name(vq_sim_weigher_names, o->schedule, &weigher))
        return bad_option(error, "--schedule", o->schedule, "spread or pack");
    input->weigher = (VqSimWeigher)weigher;
    return read_memory(o->memory, &input->memory, error) &&
           read_span("--duration", o->duration, vq_sim_arrivals_defaults.end, &input->end, error) &&
           read_span("--step", o->step, o->hosts > 1 ? 60000 : 10000, &input->step, error) &&
           read_span("--noise-period", o->noise_period, input->load.noise_period,
                     &input->load.noise_period, error) &&
           read_time("--plan-at", o->plan_at, -1, &input->plan_time, error);
}

static bool
choose_pool(VqSimulation *s, const char *cpus, GError **error)
{
    g_autoptr(VqCpuset) set = cpus ? vq_cpuset_parse(cpus, error) : NULL;
    VqPoolRequest request = {.cpus = set,
                             .share = s->shares.step ? s->shares.first : VQ_POOL_SHARE_DEFAULT};

    if (cpus && !set) {
        g_prefix_error(error, "--pool: ");
        return false;
    }
    if (cpus && s->shares.step)
        return bad_option(error, "--pool", cpus, "possible together with --pool-share");
    if (s->shares.step) { /* isolated CPUs would be the pool whatever the share */
        vq_cpuset_free(s->topology->isolated);
        s->topology->isolated = vq_cpuset_new();
    }
    s->pool = vq_pool_choose(s->topology, &request, error);
    return s->pool;
}

VqSimulation *
vq_simulation_read(const VqSimulateOptions *options, GError **error)
{
    g_autoptr(VqSimulation) s = g_new0(VqSimulation, 1);

    s->results = g_ptr_array_new_with_free_func((GDestroyNotify)vq_sim_result_free);
    if (!check_numbers(options, error) ||
        (options->pool_share && !vq_simulate_read_shares(options->pool_share, &s->shares, error)))
        return NULL;
    s->topology = options->topology ? vq_host_topology_input(options->topology, error)
                                    : vq_host_topology_live("/", error);
    if (!s->topology || !choose_pool(s, options->pool, error) ||
        !read_policies(s, options, error) || !read_input(s, options, error) ||
        !make_trace(s, options, error))
        return NULL;
    return g_steal_pointer(&s);
}

void
vq_simulation_free(VqSimulation *s)
{
    if (!s)
        return;
    g_clear_pointer(&s->topology, vq_topology_free);
    g_clear_pointer(&s->pool, vq_pool_free);
    g_clear_pointer(&s->trace, vq_sim_trace_free);
    g_ptr_array_unref(s->results);
    g_free(s);
}
