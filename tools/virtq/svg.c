/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "svg.h"

void
vq_svg_group(GString *out, const char *title_format, ...)
{
    va_list args;

    va_start(args, title_format);

    g_autofree char *title = g_strdup_vprintf(title_format, args);
    g_autofree char *escaped = g_markup_escape_text(title, -1);

    va_end(args);
    g_string_append_printf(out, "<g><title>%s</title>\n", escaped);
}

void
vq_svg_end(GString *out)
{
    g_string_append(out, "</g>\n");
}

void
vq_svg_rect(GString *out, VqRect rect, const char *css)
{
    g_string_append_printf(
        out, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\"/>\n", css,
        rect.x, rect.y, rect.width, rect.height);
}

void
vq_svg_text(GString *out, int x, int y, int width, int font_size, const char *css, const char *text)
{
    glong fit = MAX(1, (glong)(width / (font_size * VQ_SVG_ADVANCE)));
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    g_autofree char *cut = NULL;

    if (g_utf8_strlen(valid, -1) > fit) {
        g_autofree char *start = g_utf8_substring(valid, 0, fit - 1);

        cut = g_strconcat(start, "…", NULL);
    }

    g_autofree char *escaped = g_markup_escape_text(cut ? cut : valid, -1);

    g_string_append_printf(out, "<text class=\"%s\" x=\"%d\" y=\"%d\" font-size=\"%d\">%s</text>\n",
                           css, x, y, font_size, escaped);
}

char *
vq_svg_document(int width, int height, const char *title, const char *description,
                const char *style, const GString *body)
{
    g_autofree char *title_text = g_markup_escape_text(title, -1);
    g_autofree char *description_text = g_markup_escape_text(description, -1);

    return g_strdup_printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                           "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                           "viewBox=\"0 0 %d %d\" font-family=\"DejaVu Sans, Verdana, sans-serif\" "
                           "role=\"img\">\n"
                           "<title>%s</title>\n<desc>%s</desc>\n<style>\n%s</style>\n"
                           "<rect class=\"page\" x=\"0\" y=\"0\" width=\"%d\" height=\"%d\"/>\n"
                           "%s</svg>\n",
                           width, height, width, height, title_text, description_text, style, width,
                           height, body->str);
}
