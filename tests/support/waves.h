/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Demands of threads that go up and down, for support/world.h. */
#pragma once

#include "support/world.h"

typedef struct {
    double low, high;
    double period; /* seconds, low first; half of it each */
    double phase;  /* seconds */
} Wave;

/* Of a Wave. */
double wave_square(gint64 now, gconstpointer data);
double wave_sine(gint64 now, gconstpointer data);
/* Another value each period. */
double wave_noise(gint64 now, gconstpointer data);

/* Always the same. */
#define WAVE_PERCENT(n) GUINT_TO_POINTER(n)
double wave_steady(gint64 now, gconstpointer data);
