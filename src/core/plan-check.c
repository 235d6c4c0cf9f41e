/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a plan keeps its promises. Written from the promises, not from the placement: it shares
 * no code with placement*.c, so that one finds the other's mistakes.
 */
#include "core/placement.h"

#include "base/error.h"

typedef struct {
    const VqPlan *plan;
    const VqPlacementInput *input;
    GHashTable *threads; /* "domain/iothread" -> VqThread */
    GPtrArray *sets;     /* of VqCpuset: of each placement */
    GError **error;
} Check;

static bool G_GNUC_PRINTF(3, 4)
    broken(const Check *check, const VqPlaced *placed, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(check->error, VQ_ERROR, VQ_ERROR_CONFLICT, "%s/%s IOThread %u on CPU %s: %s",
                placed->domain, placed->disk, placed->iothread, placed->cpus, text);
    return false;
}

static char *
key_of(const char *domain, unsigned iothread)
{
    return g_strdup_printf("%s/%u", domain, iothread);
}

static const VqThread *
thread_of(const Check *check, const VqPlaced *placed)
{
    g_autofree char *key = key_of(placed->domain, placed->iothread);

    return g_hash_table_lookup(check->threads, key);
}

static const VqCore *
core_of(const Check *check, int pu)
{
    const GPtrArray *cores = check->input->topology->cores;

    for (guint i = 0; pu >= 0 && i < cores->len; i++) {
        const VqCore *core = g_ptr_array_index(cores, i);

        if (vq_cpuset_has(core->pus, (unsigned)pu))
            return core;
    }
    return NULL;
}

static bool
check_once(const Check *check)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < check->plan->placements->len; i++) {
        const VqPlaced *placed = g_ptr_array_index(check->plan->placements, i);

        if (!thread_of(check, placed))
            return broken(check, placed, "no such thread was to be placed");
        if (vq_plan_refusal(check->plan, placed->domain))
            return broken(check, placed, "placed although its domain is refused");
        if (!g_hash_table_add(seen, key_of(placed->domain, placed->iothread)))
            return broken(check, placed, "placed twice");
    }
    for (guint i = 0; i < check->input->threads->len; i++) {
        const VqThread *thread = g_ptr_array_index(check->input->threads, i);
        g_autofree char *key = key_of(thread->domain, thread->iothread);

        if (g_hash_table_contains(seen, key) || vq_plan_refusal(check->plan, thread->domain))
            continue;
        g_set_error(check->error, VQ_ERROR, VQ_ERROR_CONFLICT,
                    "%s IOThread %u is neither placed nor refused", thread->domain,
                    thread->iothread);
        return false;
    }
    return true;
}

static bool
check_refused(const Check *check)
{
    for (guint i = 0; i < check->plan->refused->len; i++) {
        const VqRefused *refused = g_ptr_array_index(check->plan->refused, i);
        bool required = false, running = false;

        for (guint k = 0; k < check->input->threads->len; k++) {
            const VqThread *thread = g_ptr_array_index(check->input->threads, k);

            if (g_str_equal(thread->domain, refused->domain)) {
                required |= thread->required;
                running |= thread->running;
            }
        }
        if (required && !running && refused->reason && *refused->reason)
            continue;
        g_set_error(check->error, VQ_ERROR, VQ_ERROR_CONFLICT, "'%s' is refused %s",
                    refused->domain,
                    running    ? "although it runs"
                    : required ? "without a reason"
                               : "although nothing is required");
        return false;
    }
    return true;
}

/* Numbers that must agree: cpu, cpus, core, node. */
static bool
check_numbers(const Check *check, const VqPlaced *placed, const VqCpuset *set)
{
    const VqCore *core = core_of(check, placed->cpu);

    if (vq_cpuset_empty(set))
        return broken(check, placed, "no CPU at all");
    if (!placed->held && !vq_cpuset_subset(set, check->input->topology->usable))
        return broken(check, placed, "CPUs that cannot be used");
    if (placed->cpu >= 0 && !vq_cpuset_has(set, (unsigned)placed->cpu))
        return broken(check, placed, "cpu %d is not among them", placed->cpu);
    if (placed->core != (core ? (int)core->logical : -1))
        return broken(check, placed, "core %d is not that of cpu %d", placed->core, placed->cpu);
    if (!placed->reason || !*placed->reason)
        return broken(check, placed, "no reason");
    return true;
}

