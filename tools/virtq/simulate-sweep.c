/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtq simulate --pool-share: the same VMs, once for each share of cores that the hosts set aside
 * for I/O, and the smallest share that meets the targets. More I/O cores leave fewer CPUs for
 * vCPUs, so both ends of the range refuse VMs.
 */
#include "output.h"
#include "simulate.h"

#include "base/error.h"
#include "base/xml.h"

#include <string.h>

#define SHARE_MIN 1
#define SHARE_MAX 90

typedef struct {
    unsigned share; /* per cent of cores */
    char *pool;
    guint cores;
    VqSimResult *result;
    bool meets;
} Row;

static void
row_free(Row *row)
{
    g_free(row->pool);
    vq_sim_result_free(row->result);
    g_free(row);
}

static double
refused_share(const VqSimResult *r)
{
    return r->arrived > 0 ? (double)(r->arrived - r->admitted) / (double)r->arrived : 0;
}

static bool
meets(const VqSimulateOptions *o, const VqSimResult *r)
{
    return refused_share(r) * 100 <= o->refused_max && r->over_limit * 100 <= o->over_max &&
           r->degraded * 100 <= o->degraded_max;
}

/* "25", "5..50" or "5..50/5" */
bool
vq_simulate_read_shares(const char *text, VqSimulateShares *shares, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, "/", 2);
    g_auto(GStrv) ends = g_strsplit(parts[0] ? parts[0] : "", "..", 2);
    VqSimulateShares s = {.step = 5};

    if (ends[0] && vq_parse_uint(ends[0], SHARE_MAX, &s.first) &&
        vq_parse_uint(ends[1] ? ends[1] : ends[0], SHARE_MAX, &s.last) &&
        (!parts[1] || vq_parse_uint(parts[1], SHARE_MAX, &s.step)) && s.first >= SHARE_MIN &&
        s.step > 0 && s.last >= s.first) {
        *shares = s;
        return true;
    }
    g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID,
                "--pool-share: '%s' is not per cent such as 25, 5..50 or 5..50/5 within %d..%d",
                text, SHARE_MIN, SHARE_MAX);
    return false;
}

static VqSimPolicy
first_policy(const VqSimulation *s)
{
    guint policy = 0;

    while (policy + 1 < VQ_SIM_POLICIES && !s->policies[policy])
        policy++;
    return (VqSimPolicy)policy;
}

static guint
pool_cores(const VqSimulation *s)
{
    guint cores = 0;

    for (guint i = 0; i < s->topology->cores->len; i++) {
        const VqCore *core = g_ptr_array_index(s->topology->cores, i);

        cores += vq_cpuset_intersects(core->pus, s->pool->cpus);
    }
    return cores;
}

static Row *
run_share(VqSimulation *s, const VqSimulateOptions *o, unsigned share, GError **error)
{
    VqPoolRequest request = {.share = share};
    g_autoptr(VqPool) pool = vq_pool_choose(s->topology, &request, error);

    if (!pool)
        return NULL;
    vq_pool_free(s->pool);
    s->pool = g_steal_pointer(&pool);
    s->input.pool = s->pool->cpus;

    VqSimResult *result = vq_sim_run(s->trace, &s->input, first_policy(s), error);

    if (!result)
        return NULL;

    Row *row = g_new0(Row, 1);

    row->share = share;
    row->pool = vq_cpuset_format(s->pool->cpus);
    row->cores = pool_cores(s);
    row->result = result;
    row->meets = meets(o, result);
    return row;
}

static char *
percent(double value)
{
    return g_strdup_printf("%.2f %%", value * 100);
}

