/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/chance.h"

#include <math.h>

#define LN2    0.69314718055994530942
#define TWO_PI 6.28318530717958647693

static guint64
mix(guint64 z)
{
    z += G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

guint64
vq_chance_bits(guint64 seed, guint64 a, guint64 b, guint64 c)
{
    return mix(mix(mix(mix(seed) ^ a) ^ b) ^ c);
}

double
vq_chance_uniform(guint64 seed, guint64 a, guint64 b, guint64 c)
{
    guint64 bits = vq_chance_bits(seed, a, b, c) >> 12; /* 52: one more bit is for the half */

    return ldexp((double)bits + 0.5, -52);
}

double
vq_chance_ln(double x)
{
    int exponent;
    double m = frexp(x, &exponent), s, square, power, sum = 0;

    if (m < 0.70710678118654752440) {
        m *= 2;
        exponent--;
    }
    s = (m - 1) / (m + 1); /* ln m = 2 (s + s^3/3 + s^5/5 ...), |s| < 0.172 */
    square = s * s;
    power = s;
    for (int k = 1; k <= 21; k += 2) {
        sum += power / k;
        power *= square;
    }
    return 2 * sum + exponent * LN2;
}

double
vq_chance_exp(double x)
{
    double whole = floor(CLAMP(x, -700, 700) / LN2 + 0.5);
    double rest = CLAMP(x, -700, 700) - whole * LN2, term = 1, sum = 1;

    for (int k = 1; k <= 14; k++) {
        term *= rest / k;
        sum += term;
    }
    return ldexp(sum, (int)whole);
}

double
vq_chance_cos(double turns)
{
    double part = fabs(turns - floor(turns + 0.5)); /* 0 .. 1/2 */
    double sign = part > 0.25 ? -1 : 1, angle, square, term = 1, sum = 1;

    angle = TWO_PI * (part > 0.25 ? 0.5 - part : part);
    square = angle * angle;
    for (int k = 1; k <= 12; k++) {
        term *= -square / ((2 * k - 1) * (2 * k));
        sum += term;
    }
    return sign * sum;
}

double
vq_chance_exponential(double u, double mean)
{
    return -mean * vq_chance_ln(u);
}

static double
polynomial(const double *c, int n, double x)
{
    double value = c[0];

    for (int i = 1; i < n; i++)
        value = value * x + c[i];
    return value;
}

double
vq_chance_normal(double u)
{
    static const double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,
                               -2.759285104469687e+02, 1.383577518672690e+02,
                               -3.066479806614716e+01, 2.506628277459239e+00};
    static const double b[] = {-5.447609879822406e+01, 1.615858368580409e+02,
                               -1.556989798598866e+02, 6.680131188771972e+01,
                               -1.328068155288572e+01, 1};
    static const double c[] = {-7.784894002430293e-03, -3.223964580411365e-01,
                               -2.400758277161838e+00, -2.549732539343734e+00,
                               4.374664141464968e+00,  2.938163982698783e+00};
    static const double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                               3.754408661907416e+00, 1};
    double tail = MIN(u, 1 - u);

    if (tail < 0.02425) {
        double q = sqrt(-2 * vq_chance_ln(tail));
        double value = polynomial(c, 6, q) / polynomial(d, 5, q);

        return u < 0.5 ? value : -value;
    }

    double q = u - 0.5;

    return q * polynomial(a, 6, q * q) / polynomial(b, 6, q * q);
}

double
vq_chance_lognormal(double u, double mean, double sigma)
{
    return mean * vq_chance_exp(sigma * vq_chance_normal(u) - sigma * sigma / 2);
}
