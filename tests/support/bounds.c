/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Zones and threads as numbers, and the bounds that need no solver. */
#include "bounds.h"

#include "oracle.h"

#include <math.h>

typedef struct {
    int node;
    double speed, capacity, limit;
    guint cores;          /* in the pool */
    guint in_use;         /* with shared threads in the plan */
    guint dedicated;      /* in the plan */
    double load, largest; /* of the shared threads in the plan */
} Zone;

typedef struct {
    const VqPlacementInput *input;
    GArray *zones;           /* of Zone */
    int *zone_of;            /* by index into topology->cores, -1: not in the pool */
    double *load_of;         /* by the same, of shared threads */
    GArray *count;           /* of double: threads of each kind of dedicated ones */
    GArray *load;            /* of double: of each shared thread */
    GArray *device, *memory; /* of double, rows of one for each zone: kinds, then shared threads */
} Model;

static guint
zone_for(Model *m, const VqCore *core, guint pus)
{
    const VqPlacementParams *params = &m->input->params;
    Zone zone = {.node = core->node, .speed = core->capacity, .capacity = core->capacity};

    if (pus > 1)
        zone.capacity += floor(zone.speed * params->smt_gain);
    zone.limit = params->load_limit * zone.capacity / 1024;
    for (guint i = 0; i < m->zones->len; i++) {
        const Zone *known = &g_array_index(m->zones, Zone, i);

        if (known->node == zone.node && known->speed == zone.speed &&
            known->capacity == zone.capacity)
            return i;
    }
    g_array_append_val(m->zones, zone);
    return m->zones->len - 1;
}

static void
find_zones(Model *m)
{
    const GPtrArray *cores = m->input->topology->cores;

    for (guint i = 0; i < cores->len; i++) {
        const VqCore *core = g_ptr_array_index(cores, i);
        g_autoptr(VqCpuset) pus = vq_cpuset_copy(core->pus);

        vq_cpuset_intersect(pus, m->input->pool);
        m->zone_of[i] = -1;
        if (vq_cpuset_empty(pus))
            continue;
        m->zone_of[i] = (int)zone_for(m, core, vq_cpuset_count(pus));
        g_array_index(m->zones, Zone, m->zone_of[i]).cores++;
    }
}

static void
append_rows(Model *m, const VqThread *thread)
{
    for (guint z = 0; z < m->zones->len; z++) {
        int node = g_array_index(m->zones, Zone, z).node;
        double device = oracle_device_distance(m->input->topology, node, thread);
        double memory = oracle_memory_distance(m->input->topology, node, thread);

        g_array_append_val(m->device, device);
        g_array_append_val(m->memory, memory);
    }
}

/* Dedicated threads with the same distances are of one kind. */
static void
take_dedicated(Model *m, const VqThread *thread)
{
    static const double one = 1;
    guint zones = m->zones->len, last = m->count->len;

    append_rows(m, thread);
    for (guint k = 0; k < last; k++) {
        bool same = true;

        for (guint z = 0; z < zones; z++)
            same &= g_array_index(m->device, double, k *zones + z) ==
                        g_array_index(m->device, double, last *zones + z) &&
                    g_array_index(m->memory, double, k *zones + z) ==
                        g_array_index(m->memory, double, last *zones + z);
        if (same) {
            g_array_index(m->count, double, k)++;
            g_array_set_size(m->device, last * zones);
            g_array_set_size(m->memory, last * zones);
            return;
        }
    }
    g_array_append_val(m->count, one);
}

static void
take_threads(Model *m, const VqPlan *plan, VqPlacement class)
{
    for (guint i = 0; i < m->input->threads->len; i++) {
        const VqThread *thread = g_ptr_array_index(m->input->threads, i);
        const VqPlaced *placed = vq_plan_find(plan, thread->domain, NULL, thread->iothread);
        double load = thread->load < 0 ? m->input->params.default_load : thread->load;

        if (!placed || placed->cpu < 0 || placed->class != class)
            continue;

        int core = vq_topology_pu(m->input->topology, (unsigned)placed->cpu)->core;
        Zone *zone = &g_array_index(m->zones, Zone, m->zone_of[core]);

        if (class == VQ_PLACEMENT_DEDICATED) {
            take_dedicated(m, thread);
            zone->dedicated++;
            continue;
        }
        append_rows(m, thread);
        g_array_append_val(m->load, load);
        zone->load += load;
        zone->largest = MAX(zone->largest, load);
        zone->in_use += m->load_of[core] < 0;
        m->load_of[core] = MAX(m->load_of[core], 0) + load;
    }
}

/* Cores in use and evenness, zone by zone. */
static void
bound_zones(const Model *m, Bounds *out)
{
    for (guint i = 0; i < m->zones->len; i++) {
        const Zone *zone = &g_array_index(m->zones, Zone, i);
        double share = zone->load / zone->capacity, least = ceil(zone->load / zone->limit - 1e-9);

        out->cores += MIN(least, zone->cores - zone->dedicated);
        out->plan_cores += zone->in_use;
        if (zone->in_use > 0)
            out->uneven += share * share * zone->capacity / zone->in_use * 1024;
    }
    for (guint c = 0; c < m->input->topology->cores->len; c++) {
        if (m->load_of[c] >= 0)
            out->plan_uneven += m->load_of[c] * m->load_of[c] * 1024 /
                                g_array_index(m->zones, Zone, m->zone_of[c]).capacity;
    }
}

static bool
bound_linear(const Model *m, const VqObjective *value, Bounds *out)
{
    guint n = m->zones->len;
    g_autofree double *cores = g_new(double, n), *limit = g_new(double, n);
    g_autofree double *speed = g_new(double, n);
    BoundsProblem problem = {
        .zones = n,
        .dedicated = m->count->len,
        .shared = m->load->len,
        .cores = cores,
        .limit = limit,
        .speed = speed,
        .count = (const double *)(void *)m->count->data,
        .load = (const double *)(void *)m->load->data,
        .device = (const double *)(void *)m->device->data,
        .memory = (const double *)(void *)m->memory->data,
        .value = value,
    };

    for (guint i = 0; i < n; i++) {
        const Zone *zone = &g_array_index(m->zones, Zone, i);

        cores[i] = zone->cores;
        limit[i] = zone->limit;
        speed[i] = zone->speed;
    }
    return bounds_linear(&problem, out);
}

bool
bounds_of(const VqPlacementInput *input, const VqPlan *plan, const VqObjective *value, Bounds *out)
{
    guint cores = input->topology->cores->len;
    g_autofree int *zone_of = g_new(int, cores);
    g_autofree double *load_of = g_new(double, cores);
    g_autoptr(GArray) zones = g_array_new(FALSE, FALSE, sizeof(Zone));
    g_autoptr(GArray) count = g_array_new(FALSE, FALSE, sizeof(double));
    g_autoptr(GArray) load = g_array_new(FALSE, FALSE, sizeof(double));
    g_autoptr(GArray) device = g_array_new(FALSE, FALSE, sizeof(double));
    g_autoptr(GArray) memory = g_array_new(FALSE, FALSE, sizeof(double));
    Model m = {input, zones, zone_of, load_of, count, load, device, memory};

    *out = (Bounds){0};
    for (guint i = 0; i < cores; i++)
        load_of[i] = -1;
    find_zones(&m);
    take_threads(&m, plan, VQ_PLACEMENT_DEDICATED);
    take_threads(&m, plan, VQ_PLACEMENT_SHARED);
    bound_zones(&m, out);
    return bound_linear(&m, value, out);
}
