/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Enums with names: one table per enum, used by readers, writers, help texts and error messages,
 * so that a value's name is written once.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
    int value;
    const char *name;
} VqEnumEntry;

/* A table ends with an entry whose name is NULL. */

/* The value named @name into *@value; false, with *@value untouched, if there is none. */
bool vq_enum_from_name(const VqEnumEntry *table, const char *name, int *value);

/* The name of @value, or NULL if the table lacks it. Static storage. */
const char *vq_enum_name(const VqEnumEntry *table, int value);

/* All names as "a, b or c", for error messages. Free with g_free(). */
char *vq_enum_list(const VqEnumEntry *table);
