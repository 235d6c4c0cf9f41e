/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/enum.h"

bool
vq_enum_from_name(const VqEnumEntry *table, const char *name, int *value)
{
    for (const VqEnumEntry *e = table; e->name; e++) {
        if (g_str_equal(e->name, name)) {
            *value = e->value;
            return true;
        }
    }
    return false;
}

const char *
vq_enum_name(const VqEnumEntry *table, int value)
{
    for (const VqEnumEntry *e = table; e->name; e++) {
        if (e->value == value)
            return e->name;
    }
    return NULL;
}

char *
vq_enum_list(const VqEnumEntry *table)
{
    GString *out = g_string_new(NULL);

    for (const VqEnumEntry *e = table; e->name; e++) {
        if (e != table)
            g_string_append(out, e[1].name ? ", " : " or ");
        g_string_append(out, e->name);
    }
    return g_string_free(out, FALSE);
}
