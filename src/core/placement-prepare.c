/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Machine and threads as arrays of numbers, for the steps of placement-work.h. */
#include "core/placement-work.h"

#include <string.h>

/* Index into topology->nodes of a node's OS number, -1 if the machine lacks it. */
static int
node_index(const VqTopology *topology, unsigned os)
{
    for (guint i = 0; i < topology->nodes->len; i++) {
        const VqNode *node = g_ptr_array_index(topology->nodes, i);

        if (node->os == os)
            return (int)i;
    }
    return -1;
}

static void
map_cores(VqWork *work)
{
    const VqTopology *topology = work->input->topology;

    work->n_cores = topology->cores->len;
    work->core_of = g_new(int, VQ_CPUSET_MAX);
    memset(work->core_of, -1, sizeof(int) * VQ_CPUSET_MAX);
    for (guint i = 0; i < work->n_cores; i++) {
        const VqCore *core = g_ptr_array_index(topology->cores, i);

        VQ_CPUSET_FOREACH (pu, core->pus)
            work->core_of[pu] = (int)i;
    }
}

/* A private cache says nothing of who is near: only one that several cores share does. */
static int
cluster_of(const VqWork *work, const VqCore *core)
{
    const VqTopology *topology = work->input->topology;

    if (core->llc >= 0 && core->llc < (int)topology->caches->len) {
        const VqCache *cache = g_ptr_array_index(topology->caches, core->llc);

        if (!vq_cpuset_subset(cache->cpus, core->pus))
            return core->llc;
    }
    return (int)topology->caches->len + MAX(core->package, 0);
}

/* What a core can take of shared threads: two PUs that work at once get more done than one, though
 * far less than twice as much. */
static void
measure_core(const VqWork *work, VqSlot *slot)
{
    gint64 gain = (gint64)(CLAMP(work->input->params.smt_gain, 0, 1) * VQ_CAPACITY_UNIT);

    slot->capacity = slot->speed;
    if (vq_cpuset_count(slot->pus) > 1)
        slot->capacity += slot->speed * gain / VQ_CAPACITY_UNIT;
    slot->limit = work->limit * slot->capacity / VQ_CAPACITY_UNIT;
    slot->inverse = (VQ_INVERSE_UNIT + slot->capacity / 2) / slot->capacity;
}

static void
make_slots(VqWork *work)
{
    const VqTopology *topology = work->input->topology;

    work->slots = g_new0(VqSlot, work->n_cores);
    work->slot_of = g_new(int, work->n_cores);
    work->n_packages = MAX(topology->packages->len, 1);
    work->n_clusters = topology->caches->len + work->n_packages;
    for (guint i = 0; i < work->n_cores; i++) {
        const VqCore *core = g_ptr_array_index(topology->cores, i);
        g_autoptr(VqCpuset) pus = vq_cpuset_copy(core->pus);

        work->slot_of[i] = -1;
        if (work->input->pool)
            vq_cpuset_intersect(pus, work->input->pool);
        if (!work->input->pool || vq_cpuset_empty(pus))
            continue;
        work->slot_of[i] = (int)work->n_slots;
        work->slots[work->n_slots++] = (VqSlot){
            .core = core,
            .node = core->node,
            .cluster = cluster_of(work, core),
            .pus = g_steal_pointer(&pus),
            .package = (guint)MAX(core->package, 0),
            .speed = CLAMP(core->capacity, 1, VQ_CAPACITY_UNIT),
            .owner = -1,
        };
        measure_core(work, &work->slots[work->n_slots - 1]);
    }
}

/*
 * Where a thread goes that finds no room in the pool: cores without a PU in the pool, isolated
 * ones only if there is nothing else (the kernel does not balance between them).
 */
static void
find_outside(VqWork *work)
{
    const VqTopology *topology = work->input->topology;
    g_autoptr(VqCpuset) all = vq_cpuset_copy(topology->usable);

    for (guint i = 0; i < work->n_slots; i++)
        vq_cpuset_subtract(all, work->slots[i].core->pus);
    work->outside = vq_cpuset_copy(all);
    vq_cpuset_subtract(work->outside, topology->isolated);
    if (vq_cpuset_empty(work->outside))
        vq_cpuset_union(work->outside, all);
}

