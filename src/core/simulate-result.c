/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The figures of a run as data for programs. docs/interfaces.md explains the keys. */
#include "core/simulate-work.h"

void
vq_sim_result_free(VqSimResult *result)
{
    if (!result)
        return;
    for (guint i = 0; i < VQ_SIM_REFUSALS; i++)
        g_free(result->refusal[i]);
    g_array_unref(result->samples);
    vq_plan_free(result->plan);
    g_free(result);
}

static void
put_number(GVariantDict *dict, const char *key, double value)
{
    g_variant_dict_insert(dict, key, "d", value);
}

static void
put_count(GVariantDict *dict, const char *key, guint64 value)
{
    g_variant_dict_insert(dict, key, "t", value);
}

/* [{"filter": "io_cores", "vms": 3, "first": "vm7: ..."}] */
static GVariant *
refusals(const VqSimResult *r)
{
    GVariantBuilder list;

    g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < VQ_SIM_REFUSALS; i++) {
        g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

        if (r->refused[i] == 0)
            continue;
        g_variant_dict_insert(&dict, "filter", "s", vq_enum_name(vq_sim_refusal_names, (int)i));
        put_count(&dict, "vms", r->refused[i]);
        g_variant_dict_insert(&dict, "first", "s", r->refusal[i]);
        g_variant_builder_add_value(&list, g_variant_dict_end(&dict));
    }
    return g_variant_builder_end(&list);
}

static void
put_loads(GVariantDict *dict, const VqSimResult *r)
{
    put_number(dict, "load_p50", r->load_p50);
    put_number(dict, "load_p90", r->load_p90);
    put_number(dict, "load_p99", r->load_p99);
    put_number(dict, "load_max", r->load_max);
    put_number(dict, "cores_mean", r->cores_mean);
    put_count(dict, "cores_max", r->cores_max);
    put_number(dict, "idle", r->idle);
    put_number(dict, "over_limit", r->over_limit);
    put_number(dict, "lost", r->lost);
}

static void
put_places(GVariantDict *dict, const VqSimResult *r)
{
    put_number(dict, "remote", r->remote);
    put_number(dict, "fragmented", r->fragmented);
    put_number(dict, "degraded", r->degraded);
    put_number(dict, "outside", r->outside);
    put_count(dict, "moves", r->moves);
    put_number(dict, "moves_per_hour", r->moves_per_hour);
    if (r->shortest_rest >= 0)
        put_number(dict, "shortest_rest_seconds", (double)r->shortest_rest / 1000);
    put_count(dict, "decisions", r->decisions);
    if (r->decision_us_max > 0) {
        put_number(dict, "decision_us_mean", r->decision_us_mean);
        put_number(dict, "decision_us_max", r->decision_us_max);
    }
}

GVariant *
vq_sim_result_to_variant(const VqSimResult *r)
{
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

    g_variant_dict_insert(&dict, "policy", "s", vq_enum_name(vq_sim_policy_names, (int)r->policy));
    put_count(&dict, "arrived", r->arrived);
    put_count(&dict, "admitted", r->admitted);
    g_variant_dict_insert_value(&dict, "refusals", refusals(r));
    put_count(&dict, "departed", r->departed);
    put_count(&dict, "running", r->running);
    put_number(&dict, "vm_hours", r->vm_hours);
    put_number(&dict, "thread_hours", r->thread_hours);
    put_number(&dict, "vcpus_used", r->vcpus_used);
    put_loads(&dict, r);
    put_places(&dict, r);
    return g_variant_dict_end(&dict);
}
