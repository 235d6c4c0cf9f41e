/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"

#include "core/json.h"
#include "core/metrics.h"

#include <string.h>

/* Behind the closing quote of a label's value. */
static const char *
skip_value(const char *c)
{
    for (; *c != '"'; c++) {
        g_assert_cmpint(*c, !=, '\0');
        if (*c == '\\') {
            c++;
            g_assert_nonnull(strchr("\\n\"", *c));
        }
    }
    return c + 1;
}

/* name{label="value",...} number */
static void
check_sample(const char *line)
{
    const char *c = line + strcspn(line, "{ ");
    char *end = NULL;

    g_assert_true(g_str_has_prefix(line, "virtqueued_"));
    while (*c == '{' || *c == ',') {
        c = strchr(c, '=');
        g_assert_nonnull(c);
        g_assert_cmpint(c[1], ==, '"');
        c = skip_value(c + 2);
    }
    c += *c == '}';
    g_assert_cmpint(*c, ==, ' ');
    g_ascii_strtod(c + 1, &end);
    g_assert_cmpint(*end, ==, '\0');
}

/* Whatever a daemon may say becomes lines of the format. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(JsonNode) node = vq_json_parse((const char *)data, (gssize)size, "counters", NULL);
    g_autoptr(GVariant) counters = node ? json_gvariant_deserialize(node, "a{sv}", NULL) : NULL;

    if (!counters)
        return 0;

    g_variant_ref_sink(counters);

    g_autofree char *text = vq_metrics_text(counters);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i] && lines[i + 1]; i++) {
        if (lines[i][0] != '#')
            check_sample(lines[i]);
    }
    return 0;
}
