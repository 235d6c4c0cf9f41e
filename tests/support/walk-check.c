/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must be true of a plan after every step of a walk. */
#include "base/error.h"
#include "walk.h"

#define OVERLOAD_MIN 0.011 /* of a core: a move for less is not worth it */

typedef struct {
    const VqThread *thread;
    const VqPlaced *placed;
    VqCpuset *cpus;
} Seat;

typedef struct {
    const Walk *walk;
    const VqPlan *plan;
    GArray *seats; /* of Seat; refused threads have none */
    GError **error;
} Check;

static bool G_GNUC_PRINTF(2, 3) broken(const Check *check, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(check->error, VQ_ERROR, VQ_ERROR_CONFLICT, "%s", text);
    return false;
}

static bool
is_refused(const VqPlan *plan, const char *domain)
{
    for (guint i = 0; i < plan->refused->len; i++) {
        if (g_str_equal(((const VqRefused *)plan->refused->pdata[i])->domain, domain))
            return true;
    }
    return false;
}

/* Every thread has one placement, or its domain is refused, and then it was about to start. */
static bool
collect(Check *check)
{
    for (guint i = 0; i < check->walk->threads->len; i++) {
        const VqThread *thread = g_ptr_array_index(check->walk->threads, i);
        Seat seat = {.thread = thread};
        guint found = 0;

        for (guint k = 0; k < check->plan->placements->len; k++) {
            const VqPlaced *placed = g_ptr_array_index(check->plan->placements, k);

            if (placed->iothread == thread->iothread &&
                g_str_equal(placed->domain, thread->domain)) {
                seat.placed = placed;
                found++;
            }
        }
        if (found + is_refused(check->plan, thread->domain) != 1)
            return broken(check, "%s/%u has %u placements", thread->domain, thread->iothread,
                          found);
        if (found == 0 && thread->running)
            return broken(check, "%s runs and is refused", thread->domain);
        if (found == 0)
            continue;
        seat.cpus = vq_cpuset_parse(seat.placed->cpus, check->error);
        if (!seat.cpus)
            return false;
        g_array_append_val(check->seats, seat);
    }
    return true;
}

static bool
check_pins(const Check *check)
{
    for (guint i = 0; i < check->seats->len; i++) {
        const Seat *seat = &g_array_index(check->seats, Seat, i);
        const VqThread *t = seat->thread;

        if (vq_cpuset_empty(seat->cpus))
            return broken(check, "%s/%u is nowhere", t->domain, t->iothread);
        if (t->held && !vq_cpuset_empty(t->current)) {
            if (!vq_cpuset_equal(seat->cpus, t->current))
                return broken(check, "%s/%u is pinned by hand and moved", t->domain, t->iothread);
        } else if (!vq_cpuset_subset(seat->cpus, check->walk->now->usable)) {
            return broken(check, "%s/%u is on CPU %s, not usable", t->domain, t->iothread,
                          seat->placed->cpus);
        } else if (seat->placed->cpu >= 0 &&
                   !vq_cpuset_subset(seat->cpus, check->walk->pool->cpus)) {
            return broken(check, "%s/%u is on CPU %s, outside the pool", t->domain, t->iothread,
                          seat->placed->cpus);
        }
    }
    return true;
}

/* The seats that may run on @core, as a bit set of 1: dedicated ones, 2: others; and how many. */
static guint
users_of(const Check *check, const VqCore *core, guint *kinds)
{
    guint users = 0;

    *kinds = 0;
    for (guint i = 0; i < check->seats->len; i++) {
        const Seat *seat = &g_array_index(check->seats, Seat, i);

        if (!vq_cpuset_intersects(seat->cpus, core->pus))
            continue;
        users++;
        *kinds |= seat->placed->class == VQ_PLACEMENT_DEDICATED ? 1 : 2;
    }
    return users;
}

static bool
check_alone(const Check *check)
{
    const GPtrArray *cores = check->walk->now->cores;

    for (guint i = 0; i < cores->len; i++) {
        const VqCore *core = g_ptr_array_index(cores, i);
        guint kinds, users = users_of(check, core, &kinds);

        if ((kinds & 1) && users > 1)
            return broken(check, "core %u is dedicated and has %u threads", core->logical, users);
        if ((kinds & 1) && !vq_cpuset_intersects(core->pus, check->walk->pool->cpus))
            return broken(check, "core %u is dedicated and not in the pool", core->logical);
    }
    return true;
}

static double
load_of(const Check *check, const VqThread *thread)
{
    return thread->load < 0 ? check->walk->input.params.default_load : thread->load;
}

