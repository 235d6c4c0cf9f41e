/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The linear relaxation. Columns: how many dedicated threads of each kind are in a zone; which part
 * of each shared thread; the overload of each zone. A field's minimum is sought among what is no
 * worse than the plan in the fields before it.
 */
#include "bounds.h"

#include <glpk.h>

#define OVERLOAD_UNIT 1e6 /* of VqObjective: millionths of a core */

typedef enum { OVERLOAD, DEVICE, MEMORY, SLOW, FIELDS } Field;

typedef struct {
    const BoundsProblem *p;
    glp_prob *lp;
    GArray *cost[FIELDS]; /* of double, by column from 1 */
} Model;

static int
add_row(Model *m, int type, double low, double high)
{
    int row = glp_add_rows(m->lp, 1);

    glp_set_row_bnds(m->lp, row, type, low, high);
    return row;
}

static int
add_column(Model *m, const double cost[FIELDS])
{
    int column = glp_add_cols(m->lp, 1);

    glp_set_col_bnds(m->lp, column, GLP_LO, 0, 0);
    for (int f = 0; f < FIELDS; f++)
        g_array_append_val(m->cost[f], cost[f]);
    return column;
}

/* Rows: 1..zones: the cores that dedicated threads take; then the load of each zone: shared load -
 * overload + limit x dedicated <= limit x cores; then one for each kind and shared thread. */
static void
build(Model *m)
{
    const BoundsProblem *p = m->p;

    for (guint z = 0; z < p->zones; z++)
        add_row(m, GLP_UP, 0, p->cores[z]);
    for (guint z = 0; z < p->zones; z++)
        add_row(m, GLP_UP, 0, p->cores[z] * p->limit[z]);
    for (guint k = 0; k < p->dedicated; k++)
        add_row(m, GLP_FX, p->count[k], p->count[k]);
    for (guint i = 0; i < p->shared; i++)
        add_row(m, GLP_FX, 1, 1);
    for (guint z = 0; z < p->zones; z++) {
        const int rows[] = {0, (int)(p->zones + z) + 1};
        const double minus[] = {0, -1}, cost[FIELDS] = {[OVERLOAD] = 1};

        glp_set_mat_col(m->lp, add_column(m, cost), 1, rows, minus);
    }
    for (guint k = 0; k < p->dedicated + p->shared; k++) {
        bool dedicated = k < p->dedicated;

        for (guint z = 0; z < p->zones; z++) {
            const int rows[] = {0, (int)(2 * p->zones + k) + 1, (int)(p->zones + z) + 1,
                                (int)z + 1};
            const double values[] = {0, 1, dedicated ? p->limit[z] : p->load[k - p->dedicated], 1};
            const double cost[FIELDS] = {[DEVICE] = p->device[k * p->zones + z],
                                         [MEMORY] = p->memory[k * p->zones + z],
                                         [SLOW] = dedicated ? 1024 - p->speed[z] : 0};

            glp_set_mat_col(m->lp, add_column(m, cost), dedicated ? 3 : 2, rows, values);
        }
    }
}

static bool
minimise(Model *m, Field field, double *least)
{
    glp_smcp simplex;

    for (int j = glp_get_num_cols(m->lp); j > 0; j--)
        glp_set_obj_coef(m->lp, j, g_array_index(m->cost[field], double, j));
    glp_init_smcp(&simplex);
    simplex.msg_lev = GLP_MSG_OFF;
    simplex.presolve = GLP_ON;
    simplex.tm_lim = 20000;
    if (glp_simplex(m->lp, &simplex) != 0 || glp_get_status(m->lp) != GLP_OPT)
        return false;
    *least = glp_get_obj_val(m->lp);
    return true;
}

/* No worse than the plan in @field. */
static void
hold(Model *m, Field field, double most)
{
    int columns = glp_get_num_cols(m->lp), n = 0;
    g_autofree int *index = g_new(int, columns + 1);
    g_autofree double *value = g_new(double, columns + 1);

    for (int j = 1; j <= columns; j++) {
        double cost = g_array_index(m->cost[field], double, j);

        if (cost != 0) {
            index[++n] = j;
            value[n] = cost;
        }
    }
    if (n > 0)
        glp_set_mat_row(m->lp, add_row(m, GLP_UP, 0, most + 1e-6), n, index, value);
}

bool
bounds_linear(const BoundsProblem *problem, Bounds *out)
{
    static const double zero;
    Model m = {.p = problem};
    double *result[FIELDS] = {&out->overload, &out->device, &out->memory, &out->slow};
    const double plan[FIELDS] = {(double)problem->value->overload / OVERLOAD_UNIT,
                                 (double)problem->value->device, (double)problem->value->memory,
                                 (double)problem->value->slow};
    bool solved = true;

    glp_term_out(GLP_OFF);
    m.lp = glp_create_prob();
    for (int f = 0; f < FIELDS; f++) {
        m.cost[f] = g_array_new(FALSE, FALSE, sizeof(double));
        g_array_append_val(m.cost[f], zero); /* columns count from 1 */
    }
    build(&m);
    for (int f = 0; solved && f < FIELDS; f++) {
        solved = minimise(&m, (Field)f, result[f]);
        hold(&m, (Field)f, plan[f]);
    }
    out->overload *= OVERLOAD_UNIT;
    glp_delete_prob(m.lp);
    for (int f = 0; f < FIELDS; f++)
        g_array_unref(m.cost[f]);
    return solved;
}
