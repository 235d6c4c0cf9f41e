/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a simulation says: a table with a column for each policy, or the same as data. */
#include "output.h"
#include "simulate.h"

#include "core/plan.h"

typedef enum { FORM_COUNT, FORM_PERCENT, FORM_NUMBER, FORM_SECONDS } Form;

typedef struct {
    const char *title;
    Form form;
    gsize offset;
    bool timing; /* only with --timing */
} Measure;

#define AT(field) offsetof(VqSimResult, field)

static const Measure measures[] = {
    {"VMs arrived", FORM_COUNT, AT(arrived)},
    {"VMs admitted", FORM_COUNT, AT(admitted)},
    {"  refused: no vCPUs", FORM_COUNT, AT(refused[VQ_SIM_NO_VCPUS])},
    {"  refused: no memory", FORM_COUNT, AT(refused[VQ_SIM_NO_MEMORY])},
    {"  refused: no I/O cores", FORM_COUNT, AT(refused[VQ_SIM_NO_CORES])},
    {"I/O cores in use, mean", FORM_NUMBER, AT(cores_mean)},
    {"I/O cores in use, most", FORM_COUNT, AT(cores_max)},
    {"load of these, median", FORM_PERCENT, AT(load_p50)},
    {"  90 %", FORM_PERCENT, AT(load_p90)},
    {"  99 %", FORM_PERCENT, AT(load_p99)},
    {"  highest", FORM_PERCENT, AT(load_max)},
    {"pool idle", FORM_PERCENT, AT(idle)},
    {"threads over the limit", FORM_PERCENT, AT(over_limit)},
    {"work lost", FORM_PERCENT, AT(lost)},
    {"work on remote nodes", FORM_PERCENT, AT(remote)},
    {"fragmented", FORM_PERCENT, AT(fragmented)},
    {"dedicated degraded", FORM_PERCENT, AT(degraded)},
    {"outside the pool", FORM_PERCENT, AT(outside)},
    {"moves per host and hour", FORM_NUMBER, AT(moves_per_hour)},
    {"shortest rest, seconds", FORM_SECONDS, AT(shortest_rest)},
    {"placements computed", FORM_COUNT, AT(decisions)},
    {"decision, us, mean", FORM_NUMBER, AT(decision_us_mean), true},
    {"decision, us, longest", FORM_NUMBER, AT(decision_us_max), true},
};

static char *
cell(const VqSimulation *s, guint policy, const Measure *m)
{
    if (policy >= s->results->len)
        return NULL;

    const VqSimResult *r = g_ptr_array_index(s->results, policy);
    gconstpointer at = (const char *)r + m->offset;

    switch (m->form) {
    case FORM_COUNT:
        if (m->offset == AT(cores_max))
            return g_strdup_printf("%u", r->cores_max);
        return g_strdup_printf("%" G_GUINT64_FORMAT, *(const guint64 *)at);
    case FORM_PERCENT:
        return g_strdup_printf("%.2f %%", *(const double *)at * 100);
    case FORM_SECONDS:
        return r->shortest_rest < 0 ? g_strdup("-")
                                    : g_strdup_printf("%.0f", (double)r->shortest_rest / 1000);
    case FORM_NUMBER:
    default:
        return g_strdup_printf("%.2f", *(const double *)at);
    }
}

static const char *
title(const VqSimulation *s, guint policy)
{
    if (policy >= s->results->len)
        return NULL;
    return vq_enum_name(vq_sim_policy_names,
                        (int)((VqSimResult *)g_ptr_array_index(s->results, policy))->policy);
}

static void
print_measures(const VqSimulation *s, bool timing)
{
    g_autoptr(VqTable) table = vq_table_new("Measure", title(s, 0), title(s, 1), title(s, 2),
                                            title(s, 3), title(s, 4), NULL);

    for (guint i = 0; i < G_N_ELEMENTS(measures); i++) {
        const Measure *m = &measures[i];
        g_autofree char *a = cell(s, 0, m), *b = cell(s, 1, m), *c = cell(s, 2, m);
        g_autofree char *d = cell(s, 3, m), *e = cell(s, 4, m);

        if (!m->timing || timing)
            vq_table_row(table, m->title, a, b, c, d, e);
    }
    vq_table_print(table);
}

void
vq_simulate_print_head(const VqSimulation *s)
{
    g_autofree char *pool = vq_cpuset_format(s->pool->cpus);

    printf(" Machine: %s%s\n", s->topology->origin, s->input.hosts > 1 ? ", each host" : "");
    if (s->shares.last == s->shares.first)
        printf(" Pool: %s (%s)\n", pool, s->pool->reason);
    printf(" %u host%s, %g hours in steps of %g s, seed %" G_GUINT64_FORMAT, s->input.hosts,
           s->input.hosts > 1 ? "s" : "", (double)s->input.end / 3600000,
           (double)s->input.step / 1000, s->input.seed);
    if (s->generated)
        printf(", %g VMs a host in the mean", s->vms);
    printf("\n\n");
}

static void
print_refusals(const VqSimulation *s)
{
    for (guint i = 0; i < s->results->len; i++) {
        const VqSimResult *r = g_ptr_array_index(s->results, i);

        for (guint k = 0; k < VQ_SIM_REFUSALS; k++) {
            if (r->refusal[k])
                printf(" Refused under %s, the first of %" G_GUINT64_FORMAT ": %s\n",
                       vq_enum_name(vq_sim_policy_names, (int)r->policy), r->refused[k],
                       r->refusal[k]);
        }
    }
}

static const VqPlan *
plan_of(const VqSimulation *s)
{
    const VqSimResult *first = s->results->len > 0 ? g_ptr_array_index(s->results, 0) : NULL;

    return first ? first->plan : NULL;
}

void
vq_simulate_put_head(GVariantDict *dict, const VqSimulation *s)
{
    g_variant_dict_insert(dict, "version", "u", 1);
    g_variant_dict_insert(dict, "machine", "s", s->topology->origin);
    g_variant_dict_insert(dict, "hosts", "u", s->input.hosts);
    g_variant_dict_insert(dict, "hours", "d", (double)s->input.end / 3600000);
    g_variant_dict_insert(dict, "step_seconds", "d", (double)s->input.step / 1000);
    g_variant_dict_insert(dict, "seed", "t", s->input.seed);
}

static GVariant *
report_data(const VqSimulation *s)
{
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    g_autofree char *pool = vq_cpuset_format(s->pool->cpus);
    GVariantBuilder list;

    g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < s->results->len; i++)
        g_variant_builder_add_value(&list,
                                    vq_sim_result_to_variant(g_ptr_array_index(s->results, i)));
    vq_simulate_put_head(&dict, s);
    g_variant_dict_insert(&dict, "pool", "s", pool);
    g_variant_dict_insert_value(&dict, "policies", g_variant_builder_end(&list));
    if (plan_of(s))
        g_variant_dict_insert_value(&dict, "plan", vq_plan_to_variant(plan_of(s)));
    return g_variant_dict_end(&dict);
}

void
vq_simulate_report(const VqTool *tool, const VqSimulation *s)
{
    if (vq_output_data(tool, report_data(s)))
        return;
    if (!tool->quiet)
        vq_simulate_print_head(s);
    print_measures(s, s->input.clock != NULL);
    print_refusals(s);
    if (plan_of(s)) {
        printf("\n Plan at %g h\n\n", (double)s->input.plan_time / 3600000);
        vq_plan_print(plan_of(s));
    }
}