/* Load above the limit on each core for shared threads; -1: none of those. */
static double *
room_of_cores(const Check *check)
{
    const GPtrArray *cores = check->walk->now->cores;
    double *room = g_new(double, cores->len + 1);

    for (guint i = 0; i < cores->len; i++) {
        const VqCore *core = g_ptr_array_index(cores, i);
        g_autoptr(VqCpuset) pus = vq_cpuset_copy(core->pus);
        guint kinds;

        vq_cpuset_intersect(pus, check->walk->pool->cpus);
        users_of(check, core, &kinds);
        room[i] = check->walk->input.params.load_limit * core->capacity / 1024;
        if (vq_cpuset_count(pus) > 1)
            room[i] *= 1 + check->walk->input.params.smt_gain;
        if (vq_cpuset_empty(pus) || (kinds & 1))
            room[i] = -1e9;
        for (guint k = 0; k < check->seats->len; k++) {
            const Seat *seat = &g_array_index(check->seats, Seat, k);
            g_autoptr(VqCpuset) common = vq_cpuset_copy(core->pus);

            vq_cpuset_intersect(common, seat->cpus);
            if (seat->placed->cpu >= 0 || seat->thread->held)
                room[i] -= load_of(check, seat->thread) * vq_cpuset_count(common) /
                           vq_cpuset_count(seat->cpus);
        }
    }
    return room;
}

/* No thread on a core over its limit could lessen the overload by going to another core. */
static bool
check_overload(const Check *check)
{
    g_autofree double *room = room_of_cores(check);
    GPtrArray *cores = check->walk->now->cores;

    for (guint k = 0; k < check->seats->len && check->walk->input.max_moves == 0; k++) {
        const Seat *seat = &g_array_index(check->seats, Seat, k);
        double load = load_of(check, seat->thread);
        const VqCore *core =
            seat->placed->cpu < 0
                ? NULL
                : vq_topology_core_of(check->walk->now, (unsigned)seat->placed->cpu);
        guint from;

        if (!core || seat->thread->held || seat->placed->class == VQ_PLACEMENT_DEDICATED)
            continue;
        g_assert_true(g_ptr_array_find(cores, core, &from));
        for (guint to = 0; room[from] < 0 && to < cores->len; to++) {
            double before = -room[from] + MAX(-room[to], 0);
            double after = MAX(-room[from] - load, 0) + MAX(load - room[to], 0);

            if (to != from && room[to] > -1e8 && before - after > OVERLOAD_MIN)
                return broken(check,
                              "%s/%u: core %u is over its limit by %.3f, core %u has room for %.3f",
                              seat->thread->domain, seat->thread->iothread, core->logical,
                              -room[from], ((VqCore *)cores->pdata[to])->logical, room[to]);
        }
    }
    return true;
}

/* A core on which no dedicated thread is: whoever must wait can wait there. */
static bool
have_spare(const Check *check, GPtrArray *now)
{
    const GPtrArray *cores = check->walk->now->cores;

    for (guint i = 0; i < cores->len; i++) {
        bool taken = false;

        for (guint k = 0; k < now->len; k++) {
            const Seat *seat = &g_array_index(check->seats, Seat, k);

            taken |= seat->placed->class == VQ_PLACEMENT_DEDICATED &&
                     vq_cpuset_intersects(now->pdata[k], ((VqCore *)cores->pdata[i])->pus);
        }
        if (!taken)
            return true;
    }
    return false;
}

/* After seat @mover changed from @before: two dedicated threads on one core that were not there
 * together before. */
static bool
check_meeting(const Check *check, GPtrArray *now, guint mover, const VqCpuset *before)
{
    const Seat *seat = &g_array_index(check->seats, Seat, mover);
    const VqCpuset *set = now->pdata[mover];
    const VqCore *core = vq_topology_core_of(check->walk->now, (unsigned)vq_cpuset_next(set, 0));

    if (seat->placed->class != VQ_PLACEMENT_DEDICATED || !core ||
        !vq_cpuset_subset(set, core->pus) ||
        (!vq_cpuset_empty(before) && vq_cpuset_subset(before, core->pus)))
        return true;
    for (guint k = 0; k < now->len; k++) {
        const Seat *other = &g_array_index(check->seats, Seat, k);

        if (k != mover && other->placed->class == VQ_PLACEMENT_DEDICATED &&
            !vq_cpuset_empty(now->pdata[k]) && vq_cpuset_subset(now->pdata[k], core->pus) &&
            have_spare(check, now))
            return broken(check, "%s/%u meets %s/%u on core %u on its way", seat->thread->domain,
                          seat->thread->iothread, other->thread->domain, other->thread->iothread,
                          core->logical);
    }
    return true;
}

static bool
apply_move(const Check *check, GPtrArray *now, const VqMove *move)
{
    for (guint k = 0; k < check->seats->len; k++) {
        const Seat *seat = &g_array_index(check->seats, Seat, k);
        g_autoptr(VqCpuset) before = NULL;
        int from;

        if (seat->thread->iothread != move->iothread ||
            !g_str_equal(seat->thread->domain, move->domain))
            continue;
        before = now->pdata[k];
        from = vq_cpuset_count(before) == 1 ? vq_cpuset_next(before, 0) : -1;
        now->pdata[k] =
            move->to >= 0 ? vq_cpuset_new_single((unsigned)move->to) : vq_cpuset_copy(seat->cpus);
        if (move->from != from)
            return broken(check, "%s/%u moves from %d, but is on %d", move->domain, move->iothread,
                          move->from, from);
        return check_meeting(check, now, k, before);
    }
    return broken(check, "%s/%u moves and has no placement", move->domain, move->iothread);
}

