/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Values out of dictionaries that came over D-Bus (exact types), or from a JSON text (every integer
 * an int64, every list an av). What is of another type is as if it were not there.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* The dictionaries in the list @key of @dict; empty if there is none. Free with
 * g_ptr_array_unref(). */
GPtrArray *vq_lookup_list(GVariant *dict, const char *key);

/* A number of any type, or a boolean as 0 or 1. */
bool vq_lookup_number(GVariant *value, double *number);

/* An integer that is not negative, exactly. */
bool vq_lookup_count(GVariant *value, guint64 *count);

/* As vq_lookup_number(), of @dict's @key. */
bool vq_lookup_double(GVariant *dict, const char *key, double *number);

/* @value as text: strings as they are, numbers, lists of both with commas between; else NULL.
 * g_free(). */
char *vq_lookup_text(GVariant *value);
