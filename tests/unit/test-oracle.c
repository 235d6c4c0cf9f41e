/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Placement against the exact minimum of its objective, on thousands of small random cases. The gap
 * of a case is that of the first field of the objective in which the plan is worse (later ones are
 * not comparable then), in per cent of
 *
 *   overload            the shared load there is
 *   device, memory      the field's minimum
 *   slow                the speed of a fast core for each dedicated thread
 *   package, scatter    the pairs of threads of one VM
 *   cores, uneven       the field's minimum
 *   moves               the threads
 *
 * The minimum is found by a search, and the search is held against GLPK.
 *
 * VQ_TEST_SEED and VQ_TEST_CASES choose other cases and more of them; VQ_TEST_CASE=N plays one and
 * prints it, VQ_TEST_CASE=all prints all that are not optimal.
 */
#include "support/oracle-cases.h"
#include "support/oracle.h"

#include "core/objective.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CASES        2000 /* of each family */
#define GLPK_CASES   200  /* it takes twenty times as long as the search */
#define SEARCH_NODES 400000
#define GLPK_SECONDS 5.0
#define EPSILON      1e-6
#define UNEVEN_UNIT                                                                                \
    ((1 << 20) / 1024 * 1e8) /* of the product in the oracle's: (load in per cent)^2 */

typedef struct {
    const char *name;
    guint cases, optimal, unsolved;
    guint lost[ORACLE_FIELDS]; /* cases whose first worse field it is */
    double worst[ORACLE_FIELDS], sum[ORACLE_FIELDS];
    guint worst_case[ORACLE_FIELDS];
} Gaps;

static guint
from_environment(const char *name, guint otherwise)
{
    const char *text = g_getenv(name);

    return text ? (guint)atoi(text) : otherwise;
}

/* Whether case @index is to be played, and, if not optimal, printed. */
static bool
is_chosen(guint index, bool *print)
{
    const char *one = g_getenv("VQ_TEST_CASE");

    *print = one != NULL;
    return !one || g_str_equal(one, "all") || (guint)atoi(one) == index;
}

/* What a gap in @field is a part of; the head of the file tells. */
static double
scale_of(const OracleCase *problem, OracleField field, double best)
{
    double load = 0;
    guint pairs = 0, dedicated = 0;

    for (guint i = 0; i < problem->n_threads; i++) {
        load += problem->threads[i].dedicated ? 0 : problem->threads[i].load;
        dedicated += problem->threads[i].dedicated;
        for (guint k = 0; k < i; k++)
            pairs += problem->threads[i].domain == problem->threads[k].domain;
    }
    switch ((int)field) {
    case ORACLE_OVERLOAD:
        return load;
    case ORACLE_SLOW:
        return 1024.0 * dedicated;
    case ORACLE_PACKAGE:
    case ORACLE_SCATTER:
        return pairs;
    case ORACLE_MOVES:
        return problem->n_threads;
    default:
        return best;
    }
}

/* Per cent. */
static double
gap_of(const OracleCase *problem, OracleField field, double found, double best)
{
    return 100 * (found - best) / MAX(scale_of(problem, field, best), EPSILON);
}

static void
count(Gaps *gaps, guint index, const OracleCase *problem, const OracleValue *found,
      const OracleValue *best)
{
    OracleField field;
    double gap;

    gaps->cases++;
    if (oracle_compare(found, best, &field) == 0) {
        gaps->optimal++;
        return;
    }
    gap = gap_of(problem, field, found->field[field], best->field[field]);
    gaps->lost[field]++;
    gaps->sum[field] += gap;
    if (gap > gaps->worst[field]) {
        gaps->worst[field] = gap;
        gaps->worst_case[field] = index;
    }
}

static double
mean(const Gaps *gaps, OracleField field)
{
    return gaps->sum[field] / MAX(gaps->cases, 1);
}

static void
report(const Gaps *gaps)
{
    g_test_message("%s: %u cases, %.2f%% optimal, %u not solved", gaps->name, gaps->cases,
                   100.0 * gaps->optimal / MAX(gaps->cases, 1), gaps->unsolved);
    for (int f = 0; f < ORACLE_FIELDS; f++) {
        if (gaps->lost[f])
            g_test_message("%s: %s first worse in %u; gap over all cases: mean %.4f%%, greatest "
                           "%.2f%% (case %u)",
                           gaps->name, oracle_field_names[f], gaps->lost[f],
                           mean(gaps, (OracleField)f), gaps->worst[f], gaps->worst_case[f]);
    }
}

