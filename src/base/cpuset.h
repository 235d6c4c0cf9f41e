/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sets of CPU (or NUMA node) numbers, in the syntax libvirt uses: "0-3,8,^2".
 *
 * A plain value without locks; a const set may be read by several threads.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Numbers a set can hold are below this; the kernel's own NR_CPUS ends at 8192. */
#define VQ_CPUSET_MAX 16384

typedef struct _VqCpuset VqCpuset;

VqCpuset *vq_cpuset_new(void);
VqCpuset *vq_cpuset_new_single(unsigned cpu);
VqCpuset *vq_cpuset_copy(const VqCpuset *set);
void vq_cpuset_free(VqCpuset *set);

/* @cpu must be below VQ_CPUSET_MAX; higher numbers are ignored. */
void vq_cpuset_add(VqCpuset *set, unsigned cpu);
void vq_cpuset_add_range(VqCpuset *set, unsigned first, unsigned last);
void vq_cpuset_remove(VqCpuset *set, unsigned cpu);
bool vq_cpuset_has(const VqCpuset *set, unsigned cpu);

unsigned vq_cpuset_count(const VqCpuset *set);
bool vq_cpuset_empty(const VqCpuset *set);
bool vq_cpuset_equal(const VqCpuset *a, const VqCpuset *b);
bool vq_cpuset_intersects(const VqCpuset *a, const VqCpuset *b);
bool vq_cpuset_subset(const VqCpuset *inner, const VqCpuset *outer);

/* In place: set |= other, set &= other, set &= ~other. */
void vq_cpuset_union(VqCpuset *set, const VqCpuset *other);
void vq_cpuset_intersect(VqCpuset *set, const VqCpuset *other);
void vq_cpuset_subtract(VqCpuset *set, const VqCpuset *other);

/* The lowest member >= @from, or -1. */
int vq_cpuset_next(const VqCpuset *set, unsigned from);

#define VQ_CPUSET_FOREACH(cpu, set)                                                                \
    for (int cpu = vq_cpuset_next((set), 0); cpu >= 0; cpu = vq_cpuset_next((set), cpu + 1))

/*
 * Reads libvirt's syntax: numbers, ranges "a-b" and exclusions "^a", "^a-b", comma separated,
 * applied left to right; white space around items is allowed; the empty string is the empty set.
 * Error VQ_ERROR_INVALID or VQ_ERROR_LIMIT, naming the item.
 */
VqCpuset *vq_cpuset_parse(const char *text, GError **error);

/* "0-3,8"; "" for the empty set. Free with g_free(). */
char *vq_cpuset_format(const VqCpuset *set);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqCpuset, vq_cpuset_free)
