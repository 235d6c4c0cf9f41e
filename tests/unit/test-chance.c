/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/chance.h"

#include <math.h>

/* libm is the reference; it may differ in the last bits, which is why chance.c has its own. */
static void
test_functions(void)
{
    for (double x = 1e-12; x < 1e12; x *= 1.7)
        g_assert_cmpfloat_with_epsilon(vq_chance_ln(x), log(x), 1e-13 * (1 + fabs(log(x))));
    for (double x = -40; x < 40; x += 0.37)
        g_assert_cmpfloat_with_epsilon(vq_chance_exp(x) / exp(x), 1, 1e-13);
    for (double x = -3; x < 3; x += 0.013)
        g_assert_cmpfloat_with_epsilon(vq_chance_cos(x), cos(2 * G_PI * x), 1e-13);
}

/* As computed apart, in Python, with the published mixer (of 0: e220a8397b1dcdaf). They must never
 * change: what a seed gives depends on them. */
static void
test_bits(void)
{
    static const guint64 want[] = {G_GUINT64_CONSTANT(0x12588d809dce88a7),
                                   G_GUINT64_CONSTANT(0xa67f0349b6b7d27d),
                                   G_GUINT64_CONSTANT(0xa60facfa74e65895)};

    for (guint i = 0; i < G_N_ELEMENTS(want); i++)
        g_assert_cmphex(vq_chance_bits(1, 2, 3, i), ==, want[i]);
    g_assert_cmphex(vq_chance_bits(0, 1, 0, 0), !=, vq_chance_bits(0, 0, 1, 0));
    g_assert_cmpfloat(vq_chance_uniform(1, 2, 3, 0), ==,
                      (double)(want[0] >> 12) / 0x1p52 + 0x1p-53);
}

/* Mean and deviation of 200,000 draws against the distribution's own, within 5 standard errors. */
static void
test_distributions(void)
{
    enum { N = 200000 };
    double sums[4] = {0}, squares = 0;

    for (guint i = 0; i < N; i++) {
        double u = vq_chance_uniform(7, 1, 2, i), z = vq_chance_normal(u);

        g_assert_cmpfloat(u, >, 0);
        g_assert_cmpfloat(u, <, 1);
        sums[0] += u;
        sums[1] += z;
        squares += z * z;
        sums[2] += vq_chance_exponential(u, 3);
        sums[3] += vq_chance_lognormal(u, 5, 1);
    }
    g_assert_cmpfloat_with_epsilon(sums[0] / N, 0.5, 5 * 0.2887 / sqrt(N));
    g_assert_cmpfloat_with_epsilon(sums[1] / N, 0, 5 / sqrt(N));
    g_assert_cmpfloat_with_epsilon(squares / N, 1, 5 * sqrt(2.0 / N));
    g_assert_cmpfloat_with_epsilon(sums[2] / N, 3, 5 * 3 / sqrt(N));
    g_assert_cmpfloat_with_epsilon(sums[3] / N, 5, 5 * 5 * sqrt(G_E - 1) / sqrt(N));
    g_assert_cmpfloat_with_epsilon(vq_chance_normal(0.975), 1.959963985, 1e-8);
    g_assert_cmpfloat_with_epsilon(vq_chance_normal(1e-6), -4.753424309, 1e-7);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/chance/functions", test_functions);
    g_test_add_func("/chance/bits", test_bits);
    g_test_add_func("/chance/distributions", test_distributions);
    return g_test_run();
}
