/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A case of the oracle: taken from an input and its plan, and what a distribution is worth. */
#include "oracle.h"

#include <math.h>
#include <string.h>

#define FULL    1024.0
#define PERCENT 100.0
#define IDLE    0.1 /* per cent: an idle thread claims that much */
#define EPSILON 1e-6

const char *const oracle_field_names[ORACLE_FIELDS] = {
    "overload", "device", "memory", "slow", "package", "scatter", "cores", "uneven", "moves"};

/* Index of the core of the case that has all of @set, -1 if none. */
static int
core_with(const GPtrArray *cores, const VqCpuset *set)
{
    for (guint i = 0; !vq_cpuset_empty(set) && i < cores->len; i++) {
        if (vq_cpuset_subset(set, ((const VqCore *)cores->pdata[i])->pus))
            return (int)i;
    }
    return -1;
}

static GPtrArray *
cores_of_pool(const VqPlacementInput *input)
{
    GPtrArray *cores = g_ptr_array_new();

    for (guint i = 0; i < input->topology->cores->len; i++) {
        VqCore *core = g_ptr_array_index(input->topology->cores, i);

        if (vq_cpuset_intersects(core->pus, input->pool))
            g_ptr_array_add(cores, core);
    }
    return cores;
}

/* Cores near each other: those under one last level cache that is not one core's alone, else those
 * of one package. */
static int
cluster_of(const VqTopology *topology, const VqCore *core)
{
    if (core->llc >= 0) {
        const VqCache *cache = g_ptr_array_index(topology->caches, core->llc);

        if (!vq_cpuset_subset(cache->cpus, core->pus))
            return core->llc;
    }
    return 1000 + core->package;
}

static OracleCore
take_core(const VqPlacementInput *input, const VqCore *core)
{
    g_autoptr(VqCpuset) pus = vq_cpuset_copy(core->pus);
    OracleCore out = {.node = core->node,
                      .package = core->package,
                      .cluster = cluster_of(input->topology, core),
                      .speed = core->capacity,
                      .capacity = core->capacity};

    vq_cpuset_intersect(pus, input->pool);
    if (vq_cpuset_count(pus) > 1)
        out.capacity += floor(out.speed * input->params.smt_gain);
    out.limit = input->params.load_limit * PERCENT * out.capacity / FULL;
    return out;
}

static double
distance_to(const VqTopology *topology, int node, unsigned os)
{
    const VqNode *from = node < 0 ? NULL : g_ptr_array_index(topology->nodes, node);

    if (!from)
        return 0;
    return vq_topology_node(topology, os) ? vq_topology_distance(topology, from->os, os) : 255;
}

/* Mean over the devices with known nodes, of each the nearest node; whole numbers. */
double
oracle_device_distance(const VqTopology *topology, int node, const VqThread *thread)
{
    double sum = 0;
    guint known = 0;

    if (node < 0)
        return 0;
    for (guint i = 0; i < thread->serves->len; i++) {
        const VqServed *served = g_ptr_array_index(thread->serves, i);
        double nearest = 255;

        for (guint k = 0; k < served->device_nodes->len; k++)
            nearest = MIN(nearest, distance_to(topology, node,
                                               g_array_index(served->device_nodes, unsigned, k)));
        if (served->device_nodes->len > 0) {
            sum += nearest;
            known++;
        }
    }
    return known ? floor(sum / known + 0.5) : 0;
}

double
oracle_memory_distance(const VqTopology *topology, int node, const VqThread *thread)
{
    double nearest = 255;

    if (node < 0 || vq_cpuset_empty(thread->memory_nodes))
        return 0;
    VQ_CPUSET_FOREACH (os, thread->memory_nodes)
        nearest = MIN(nearest, distance_to(topology, node, (unsigned)os));
    return nearest;
}

static double
load_of(const VqPlacementInput *input, const VqThread *thread)
{
    return PERCENT * (thread->load < 0 ? input->params.default_load : thread->load);
}

static guint
domain_index(const VqPlacementInput *input, const char *name)
{
    guint index = 0;
    const char *last = NULL;

    for (guint i = 0; i < input->threads->len; i++) {
        const VqThread *thread = g_ptr_array_index(input->threads, i);

        if (last && !g_str_equal(last, thread->domain))
            index++;
        last = thread->domain;
        if (g_str_equal(last, name))
            return index;
    }
    return index;
}

