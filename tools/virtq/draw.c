/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtq draw: the picture of a host with its queues. Without domains, this host as the daemon
 * serves it now; with domain files, the plan that they would get.
 */
#include "command.h"
#include "picture.h"
#include "scenario.h"

#include "base/error.h"
#include "host/topology.h"
#include "protocol/client.h"

#define ASK_TIMEOUT_MS 5000

static bool
write_picture(const char *file, const VqTopology *topology, const VqPool *pool, const VqPlan *plan,
              GError **error)
{
    g_autofree char *svg = vq_picture_svg(topology, pool->cpus, pool->reason, plan);

    if (g_str_equal(file, "-")) {
        fputs(svg, stdout);
        return true;
    }
    return g_file_set_contents(file, svg, -1, error);
}

static bool
draw_offline(const VqScenarioOptions *options, const char *file, char **domains, GError **error)
{
    g_autoptr(VqScenario) scenario = vq_scenario_read(options, domains, error);

    if (!scenario)
        return false;

    g_autoptr(VqPlan) plan = vq_placement_compute(&scenario->input);

    return write_picture(file, scenario->topology, scenario->pool, plan, error);
}

/* The daemon's pool and why it is that. */
static VqPool *
ask_pool(const VqTool *tool, GError **error)
{
    g_autoptr(GVariant) reply = vq_client_call(tool->socket, "Status", NULL,
                                               G_VARIANT_TYPE("(a{sv})"), ASK_TIMEOUT_MS, error);

    if (!reply)
        return NULL;

    g_autoptr(GVariant) status = g_variant_get_child_value(reply, 0);
    g_autoptr(VqPool) pool = g_new0(VqPool, 1);
    const char *cpus = "", *reason = "";

    g_variant_lookup(status, "pool", "&s", &cpus);
    g_variant_lookup(status, "pool_reason", "&s", &reason);
    pool->reason = g_strdup(reason);
    pool->cpus = vq_cpuset_parse(cpus, error);
    if (!pool->cpus)
        return NULL;
    return g_steal_pointer(&pool);
}

static bool
draw_live(const VqTool *tool, const char *file, GError **error)
{
    g_autoptr(VqPool) pool = ask_pool(tool, error);

    if (!pool)
        return false;

    g_autoptr(GVariant) reply = vq_client_call(tool->socket, "List", g_variant_new("(s)", ""),
                                               G_VARIANT_TYPE("(a{sv})"), ASK_TIMEOUT_MS, error);

    if (!reply)
        return false;

    g_autoptr(GVariant) data = g_variant_get_child_value(reply, 0);
    g_autoptr(VqPlan) plan = vq_plan_from_variant(data, error);
    g_autoptr(VqTopology) topology = plan ? vq_host_topology_live("/", error) : NULL;

    return topology && write_picture(file, topology, pool, plan, error);
}

bool
vq_cmd_draw(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    g_auto(VqScenarioOptions) options = {0};
    const GOptionEntry entries[] = {VQ_SCENARIO_ENTRIES(options), {NULL}};
    bool done;

    if (!vq_command_parse(command, entries, &argc, &argv, &done, error))
        return false;
    if (done)
        return true;
    if (argc > 2)
        return draw_offline(&options, argv[1], argv + 2, error);
    if (options.topology || options.pool || options.load || options.current) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID,
                    "draw: --topology, --pool, --load and --current are for plans of domain files, "
                    "and there is none behind '%s'",
                    argv[1]);
        return false;
    }
    return draw_live(tool, argv[1], error);
}