static bool
check_pool(const Check *check, const VqPlaced *placed, const VqCpuset *set)
{
    if (placed->held)
        return vq_cpuset_equal(set, thread_of(check, placed)->current) ||
               broken(check, placed, "moved although pinned by hand");
    if (placed->cpu < 0)
        return !vq_cpuset_intersects(set, check->input->pool) ||
               broken(check, placed, "on several CPUs of the pool");
    if (!vq_cpuset_subset(set, check->input->pool))
        return broken(check, placed, "outside the pool");
    return vq_cpuset_count(set) == 1 || broken(check, placed, "on more than its CPU");
}

/* What was granted against what was asked, and that a difference is told. */
static bool
check_class(const Check *check, const VqPlaced *placed)
{
    const VqThread *thread = thread_of(check, placed);
    bool less = placed->class != thread->class || (placed->cpu < 0 && !placed->held);

    if (placed->wanted != thread->class)
        return broken(check, placed, "not what was asked for");
    if (placed->class == VQ_PLACEMENT_DEDICATED && thread->class != VQ_PLACEMENT_DEDICATED)
        return broken(check, placed, "a core of its own nobody asked for");
    if (less != (placed->degraded && *placed->degraded))
        return broken(check, placed, less ? "degraded without a word" : "degraded without a cause");
    if (less && thread->required && !thread->running)
        return broken(check, placed, "required, and admitted all the same");
    return true;
}

static bool
check_alone(const Check *check, guint index)
{
    const VqPlaced *placed = g_ptr_array_index(check->plan->placements, index);
    const VqCore *core = core_of(check, placed->cpu);

    if (placed->class != VQ_PLACEMENT_DEDICATED)
        return true;
    if (!core || !vq_cpuset_has(check->input->pool, (unsigned)placed->cpu))
        return broken(check, placed, "dedicated, but not on a core of the pool");
    if (!vq_cpuset_subset(g_ptr_array_index(check->sets, index), core->pus))
        return broken(check, placed, "dedicated, but not to one core");
    for (guint i = 0; i < check->sets->len; i++) {
        const VqPlaced *other = g_ptr_array_index(check->plan->placements, i);

        if (i != index && vq_cpuset_intersects(core->pus, g_ptr_array_index(check->sets, i)))
            return broken(check, placed, "core %u is its own, but %s/%s IOThread %u is on it too",
                          core->logical, other->domain, other->disk, other->iothread);
    }
    return true;
}

/* All threads of a device get cores of their own, or none. */
static bool
check_together(const Check *check)
{
    g_autoptr(GHashTable) granted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < check->plan->placements->len; i++) {
        const VqPlaced *placed = g_ptr_array_index(check->plan->placements, i);
        char *key = g_strdup_printf("%s/%s", placed->domain, placed->disk);
        gpointer before = g_hash_table_lookup(granted, key);
        gpointer now = GINT_TO_POINTER(placed->class == VQ_PLACEMENT_DEDICATED ? 2 : 1);

        if (placed->wanted != VQ_PLACEMENT_DEDICATED) {
            g_free(key);
            continue;
        }
        g_hash_table_insert(granted, key, now);
        if (before && before != now)
            return broken(check, placed, "only some threads of the device got their own core");
    }
    return true;
}

static bool
check_placements(Check *check)
{
    for (guint i = 0; i < check->plan->placements->len; i++) {
        const VqPlaced *placed = g_ptr_array_index(check->plan->placements, i);
        VqCpuset *set = vq_cpuset_parse(placed->cpus, check->error);

        if (!set)
            return false;
        g_ptr_array_add(check->sets, set);
        if (!check_numbers(check, placed, set) || !check_pool(check, placed, set) ||
            !check_class(check, placed))
            return false;
    }
    for (guint i = 0; i < check->plan->placements->len; i++) {
        if (!check_alone(check, i))
            return false;
    }
    return check_together(check);
}

