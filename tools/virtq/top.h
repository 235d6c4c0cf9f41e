/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtq top: frames out of what the daemon counts (top-frame.c, which knows neither terminal nor
 * clock), and the loop that shows them (top.c).
 */
#pragma once

#include "base/enum.h"

#include <glib.h>

typedef enum {
    VQ_TOP_BY_DOMAIN,
    VQ_TOP_BY_LOAD,
    VQ_TOP_BY_CPU,
    VQ_TOP_BY_WORK,
    VQ_TOP_BY_REQUESTS,
    VQ_TOP_BY_NODE,
} VqTopSort;

/* Each begins with the key that chooses it. */
extern const VqEnumEntry vq_top_sort_names[];

typedef struct {
    VqTopSort sort;
    unsigned width, height; /* of the screen; 0: as much as there is */
    const char *notice;     /* a line for the head, or NULL */
} VqTopView;

/* One frame of lines, at most @height of @width characters. @counters: a{sv} as the method Counters
 * answers, or NULL: there is nothing to show yet. g_free(). */
char *vq_top_frame(GVariant *counters, const VqTopView *view);