static guint8
nearest(const VqTopology *topology, guint from, const GArray *nodes)
{
    unsigned best = VQ_DISTANCE_MAX;

    for (guint i = 0; i < nodes->len; i++) {
        int to = node_index(topology, g_array_index(nodes, unsigned, i));

        if (to >= 0)
            best = MIN(best, topology->distance[from * topology->nodes->len + (guint)to]);
    }
    return (guint8)best;
}

/* The mean over the devices that it serves and whose nodes are known. */
static guint8
device_distance(const VqTopology *topology, guint from, const VqThread *thread)
{
    unsigned sum = 0, known = 0;

    for (guint i = 0; i < thread->serves->len; i++) {
        const VqServed *served = g_ptr_array_index(thread->serves, i);

        if (served->device_nodes->len == 0)
            continue;
        sum += nearest(topology, from, served->device_nodes);
        known++;
    }
    return known ? (guint8)((sum + known / 2) / known) : 0;
}

static void
measure_distances(VqWork *work, VqJob *job)
{
    const VqTopology *topology = work->input->topology;
    g_autoptr(GArray) memory = g_array_new(FALSE, FALSE, sizeof(unsigned));
    guint8 *row = work->profiles + (gsize)work->n_profiles * work->n_nodes * 2;

    VQ_CPUSET_FOREACH (node, job->thread->memory_nodes) {
        unsigned os = (unsigned)node;

        g_array_append_val(memory, os);
    }
    for (guint i = 0; i < work->n_nodes; i++) {
        row[i] = device_distance(topology, i, job->thread);
        row[work->n_nodes + i] = memory->len ? nearest(topology, i, memory) : 0;
    }
    while (memcmp(vq_work_profile(work, job->profile), row, work->n_nodes * 2) != 0)
        job->profile++; /* ends at row itself */
    work->n_profiles = MAX(work->n_profiles, job->profile + 1);
    job->device = vq_work_profile(work, job->profile);
    job->memory = job->device + work->n_nodes;
}

/* The one core that a whole cpuset lies on, -1 if there is none. */
static int
core_of_set(const VqWork *work, const VqCpuset *set)
{
    int core = -1;

    VQ_CPUSET_FOREACH (pu, set) {
        if (work->core_of[pu] < 0 || (core >= 0 && core != work->core_of[pu]))
            return -1;
        core = work->core_of[pu];
    }
    return core;
}

static gint64
load_units(const VqPlacementInput *input, const VqThread *thread)
{
    double load = thread->load < 0 ? input->params.default_load : thread->load;

    return (gint64)(CLAMP(load, 0, 1e3) * VQ_LOAD_UNIT + 0.5);
}

static void
make_jobs(VqWork *work)
{
    const GPtrArray *threads = work->input->threads;

    work->n_jobs = threads->len;
    work->jobs = g_new0(VqJob, work->n_jobs);
    work->profiles = g_new(guint8, ((gsize)work->n_jobs + 1) * work->n_nodes * 2);
    for (guint i = 0; i < work->n_jobs; i++) {
        VqJob *job = &work->jobs[i];

        job->thread = g_ptr_array_index(threads, i);
        job->home_core = core_of_set(work, job->thread->current);
        job->home = job->home_core >= 0 ? work->slot_of[job->home_core] : -1;
        job->home_pu = vq_cpuset_count(job->thread->current) == 1
                           ? vq_cpuset_next(job->thread->current, 0)
                           : -1;
        job->slot = job->pu = -1;
        job->class = VQ_PLACEMENT_SHARED;
        job->load = job->claim = load_units(work->input, job->thread);
        measure_distances(work, job);
    }
}

static void
make_domains(VqWork *work)
{
    for (guint i = 0; i < work->n_jobs; i++) {
        VqJob *job = &work->jobs[i];
        VqDomainJobs *last =
            work->domains->len ? VQ_WORK_DOMAIN(work, work->domains->len - 1) : NULL;

        if (!last || !g_str_equal(last->name, job->thread->domain)) {
            VqDomainJobs domain = {.name = job->thread->domain, .first = i};

            g_array_append_val(work->domains, domain);
            last = VQ_WORK_DOMAIN(work, work->domains->len - 1);
        }
        last->count++;
        last->running |= job->thread->running;
        job->domain = work->domains->len - 1;
    }
}

