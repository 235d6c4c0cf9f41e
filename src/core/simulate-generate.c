/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arrivals out of a seed: an M/G/infinity system in equilibrium. At time 0 as many VMs run as a
 * Poisson variable says, each met somewhere in a lifetime that is the likelier met the longer it
 * is; then VMs arrive at exponential intervals.
 */
#include "core/simulate-work.h"

#include "base/error.h"

#define HOUR         3600000.0 /* ms */
#define LIFETIME_MIN 1000      /* ms */

const VqSimArrivals vq_sim_arrivals_defaults = {
    .seed = 1,
    .end = 24 * G_GINT64_CONSTANT(3600000),
    .vms = 20,
    .lifetime_hours = 12,
    .lifetime_sigma = 1.0,
};

/* What a number is drawn for. */
enum { DRAW_COUNT = 1, DRAW_INTERVAL, DRAW_FLAVOR, DRAW_LIFETIME, DRAW_RESIDUAL };

typedef struct {
    VqSimTrace *trace;
    const VqSimArrivals *arrivals;
    double shares;
} Generator;

static double
draw(const Generator *g, guint64 what, guint64 which)
{
    return vq_chance_uniform(g->arrivals->seed, 0xa221, what, which);
}

static guint
draw_flavor(const Generator *g, guint64 which)
{
    const GPtrArray *flavors = g->trace->flavors;
    double left = draw(g, DRAW_FLAVOR, which) * g->shares;

    for (guint i = 0; i + 1 < flavors->len; i++) {
        left -= ((VqSimFlavor *)g_ptr_array_index(flavors, i))->share;
        if (left < 0)
            return i;
    }
    return flavors->len - 1;
}

static bool
add_vm(const Generator *g, double time, double lifetime, GError **error)
{
    VqSimTrace *trace = g->trace;
    guint index = trace->vms->len;
    VqSimEvent arrive = {.time = (gint64)time, .kind = VQ_SIM_ARRIVE, .vm = index, .queue = -1};
    VqSimEvent depart = {.kind = VQ_SIM_DEPART, .vm = index, .queue = -1};
    VqSimVm *vm;

    if (trace->events->len + 2 > VQ_SIM_EVENTS_MAX) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                    "more arrivals and departures than the limit of %d: fewer VMs, longer "
                    "lifetimes, or less time",
                    VQ_SIM_EVENTS_MAX);
        return false;
    }
    vm = g_new0(VqSimVm, 1);
    vm->name = g_strdup_printf("vm%u", index + 1);
    vm->flavor = draw_flavor(g, index);
    vm->node = -1;
    g_ptr_array_add(trace->vms, vm);
    g_array_append_val(trace->events, arrive);
    if (time + lifetime >= (double)g->arrivals->end)
        return true;
    depart.time = arrive.time + MAX((gint64)lifetime, LIFETIME_MIN);
    g_array_append_val(trace->events, depart);
    return true;
}

static bool
add_first(const Generator *g, GError **error)
{
    const VqSimArrivals *a = g->arrivals;
    double sigma = a->lifetime_sigma, sum = 0;

    for (guint64 i = 0;; i++) { /* as many as exponential steps of mean 1/vms fit into 1 */
        sum += vq_chance_exponential(draw(g, DRAW_COUNT, i), 1);
        if (sum > a->vms)
            return true;

        double met =
            vq_chance_lognormal(draw(g, DRAW_LIFETIME, i), a->lifetime_hours * HOUR, sigma) *
            vq_chance_exp(sigma * sigma);

        if (!add_vm(g, 0, met * draw(g, DRAW_RESIDUAL, i), error))
            return false;
    }
}

static bool
add_later(const Generator *g, GError **error)
{
    const VqSimArrivals *a = g->arrivals;
    double interval = a->lifetime_hours * HOUR / a->vms, time = 0;

    for (guint64 i = 0;; i++) {
        guint64 index = g->trace->vms->len;

        time += vq_chance_exponential(draw(g, DRAW_INTERVAL, i), interval);
        if (time >= (double)a->end)
            return true;
        if (!add_vm(g, time,
                    vq_chance_lognormal(draw(g, DRAW_LIFETIME, index), a->lifetime_hours * HOUR,
                                        a->lifetime_sigma),
                    error))
            return false;
    }
}

static int
by_time(gconstpointer a, gconstpointer b)
{
    const VqSimEvent *x = a, *y = b;

    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    if (x->vm != y->vm)
        return x->vm < y->vm ? -1 : 1;
    return (int)x->kind - (int)y->kind;
}

bool
vq_sim_generate(VqSimTrace *trace, const VqSimArrivals *arrivals, GError **error)
{
    Generator g = {trace, arrivals, 0};

    for (guint i = 0; i < trace->flavors->len; i++)
        g.shares += ((VqSimFlavor *)g_ptr_array_index(trace->flavors, i))->share;
    if (g.shares <= 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID,
                    "no flavor has a share above 0: nothing would arrive");
        return false;
    }
    if (!add_first(&g, error) || !add_later(&g, error))
        return false;
    g_array_sort(trace->events, by_time);
    return true;
}
