/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/lookup.h"

#include <math.h>

/* @value itself, or what is in it if it is a variant. Taken. */
static GVariant *
unwrap(GVariant *value)
{
    while (value && g_variant_is_of_type(value, G_VARIANT_TYPE_VARIANT)) {
        GVariant *inner = g_variant_get_variant(value);

        g_variant_unref(value);
        value = inner;
    }
    return value;
}

GPtrArray *
vq_lookup_list(GVariant *dict, const char *key)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)g_variant_unref);
    g_autoptr(GVariant) value = unwrap(g_variant_lookup_value(dict, key, NULL));

    if (!value || !g_variant_is_of_type(value, G_VARIANT_TYPE_ARRAY))
        return list;
    for (gsize i = 0; i < g_variant_n_children(value); i++) {
        GVariant *child = unwrap(g_variant_get_child_value(value, i));

        if (g_variant_is_of_type(child, G_VARIANT_TYPE_VARDICT))
            g_ptr_array_add(list, child);
        else
            g_variant_unref(child);
    }
    return list;
}

bool
vq_lookup_number(GVariant *value, double *number)
{
    switch (g_variant_classify(value)) {
    case G_VARIANT_CLASS_BOOLEAN:
        *number = g_variant_get_boolean(value);
        return true;
    case G_VARIANT_CLASS_INT32:
        *number = g_variant_get_int32(value);
        return true;
    case G_VARIANT_CLASS_UINT32:
        *number = g_variant_get_uint32(value);
        return true;
    case G_VARIANT_CLASS_INT64:
        *number = (double)g_variant_get_int64(value);
        return true;
    case G_VARIANT_CLASS_UINT64:
        *number = (double)g_variant_get_uint64(value);
        return true;
    case G_VARIANT_CLASS_DOUBLE:
        *number = g_variant_get_double(value);
        return true;
    default:
        return false;
    }
}

bool
vq_lookup_count(GVariant *value, guint64 *count)
{
    gint64 number = -1;

    if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT64)) {
        *count = g_variant_get_uint64(value);
        return true;
    }
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT32))
        number = g_variant_get_uint32(value);
    else if (g_variant_is_of_type(value, G_VARIANT_TYPE_INT32))
        number = g_variant_get_int32(value);
    else if (g_variant_is_of_type(value, G_VARIANT_TYPE_INT64))
        number = g_variant_get_int64(value);
    if (number >= 0)
        *count = (guint64)number;
    return number >= 0;
}

bool
vq_lookup_double(GVariant *dict, const char *key, double *number)
{
    g_autoptr(GVariant) value = g_variant_lookup_value(dict, key, NULL);

    return value && vq_lookup_number(value, number);
}

char *
vq_lookup_text(GVariant *value)
{
    double number;

    if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
        return g_variant_dup_string(value, NULL);
    if (vq_lookup_number(value, &number))
        return isfinite(number) ? g_strdup_printf("%.0f", number) : NULL;
    if (!g_variant_is_of_type(value, G_VARIANT_TYPE_ARRAY))
        return NULL;

    GString *text = g_string_new(NULL);

    for (gsize i = 0; i < g_variant_n_children(value); i++) {
        g_autoptr(GVariant) child = unwrap(g_variant_get_child_value(value, i));

        if (g_variant_is_of_type(child, G_VARIANT_TYPE_STRING))
            g_string_append_printf(text, "%s%s", text->len ? ", " : "",
                                   g_variant_get_string(child, NULL));
        else if (vq_lookup_number(child, &number) && isfinite(number))
            g_string_append_printf(text, "%s%.0f", text->len ? "," : "", number);
    }
    return g_string_free(text, FALSE);
}