/* Joins group @b into @a. */
static void
join_groups(VqWork *work, guint a, guint b)
{
    VqGroup *from = VQ_WORK_GROUP(work, b), *to = VQ_WORK_GROUP(work, a);

    for (guint i = 0; i < from->jobs->len; i++)
        work->jobs[g_array_index(from->jobs, guint, i)].group = a;
    g_array_append_vals(to->jobs, from->jobs->data, from->jobs->len);
    g_array_set_size(from->jobs, 0);
}

static guint
group_new(VqWork *work, const VqJob *job)
{
    VqGroup group = {
        .domain = job->domain,
        .disk = vq_job_disk(job),
        .jobs = g_array_new(FALSE, FALSE, sizeof(guint)),
    };

    g_array_append_val(work->groups, group);
    return work->groups->len - 1;
}

/* Whether a job and the one before it serve one device, the same. */
static bool
serves_the_same(const VqWork *work, guint index)
{
    const VqJob *job = &work->jobs[index], *before = job - 1;

    return index > 0 && before->domain == job->domain && job->thread->serves->len == 1 &&
           before->thread->serves->len == 1 && g_str_equal(vq_job_disk(job), vq_job_disk(before));
}

/* Puts a job into the group of the devices it serves; one that serves two joins their groups. */
static void
group_job(VqWork *work, guint index, GHashTable *by_device)
{
    VqJob *job = &work->jobs[index];
    bool grouped = false;

    if (serves_the_same(work, index)) { /* nearly always, and quick */
        job->group = work->jobs[index - 1].group;
        g_array_append_val(VQ_WORK_GROUP(work, job->group)->jobs, index);
        return;
    }

    for (guint i = 0; i < job->thread->serves->len; i++) {
        const VqServed *served = g_ptr_array_index(job->thread->serves, i);
        g_autofree char *key = g_strdup_printf("%u/%s", job->domain, served->disk);
        gpointer member = NULL;
        bool known = g_hash_table_lookup_extended(by_device, key, NULL, &member);

        if (known && GPOINTER_TO_UINT(member) == index)
            continue; /* the same device twice */
        /* through a member: it knows the group of the device even after groups were joined */
        if (known && !grouped) {
            job->group = work->jobs[GPOINTER_TO_UINT(member)].group;
            g_array_append_val(VQ_WORK_GROUP(work, job->group)->jobs, index);
            grouped = true;
        } else if (known && work->jobs[GPOINTER_TO_UINT(member)].group != job->group) {
            join_groups(work, work->jobs[GPOINTER_TO_UINT(member)].group, job->group);
        } else if (!known) {
            g_hash_table_insert(by_device, g_steal_pointer(&key), GUINT_TO_POINTER(index));
        }
    }
    if (!grouped) {
        job->group = group_new(work, job);
        g_array_append_val(VQ_WORK_GROUP(work, job->group)->jobs, index);
    }
}

static void
make_groups(VqWork *work)
{
    g_autoptr(GHashTable) by_device = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < work->n_jobs; i++)
        work->jobs[i].group = G_MAXUINT;
    for (guint i = 0; i < work->n_jobs; i++)
        group_job(work, i, by_device);
    for (guint i = 0; i < work->n_jobs; i++) {
        const VqThread *thread = work->jobs[i].thread;
        VqGroup *group = VQ_WORK_GROUP(work, work->jobs[i].group);

        group->dedicated |= thread->class == VQ_PLACEMENT_DEDICATED;
        group->required |= thread->required;
        group->running = VQ_WORK_DOMAIN(work, group->domain)->running;
    }
}

/* Cores on which threads pinned by hand may run: not to be promised to anybody else. */
static void
mark_held(VqWork *work)
{
    for (guint i = 0; i < work->n_jobs; i++) {
        const VqThread *thread = work->jobs[i].thread;

        for (guint s = 0; vq_job_held(&work->jobs[i]) && s < work->n_slots; s++) {
            if (vq_cpuset_intersects(work->slots[s].core->pus, thread->current))
                work->slots[s].held++;
        }
    }
}

/* A group holds its promise if each of its threads is alone on one core, in the pool or (when the
 * pool has shrunk under it) not. */
static void
find_holders(VqWork *work)
{
    g_autofree guint *crowd = g_new0(guint, MAX(work->n_cores, 1));

    for (guint i = 0; i < work->n_jobs; i++) {
        const VqJob *job = &work->jobs[i];

        if (job->home_core >= 0)
            crowd[job->home_core]++;
    }
    for (guint i = 0; i < work->groups->len; i++) {
        VqGroup *group = VQ_WORK_GROUP(work, i);

        group->holds = group->dedicated && group->jobs->len > 0;
        for (guint k = 0; group->holds && k < group->jobs->len; k++) {
            const VqJob *job = &work->jobs[g_array_index(group->jobs, guint, k)];

            group->holds = job->home_core >= 0 && crowd[job->home_core] == 1 &&
                           (job->home < 0 || work->slots[job->home].held == vq_job_held(job));
        }
    }
}