static void
take_thread(const VqPlacementInput *input, const GPtrArray *cores, const VqThread *thread,
            const VqPlaced *placed, OracleCase *out)
{
    OracleThread *t = &out->threads[out->n_threads];
    g_autoptr(VqCpuset) cpus = vq_cpuset_parse(placed->cpus, NULL);

    *t = (OracleThread){.domain = domain_index(input, thread->domain),
                        .dedicated = placed->class == VQ_PLACEMENT_DEDICATED,
                        .load = load_of(input, thread),
                        .home = core_with(cores, thread->current)};
    t->claim = t->load;
    t->elsewhere = t->home < 0 && core_with(input->topology->cores, thread->current) >= 0;
    for (guint c = 0; c < out->n_cores; c++) {
        t->device[c] = oracle_device_distance(input->topology, out->cores[c].node, thread);
        t->memory[c] = oracle_memory_distance(input->topology, out->cores[c].node, thread);
    }
    out->where[out->n_threads++] = core_with(cores, cpus);
    out->n_domains = MAX(out->n_domains, t->domain + 1);
}

/* A thread pinned by hand loads its CPUs evenly; alone on a core, it may own it. */
static void
take_held(const VqPlacementInput *input, const GPtrArray *cores, const VqThread *thread,
          const VqPlaced *placed, OracleCase *out)
{
    double total = vq_cpuset_count(thread->current);
    int home = core_with(cores, thread->current);
    guint domain = domain_index(input, thread->domain);

    for (guint c = 0; c < out->n_cores; c++) {
        g_autoptr(VqCpuset) common = vq_cpuset_copy(((VqCore *)cores->pdata[c])->pus);

        vq_cpuset_intersect(common, thread->current);
        if (vq_cpuset_empty(common))
            continue;
        out->cores[c].held = true;
        if (placed->class == VQ_PLACEMENT_DEDICATED) {
            out->cores[c].owned = true;
        } else {
            out->cores[c].load += load_of(input, thread) * vq_cpuset_count(common) / total;
            out->cores[c].claim = out->cores[c].load;
        }
    }
    out->n_domains = MAX(out->n_domains, domain + 1);
    if (home >= 0) {
        int *fixed = out->fixed[out->n_fixed++];

        fixed[0] = (int)domain;
        fixed[1] = out->cores[home].package;
        fixed[2] = out->cores[home].cluster;
    }
}

/* More shared load than the cores that are not anybody's own may take: weights count. */
static void
weigh(const VqPlacementInput *input, const VqPlan *plan, OracleCase *out)
{
    double room = 0, demand = 0;

    for (guint c = 0; c < out->n_cores; c++) {
        demand += out->cores[c].load;
        room += out->cores[c].owned ? 0 : out->cores[c].limit;
    }
    for (guint i = 0; i < out->n_threads; i++) {
        if (out->threads[i].dedicated)
            room -= out->cores[out->where[i]].limit;
        else
            demand += out->threads[i].load;
    }
    for (guint i = 0, k = 0; i < input->threads->len; i++) {
        const VqThread *thread = g_ptr_array_index(input->threads, i);
        const VqPlaced *placed = vq_plan_find(plan, thread->domain, NULL, thread->iothread);

        if (!placed || placed->held || placed->cpu < 0)
            continue;
        out->threads[k].claim *= demand > room + EPSILON ? thread->weight / PERCENT : 1;
        out->threads[k].claim = MAX(out->threads[k].claim, IDLE);
        k++;
    }
}

bool
oracle_case_from_plan(const VqPlacementInput *input, const VqPlan *plan, OracleCase *out)
{
    g_autoptr(GPtrArray) cores = cores_of_pool(input);

    *out = (OracleCase){.n_cores = cores->len};
    if (cores->len > ORACLE_CORES_MAX || input->threads->len > ORACLE_THREADS_MAX)
        return false;
    for (guint i = 0; i < cores->len; i++)
        out->cores[i] = take_core(input, g_ptr_array_index(cores, i));
    for (guint i = 0; i < input->threads->len; i++) {
        const VqThread *thread = g_ptr_array_index(input->threads, i);
        const VqPlaced *placed = vq_plan_find(plan, thread->domain, NULL, thread->iothread);

        if (placed && placed->held)
            take_held(input, cores, thread, placed, out);
        else if (placed && placed->cpu >= 0)
            take_thread(input, cores, thread, placed, out);
    }
    weigh(input, plan, out);
    return true;
}

void
oracle_fix_dedicated(OracleCase *problem)
{
    guint left = 0;

    for (guint i = 0; i < problem->n_threads; i++) {
        OracleCore *core = &problem->cores[problem->where[i]];

        if (problem->threads[i].dedicated) {
            int *fixed = problem->fixed[problem->n_fixed++];

            core->owned = core->held = true;
            fixed[0] = (int)problem->threads[i].domain;
            fixed[1] = core->package;
            fixed[2] = core->cluster;
        } else {
            problem->threads[left] = problem->threads[i];
            problem->where[left++] = problem->where[i];
        }
    }
    problem->n_threads = left;
}

