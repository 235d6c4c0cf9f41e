/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtq plan: what would go where, and what would be refused, on a machine given by files. */
#include "command.h"
#include "output.h"
#include "scenario.h"

#include "core/plan.h"

static char *
number_or_dash(int number)
{
    return number < 0 ? g_strdup("-") : g_strdup_printf("%d", number);
}

static void
add_row(VqTable *table, const VqPlaced *placed)
{
    g_autofree char *iothread = g_strdup_printf("%u", placed->iothread);
    g_autofree char *queues = vq_queues_text(placed->queues);
    g_autofree char *core = number_or_dash(placed->core);
    g_autofree char *node = number_or_dash(placed->node);
    g_autofree char *load = g_strdup_printf("%.2f", placed->load);
    g_autofree char *class =
        g_strdup_printf("%s%s", vq_enum_name(vq_placement_names, (int)placed->class),
                        placed->degraded ? " (!)" : "");

    vq_table_row(table, placed->domain, placed->disk, iothread, queues, class, load, placed->cpus,
                 core, node, placed->reason);
}

static void
print_placements(const VqPlan *plan)
{
    g_autoptr(VqTable) table = vq_table_new("Domain", "Disk", "IOThread", "Queues", "Class", "Load",
                                            "CPU", "Core", "Node", "Reason", NULL);

    for (guint i = 0; i < plan->placements->len; i++)
        add_row(table, g_ptr_array_index(plan->placements, i));
    vq_table_print(table);
}

/* Once for each text: all threads of a device are degraded together. */
static void
print_degraded(const VqPlan *plan)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < plan->placements->len; i++) {
        const VqPlaced *placed = g_ptr_array_index(plan->placements, i);

        if (placed->degraded && g_hash_table_add(seen, placed->degraded))
            printf("%s Degraded (!): %s\n", g_hash_table_size(seen) == 1 ? "\n" : "",
                   placed->degraded);
    }
}

static void
print_refused(const VqPlan *plan)
{
    for (guint i = 0; i < plan->refused->len; i++) {
        const VqRefused *refused = g_ptr_array_index(plan->refused, i);

        printf("%s Refused: %s: %s\n", i == 0 ? "\n" : "", refused->domain, refused->reason);
    }
}

static void
print_moves(const VqPlan *plan)
{
    g_autoptr(VqTable) table =
        vq_table_new("Move", "Domain", "Disk", "IOThread", "From", "To", "Reason", NULL);

    for (guint i = 0; i < plan->moves->len; i++) {
        const VqMove *move = g_ptr_array_index(plan->moves, i);
        g_autofree char *number = g_strdup_printf("%u", i + 1);
        g_autofree char *iothread = g_strdup_printf("%u", move->iothread);
        g_autofree char *from = number_or_dash(move->from);
        g_autofree char *to = number_or_dash(move->to);

        vq_table_row(table, number, move->domain, move->disk, iothread, from, to, move->reason);
    }
    putchar('\n');
    vq_table_print(table);
}

void
vq_plan_print(const VqPlan *plan)
{
    print_placements(plan);
    print_degraded(plan);
    print_refused(plan);
}

static void
print_plan(const VqTool *tool, const VqScenario *scenario, const VqPlan *plan, bool moves)
{
    g_autofree char *pool = vq_cpuset_format(scenario->pool->cpus);

    if (!tool->quiet)
        printf(" Machine: %s\n Pool: %s (%s)\n\n", scenario->topology->origin, pool,
               scenario->pool->reason);
    vq_plan_print(plan);
    if (moves)
        print_moves(plan);
    for (guint i = 0; !tool->quiet && i < scenario->notes->len; i++)
        printf("%s Note: %s\n", i == 0 ? "\n" : "",
               (const char *)g_ptr_array_index(scenario->notes, i));
}

bool
vq_cmd_plan(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    g_auto(VqScenarioOptions) options = {0};
    const GOptionEntry entries[] = {VQ_SCENARIO_ENTRIES(options), {NULL}};
    bool done;

    if (!vq_command_parse(command, entries, &argc, &argv, &done, error))
        return false;
    if (done)
        return true;

    g_autoptr(VqScenario) scenario = vq_scenario_read(&options, argv + 1, error);

    if (!scenario)
        return false;

    g_autoptr(VqPlan) plan = vq_placement_compute(&scenario->input);

    if (!vq_output_data(tool, vq_plan_to_variant(plan)))
        print_plan(tool, scenario, plan, options.current != NULL);
    return true;
}
