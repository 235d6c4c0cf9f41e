/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The minimum by branch and bound: thread by thread onto every core, except where a field by field
 * lower bound of what can still come is no better than the best found. Every field only grows as
 * threads are added, so what there is already is such a bound; sharper ones are added where cheap.
 */
#include "oracle.h"

#include <string.h>

#define EPSILON 1e-6

typedef struct {
    const OracleCase *problem;
    guint order[ORACLE_THREADS_MAX];         /* dedicated first, then the heaviest */
    guint mask[ORACLE_CORES_MAX];            /* threads on each core */
    bool owner[ORACLE_CORES_MAX];            /* a dedicated one is among them */
    bool plain[ORACLE_CORES_MAX];            /* nobody's home, nobody pinned by hand */
    double least[2][ORACLE_THREADS_MAX + 1]; /* of device and memory, still to come from here on */
    double total_load;
    int where[ORACLE_THREADS_MAX];
    OracleValue best;
    int best_where[ORACLE_THREADS_MAX];
    guint64 nodes;
} Search;

static int
by_weight(gconstpointer a, gconstpointer b, gpointer user_data)
{
    const OracleCase *problem = user_data;
    const OracleThread *x = &problem->threads[*(const guint *)a];
    const OracleThread *y = &problem->threads[*(const guint *)b];

    if (x->dedicated != y->dedicated)
        return x->dedicated ? -1 : 1;
    return x->load > y->load ? -1 : x->load < y->load;
}

static bool
is_home(const OracleCase *problem, guint core)
{
    for (guint i = 0; i < problem->n_threads; i++) {
        if (problem->threads[i].home == (int)core)
            return true;
    }
    return false;
}

static bool
same_cores(const Search *s, guint a, guint b)
{
    const OracleCore *x = &s->problem->cores[a], *y = &s->problem->cores[b];

    return s->plain[a] && s->plain[b] && x->node == y->node && x->package == y->package &&
           x->cluster == y->cluster && x->speed == y->speed && x->capacity == y->capacity;
}

/* Another empty core that nothing tells from this one was there before it. */
static bool
is_repeated(const Search *s, guint core)
{
    for (guint c = 0; c < core && s->mask[core] == 0; c++) {
        if (s->mask[c] == 0 && same_cores(s, c, core))
            return true;
    }
    return false;
}

/* Pairs apart among the first @count threads of the order and those pinned by hand. */
static double
pairs_apart(const Search *s, guint count, bool cluster)
{
    const OracleCase *p = s->problem;
    int domain[ORACLE_THREADS_MAX * 3], place[ORACLE_THREADS_MAX * 3];
    guint n = 0;
    double pairs = 0;

    for (guint i = 0; i < p->n_fixed; i++, n++) {
        domain[n] = p->fixed[i][0];
        place[n] = p->fixed[i][cluster ? 2 : 1];
    }
    for (guint i = 0; i < count; i++, n++) {
        const OracleCore *core = &p->cores[s->where[s->order[i]]];

        domain[n] = (int)p->threads[s->order[i]].domain;
        place[n] = cluster ? core->cluster : core->package;
    }
    for (guint i = 0; i < n; i++) {
        for (guint k = i + 1; k < n; k++)
            pairs += domain[i] == domain[k] && place[i] != place[k];
    }
    return pairs;
}

/* What any completion of the first @count threads costs at least. */
static OracleValue
bound(const Search *s, guint count)
{
    const OracleCase *p = s->problem;
    OracleValue value = {0};
    double room = 0;

    for (guint c = 0; c < p->n_cores; c++) {
        if (p->cores[c].owned)
            continue;
        for (int f = 0; f < ORACLE_FIELDS; f++) {
            if (s->owner[c])
                value.field[f] +=
                    oracle_owner_cost(p, c, (guint)g_bit_nth_lsf(s->mask[c], -1), (OracleField)f);
            else
                value.field[f] += oracle_core_cost(p, c, s->mask[c], (OracleField)f);
        }
        room += s->owner[c] ? 0 : p->cores[c].limit;
    }
    value.field[ORACLE_OVERLOAD] = MAX(value.field[ORACLE_OVERLOAD], s->total_load - room);
    value.field[ORACLE_DEVICE] += s->least[0][count];
    value.field[ORACLE_MEMORY] += s->least[1][count];
    value.field[ORACLE_PACKAGE] = pairs_apart(s, count, false);
    value.field[ORACLE_SCATTER] = pairs_apart(s, count, true);
    return value;
}

static bool
may_take(const Search *s, guint core, bool dedicated)
{
    const OracleCore *c = &s->problem->cores[core];

    if (c->owned || s->owner[core])
        return false;
    return !dedicated || (s->mask[core] == 0 && !c->held);
}

static void
descend(Search *s, guint count)
{
    const OracleCase *p = s->problem;
    OracleValue value = bound(s, count);

    if (s->nodes == 0 || oracle_compare(&value, &s->best, NULL) >= 0)
        return;
    s->nodes--;
    if (count == p->n_threads) {
        s->best = value;
        memcpy(s->best_where, s->where, sizeof(s->where));
        return;
    }

    guint thread = s->order[count];
    bool dedicated = p->threads[thread].dedicated;

    for (guint c = 0; c < p->n_cores; c++) {
        if (!may_take(s, c, dedicated) || is_repeated(s, c))
            continue;
        s->mask[c] |= 1U << thread;
        s->owner[c] = dedicated;
        s->where[thread] = (int)c;
        descend(s, count + 1);
        s->mask[c] &= ~(1U << thread);
        s->owner[c] = false;
    }
}

static void
prepare(Search *s)
{
    const OracleCase *p = s->problem;

    for (guint c = 0; c < p->n_cores; c++) {
        s->plain[c] = !p->cores[c].held && !is_home(p, c);
        s->total_load += p->cores[c].load;
    }
    for (guint i = 0; i < p->n_threads; i++) {
        s->order[i] = i;
        s->total_load += p->threads[i].dedicated ? 0 : p->threads[i].load;
    }
    g_qsort_with_data(s->order, (int)p->n_threads, sizeof(guint), by_weight, (gpointer)p);
    for (guint i = p->n_threads; i-- > 0;) {
        const OracleThread *t = &p->threads[s->order[i]];
        double least[2] = {1e9, 1e9};

        for (guint c = 0; c < p->n_cores; c++) {
            least[0] = MIN(least[0], t->device[c]);
            least[1] = MIN(least[1], t->memory[c]);
        }
        for (guint k = 0; k < 2; k++)
            s->least[k][i] = s->least[k][i + 1] + least[k];
    }
    for (int f = 0; f < ORACLE_FIELDS; f++)
        s->best.field[f] = 1e15;
}

bool
oracle_search(const OracleCase *problem, guint64 nodes, OracleValue *best, int *where)
{
    Search search = {.problem = problem, .nodes = nodes};

    prepare(&search);
    descend(&search, 0);
    if (search.nodes == 0 || search.best.field[0] >= 1e15)
        return false;
    *best = search.best;
    memcpy(where, search.best_where, sizeof(search.best_where));
    return true;
}