/* The product's objective says the same of this plan. */
static void
check_fields(const OracleValue *value, const VqObjective *o, bool outside, const char *text)
{
    const double product[ORACLE_FIELDS] = {
        [ORACLE_OVERLOAD] = (double)o->overload / 1e4,
        [ORACLE_DEVICE] = (double)o->device,
        [ORACLE_MEMORY] = (double)o->memory,
        [ORACLE_SLOW] = (double)o->slow,
        [ORACLE_PACKAGE] = (double)o->package,
        [ORACLE_SCATTER] = (double)o->scatter,
        [ORACLE_IN_USE] = (double)o->cores,
        [ORACLE_UNEVEN] = (double)o->uneven / UNEVEN_UNIT,
        [ORACLE_MOVES] = (double)o->moves,
    };

    for (int f = 0; f < ORACLE_FIELDS; f++) {
        /* the product's 1/capacity is a whole number: a little off */
        double tolerance = f == ORACLE_UNEVEN ? 1e-3 * value->field[f] : 0.01;

        /* a thread that stays outside the pool is none of this case's */
        if (f == ORACLE_MOVES && outside)
            continue;
        if (fabs(product[f] - value->field[f]) > tolerance)
            g_error("%s: the objective says %g, the oracle %g\n%s", oracle_field_names[f],
                    product[f], value->field[f], text);
    }
}

/* The best, which is no worse than the plan. False if the search was given up. */
static bool
solve(guint index, const OracleCase *problem, const OracleValue *found, OracleValue *best,
      int *where)
{
    OracleValue exact;
    OracleField field;

    if (!oracle_search(problem, SEARCH_NODES, best, where))
        return false;
    exact = oracle_value(problem, where);
    g_assert_cmpint(oracle_compare(&exact, best, NULL), ==, 0);
    if (oracle_compare(found, best, &field) < 0)
        g_error("case %u: the plan is better than the best in %s", index,
                oracle_field_names[field]);
    return true;
}

static void
print_case(guint index, const char *text, const OracleCase *problem, const OracleValue *found,
           const OracleValue *best, const int *where)
{
    g_autofree char *a = oracle_text(found), *b = oracle_text(best);
    g_autoptr(GString) cores = g_string_new(NULL);
    OracleField field;

    if (oracle_compare(found, best, &field) == 0)
        return;
    for (guint i = 0; i < problem->n_threads; i++)
        g_string_append_printf(cores, " %d", where[i]);
    g_test_message(
        "case %u: %s worse; %u threads\n%splan: %s\nbest: %s\nbest, cores of the pool by "
        "thread, counted from 0:%s",
        index, oracle_field_names[field], problem->n_threads, text, a, b, cores->str);
}

/* Plans @test and puts its gap to @gaps; with @given, of the shared threads alone. The plan. */
static VqPlan *
one_case(Gaps *gaps, guint index, TestCase *test, bool given, bool print)
{
    g_autoptr(GError) error = NULL;
    VqPlan *plan = vq_placement_compute(&test->input);
    g_autofree char *text = oracle_describe(test, plan);
    int where[ORACLE_THREADS_MAX];
    OracleCase problem;
    OracleValue found, best;
    VqObjective objective;

    vq_plan_check(plan, &test->input, &error);
    g_assert_no_error(error);
    g_assert_true(oracle_case_from_plan(&test->input, plan, &problem));
    found = oracle_value(&problem, problem.where);
    vq_objective_of_plan(plan, &test->input, &objective);
    check_fields(&found, &objective, problem.n_threads < plan->placements->len, text);
    if (given) {
        oracle_fix_dedicated(&problem);
        found = oracle_value(&problem, problem.where);
    }
    if (!solve(index, &problem, &found, &best, where)) {
        gaps->unsolved++;
        return plan;
    }
    count(gaps, index, &problem, &found, &best);
    if (print)
        print_case(index, text, &problem, &found, &best, where);
    return plan;
}

static bool
is_degraded(const TestCase *test)
{
    g_autoptr(VqPlan) plan = vq_placement_compute(&test->input);

    for (guint i = 0; i < plan->placements->len; i++) {
        if (((const VqPlaced *)plan->placements->pdata[i])->degraded)
            return true;
    }
    return plan->refused->len > 0;
}

/* With @complete only those cases count in which every thread has the class that it wants. @given:
 * see one_case(). */
static Gaps
play_fresh(const char *name, OracleFamily family, bool complete, bool given)
{
    guint cases = from_environment("VQ_TEST_CASES", CASES);
    guint seed = from_environment("VQ_TEST_SEED", 1);
    Gaps gaps = {.name = name};

    for (guint i = 0; i < cases; i++) {
        g_autoptr(GRand) random = g_rand_new_with_seed(seed * 1000003 + i);
        bool print;

        if (!is_chosen(i, &print))
            continue;

        g_autoptr(TestCase) test = oracle_random_case(random, family);

        if (complete && is_degraded(test))
            continue;

        g_autoptr(VqPlan) plan = one_case(&gaps, i, test, given, print);
    }
    report(&gaps);
    g_assert_cmpuint(gaps.unsolved, <=, cases / 100);
    return gaps;
}

