/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The steps of a walk. What is checked after each is in walk-check.c. */
#include "walk.h"

#include "base/error.h"
#include "machine.h"

#define THREADS_MAX 160 /* of all VMs: more cores than that get no more load, only more room */

typedef void (*StepFunc)(Walk *walk);

static guint
draw(Walk *walk, guint below)
{
    return below ? (guint)g_rand_int_range(walk->random, 0, (gint32)below) : 0;
}

static void G_GNUC_PRINTF(2, 3) note(Walk *walk, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_string_append_vprintf(walk->trail, format, args);
    va_end(args);
}

/* Up to @share per cent of @cpus. */
static VqCpuset *
some_of(Walk *walk, const VqCpuset *cpus, guint share)
{
    VqCpuset *some = vq_cpuset_new();

    VQ_CPUSET_FOREACH (cpu, cpus) {
        if (draw(walk, 100) < share)
            vq_cpuset_add(some, (unsigned)cpu);
    }
    return some;
}

static const VqThread *
some_thread(Walk *walk)
{
    return walk->threads->len ? g_ptr_array_index(walk->threads, draw(walk, walk->threads->len))
                              : NULL;
}

static void
arrive(Walk *walk)
{
    guint vm = walk->arrivals++, disks = 1 + draw(walk, 2), iothread = 0;
    g_autofree char *name = g_strdup_printf("vm%u", vm);
    guint nodes = walk->now->nodes->len, memory = draw(walk, 3);
    guint most = MIN(THREADS_MAX, 8 + 6 * walk->full->cores->len);
    bool required = draw(walk, 4) == 0;

    for (guint d = 0; d < disks && walk->threads->len < most; d++) {
        const char *disk = d ? "vdb" : "vda";
        VqPlacement class = draw(walk, 3) == 0 ? VQ_PLACEMENT_DEDICATED : VQ_PLACEMENT_SHARED;
        guint count = 1 + draw(walk, 4), node = draw(walk, nodes + 1);

        for (guint i = 0; i < count; i++) {
            int os = node < nodes ? (int)((VqNode *)walk->now->nodes->pdata[node])->os : -1;
            VqThread *thread = test_thread(walk->threads, name, disk, ++iothread, class, os);

            thread->required = required;
            thread->weight = 50 + draw(walk, 200);
            thread->load = draw(walk, 4) == 0 ? -1 : draw(walk, 70) / 100.0;
            if (memory == 0 && nodes > 0)
                vq_cpuset_add(thread->memory_nodes,
                              ((VqNode *)walk->now->nodes->pdata[vm % nodes])->os);
        }
        note(walk, "%s%s/%s %s x%u%s on %u", d ? ", " : "", name, disk,
             class == VQ_PLACEMENT_DEDICATED ? "dedicated" : "shared", count,
             required ? " required" : "", node);
    }
}

static void
depart(Walk *walk)
{
    const VqThread *chosen = some_thread(walk);
    g_autofree char *name = chosen ? g_strdup(chosen->domain) : NULL;

    for (guint i = walk->threads->len; name && i-- > 0;) {
        if (g_str_equal(((VqThread *)walk->threads->pdata[i])->domain, name))
            g_ptr_array_remove_index(walk->threads, i);
    }
    note(walk, "%s", name ? name : "nobody");
}

static void
change_load(Walk *walk)
{
    guint share = 10 + draw(walk, 60);

    for (guint i = 0; i < walk->threads->len; i++) {
        VqThread *thread = g_ptr_array_index(walk->threads, i);

        if (draw(walk, 100) < share)
            thread->load = draw(walk, 90) / 100.0;
        thread->resting = draw(walk, 10) == 0;
    }
    note(walk, "of %u%% of the threads", share);
}

static void
drain(Walk *walk)
{
    if (draw(walk, 3) == 0) {
        vq_cpuset_free(walk->drained);
        walk->drained = vq_cpuset_new();
        note(walk, "undrain all");
    } else {
        g_autoptr(VqCpuset) some = some_of(walk, walk->pool->cpus, 30);
        g_autofree char *text = vq_cpuset_format(some);

        vq_cpuset_union(walk->drained, some);
        note(walk, "%s", text);
    }
}

