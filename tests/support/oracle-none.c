/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In place of oracle-glpk.c where GLPK is not installed. */
#include "oracle.h"

bool
oracle_have_glpk(void)
{
    return false;
}

bool
oracle_glpk(const OracleCase *problem, double seconds, OracleValue *best)
{
    return false;
}