/* A thousandth of what one core has when all are loaded alike, but at least a hundredth of a core
 * squared. The same before and after a plan was followed, so that the search ends at the same. */
static VqSquare
uneven_min(const VqWork *work)
{
    VqSquare claim = 0, least = (VqSquare)(VQ_UNEVEN_UNIT / 10000);
    gint64 capacity = 0;

    for (guint i = 0; i < work->n_slots; i++) {
        if (work->slots[i].owner < 0)
            capacity += work->slots[i].capacity;
    }
    for (guint i = 0; i < work->n_jobs; i++) {
        const VqJob *job = &work->jobs[i];

        if (job->class != VQ_PLACEMENT_DEDICATED &&
            !VQ_WORK_DOMAIN(work, job->domain)->required_refused)
            claim += job->claim;
    }
    if (capacity == 0)
        return least;
    claim = claim * VQ_CAPACITY_UNIT / capacity;
    return MAX(claim * claim * VQ_CAPACITY_UNIT / 1000, least);
}

/* More shared load than the cores for it may take: now weights decide who gets how much. After the
 * dedicated threads have their cores, and without who is refused. */
void
vq_work_weigh(VqWork *work)
{
    gint64 room = 0, demand = 0;

    for (guint i = 0; i < work->n_slots; i++) {
        if (work->slots[i].owner < 0)
            room += work->slots[i].limit;
    }
    for (guint i = 0; i < work->n_jobs; i++) {
        const VqJob *job = &work->jobs[i];

        if (job->class != VQ_PLACEMENT_DEDICATED &&
            !VQ_WORK_DOMAIN(work, job->domain)->required_refused)
            demand += job->load;
    }
    work->overloaded = demand > room;
    for (guint i = 0; i < work->n_jobs; i++) {
        VqJob *job = &work->jobs[i];
        gint64 weight = work->overloaded ? (gint64)job->thread->weight : VQ_WEIGHT_DEFAULT;

        job->claim = MAX(job->load * weight / VQ_WEIGHT_DEFAULT, VQ_LOAD_IDLE);
    }
    work->uneven_min = uneven_min(work);
}

VqWork *
vq_work_new(const VqPlacementInput *input)
{
    VqWork *work = g_new0(VqWork, 1);

    work->input = input;
    work->n_nodes = input->topology->nodes->len;
    work->groups = g_array_new(FALSE, FALSE, sizeof(VqGroup));
    work->domains = g_array_new(FALSE, FALSE, sizeof(VqDomainJobs));
    work->limit = (gint64)(CLAMP(input->params.load_limit, 0.01, 1e3) * VQ_LOAD_UNIT);
    work->gain = (gint64)(CLAMP(input->params.move_gain, 0, 1e3) * VQ_LOAD_UNIT);
    work->plan = vq_plan_new();
    map_cores(work);
    make_slots(work);
    find_outside(work);
    make_jobs(work);
    make_domains(work);
    work->clusters = g_new0(guint, (gsize)MAX(work->domains->len, 1) * work->n_clusters);
    work->packages = g_new0(guint, (gsize)MAX(work->domains->len, 1) * work->n_packages);
    make_groups(work);
    mark_held(work);
    find_holders(work);
    return work;
}

void
vq_work_free(VqWork *work)
{
    for (guint i = 0; i < work->n_slots; i++)
        vq_cpuset_free(work->slots[i].pus);
    for (guint i = 0; i < work->groups->len; i++) {
        g_array_unref(VQ_WORK_GROUP(work, i)->jobs);
        g_free(VQ_WORK_GROUP(work, i)->degraded);
    }
    g_array_unref(work->groups);
    g_array_unref(work->domains);
    g_free(work->core_of);
    g_free(work->slot_of);
    g_free(work->slots);
    g_free(work->jobs);
    g_free(work->clusters);
    g_free(work->packages);
    g_free(work->profiles);
    vq_cpuset_free(work->outside);
    vq_plan_free(work->plan);
    g_free(work);
}