/* What becomes of pins to CPUs that are gone: the kernel widens them to all that are left, or
 * libvirt still tells the old ones. */
static void
lose_pins(Walk *walk, const VqTopology *machine, bool widen)
{
    for (guint i = 0; i < walk->threads->len; i++) {
        VqThread *thread = g_ptr_array_index(walk->threads, i);

        if (!widen || vq_cpuset_empty(thread->current) ||
            vq_cpuset_intersects(thread->current, machine->usable))
            continue;
        vq_cpuset_union(thread->current, machine->usable);
    }
}

static void
set_gone(Walk *walk)
{
    g_autoptr(VqCpuset) gone = vq_cpuset_copy(walk->offline);
    VqTopology *next;

    vq_cpuset_union(gone, walk->restricted);
    if (vq_cpuset_subset(walk->full->usable, gone)) { /* one must be left */
        vq_cpuset_remove(gone, (unsigned)vq_cpuset_next(walk->full->usable, 0));
        vq_cpuset_remove(walk->offline, (unsigned)vq_cpuset_next(walk->full->usable, 0));
        vq_cpuset_remove(walk->restricted, (unsigned)vq_cpuset_next(walk->full->usable, 0));
    }
    next = walk_without(walk->full, gone);
    lose_pins(walk, next, draw(walk, 2));
    vq_topology_free(walk->now);
    walk->now = next;
}

static void
hotplug(Walk *walk)
{
    if (draw(walk, 3) == 0) {
        vq_cpuset_free(walk->offline);
        walk->offline = vq_cpuset_new();
        note(walk, "all online");
    } else {
        g_autoptr(VqCpuset) some = some_of(walk, walk->full->usable, 1 + draw(walk, 40));
        g_autofree char *text = vq_cpuset_format(some);

        vq_cpuset_union(walk->offline, some);
        note(walk, "offline %s", text);
    }
    set_gone(walk);
}

/* The process's cpuset becomes one package, or everything again. */
static void
restrict_cpus(Walk *walk)
{
    vq_cpuset_free(walk->restricted);
    if (draw(walk, 2) == 0) {
        const VqPackage *package =
            g_ptr_array_index(walk->full->packages, draw(walk, walk->full->packages->len));

        walk->restricted = vq_cpuset_copy(walk->full->usable);
        vq_cpuset_subtract(walk->restricted, package->cpus);
        note(walk, "to package %u", package->os);
    } else {
        walk->restricted = vq_cpuset_new();
        note(walk, "to nothing");
    }
    set_gone(walk);
}

static void
change_pool(Walk *walk)
{
    static const unsigned shares[] = {1, 10, 25, 50, 90};

    vq_cpuset_free(walk->configured);
    if (draw(walk, 2) == 0) {
        walk->configured = some_of(walk, walk->full->usable, 10 + draw(walk, 60));
        if (vq_cpuset_subset(walk->full->usable, walk->configured))
            vq_cpuset_remove(walk->configured, (unsigned)vq_cpuset_next(walk->full->usable, 0));
    } else {
        walk->configured = vq_cpuset_new();
        walk->share = shares[draw(walk, G_N_ELEMENTS(shares))];
    }

    g_autofree char *text = vq_cpuset_format(walk->configured);

    note(walk, "share %u, configured '%s'", walk->share, text);
}