static void
print_rows(const GPtrArray *rows)
{
    g_autoptr(VqTable) table =
        vq_table_new("Share", "I/O cores", "Refused", "vCPUs", "Memory", "I/O", "Over limit",
                     "Degraded", "Lost", "Idle", "vCPUs used", "Meets", NULL);

    for (guint i = 0; i < rows->len; i++) {
        const Row *row = g_ptr_array_index(rows, i);
        const VqSimResult *r = row->result;
        g_autofree char *share = g_strdup_printf("%u %%", row->share);
        g_autofree char *cores = g_strdup_printf("%u", row->cores);
        g_autofree char *refused = percent(refused_share(r));
        g_autofree char *vcpus = g_strdup_printf("%" G_GUINT64_FORMAT, r->refused[VQ_SIM_NO_VCPUS]);
        g_autofree char *memory =
            g_strdup_printf("%" G_GUINT64_FORMAT, r->refused[VQ_SIM_NO_MEMORY]);
        g_autofree char *io = g_strdup_printf("%" G_GUINT64_FORMAT, r->refused[VQ_SIM_NO_CORES]);
        g_autofree char *over = percent(r->over_limit), *degraded = percent(r->degraded);
        g_autofree char *lost = percent(r->lost), *idle = percent(r->idle);
        g_autofree char *used = percent(r->vcpus_used);

        vq_table_row(table, share, cores, refused, vcpus, memory, io, over, degraded, lost, idle,
                     used, row->meets ? "yes" : "no");
    }
    vq_table_print(table);
}

static const Row *
smallest(const GPtrArray *rows)
{
    for (guint i = 0; i < rows->len; i++) {
        const Row *row = g_ptr_array_index(rows, i);

        if (row->meets)
            return row;
    }
    return NULL;
}

static GVariant *
rows_data(const VqSimulation *s, const GPtrArray *rows)
{
    GVariantBuilder list;
    g_auto(GVariantDict) data = G_VARIANT_DICT_INIT(NULL);

    g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < rows->len; i++) {
        const Row *row = g_ptr_array_index(rows, i);
        g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

        g_variant_dict_insert(&dict, "share", "u", row->share);
        g_variant_dict_insert(&dict, "pool", "s", row->pool);
        g_variant_dict_insert(&dict, "cores", "u", row->cores);
        g_variant_dict_insert(&dict, "meets", "b", row->meets);
        g_variant_dict_insert_value(&dict, "result", vq_sim_result_to_variant(row->result));
        g_variant_builder_add_value(&list, g_variant_dict_end(&dict));
    }
    vq_simulate_put_head(&data, s);
    g_variant_dict_insert_value(&data, "shares", g_variant_builder_end(&list));
    if (smallest(rows))
        g_variant_dict_insert(&data, "smallest_share", "u", smallest(rows)->share);
    return g_variant_dict_end(&data);
}

static void
print_verdict(const VqSimulateOptions *o, const GPtrArray *rows)
{
    const Row *row = smallest(rows);

    printf(
        "\n Targets: at most %g %% of VMs refused, %g %% of shared threads' time over the limit, "
        "%g %% of dedicated threads' degraded\n",
        o->refused_max, o->over_max, o->degraded_max);
    if (row)
        printf(" Smallest share that meets them: %u %% (%u cores of a host)\n", row->share,
               row->cores);
    else
        printf(" No share of these meets them\n");
}

static bool
plot_rows(const char *directory, const GPtrArray *rows, GError **error)
{
    g_autoptr(GString) out = g_string_new(
        "share refused \"over the limit\" degraded lost \"pool idle\" \"vCPUs used\"\n");

    for (guint i = 0; i < rows->len; i++) {
        const Row *row = g_ptr_array_index(rows, i);
        const VqSimResult *r = row->result;
        const double columns[] = {refused_share(r), r->over_limit, r->degraded,
                                  r->lost,          r->idle,       r->vcpus_used};

        g_string_append_printf(out, "%u", row->share);
        for (guint k = 0; k < G_N_ELEMENTS(columns); k++) {
            char text[G_ASCII_DTOSTR_BUF_SIZE];

            g_string_append_printf(out, " %s",
                                   g_ascii_formatd(text, sizeof(text), "%.6g", columns[k] * 100));
        }
        g_string_append_c(out, '\n');
    }
    return vq_simulate_plot_shares(directory, out->str, error);
}

bool
vq_simulate_sweep(const VqTool *tool, VqSimulation *s, const VqSimulateOptions *o, GError **error)
{
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)row_free);

    for (unsigned share = s->shares.first; share <= s->shares.last; share += s->shares.step) {
        Row *row = run_share(s, o, share, error);

        if (!row)
            return false;
        g_ptr_array_add(rows, row);
    }
    if (!vq_output_data(tool, rows_data(s, rows))) {
        if (!tool->quiet)
            vq_simulate_print_head(s);
        print_rows(rows);
        print_verdict(o, rows);
    }
    return !o->plot || plot_rows(o->plot, rows, error);
}
