/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The minimum by GLPK. Set partitioning: a column is "these threads on a core of that kind", which
 * makes every field a sum over columns, also those that are not linear in single threads (overload,
 * unevenness), and the relaxation tight. Pairs of threads apart need a number for each VM and
 * place, written as a sum of binaries.
 *
 * Field by field: the minimum of one becomes a row, columns whose reduced cost shows that no
 * optimum has them are fixed to 0, and the next field follows.
 */
#include "oracle.h"

#include <glpk.h>
#include <math.h>

#define EPSILON     1e-6
#define COLUMNS_MAX 1600 /* above, it takes more than a tenth of a second */

/* Cores alike in everything. */
typedef struct {
    guint core; /* the first of them */
    guint cores[ORACLE_CORES_MAX], count;
} Kind;

typedef struct {
    guint mask, kind; /* threads on a core of it; no threads: not such a column */
} Pattern;

typedef struct {
    const OracleCase *problem;
    Kind kinds[ORACLE_CORES_MAX];
    guint n_kinds;
    guint shared[ORACLE_THREADS_MAX], n_shared; /* threads */
    glp_prob *lp;
    GArray *patterns;            /* of Pattern, by column */
    GArray *cost[ORACLE_FIELDS]; /* of double, by column from 1 */
    GArray *surplus; /* of double, by column: least cost of the relaxation with it above that
                      * without; 0 if unknown */
    double seconds;
    bool branched; /* the last solution is that of branch and cut, not the relaxation's */
} Model;

static bool
is_plain(const OracleCase *problem, guint core)
{
    for (guint i = 0; i < problem->n_threads; i++) {
        if (problem->threads[i].home == (int)core)
            return false;
    }
    return !problem->cores[core].held;
}

static bool
alike(const OracleCase *problem, guint a, guint b)
{
    const OracleCore *x = &problem->cores[a], *y = &problem->cores[b];

    return is_plain(problem, a) && is_plain(problem, b) && x->node == y->node &&
           x->package == y->package && x->cluster == y->cluster && x->speed == y->speed &&
           x->capacity == y->capacity;
}

static void
find_kinds(Model *m)
{
    const OracleCase *p = m->problem;

    for (guint c = 0; c < p->n_cores; c++) {
        guint k = 0;

        if (p->cores[c].owned)
            continue;
        while (k < m->n_kinds && !alike(p, m->kinds[k].core, c))
            k++;
        m->n_kinds += k == m->n_kinds;
        m->kinds[k].core = m->kinds[k].count ? m->kinds[k].core : c;
        m->kinds[k].cores[m->kinds[k].count++] = c;
    }
    for (guint i = 0; i < p->n_threads; i++) {
        if (!p->threads[i].dedicated)
            m->shared[m->n_shared++] = i;
    }
}

static int
add_row(Model *m, int type, double low, double high)
{
    int row = glp_add_rows(m->lp, 1);

    glp_set_row_bnds(m->lp, row, type, low, high);
    return row;
}

/* Rows 1.. are the threads, then come the kinds of cores. */
static void
add_base_rows(Model *m)
{
    for (guint i = 0; i < m->problem->n_threads; i++)
        add_row(m, GLP_FX, 1, 1);
    for (guint k = 0; k < m->n_kinds; k++)
        add_row(m, GLP_UP, 0, m->kinds[k].count);
}

static int
add_column(Model *m, double upper, const int *rows, const double *values, int n)
{
    static const double zero;
    static const Pattern none;
    int column = glp_add_cols(m->lp, 1);

    glp_set_col_kind(m->lp, column, GLP_IV);
    glp_set_col_bnds(m->lp, column, GLP_DB, 0, upper);
    glp_set_mat_col(m->lp, column, n, rows, values);
    for (int f = 0; f < ORACLE_FIELDS; f++)
        g_array_append_val(m->cost[f], zero);
    g_array_append_val(m->patterns, none);
    return column;
}

/* The threads of @mask on a core of kind @k; a single dedicated one owns it. */
static void
add_pattern(Model *m, guint k, guint mask, bool dedicated)
{
    const OracleCase *p = m->problem;
    int rows[ORACLE_THREADS_MAX + 2], n = 0, column;
    double ones[ORACLE_THREADS_MAX + 2];
    guint core = m->kinds[k].core;

    for (guint i = 0; i < p->n_threads; i++) {
        if (mask >> i & 1)
            rows[++n] = (int)i + 1;
    }
    rows[++n] = (int)(p->n_threads + k) + 1;
    for (int i = 1; i <= n; i++)
        ones[i] = 1;
    column = add_column(m, 1, rows, ones, n);
    g_array_index(m->patterns, Pattern, column) = (Pattern){mask, k};
    for (int f = 0; f < ORACLE_FIELDS; f++) {
        double cost =
            dedicated ? oracle_owner_cost(p, core, (guint)g_bit_nth_lsf(mask, -1), (OracleField)f)
                      : oracle_core_cost(p, core, mask, (OracleField)f);

        cost -= oracle_core_cost(p, core, 0, (OracleField)f);
        g_array_index(m->cost[f], double, column) = cost;
    }
}

