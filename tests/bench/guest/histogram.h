/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Histogram of nanoseconds with a bounded relative error: 32 buckets for each power of two, so a
 * value read back is at most 3 % below the true one. Plain value, one writer.
 */
#pragma once

#include <json-glib/json-glib.h>
#include <stdint.h>

#define SYN_HISTOGRAM_SUB     32
#define SYN_HISTOGRAM_BUCKETS (SYN_HISTOGRAM_SUB * 40)

typedef struct {
    uint64_t count, sum, max;
    uint64_t bucket[SYN_HISTOGRAM_BUCKETS];
} SynHistogram;

static inline unsigned
syn_histogram_index(uint64_t ns)
{
    unsigned index;

    if (ns < SYN_HISTOGRAM_SUB) {
        return (unsigned)ns;
    }
    index = 63 - (unsigned)__builtin_clzll(ns) - 5;
    index = (index + 1) * SYN_HISTOGRAM_SUB + (unsigned)(ns >> index) - SYN_HISTOGRAM_SUB;
    return index < SYN_HISTOGRAM_BUCKETS ? index : SYN_HISTOGRAM_BUCKETS - 1;
}

static inline void
syn_histogram_add(SynHistogram *histogram, uint64_t ns)
{
    histogram->count++;
    histogram->sum += ns;
    if (ns > histogram->max) {
        histogram->max = ns;
    }
    histogram->bucket[syn_histogram_index(ns)]++;
}

void syn_histogram_clear(SynHistogram *histogram);
void syn_histogram_merge(SynHistogram *to, const SynHistogram *from);

/* The lower end of the bucket where @share (0..1) of all values are reached; 0 if there are none.
 */
uint64_t syn_histogram_quantile(const SynHistogram *histogram, double share);

/* {"count", "mean", "p50", "p99", "p999", "max"} in nanoseconds; the caller's. */
JsonNode *syn_histogram_json(const SynHistogram *histogram);
