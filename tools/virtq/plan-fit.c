/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan-fit.h"

#include "base/error.h"
#include "core/objective.h"

#include <stdio.h>

void
vq_fit_clear(VqFit *fit)
{
    g_clear_pointer(&fit->trouble, g_free);
}

static bool
is_degraded(const VqPlan *plan, const char *domain, const char **why)
{
    for (guint i = 0; i < plan->placements->len; i++) {
        const VqPlaced *placed = g_ptr_array_index(plan->placements, i);

        if (!placed->degraded || !g_str_equal(placed->domain, domain))
            continue;
        *why = placed->degraded;
        return true;
    }
    return false;
}

static void
count_domain(const VqPlan *plan, const char *domain, VqFit *fit)
{
    const VqRefused *refused = vq_plan_refusal(plan, domain);
    const char *why = refused ? refused->reason : NULL;

    fit->domains++;
    if (refused)
        fit->refused++;
    else if (is_degraded(plan, domain, &why))
        fit->degraded++;
    else
        fit->as_asked++;
    if (why && !fit->trouble)
        fit->trouble = g_strdup(why);
}

void
vq_fit_read(const VqPlan *plan, const VqPlacementInput *input, VqFit *fit)
{
    const char *domain = NULL;
    VqObjective objective;

    *fit = (VqFit){.threads = input->threads->len};
    for (guint i = 0; i < input->threads->len; i++) {
        const VqThread *thread = g_ptr_array_index(input->threads, i);

        if (i == 0 || g_strcmp0(domain, thread->domain) != 0) /* a domain's threads are together */
            count_domain(plan, thread->domain, fit);
        domain = thread->domain;
    }
    vq_objective_of_plan(plan, input, &objective);
    fit->overload = (double)objective.overload / 1e6;
    fit->fits = fit->as_asked == fit->domains && objective.overload == 0;
    if (!fit->trouble && objective.overload > 0)
        fit->trouble = g_strdup_printf("shared cores are loaded above their limits of %.0f per "
                                       "cent, by %.2f cores together",
                                       input->params.load_limit * 100, fit->overload);
}

void
vq_fit_print(const VqFit *fit, int most, const VqFit *one_more)
{
    printf("\n Summary: %u domain%s with %u IOThread%s: %u as asked, %u degraded, %u refused; ",
           fit->domains, fit->domains == 1 ? "" : "s", fit->threads, fit->threads == 1 ? "" : "s",
           fit->as_asked, fit->degraded, fit->refused);
    if (fit->overload > 0)
        printf("cores are over their limit by %.2f\n", fit->overload);
    else
        printf("no core is over its limit\n");
    if (most >= 0)
        printf(" At most %d of each fit; with one more: %s\n", most, one_more->trouble);
    else
        printf(" %s\n", fit->fits ? "All fit" : "They do not all fit");
}

GVariant *
vq_fit_to_variant(const VqFit *fit, int most)
{
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

    g_variant_dict_insert(&dict, "domains_planned", "u", fit->domains);
    g_variant_dict_insert(&dict, "threads", "u", fit->threads);
    g_variant_dict_insert(&dict, "as_asked", "u", fit->as_asked);
    g_variant_dict_insert(&dict, "domains_degraded", "u", fit->degraded);
    g_variant_dict_insert(&dict, "domains_refused", "u", fit->refused);
    g_variant_dict_insert(&dict, "overload", "d", fit->overload);
    g_variant_dict_insert(&dict, "fits", "b", fit->fits);
    if (fit->trouble)
        g_variant_dict_insert(&dict, "trouble", "s", fit->trouble);
    if (most >= 0)
        g_variant_dict_insert(&dict, "count_max", "u", (guint)most);
    return g_variant_dict_end(&dict);
}

/* What @count copies of each give. */
static bool
try_count(const VqScenarioOptions *options, char **files, guint count, VqFit *fit, GError **error)
{
    VqScenarioOptions with = *options;
    g_autoptr(VqScenario) scenario = NULL;

    with.count = count;
    scenario = vq_scenario_read(&with, files, error);
    if (!scenario)
        return false;

    g_autoptr(VqPlan) plan = vq_placement_compute(&scenario->input);

    vq_fit_clear(fit);
    vq_fit_read(plan, &scenario->input, fit);
    return true;
}

static bool
no_end(const VqFit *fit, guint count, GError **error)
{
    if (fit->threads == 0)
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID,
                    "--count: nothing is to be placed, so any number fits");
    else
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                    "--count: %u of each fit, and no more than %d IOThreads are planned; give "
                    "loads with --load",
                    count, VQ_FIT_THREADS_MAX);
    return false;
}

bool
vq_fit_most(const VqScenarioOptions *options, char **files, guint *most, VqFit *one_more,
            GError **error)
{
    g_auto(VqFit) fit = {0};
    guint good = 0, bad = 1;

    for (;; bad *= 2) {
        if (!try_count(options, files, bad, &fit, error))
            return false;
        if (!fit.fits)
            break;
        good = bad;
        if (fit.threads == 0 || fit.threads > VQ_FIT_THREADS_MAX / 2)
            return no_end(&fit, good, error);
    }
    while (bad - good > 1) {
        guint middle = good + (bad - good) / 2;

        if (!try_count(options, files, middle, &fit, error))
            return false;
        if (fit.fits)
            good = middle;
        else
            bad = middle;
    }
    *most = good;
    return try_count(options, files, bad, one_more, error);
}
