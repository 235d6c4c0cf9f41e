/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtq plan: what would go where, and what would be refused, on a machine given by files. */
#include "command.h"
#include "output.h"
#include "plan-fit.h"

#include "base/error.h"
#include "base/xml.h"

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
print_trouble(const VqPlan *plan)
{
    print_degraded(plan);
    print_refused(plan);
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
    print_trouble(plan);
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

/* What virtq plan is asked besides the scenario. */
typedef struct {
    char *count; /* N or "max" */
    gboolean summary, check;
} Asked;

static bool
read_count(const char *text, char **files, VqScenarioOptions *options, int *most, VqFit *one_more,
           GError **error)
{
    unsigned count = 0;

    if (!text)
        return true;
    if (g_str_equal(text, "max")) {
        if (!vq_fit_most(options, files, &count, one_more, error))
            return false;
        *most = (int)count;
        options->count = MAX(count, 1); /* where not even one fits, it is shown why */
        return true;
    }
    if (vq_parse_uint(text, VQ_FIT_THREADS_MAX, &count) && count > 0) {
        options->count = count;
        return true;
    }
    g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "--count: '%s' is not 'max' or within 1..%d",
                text, VQ_FIT_THREADS_MAX);
    return false;
}

static GVariant *
plan_data(const VqPlan *plan, const VqFit *fit, int most)
{
    g_autoptr(GVariant) data = g_variant_ref_sink(vq_plan_to_variant(plan));
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(data);

    g_variant_dict_insert_value(&dict, "summary", vq_fit_to_variant(fit, most));
    return g_variant_dict_end(&dict);
}

static bool
plan_files(const VqTool *tool, VqScenarioOptions *options, const Asked *asked, char **files,
           GError **error)
{
    bool fit_asked = asked->summary || asked->check || asked->count;
    g_auto(VqFit) fit = {0}, one_more = {0};
    int most = -1;

    if (!read_count(asked->count, files, options, &most, &one_more, error))
        return false;

    g_autoptr(VqScenario) scenario = vq_scenario_read(options, files, error);

    if (!scenario)
        return false;

    g_autoptr(VqPlan) plan = vq_placement_compute(&scenario->input);

    vq_fit_read(plan, &scenario->input, &fit);
    if (!vq_output_data(tool, fit_asked ? plan_data(plan, &fit, most) : vq_plan_to_variant(plan))) {
        if (!asked->summary)
            print_plan(tool, scenario, plan, options->current != NULL);
        else
            print_trouble(plan);
        if (fit_asked)
            vq_fit_print(&fit, most, &one_more);
    }
    if (!asked->check || fit.fits)
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_REFUSED, "they do not all fit: %s", fit.trouble);
    return false;
}

bool
vq_cmd_plan(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    g_auto(VqScenarioOptions) options = {0};
    g_autofree char *count = NULL;
    Asked asked = {0};
    const GOptionEntry entries[] = {
        VQ_SCENARIO_ENTRIES(options),
        {"count", 'n', 0, G_OPTION_ARG_STRING, &asked.count,
         "of each file so many domains alike, or as many as fit", "N|max"},
        {"summary", 's', 0, G_OPTION_ARG_NONE, &asked.summary,
         "only whether they fit, and what is degraded or refused", NULL},
        {"check", 0, 0, G_OPTION_ARG_NONE, &asked.check, "status 1 unless all fit", NULL},
        {NULL},
    };
    bool done;

    if (!vq_command_parse(command, entries, &argc, &argv, &done, error))
        return false;
    count = asked.count; /* to be freed */
    return done || plan_files(tool, &options, &asked, argv + 1, error);
}
