/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output.h"

#include "core/json.h"

struct _VqTable {
    GPtrArray *cells; /* of char *, row by row, the titles first */
    guint columns;
};

VqTable *
vq_table_new(const char *title, ...)
{
    VqTable *table = g_new0(VqTable, 1);
    va_list args;

    table->cells = g_ptr_array_new_with_free_func(g_free);
    va_start(args, title);
    for (; title; title = va_arg(args, const char *)) {
        g_ptr_array_add(table->cells, g_strdup(title));
        table->columns++;
    }
    va_end(args);
    return table;
}

/* Names come from domain XML: nothing in them may command the terminal. */
static char *
printable(const char *text)
{
    char *copy = g_strdup(text);

    for (char *c = copy; *c; c++) {
        if (g_ascii_iscntrl(*c))
            *c = '?';
    }
    return copy;
}

void
vq_table_row(VqTable *table, ...)
{
    va_list args;

    va_start(args, table);
    for (guint i = 0; i < table->columns; i++) {
        const char *cell = va_arg(args, const char *);

        g_ptr_array_add(table->cells, printable(cell ? cell : "-"));
    }
    va_end(args);
}

guint
vq_table_rows(const VqTable *table)
{
    return table->cells->len / table->columns - 1;
}

static glong *
column_widths(const VqTable *table)
{
    glong *widths = g_new0(glong, table->columns);

    for (guint i = 0; i < table->cells->len; i++) {
        glong length = g_utf8_strlen(g_ptr_array_index(table->cells, i), -1);

        widths[i % table->columns] = MAX(widths[i % table->columns], length);
    }
    return widths;
}

char *
vq_table_text(const VqTable *table)
{
    GString *text = g_string_new(NULL);
    g_autofree glong *widths = column_widths(table);
    glong total = 0;

    for (guint i = 0; i < table->cells->len; i++) {
        const char *cell = g_ptr_array_index(table->cells, i);
        guint column = i % table->columns;
        bool last = column + 1 == table->columns;
        glong pad = last ? 0 : widths[column] - g_utf8_strlen(cell, -1) + 3;

        g_string_append_printf(text, "%s%s%*s%s", column ? "" : " ", cell, (int)pad, "",
                               last ? "\n" : "");
        if (i < table->columns)
            total += widths[column] + (last ? 2 : 3);
        if (i + 1 == table->columns) {
            for (glong k = 0; k < total; k++)
                g_string_append_c(text, '-');
            g_string_append_c(text, '\n');
        }
    }
    return g_string_free(text, FALSE);
}

void
vq_table_print(const VqTable *table)
{
    g_autofree char *text = vq_table_text(table);

    fputs(text, stdout);
}

void
vq_table_free(VqTable *table)
{
    if (!table)
        return;
    g_ptr_array_unref(table->cells);
    g_free(table);
}

static void print_xml(GVariant *value, const char *name, int depth);

static void
print_xml_children(GVariant *value, const char *name, int depth)
{
    GVariantIter iter;
    GVariant *child;
    bool dict = g_variant_is_of_type(value, G_VARIANT_TYPE_DICTIONARY);

    g_variant_iter_init(&iter, value);
    while ((child = g_variant_iter_next_value(&iter))) {
        g_autoptr(GVariant) owned = child;

        if (dict) {
            g_autoptr(GVariant) key = g_variant_get_child_value(child, 0);
            g_autoptr(GVariant) item = g_variant_get_child_value(child, 1);

            print_xml(item, g_variant_get_string(key, NULL), depth);
        } else {
            print_xml(child, "item", depth);
        }
    }
}

static void
print_xml(GVariant *value, const char *name, int depth)
{
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_VARIANT)) {
        g_autoptr(GVariant) inner = g_variant_get_variant(value);

        print_xml(inner, name, depth);
    } else if (g_variant_is_container(value)) {
        printf("%*s<%s>\n", depth * 2, "", name);
        print_xml_children(value, name, depth + 1);
        printf("%*s</%s>\n", depth * 2, "", name);
    } else {
        g_autofree char *text = g_variant_is_of_type(value, G_VARIANT_TYPE_STRING)
                                    ? g_variant_dup_string(value, NULL)
                                    : g_variant_print(value, FALSE);
        g_autofree char *escaped = g_markup_escape_text(text, -1);

        printf("%*s<%s>%s</%s>\n", depth * 2, "", name, escaped, name);
    }
}

bool
vq_output_data(const VqTool *tool, GVariant *data)
{
    g_autoptr(GVariant) owned = g_variant_ref_sink(data);

    if (tool->format == VQ_FORMAT_JSON) {
        g_autoptr(JsonNode) node = json_gvariant_serialize(data);
        g_autofree char *text = vq_json_print(node);

        fputs(text, stdout);
    } else if (tool->format == VQ_FORMAT_XML) {
        print_xml(data, "virtq", 0);
    }
    return tool->format != VQ_FORMAT_TABLE;
}
