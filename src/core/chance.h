/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Chance that is the same on every machine: numbers are a function of a seed and of what they are
 * for, without state, so that a simulated VM has the same load under every policy, and in a trace
 * read back. Only +, -, *, /, sqrt() and powers of two are used, which IEEE 754 defines to the last
 * bit; libm's log() and exp() differ between releases. src/core is built without contraction to
 * fused multiply-adds for the same reason.
 */
#pragma once

#include <glib.h>

/* 64 bits out of a seed and three numbers that say what for: SplitMix64's mixer (Steele, Lea and
 * Flood 2014), applied once for each. */
guint64 vq_chance_bits(guint64 seed, guint64 a, guint64 b, guint64 c);

/* The same as a number above 0 and below 1. */
double vq_chance_uniform(guint64 seed, guint64 a, guint64 b, guint64 c);

/* Quantiles of distributions: @u is uniform, above 0 and below 1. */
double vq_chance_exponential(double u, double mean);
double vq_chance_normal(double u); /* mean 0, deviation 1; Acklam's approximation, within 1.2e-9 */
/* exp(@sigma z) with z normal, times what makes the mean @mean. */
double vq_chance_lognormal(double u, double mean, double sigma);

/* Natural logarithm of @x > 0, exponential, and the cosine of @turns full turns. Relative error
 * below 1e-13 where used. */
double vq_chance_ln(double x);
double vq_chance_exp(double x);
double vq_chance_cos(double turns);
