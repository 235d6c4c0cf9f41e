/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether domains fit on a machine: everybody gets what was asked for, and no core is over its
 * limit. For virtq plan --summary, --check and --count.
 */
#pragma once

#include "scenario.h"

/* More IOThreads than this are not planned for `--count max`. */
#define VQ_FIT_THREADS_MAX 4096

typedef struct {
    guint domains, threads;
    guint as_asked, degraded, refused; /* domains; together all of them */
    double overload;                   /* load above the limits of cores, in cores */
    bool fits;
    char *trouble; /* the first reason why not, or NULL */
} VqFit;

void vq_fit_read(const VqPlan *plan, const VqPlacementInput *input, VqFit *fit);
void vq_fit_clear(VqFit *fit);
/* Where @most >= 0, that many copies of each domain fit at most. */
void vq_fit_print(const VqFit *fit, int most, const VqFit *one_more);
GVariant *vq_fit_to_variant(const VqFit *fit, int most); /* floating */

/*
 * The largest count of copies of each of @files with which all fit, 0 if one of each does not;
 * *@one_more is what one more of each would give. Error as vq_scenario_read(), or VQ_ERROR_LIMIT:
 * as many fit as are planned for, or nothing is to be placed.
 */
bool vq_fit_most(const VqScenarioOptions *options, char **files, guint *most, VqFit *one_more,
                 GError **error);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VqFit, vq_fit_clear)