double
oracle_core_cost(const OracleCase *problem, guint core, guint mask, OracleField field)
{
    const OracleCore *c = &problem->cores[core];
    double load = c->load, claim = c->claim, sum = 0;

    for (guint i = 0; i < problem->n_threads; i++) {
        const OracleThread *t = &problem->threads[i];

        if (!(mask >> i & 1))
            continue;
        load += t->load;
        claim += t->claim;
        if (field == ORACLE_DEVICE)
            sum += t->device[core];
        else if (field == ORACLE_MEMORY)
            sum += t->memory[core];
        else if (field == ORACLE_MOVES)
            sum += t->elsewhere || (t->home >= 0 && t->home != (int)core);
    }
    switch ((int)field) {
    case ORACLE_OVERLOAD:
        return MAX(load - c->limit, 0);
    case ORACLE_IN_USE:
        return !problem->spread && (mask || c->held);
    case ORACLE_UNEVEN:
        return claim * claim * FULL / c->capacity;
    default:
        return sum;
    }
}

double
oracle_owner_cost(const OracleCase *problem, guint core, guint thread, OracleField field)
{
    const OracleThread *t = &problem->threads[thread];

    switch ((int)field) {
    case ORACLE_DEVICE:
        return t->device[core];
    case ORACLE_MEMORY:
        return t->memory[core];
    case ORACLE_SLOW:
        return FULL - problem->cores[core].speed;
    case ORACLE_MOVES:
        return t->elsewhere || (t->home >= 0 && t->home != (int)core);
    default:
        return 0;
    }
}

/* Pairs of threads of one domain that are not in the same place; @cluster: of what is asked. */
static double
pairs_apart(const OracleCase *problem, const int *where, bool cluster)
{
    double pairs = 0;
    guint n = problem->n_threads + problem->n_fixed;

    for (guint i = 0; i < n; i++) {
        for (guint k = i + 1; k < n; k++) {
            int domain[2], place[2];
            const guint both[2] = {i, k};

            for (guint j = 0; j < 2; j++) {
                guint x = both[j];

                if (x < problem->n_threads) {
                    const OracleCore *core = &problem->cores[where[x]];

                    domain[j] = (int)problem->threads[x].domain;
                    place[j] = cluster ? core->cluster : core->package;
                } else {
                    domain[j] = problem->fixed[x - problem->n_threads][0];
                    place[j] = problem->fixed[x - problem->n_threads][cluster ? 2 : 1];
                }
            }
            pairs += domain[0] == domain[1] && place[0] != place[1];
        }
    }
    return pairs;
}

OracleValue
oracle_value(const OracleCase *problem, const int *where)
{
    OracleValue value = {0};

    for (guint c = 0; c < problem->n_cores; c++) {
        guint mask = 0, owners = 0;

        for (guint i = 0; i < problem->n_threads; i++) {
            if (where[i] != (int)c)
                continue;
            if (!problem->threads[i].dedicated) {
                mask |= 1U << i;
                continue;
            }
            owners++;
            for (int f = 0; f < ORACLE_FIELDS; f++)
                value.field[f] += oracle_owner_cost(problem, c, i, (OracleField)f);
        }
        if (owners + (problem->cores[c].owned || problem->cores[c].held) > 1 || (owners && mask) ||
            (problem->cores[c].owned && mask))
            value.field[ORACLE_OVERLOAD] = INFINITY;
        for (int f = 0; owners == 0 && !problem->cores[c].owned && f < ORACLE_FIELDS; f++)
            value.field[f] += oracle_core_cost(problem, c, mask, (OracleField)f);
    }
    value.field[ORACLE_PACKAGE] = pairs_apart(problem, where, false);
    value.field[ORACLE_SCATTER] = pairs_apart(problem, where, true);
    return value;
}

int
oracle_compare(const OracleValue *a, const OracleValue *b, OracleField *field)
{
    for (int f = 0; f < ORACLE_FIELDS; f++) {
        double difference = a->field[f] - b->field[f];

        if (field)
            *field = (OracleField)f;
        if (fabs(difference) > 10 * EPSILON + EPSILON * 0.1 * fabs(b->field[f]))
            return difference < 0 ? -1 : 1;
    }
    if (field)
        *field = ORACLE_FIELDS;
    return 0;
}

char *
oracle_text(const OracleValue *value)
{
    GString *out = g_string_new(NULL);

    for (int f = 0; f < ORACLE_FIELDS; f++)
        g_string_append_printf(out, "%s%s %.9g", f ? ", " : "", oracle_field_names[f],
                               value->field[f]);
    return g_string_free(out, FALSE);
}