static void
pin(Walk *walk)
{
    VqThread *thread = (VqThread *)some_thread(walk);
    guint cpu = draw(walk, walk->now->pus->len);

    if (!thread)
        return;
    if (thread->held) {
        thread->held = false;
        note(walk, "%s/%u is free again", thread->domain, thread->iothread);
        return;
    }

    VqCpuset *set = draw(walk, 3) == 0 ? some_of(walk, walk->now->usable, 30) : vq_cpuset_new();

    if (vq_cpuset_empty(set))
        vq_cpuset_add(set, ((VqPu *)walk->now->pus->pdata[cpu])->os);

    g_autofree char *text = vq_cpuset_format(set);

    vq_cpuset_free(thread->current);
    thread->current = set;
    thread->held = thread->running = true;
    for (guint i = 0; i < walk->threads->len; i++) { /* all of its domain run */
        VqThread *other = g_ptr_array_index(walk->threads, i);

        if (g_str_equal(other->domain, thread->domain))
            other->running = true;
    }
    note(walk, "%s/%u to %s", thread->domain, thread->iothread, text);
}

static void
change_settings(Walk *walk)
{
    walk->input.params = vq_placement_defaults;
    walk->input.params.spread = draw(walk, 3) == 0;
    walk->input.params.load_limit = draw(walk, 3) == 0 ? 0.5 : 0.8;
    walk->input.max_moves = draw(walk, 3) == 0 ? 1 + draw(walk, 4) : 0;
    note(walk, "spread %d, limit %.1f, at most %u moves", walk->input.params.spread,
         walk->input.params.load_limit, walk->input.max_moves);
}

/* How often of 20 each is taken. */
static const struct {
    const char *name;
    StepFunc step;
    guint times;
} steps[] = {
    {"arrive", arrive, 7},    {"depart", depart, 2}, {"load", change_load, 3},
    {"drain", drain, 2},      {"cpus", hotplug, 2},  {"restrict", restrict_cpus, 1},
    {"pool", change_pool, 1}, {"pin", pin, 1},       {"settings", change_settings, 1},
};

static bool
choose_pool(Walk *walk, GError **error)
{
    VqPoolRequest request = {
        .cpus = vq_cpuset_empty(walk->configured) ? NULL : walk->configured,
        .share = walk->share,
        .drained = walk->drained,
        .hotplug = true,
    };
    VqPool *pool = vq_pool_choose(walk->now, &request, error);

    if (!pool)
        return false;
    vq_pool_free(walk->pool);
    walk->pool = pool;
    if (!vq_cpuset_subset(pool->cpus, walk->now->usable)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_CONFLICT, "the pool has CPUs that are not usable");
        return false;
    }
    return true;
}

/* Whether @thread still can have the core that it holds. */
static bool
may_keep(const Walk *walk, const VqThread *thread)
{
    int first = vq_cpuset_next(thread->current, 0);
    const VqCore *core = first < 0 ? NULL : vq_topology_core_of(walk->now, (unsigned)first);

    if (!core || thread->held || !vq_cpuset_subset(thread->current, core->pus) ||
        !vq_cpuset_intersects(core->pus, walk->pool->cpus))
        return false;
    for (guint i = 0; i < walk->threads->len; i++) {
        const VqThread *other = g_ptr_array_index(walk->threads, i);

        if (other != thread && other->held && vq_cpuset_intersects(other->current, core->pus))
            return false;
    }
    return true;
}

/* Before a plan: who has lost a claim by what happened. If some have lost cores to it, the rest may
 * have to be shared out anew, required ones first: then nobody has a claim. */
static void
forget_claims(Walk *walk)
{
    bool lost = false;

    for (guint i = 0; i < walk->threads->len; i++) {
        const VqThread *thread = g_ptr_array_index(walk->threads, i);
        const VqServed *served = g_ptr_array_index(thread->serves, 0);
        g_autofree char *key = g_strdup_printf("%s/%s", thread->domain, served->disk);

        if (!may_keep(walk, thread))
            lost |= g_hash_table_remove(walk->holding, key);
    }
    if (lost)
        g_hash_table_remove_all(walk->holding);
}

