/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "waves.h"

double
wave_square(gint64 now, gconstpointer data)
{
    const Wave *s = data;
    double at = ((double)now / G_USEC_PER_SEC + s->phase) / s->period;

    return at - (gint64)at < 0.5 ? s->low : s->high;
}

/* @data: per cent. */
double
wave_steady(gint64 now, gconstpointer data)
{
    return GPOINTER_TO_UINT(data) / 100.0;
}

/* A sine between the two, by a series that is exact enough: no libm. */
double
wave_sine(gint64 now, gconstpointer data)
{
    const Wave *s = data;
    double at = ((double)now / G_USEC_PER_SEC + s->phase) / s->period;
    double x = 2 * (at - (gint64)at), sign = x < 1 ? 1 : -1;

    x = x < 1 ? x : x - 1; /* half a wave: 4x(1-x) and its correction (Bhaskara) */

    double y = 4 * x * (1 - x);
    double wave = sign * y * (0.775 + 0.225 * y);

    return (s->low + s->high) / 2 + wave * (s->high - s->low) / 2;
}

/* The same at each asking of the same time: a hash of it. */
double
wave_noise(gint64 now, gconstpointer data)
{
    const Wave *s = data;
    gint64 slot = (gint64)((double)now / G_USEC_PER_SEC / s->period);
    g_autoptr(GRand) random =
        g_rand_new_with_seed((guint32)slot * 2654435761u + (guint32)(s->phase * 1000));

    return g_rand_double_range(random, s->low, s->high);
}
