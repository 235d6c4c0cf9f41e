/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "histogram.h"

#include <string.h>

void
syn_histogram_clear(SynHistogram *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
}

void
syn_histogram_merge(SynHistogram *to, const SynHistogram *from)
{
    to->count += from->count;
    to->sum += from->sum;
    to->max = MAX(to->max, from->max);
    for (unsigned i = 0; i < SYN_HISTOGRAM_BUCKETS; i++) {
        to->bucket[i] += from->bucket[i];
    }
}

static uint64_t
lower_end(unsigned index)
{
    unsigned power = index / SYN_HISTOGRAM_SUB;

    if (power == 0) {
        return index;
    }
    return ((uint64_t)(index % SYN_HISTOGRAM_SUB) + SYN_HISTOGRAM_SUB) << (power - 1);
}

uint64_t
syn_histogram_quantile(const SynHistogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)histogram->count);
    uint64_t seen = 0;

    for (unsigned i = 0; i < SYN_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->bucket[i];
        if (histogram->bucket[i] && seen >= wanted) {
            return lower_end(i);
        }
    }
    return 0;
}

JsonNode *
syn_histogram_json(const SynHistogram *histogram)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    static const struct {
        const char *name;
        double share;
    } quantiles[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}};

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "count");
    json_builder_add_int_value(builder, (gint64)histogram->count);
    json_builder_set_member_name(builder, "mean");
    json_builder_add_int_value(builder,
                               (gint64)(histogram->count ? histogram->sum / histogram->count : 0));
    for (gsize i = 0; i < G_N_ELEMENTS(quantiles); i++) {
        json_builder_set_member_name(builder, quantiles[i].name);
        json_builder_add_int_value(builder,
                                   (gint64)syn_histogram_quantile(histogram, quantiles[i].share));
    }
    json_builder_set_member_name(builder, "max");
    json_builder_add_int_value(builder, (gint64)histogram->max);
    json_builder_end_object(builder);
    return json_builder_get_root(builder);
}