static void
follow(Walk *walk, const VqPlan *plan)
{
    g_hash_table_remove_all(walk->holding);
    walk->moves += plan->moves->len;
    walk->refused += plan->refused->len;
    for (guint i = walk->threads->len; i-- > 0;) {
        VqThread *thread = g_ptr_array_index(walk->threads, i);
        const VqPlaced *placed = vq_plan_find(plan, thread->domain, NULL, thread->iothread);

        if (!placed) {
            g_ptr_array_remove_index(walk->threads, i);
            continue;
        }
        if (placed->class == VQ_PLACEMENT_DEDICATED)
            g_hash_table_add(walk->holding, g_strdup_printf("%s/%s", thread->domain, placed->disk));
        walk->placed++;
        walk->dedicated += placed->class == VQ_PLACEMENT_DEDICATED;
        walk->degraded += placed->degraded != NULL;
        thread->running = true;
        vq_cpuset_free(thread->current);
        thread->current = vq_cpuset_parse(placed->cpus, NULL);
    }
}

/* Plans, checks, follows; then the same again, which must move nothing. */
static bool
plan_and_check(Walk *walk, GError **error)
{
    g_autoptr(VqPlan) plan = NULL, again = NULL;

    if (!vq_topology_check(walk->now, error) || !choose_pool(walk, error))
        return false;
    walk->input.topology = walk->now;
    walk->input.pool = walk->pool->cpus;
    walk->input.threads = walk->threads;
    forget_claims(walk);
    plan = vq_placement_compute(&walk->input);
    if (!walk_check(walk, plan, error))
        return false;
    follow(walk, plan);
    if (walk->input.max_moves > 0)
        return true; /* what was put off comes now */
    again = vq_placement_compute(&walk->input);
    if (again->moves->len == 0)
        return true;

    const VqMove *move = g_ptr_array_index(again->moves, 0);

    g_set_error(error, VQ_ERROR, VQ_ERROR_CONFLICT,
                "the same input again moves %u, first %s/%u from %d to %d: %s", again->moves->len,
                move->domain, move->iothread, move->from, move->to, move->reason);
    return false;
}

static bool
one_step(Walk *walk, guint index, GError **error)
{
    guint total = 0, drawn;

    for (guint i = 0; i < G_N_ELEMENTS(steps); i++)
        total += steps[i].times;
    drawn = draw(walk, total);
    for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
        if (drawn < steps[i].times) {
            note(walk, "  %u. %s: ", index, steps[i].name);
            steps[i].step(walk);
            note(walk, "\n");
            break;
        }
        drawn -= steps[i].times;
    }
    if (plan_and_check(walk, error))
        return true;

    g_autofree char *pool = vq_cpuset_format(walk->pool->cpus);

    g_prefix_error(error, "%s, step %u, pool %s:\n%s", walk->full->origin, index, pool,
                   walk->trail->str);
    return false;
}

bool
walk_run(Walk *walk, const VqTopology *machine, guint32 seed, guint count, GError **error)
{
    g_autoptr(VqCpuset) nothing = vq_cpuset_new();

    *walk = (Walk){.full = machine, .share = 25, .input = {.params = vq_placement_defaults}};
    walk->now = walk_without(machine, nothing);
    walk->offline = vq_cpuset_new();
    walk->restricted = vq_cpuset_new();
    walk->drained = vq_cpuset_new();
    walk->configured = vq_cpuset_new();
    walk->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    walk->random = g_rand_new_with_seed(seed);
    walk->trail = g_string_new(NULL);
    walk->holding = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    if (!choose_pool(walk, error))
        return false;
    for (guint i = 1; i <= count; i++) {
        if (!one_step(walk, i, error))
            return false;
    }
    return true;
}

void
walk_clear(Walk *walk)
{
    if (!walk->trail) /* never begun */
        return;
    vq_topology_free(walk->now);
    vq_cpuset_free(walk->offline);
    vq_cpuset_free(walk->restricted);
    vq_cpuset_free(walk->drained);
    vq_cpuset_free(walk->configured);
    vq_pool_free(walk->pool);
    g_ptr_array_unref(walk->threads);
    g_rand_free(walk->random);
    g_string_free(walk->trail, TRUE);
    g_hash_table_unref(walk->holding);
}
