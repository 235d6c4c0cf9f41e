/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In place of bounds-glpk.c where GLPK is not installed. */
#include "bounds.h"

bool
bounds_linear(const BoundsProblem *problem, Bounds *out)
{
    return false;
}
