/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of keys printed for people; reading is keyfile.c. */
#include "base/keyfile.h"

#include <string.h>

#define TEXT_WIDTH 76

/* @text in lines of at most TEXT_WIDTH, each after @prefix. */
static void
append_wrapped(GString *out, const char *prefix, const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    gsize column = 0;

    for (unsigned i = 0; words[i]; i++) {
        gsize length = g_utf8_strlen(words[i], -1);

        if (column && column + 1 + length > TEXT_WIDTH) {
            g_string_append_c(out, '\n');
            column = 0;
        }
        g_string_append(out, column ? " " : prefix);
        g_string_append(out, words[i]);
        column += length + (column ? 1 : 0);
    }
    g_string_append_c(out, '\n');
}

/* "1 to 90 per cent", "true or false", ... */
static char *
describe_values(const VqKeySpec *s)
{
    switch (s->type) {
    case VQ_KEY_INT:
        return g_strdup_printf("%u to %u%s%s", s->min, s->max, s->unit ? " " : "",
                               s->unit ? s->unit : "");
    case VQ_KEY_BOOL:
        return g_strdup("true or false");
    case VQ_KEY_CPUSET:
        return g_strdup("CPU numbers as in 0-3,8,^2; empty = not set");
    case VQ_KEY_ENUM:
        return vq_enum_list(s->names);
    case VQ_KEY_PATH:
        return g_strdup("absolute path");
    case VQ_KEY_STRING:
        break;
    }
    return g_strdup("text");
}

char *
vq_key_file_template(const VqKeySpec *specs)
{
    GString *out = g_string_new(NULL);
    const char *group = NULL;

    for (const VqKeySpec *s = specs; s->group; s++) {
        g_autofree char *values = describe_values(s);
        g_autofree char *line = g_strdup_printf("Values: %s.", values);

        if (g_strcmp0(group, s->group) != 0)
            g_string_append_printf(out, "%s[%s]\n", group ? "\n" : "", s->group);
        group = s->group;
        g_string_append_c(out, '\n');
        append_wrapped(out, "# ", s->doc);
        append_wrapped(out, "# ", line);
        g_string_append_printf(out, "#%s = %s\n", s->key, s->value);
    }
    return g_string_free(out, FALSE);
}

char *
vq_key_file_rst(const VqKeySpec *specs)
{
    GString *out = g_string_new(NULL);
    const char *group = NULL;

    for (const VqKeySpec *s = specs; s->group; s++) {
        const char *value = s->documented_as ? s->documented_as : s->value;
        g_autofree char *values = describe_values(s);
        g_autofree char *line =
            g_strdup_printf("Values: %s. Default: %s%s%s.", values, *value ? "``" : "",
                            *value ? value : "empty", *value ? "``" : "");

        if (g_strcmp0(group, s->group) != 0) {
            g_autofree char *title = g_strdup_printf("[%s]", s->group);
            g_autofree char *rule = g_strnfill(strlen(title), '-');

            g_string_append_printf(out, "%s\n%s\n\n", title, rule);
        }
        group = s->group;
        g_string_append_printf(out, "``%s``\n", s->key);
        append_wrapped(out, "  ", s->doc);
        g_string_append_c(out, '\n');
        append_wrapped(out, "  ", line);
        g_string_append_c(out, '\n');
    }
    return g_string_free(out, FALSE);
}