static guint
spread_bits(const Model *m, guint bits)
{
    guint mask = 0;

    for (guint i = 0; i < m->n_shared; i++)
        mask |= (bits >> i & 1) << m->shared[i];
    return mask;
}

static void
add_patterns(Model *m)
{
    const OracleCase *p = m->problem;

    for (guint k = 0; k < m->n_kinds; k++) {
        for (guint bits = 1; bits < 1U << m->n_shared; bits++)
            add_pattern(m, k, spread_bits(m, bits), false);
        for (guint i = 0; i < p->n_threads && !p->cores[m->kinds[k].core].held; i++) {
            if (p->threads[i].dedicated)
                add_pattern(m, k, 1U << i, true);
        }
    }
}

static int
place_of(const OracleCore *core, OracleField field)
{
    return field == ORACLE_PACKAGE ? core->package : core->cluster;
}

/* A row that counts the threads of @domain in @place, equal to a sum of binaries "k of them", of
 * which one is 1: k of them are k(k-1)/2 pairs together. */
static void
add_count(Model *m, guint domain, int place, OracleField field, guint most)
{
    const OracleCase *p = m->problem;
    int columns = glp_get_num_cols(m->lp), fixed = 0, n = 0, row, one;
    g_autofree int *index = g_new(int, columns + 1);
    g_autofree double *value = g_new(double, columns + 1);

    for (guint i = 0; i < p->n_fixed; i++)
        fixed +=
            p->fixed[i][0] == (int)domain && p->fixed[i][field == ORACLE_PACKAGE ? 1 : 2] == place;
    for (int j = 1; j <= columns; j++) {
        int rows[ORACLE_THREADS_MAX * 4 + 2], of = -1;
        double values[ORACLE_THREADS_MAX * 4 + 2], count = 0;
        int length = glp_get_mat_col(m->lp, j, NULL, NULL);

        if (length > (int)G_N_ELEMENTS(rows) - 1)
            continue;
        glp_get_mat_col(m->lp, j, rows, values);
        for (int i = 1; i <= length; i++) {
            if (rows[i] <= (int)p->n_threads)
                count += p->threads[rows[i] - 1].domain == domain;
            else if (rows[i] <= (int)(p->n_threads + m->n_kinds))
                of = place_of(&p->cores[m->kinds[rows[i] - 1 - (int)p->n_threads].core], field);
        }
        if (of == place && count > 0) {
            index[++n] = j;
            value[n] = count;
        }
    }
    row = add_row(m, GLP_FX, -fixed, -fixed);
    glp_set_mat_row(m->lp, row, n, index, value);
    one = add_row(m, GLP_FX, 1, 1);
    for (guint k = 0; k <= most; k++) {
        const int rows[] = {0, row, one};
        const double values[] = {0, -(double)k, 1};
        int column = add_column(m, 1, rows, values, 2);

        g_array_index(m->cost[field], double, column) = -(double)k * (k - 1) / 2;
    }
}

static void
add_pairs(Model *m, OracleField field)
{
    const OracleCase *p = m->problem;

    for (guint d = 0; d < p->n_domains; d++) {
        g_autoptr(GHashTable) places = g_hash_table_new(NULL, NULL);
        GHashTableIter iter;
        gpointer place;
        guint n = 0;

        for (guint i = 0; i < p->n_threads; i++)
            n += p->threads[i].domain == d;
        for (guint i = 0; i < p->n_fixed; i++) {
            n += p->fixed[i][0] == (int)d;
            g_hash_table_add(places, GINT_TO_POINTER(p->fixed[i][field == ORACLE_PACKAGE ? 1 : 2]));
        }
        for (guint c = 0; c < p->n_cores; c++)
            g_hash_table_add(places, GINT_TO_POINTER(place_of(&p->cores[c], field)));
        if (n < 2 || g_hash_table_size(places) < 2)
            continue;
        g_hash_table_iter_init(&iter, places);
        while (g_hash_table_iter_next(&iter, &place, NULL))
            add_count(m, d, GPOINTER_TO_INT(place), field, n);
    }
}

static bool
is_whole(const Model *m)
{
    for (int j = glp_get_num_cols(m->lp); j > 0; j--) {
        double x = glp_get_col_prim(m->lp, j);

        if (fabs(x - round(x)) > EPSILON)
            return false;
    }
    return true;
}

