/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The few SVG elements that pictures of hosts are made of. All text is escaped here and nowhere
 * else; coordinates are pixels.
 */
#pragma once

#include <glib.h>

/* Average advance of a character per pixel of font size: for fitting text into boxes. */
#define VQ_SVG_ADVANCE 0.58

typedef struct {
    int x, y, width, height;
} VqRect;

/* <g> with a <title> (what a browser shows under the pointer); ended by vq_svg_end(). */
void vq_svg_group(GString *out, const char *title_format, ...) G_GNUC_PRINTF(2, 3);
void vq_svg_end(GString *out);

/* A box of CSS class @css. */
void vq_svg_rect(GString *out, VqRect rect, const char *css);

/* Text of CSS class @css starting at (x, y = its baseline), cut with an ellipsis to @width pixels.
 */
void vq_svg_text(GString *out, int x, int y, int width, int font_size, const char *css,
                 const char *text);

/* The whole document around @body. */
char *vq_svg_document(int width, int height, const char *title, const char *description,
                      const char *style, const GString *body);
