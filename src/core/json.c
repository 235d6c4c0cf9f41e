/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/json.h"

#include "base/error.h"

#include <stdbool.h>
#include <string.h>

/* The deepest nesting of brackets outside strings. Good enough before the text is known to be
 * JSON: what is not, fails later. */
static unsigned
depth_of(const char *text, gsize length)
{
    unsigned depth = 0, deepest = 0;
    bool quoted = false;

    for (gsize i = 0; i < length; i++) {
        char c = text[i];

        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '[' || c == '{'))
            depth++;
        else if (!quoted && (c == ']' || c == '}') && depth > 0)
            depth--;
        deepest = MAX(deepest, depth);
    }
    return deepest;
}

static bool
check_text(const char *text, gsize length, const char *what, GError **error)
{
    if (length > VQ_JSON_SIZE_MAX) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                    "%s: %" G_GSIZE_FORMAT " bytes are above the limit of %d", what, length,
                    VQ_JSON_SIZE_MAX);
        return false;
    }
    if (!g_utf8_validate(text, (gssize)length, NULL)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s: not UTF-8 text", what);
        return false;
    }
    if (depth_of(text, length) > VQ_JSON_DEPTH_MAX) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                    "%s: brackets are nested deeper than the limit of %d", what, VQ_JSON_DEPTH_MAX);
        return false;
    }
    return true;
}

JsonNode *
vq_json_parse(const char *text, gssize length, const char *what, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    g_autoptr(GError) local = NULL;
    gsize size = length < 0 ? strlen(text) : (gsize)length;

    if (!check_text(text, size, what, error))
        return NULL;
    if (!json_parser_load_from_data(parser, text, (gssize)size, &local)) {
        bool placed = g_str_has_prefix(local->message, "<data>:"); /* LINE:COLUMN: text */

        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s: %s%s", what, placed ? "line " : "",
                    local->message + (placed ? strlen("<data>:") : 0));
        return NULL;
    }

    JsonNode *root = json_parser_get_root(parser);

    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s: not a JSON object", what);
        return NULL;
    }
    return json_node_ref(root);
}

static void print_node(GString *out, JsonNode *node, unsigned depth);

static void
print_string(GString *out, const char *text)
{
    g_string_append_c(out, '"');
    for (const guchar *p = (const guchar *)text; *p; p++) {
        if (*p == '"' || *p == '\\')
            g_string_append_printf(out, "\\%c", *p);
        else if (*p == '\n')
            g_string_append(out, "\\n");
        else if (*p < 0x20 || *p == 0x7f)
            g_string_append_printf(out, "\\u%04x", *p);
        else
            g_string_append_c(out, (char)*p);
    }
    g_string_append_c(out, '"');
}

/* json-glib writes 0.42 as 0.41999999999999998: right, but nobody's idea of a number. */
static void
print_double(GString *out, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    for (int digits = 15; digits <= 17; digits++) {
        char format[8];

        g_snprintf(format, sizeof(format), "%%.%dg", digits);
        g_ascii_formatd(text, sizeof(text), format, value);
        if (g_ascii_strtod(text, NULL) == value)
            break;
    }
    g_string_append(out, text);
    if (!strpbrk(text, ".en"))
        g_string_append(out, ".0");
}

static void
indent(GString *out, unsigned depth)
{
    g_string_append_printf(out, "\n%*s", (int)depth * 2, "");
}

static void
print_object(GString *out, JsonObject *object, unsigned depth)
{
    g_autoptr(GList) names = json_object_get_members(object);

    g_string_append_c(out, '{');
    for (GList *l = names; l; l = l->next) {
        indent(out, depth + 1);
        print_string(out, l->data);
        g_string_append(out, ": ");
        print_node(out, json_object_get_member(object, l->data), depth + 1);
        if (l->next)
            g_string_append_c(out, ',');
    }
    if (names)
        indent(out, depth);
    g_string_append_c(out, '}');
}

/* Arrays of plain values (queues) stay on one line. */
static void
print_array(GString *out, JsonArray *array, unsigned depth)
{
    guint length = json_array_get_length(array);
    bool plain = length == 0 || JSON_NODE_HOLDS_VALUE(json_array_get_element(array, 0));

    g_string_append_c(out, '[');
    for (guint i = 0; i < length; i++) {
        if (!plain)
            indent(out, depth + 1);
        else if (i > 0)
            g_string_append_c(out, ' ');
        print_node(out, json_array_get_element(array, i), depth + 1);
        if (i + 1 < length)
            g_string_append_c(out, ',');
    }
    if (!plain)
        indent(out, depth);
    g_string_append_c(out, ']');
}

static void
print_node(GString *out, JsonNode *node, unsigned depth)
{
    if (JSON_NODE_HOLDS_OBJECT(node)) {
        print_object(out, json_node_get_object(node), depth);
    } else if (JSON_NODE_HOLDS_ARRAY(node)) {
        print_array(out, json_node_get_array(node), depth);
    } else if (JSON_NODE_HOLDS_NULL(node)) {
        g_string_append(out, "null");
    } else if (json_node_get_value_type(node) == G_TYPE_STRING) {
        print_string(out, json_node_get_string(node));
    } else if (json_node_get_value_type(node) == G_TYPE_BOOLEAN) {
        g_string_append(out, json_node_get_boolean(node) ? "true" : "false");
    } else if (json_node_get_value_type(node) == G_TYPE_DOUBLE) {
        print_double(out, json_node_get_double(node));
    } else {
        g_string_append_printf(out, "%" G_GINT64_FORMAT, json_node_get_int(node));
    }
}

char *
vq_json_print(JsonNode *node)
{
    GString *out = g_string_new(NULL);

    print_node(out, node, 0);
    g_string_append_c(out, '\n');
    return g_string_free(out, FALSE);
}