/* Present cpusets, by placement; moves are applied to them one by one. */
static GPtrArray *
present_sets(const Check *check)
{
    GPtrArray *sets = g_ptr_array_new_with_free_func((GDestroyNotify)vq_cpuset_free);

    for (guint i = 0; i < check->plan->placements->len; i++) {
        const VqThread *thread = thread_of(check, g_ptr_array_index(check->plan->placements, i));

        g_ptr_array_add(sets, vq_cpuset_copy(thread->current));
    }
    return sets;
}

/* A thread pinned to more than one core is not on any one of them. */
static bool
is_on(const VqCpuset *set, const VqCore *core)
{
    return !vq_cpuset_empty(set) && vq_cpuset_subset(set, core->pus);
}

/* Where two meet who both were there before us, the plan is not to blame: @before. */
static bool
check_entry(const Check *check, const GPtrArray *now, guint mover, const VqCpuset *before)
{
    const VqPlaced *placed = g_ptr_array_index(check->plan->placements, mover);
    const VqCpuset *set = g_ptr_array_index(now, mover);
    const VqCore *core = core_of(check, vq_cpuset_next(set, 0));

    if (!core || !is_on(set, core) || is_on(before, core))
        return true;
    for (guint i = 0; i < now->len; i++) {
        const VqPlaced *other = g_ptr_array_index(check->plan->placements, i);

        if (i == mover || !is_on(g_ptr_array_index(now, i), core))
            continue;
        if (placed->class == VQ_PLACEMENT_DEDICATED && other->class == VQ_PLACEMENT_DEDICATED)
            return broken(check, placed, "meets %s/%s IOThread %u on core %u on its way",
                          other->domain, other->disk, other->iothread, core->logical);
    }
    return true;
}

static int
index_of(const Check *check, const VqMove *move)
{
    for (guint i = 0; i < check->plan->placements->len; i++) {
        const VqPlaced *placed = g_ptr_array_index(check->plan->placements, i);

        if (placed->iothread == move->iothread && g_str_equal(placed->domain, move->domain))
            return (int)i;
    }
    return -1;
}

static bool
apply_move(const Check *check, GPtrArray *now, const VqMove *move)
{
    int index = index_of(check, move);

    if (index < 0) {
        g_set_error(check->error, VQ_ERROR, VQ_ERROR_CONFLICT,
                    "%s IOThread %u is moved but not placed", move->domain, move->iothread);
        return false;
    }

    VqCpuset *target = move->to >= 0 ? vq_cpuset_new_single((unsigned)move->to)
                                     : vq_cpuset_copy(g_ptr_array_index(check->sets, (guint)index));

    g_autoptr(VqCpuset) before = now->pdata[index];

    now->pdata[index] = target;
    return check_entry(check, now, (guint)index, before);
}

static bool
check_moves(const Check *check)
{
    g_autoptr(GPtrArray) now = present_sets(check);

    for (guint i = 0; i < check->plan->moves->len; i++) {
        if (!apply_move(check, now, g_ptr_array_index(check->plan->moves, i)))
            return false;
    }
    for (guint i = 0; i < now->len; i++) {
        if (!vq_cpuset_equal(now->pdata[i], g_ptr_array_index(check->sets, i)))
            return broken(check, g_ptr_array_index(check->plan->placements, i),
                          "the moves do not lead there");
    }
    return true;
}

bool
vq_plan_check(const VqPlan *plan, const VqPlacementInput *input, GError **error)
{
    g_autoptr(GHashTable) threads = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GPtrArray) sets = g_ptr_array_new_with_free_func((GDestroyNotify)vq_cpuset_free);
    Check check = {plan, input, threads, sets, error};

    for (guint i = 0; i < input->threads->len; i++) {
        VqThread *thread = g_ptr_array_index(input->threads, i);

        g_hash_table_insert(threads, key_of(thread->domain, thread->iothread), thread);
    }
    return check_once(&check) && check_refused(&check) && check_placements(&check) &&
           check_moves(&check);
}