/* The field's minimum over what earlier fields left, as whole numbers of columns. */
static bool
minimise(Model *m, OracleField field, double *relaxed, double *least)
{
    glp_smcp simplex;
    glp_iocp branch;

    for (int j = glp_get_num_cols(m->lp); j > 0; j--)
        glp_set_obj_coef(m->lp, j, g_array_index(m->cost[field], double, j));
    glp_init_smcp(&simplex);
    simplex.msg_lev = GLP_MSG_OFF;
    simplex.tm_lim = (int)(m->seconds * 1e3);
    if (glp_simplex(m->lp, &simplex) != 0 || glp_get_status(m->lp) != GLP_OPT)
        return false;
    *relaxed = *least = glp_get_obj_val(m->lp);
    g_array_set_size(m->surplus, 0);
    for (int j = 0; j <= glp_get_num_cols(m->lp); j++) {
        bool at_zero = j > 0 && glp_get_col_stat(m->lp, j) == GLP_NL;
        double surplus = at_zero ? glp_get_col_dual(m->lp, j) : 0;

        g_array_append_val(m->surplus, surplus);
    }
    m->branched = !is_whole(m);
    if (!m->branched)
        return true;
    glp_init_iocp(&branch);
    branch.msg_lev = GLP_MSG_OFF;
    branch.tm_lim = (int)(m->seconds * 1e3);
    if (glp_intopt(m->lp, &branch) != 0 || glp_mip_status(m->lp) != GLP_OPT)
        return false;
    *least = glp_mip_obj_val(m->lp);
    return true;
}

/* A core for each thread, from the columns of the last solution. GLPK's own value is a little off:
 * its whole numbers are so within 1e-5. */
static void
read_solution(Model *m, int *where)
{
    for (int j = glp_get_num_cols(m->lp); j > 0; j--) {
        const Pattern *pattern = &g_array_index(m->patterns, Pattern, j);
        double x = m->branched ? glp_mip_col_val(m->lp, j) : glp_get_col_prim(m->lp, j);

        if (pattern->mask == 0 || x < 0.5)
            continue;
        for (guint i = 0; i < m->problem->n_threads; i++) {
            Kind *kind = &m->kinds[pattern->kind];

            if (pattern->mask >> i & 1)
                where[i] = (int)kind->cores[kind->count - 1];
        }
        m->kinds[pattern->kind].count--;
    }
}

/* Keeps the minimum of this field for those to come. */
static void
hold(Model *m, OracleField field, double relaxed, double least)
{
    int columns = glp_get_num_cols(m->lp), n = 0;
    g_autofree int *index = g_new(int, columns + 1);
    g_autofree double *value = g_new(double, columns + 1);

    for (int j = 1; j <= columns; j++) {
        double cost = g_array_index(m->cost[field], double, j);

        if (relaxed + g_array_index(m->surplus, double, j) > least + 1e-4 * MAX(1, fabs(least)))
            glp_set_col_bnds(m->lp, j, GLP_FX, 0, 0);
        if (cost != 0) {
            index[++n] = j;
            value[n] = cost;
        }
    }
    if (n > 0)
        glp_set_mat_row(m->lp, add_row(m, GLP_UP, 0, least + EPSILON * MAX(1, fabs(least))), n,
                        index, value);
}

static void
build(Model *m)
{
    static const double zero;
    static const Pattern none;

    glp_term_out(GLP_OFF);
    m->patterns = g_array_new(FALSE, FALSE, sizeof(Pattern));
    g_array_append_val(m->patterns, none);
    m->surplus = g_array_new(FALSE, FALSE, sizeof(double));
    m->lp = glp_create_prob();
    for (int f = 0; f < ORACLE_FIELDS; f++) {
        m->cost[f] = g_array_new(FALSE, FALSE, sizeof(double));
        g_array_append_val(m->cost[f], zero); /* columns count from 1 */
    }
    add_base_rows(m);
    add_patterns(m);
    add_pairs(m, ORACLE_PACKAGE);
    add_pairs(m, ORACLE_SCATTER);
}

bool
oracle_have_glpk(void)
{
    return true;
}

bool
oracle_glpk(const OracleCase *problem, double seconds, OracleValue *best)
{
    int where[ORACLE_THREADS_MAX] = {0};
    Model m = {.problem = problem, .seconds = seconds};
    bool solved = true;

    find_kinds(&m);
    if ((m.n_kinds << m.n_shared) > COLUMNS_MAX)
        return false;
    build(&m);
    for (int f = 0; solved && f < ORACLE_FIELDS; f++) {
        double relaxed = 0, least = 0;

        solved = minimise(&m, (OracleField)f, &relaxed, &least);
        if (solved && f < ORACLE_FIELDS - 1)
            hold(&m, (OracleField)f, relaxed, least);
    }
    if (solved)
        read_solution(&m, where);
    *best = oracle_value(problem, where);
    glp_delete_prob(m.lp);
    g_array_unref(m.surplus);
    g_array_unref(m.patterns);
    for (int f = 0; f < ORACLE_FIELDS; f++)
        g_array_unref(m.cost[f]);
    return solved;
}