/* No more shared threads leave a core of the pool that is still theirs to use than was allowed. */
static bool
check_budget(const Check *check)
{
    const Walk *walk = check->walk;
    guint moved = 0, kinds;

    for (guint k = 0; k < check->seats->len; k++) {
        const Seat *seat = &g_array_index(check->seats, Seat, k);
        int first = vq_cpuset_next(seat->thread->current, 0);
        const VqCore *core = first < 0 ? NULL : vq_topology_core_of(walk->now, (unsigned)first);

        if (!core || !seat->thread->running || seat->placed->held ||
            seat->placed->class == VQ_PLACEMENT_DEDICATED ||
            !vq_cpuset_subset(seat->thread->current, core->pus) ||
            !vq_cpuset_intersects(core->pus, walk->pool->cpus))
            continue;
        users_of(check, core, &kinds);
        moved += !(kinds & 1) && !vq_cpuset_intersects(seat->cpus, core->pus);
    }
    return walk->input.max_moves == 0 || moved <= walk->input.max_moves ||
           broken(check, "%u shared threads move, %u were allowed", moved, walk->input.max_moves);
}

static bool
check_moves(const Check *check)
{
    g_autoptr(GPtrArray) now = g_ptr_array_new_with_free_func((GDestroyNotify)vq_cpuset_free);

    for (guint k = 0; k < check->seats->len; k++)
        g_ptr_array_add(now, vq_cpuset_copy(g_array_index(check->seats, Seat, k).thread->current));
    for (guint i = 0; i < check->plan->moves->len; i++) {
        if (!apply_move(check, now, g_ptr_array_index(check->plan->moves, i)))
            return false;
    }
    for (guint k = 0; k < check->seats->len; k++) {
        const Seat *seat = &g_array_index(check->seats, Seat, k);

        if (!vq_cpuset_equal(now->pdata[k], seat->cpus))
            return broken(check, "the moves leave %s/%u elsewhere", seat->thread->domain,
                          seat->thread->iothread);
    }
    return check_budget(check);
}

/* Nobody who holds a promise loses it while its cores are in the pool and nobody was pinned onto
 * them. Without a CPU outside the pool a core must be left to others. */
static bool
check_kept(const Check *check)
{
    const Walk *walk = check->walk;
    g_autoptr(VqCpuset) outside = vq_cpuset_copy(walk->now->usable);

    for (guint i = 0; i < walk->now->cores->len; i++) {
        const VqCore *core = g_ptr_array_index(walk->now->cores, i);

        if (vq_cpuset_intersects(core->pus, walk->pool->cpus))
            vq_cpuset_subtract(outside, core->pus);
    }
    for (guint k = 0; k < check->seats->len && !vq_cpuset_empty(outside); k++) {
        const Seat *seat = &g_array_index(check->seats, Seat, k);
        g_autofree char *key = g_strdup_printf("%s/%s", seat->thread->domain, seat->placed->disk);

        if (g_hash_table_contains(walk->holding, key) &&
            seat->thread->class == VQ_PLACEMENT_DEDICATED &&
            seat->placed->class != VQ_PLACEMENT_DEDICATED)
            return broken(check, "%s held its cores, and %u lost its own", key,
                          seat->thread->iothread);
    }
    return true;
}

/* Twice the same. */
static bool
check_repeatable(const Check *check)
{
    g_autoptr(VqPlan) again = vq_placement_compute(&check->walk->input);
    g_autofree char *a = vq_plan_to_json(check->plan), *b = vq_plan_to_json(again);
    g_autoptr(VqPlan) read = vq_plan_from_json(a, -1, check->error);
    g_autofree char *c = read ? vq_plan_to_json(read) : NULL;

    if (!g_str_equal(a, b))
        return broken(check, "the same input gave two plans");
    return read && (g_str_equal(a, c) || broken(check, "the plan's JSON does not read back"));
}

static void
clear_seat(gpointer data)
{
    vq_cpuset_free(((Seat *)data)->cpus);
}

bool
walk_check(const Walk *walk, const VqPlan *plan, GError **error)
{
    g_autoptr(GArray) seats = g_array_new(FALSE, TRUE, sizeof(Seat));
    Check check = {walk, plan, seats, error};

    g_array_set_clear_func(seats, clear_seat);
    return vq_plan_check(plan, &walk->input, error) && collect(&check) && check_pins(&check) &&
           check_alone(&check) && check_overload(&check) && check_moves(&check) &&
           check_kept(&check) && check_repeatable(&check);
}