/* The mean gap of no field is above @percent, and all but few cases have none. */
static void
within(const Gaps *gaps, double percent, double optimal)
{
    for (int f = 0; f < ORACLE_FIELDS; f++)
        g_assert_cmpfloat(mean(gaps, (OracleField)f), <=, percent);
    if (gaps->cases > 100)
        g_assert_cmpfloat(100.0 * gaps->optimal / gaps->cases, >=, optimal);
}

static void
test_shared(void)
{
    Gaps gaps = play_fresh("shared", ORACLE_SHARED, false, false);

    within(&gaps, 1, 98);
}

/* Shared threads between dedicated ones that have their cores. */
static void
test_given(void)
{
    Gaps gaps = play_fresh("given", ORACLE_MIXED, false, true);

    within(&gaps, 1, 98);
}

/* Nothing but dedicated threads that all have a core: an assignment problem, solved exactly. What
 * couples threads, pairs apart, is not part of it. */
static void
test_dedicated(void)
{
    Gaps gaps = play_fresh("dedicated", ORACLE_DEDICATED, true, false);

    for (int f = 0; f < ORACLE_PACKAGE; f++)
        g_assert_cmpuint(gaps.lost[f], ==, 0);
    within(&gaps, 4, 90);
}

/* Both at once: dedicated threads take their cores first, which may cost shared ones more than it
 * gains. */
static void
test_mixed(void)
{
    Gaps gaps = play_fresh("mixed", ORACLE_MIXED, false, false);

    within(&gaps, 3, 80);
}

/* Devices whose threads do not get cores of their own all share one or two of them. */
static void
test_degraded(void)
{
    Gaps gaps = play_fresh("degraded", ORACLE_DEDICATED, false, false);

    within(&gaps, 4, 70);
}

/* After a plan was followed and the world went on: hysteresis keeps threads where they are, so that
 * the gap is no longer that of the search alone. */
static void
test_disturbed(void)
{
    guint cases = from_environment("VQ_TEST_CASES", CASES);
    guint seed = from_environment("VQ_TEST_SEED", 1);
    Gaps gaps = {.name = "disturbed"};

    for (guint i = 0; i < cases; i++) {
        g_autoptr(GRand) random = g_rand_new_with_seed(seed * 1000003 + i);
        bool print;

        if (!is_chosen(i, &print))
            continue;

        g_autoptr(TestCase) test = oracle_random_case(random, ORACLE_MIXED);
        g_autoptr(VqPlan) first = vq_placement_compute(&test->input);

        test_case_follow(test, first);
        oracle_disturb(test, random);

        g_autoptr(VqPlan) second = one_case(&gaps, i, test, true, print);
    }
    report(&gaps);
    /* promises, overload and locality are worth a move, the rest only beyond the hysteresis */
    g_assert_cmpfloat(mean(&gaps, ORACLE_OVERLOAD), <=, 0.1);
    g_assert_cmpfloat(mean(&gaps, ORACLE_DEVICE), <=, 1);
    g_assert_cmpfloat(mean(&gaps, ORACLE_MEMORY), <=, 1);
    within(&gaps, 4, 70);
}

/* The search against GLPK: two ways to the same minimum. */
static void
test_glpk(void)
{
    guint seed = from_environment("VQ_TEST_SEED", 1), solved = 0;

    if (!oracle_have_glpk()) {
        g_test_skip("needs GLPK (libglpk-dev) at build time");
        return;
    }
    for (guint i = 0; i < GLPK_CASES; i++) {
        g_autoptr(GRand) random = g_rand_new_with_seed(seed * 1000003 + i);
        g_autoptr(TestCase) test = oracle_random_case(random, ORACLE_MIXED);
        g_autoptr(VqPlan) plan = vq_placement_compute(&test->input);
        OracleCase problem;
        OracleValue best, exact;
        OracleField field;
        int where[ORACLE_THREADS_MAX];

        g_assert_true(oracle_case_from_plan(&test->input, plan, &problem));
        if (!oracle_search(&problem, SEARCH_NODES, &best, where) ||
            !oracle_glpk(&problem, GLPK_SECONDS, &exact))
            continue;
        solved++;
        if (oracle_compare(&exact, &best, &field) != 0) {
            g_autofree char *a = oracle_text(&best), *b = oracle_text(&exact);

            g_error("case %u: search and GLPK differ in %s:\n%s\n%s", i, oracle_field_names[field],
                    a, b);
        }
    }
    g_test_message("search and GLPK agree in all of %u cases; %u were too large", solved,
                   GLPK_CASES - solved);
    g_assert_cmpuint(solved, >, GLPK_CASES * 3 / 4);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/oracle/glpk", test_glpk);
    g_test_add_func("/oracle/shared", test_shared);
    g_test_add_func("/oracle/given", test_given);
    g_test_add_func("/oracle/dedicated", test_dedicated);
    g_test_add_func("/oracle/mixed", test_mixed);
    g_test_add_func("/oracle/degraded", test_degraded);
    g_test_add_func("/oracle/disturbed", test_disturbed);
    return g_test_run();
}
