/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Numbers of the daemon's counters as people read them. Whatever is not known is NULL, which tables
 * show as "-"; never a 0 that nobody counted.
 */
#pragma once

#include <glib.h>

/* The entry of @object's "counters" that has @key in @part ("rates", or NULL: its values), with the
 * number; NULL: no source has. Unref. */
GVariant *vq_counts_find(GVariant *object, const char *part, const char *key, double *number);

/* "12.5k", "3", in units of 1000. g_free(). */
char *vq_counts_number(double number);

/* The sum of @keys (NULL-terminated; the unknown ones left out) in @part, divided by @unit; NULL:
 * none is known. */
char *vq_counts_sum(GVariant *object, const char *part, const char *const *keys, double unit);

/* A share of "rates" as "12%". */
char *vq_counts_share(GVariant *object, const char *key);

/* The source of the first of @keys that is known. */
char *vq_counts_source(GVariant *object, const char *const *keys);

extern const char *const vq_counts_requests[], *const vq_counts_bytes[];
