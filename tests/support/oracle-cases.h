/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inputs small enough for the oracle: 2 to 8 cores, 2 to 10 threads. */
#pragma once

#include "machine.h"

typedef enum {
    ORACLE_SHARED,    /* shared threads only */
    ORACLE_DEDICATED, /* dedicated ones only; those that get no core of their own share */
    ORACLE_MIXED,
} OracleFamily;

/* All threads about to start; loads in whole per cent, so that the oracles' sums are exact. */
TestCase *oracle_random_case(GRand *random, OracleFamily family);

/* The world a while later: other loads, a VM gone, a VM more; the others where they were. */
void oracle_disturb(TestCase *test, GRand *random);

/* Everything that is needed to play @test again by hand, and where @plan puts each thread. */
char *oracle_describe(const TestCase *test, const VqPlan *plan);
