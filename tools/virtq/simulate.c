/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtq simulate: VMs that come, do I/O and go, in virtual time. */
#include "simulate.h"

#include "base/error.h"

#include <string.h>
#include <time.h>

static gint64
clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * G_GINT64_CONSTANT(1000000000) + t.tv_nsec;
}

static bool
run_policies(VqSimulation *s, GError **error)
{
    gint64 plan_time = s->input.plan_time;

    for (guint i = 0; i < VQ_SIM_POLICIES; i++) {
        if (!s->policies[i])
            continue;
        s->input.plan_time = s->results->len == 0 ? plan_time : -1;

        VqSimResult *result = vq_sim_run(s->trace, &s->input, (VqSimPolicy)i, error);

        if (!result)
            return false;
        g_ptr_array_add(s->results, result);
    }
    s->input.plan_time = plan_time;
    return true;
}

static bool
write_trace(const char *path, const VqSimTrace *trace, GError **error)
{
    g_autofree char *text = vq_sim_trace_write(trace);

    if (!g_str_equal(path, "-"))
        return g_file_set_contents(path, text, -1, error);
    fputs(text, stdout);
    return true;
}

static bool
simulate(const VqTool *tool, const VqSimulateOptions *options, GError **error)
{
    g_autoptr(VqSimulation) s = vq_simulation_read(options, error);

    if (!s)
        return false;
    if (options->write_trace)
        return write_trace(options->write_trace, s->trace, error);
    if (options->timing)
        s->input.clock = clock_ns;
    if (s->shares.last > s->shares.first)
        return vq_simulate_sweep(tool, s, options, error);
    if (!run_policies(s, error))
        return false;
    vq_simulate_report(tool, s);
    return !options->plot || vq_simulate_plot(options->plot, s, error);
}

bool
vq_cmd_simulate(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    g_auto(VqSimulateOptions) o;

    vq_simulate_options_init(&o);

    const GOptionEntry entries[] = {
        {"topology", 't', 0, G_OPTION_ARG_STRING, &o.topology,
         "machine: hwloc XML file or synthetic description (this host)", "MACHINE"},
        {"pool", 'p', 0, G_OPTION_ARG_STRING, &o.pool, "CPUs for I/O (isolated ones, or 25%)",
         "CPULIST"},
        {"duration", 'd', 0, G_OPTION_ARG_STRING, &o.duration, "virtual time (24h)", "TIME"},
        {"step", 's', 0, G_OPTION_ARG_STRING, &o.step,
         "time between looks at the load (10s; of a fleet 1m)", "TIME"},
        {"seed", 'S', 0, G_OPTION_ARG_INT64, &o.seed, "of all chance (1)", "N"},
        {"policy", 'P', 0, G_OPTION_ARG_STRING, &o.policies,
         "ours, first-fit, round-robin, none, oracle (all; of a fleet ours)", "LIST"},
        {"trace", 'T', 0, G_OPTION_ARG_FILENAME, &o.trace, "play this instead of generating",
         "FILE"},
        {"flavors", 'F', 0, G_OPTION_ARG_FILENAME, &o.flavors, "flavors of VMs (built in)", "FILE"},
        {"write-trace", 'W', 0, G_OPTION_ARG_FILENAME, &o.write_trace,
         "write what would be played, and end", "FILE"},
        {"vms", 'n', 0, G_OPTION_ARG_DOUBLE, &o.vms, "VMs of a host, in the mean (20)", "N"},
        {"lifetime", 'L', 0, G_OPTION_ARG_STRING, &o.lifetime, "of a VM, mean (12h)", "TIME"},
        {"lifetime-sigma", 0, 0, G_OPTION_ARG_DOUBLE, &o.sigma, "its spread, lognormal (1)", "X"},
        {"day", 0, 0, G_OPTION_ARG_DOUBLE, &o.day, "amplitude of the daily wave, 0 to 1 (0.5)",
         "X"},
        {"peak", 0, 0, G_OPTION_ARG_DOUBLE, &o.peak, "hour of its peak (14)", "HOUR"},
        {"noise", 0, 0, G_OPTION_ARG_DOUBLE, &o.noise, "spread of a queue's load, lognormal (0.3)",
         "X"},
        {"noise-period", 0, 0, G_OPTION_ARG_STRING, &o.noise_period, "which lasts so long (5m)",
         "TIME"},
        {"vcpu-ratio", 0, 0, G_OPTION_ARG_DOUBLE, &o.vcpu_ratio,
         "vCPUs for each CPU outside the pool, 0: any number (4)", "X"},
        {"memory", 0, 0, G_OPTION_ARG_STRING, &o.memory, "of a host for VMs (no limit)", "SIZE"},
        {"fleet", 'H', 0, G_OPTION_ARG_INT, &o.hosts, "hosts alike (1)", "HOSTS"},
        {"schedule", 0, 0, G_OPTION_ARG_STRING, &o.schedule,
         "VMs to hosts: spread or pack (spread)", "HOW"},
        {"pool-share", 'R', 0, G_OPTION_ARG_STRING, &o.pool_share,
         "share of cores for I/O, per cent, or several to try", "N|FROM..TO[/STEP]"},
        {"refused-max", 0, 0, G_OPTION_ARG_DOUBLE, &o.refused_max,
         "target: VMs refused, per cent (0.1)", "X"},
        {"over-max", 0, 0, G_OPTION_ARG_DOUBLE, &o.over_max,
         "target: shared threads' time over the limit, per cent (1)", "X"},
        {"degraded-max", 0, 0, G_OPTION_ARG_DOUBLE, &o.degraded_max,
         "target: dedicated threads' time without a core, per cent (1)", "X"},
        {"plot", 0, 0, G_OPTION_ARG_FILENAME, &o.plot, "pictures over time, by gnuplot", "DIR"},
        {"plan-at", 0, 0, G_OPTION_ARG_STRING, &o.plan_at, "print the plan of this time too",
         "TIME"},
        {"counters", 0, 0, G_OPTION_ARG_NONE, &o.counters,
         "the daemon reads QEMU's counters of work, not CPU time", NULL},
        {"timing", 0, 0, G_OPTION_ARG_NONE, &o.timing,
         "time the placements, which differs each run", NULL},
        {NULL},
    };
    bool done;

    if (!vq_command_parse(command, entries, &argc, &argv, &done, error))
        return false;
    return done || simulate(tool, &o, error);
}
