/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where threads go, under each policy. Ours asks the daemon's own code. The others know the same:
 * loads as measured in the step before, 0.10 for a newcomer; and keep the same promises as far as
 * they can without moving anybody: a device gets its cores all together or not at all, and one core
 * is left to shared threads if there are any.
 */
#include "core/simulate-work.h"

const VqEnumEntry vq_sim_policy_names[] = {
    {VQ_SIM_OURS, "ours"}, {VQ_SIM_FIRST_FIT, "first-fit"}, {VQ_SIM_ROUND_ROBIN, "round-robin"},
    {VQ_SIM_NONE, "none"}, {VQ_SIM_ORACLE, "oracle"},       {0, NULL},
};

VqPlacementInput
vq_sim_input(const VqSimRun *run, const VqSimHost *host)
{
    return (VqPlacementInput){.topology = run->input->topology,
                              .pool = run->input->pool,
                              .threads = host->threads,
                              .params = run->input->params};
}

VqPlan *
vq_sim_plan(VqSimRun *run, const VqPlacementInput *input)
{
    gint64 start = run->input->clock ? run->input->clock() : 0;
    VqPlan *plan = vq_placement_compute(input);

    vq_sim_account_decision(run, run->input->clock ? run->input->clock() - start : 0);
    if (run->input->watch)
        run->input->watch(plan, input, run->input->watch_data);
    return plan;
}

/* The oracle begins from nothing every time. */
static void
forget_places(VqSimHost *host)
{
    for (guint i = 0; i < host->threads->len; i++) {
        VqThread *thread = g_ptr_array_index(host->threads, i);

        vq_cpuset_free(thread->current);
        thread->current = vq_cpuset_new();
        VQ_SIM_STATE(host, i)->cpu = -1;
    }
}

static int
slot_of_core(const VqSimRun *run, int core)
{
    return core >= 0 && (guint)core < run->n_logical ? run->slot_of[core] : VQ_SIM_OUTSIDE;
}

static void
put(VqSimRun *run, VqSimThread *state, int slot)
{
    if (state->slot != VQ_SIM_NOWHERE && state->slot != slot)
        vq_sim_account_move(run, state);
    state->slot = slot;
}

static void
follow_one(VqSimRun *run, VqThread *thread, VqSimThread *state, const VqPlaced *placed)
{
    bool stays = placed->cpu >= 0 && placed->cpu == state->cpu;
    VqCpuset *set = stays ? NULL : vq_cpuset_parse(placed->cpus, NULL);

    if (set) {
        vq_cpuset_free(thread->current);
        thread->current = set;
        state->cpu = placed->cpu;
    }
    thread->running = true;
    state->own = placed->class == VQ_PLACEMENT_DEDICATED;
    put(run, state, placed->cpu >= 0 ? slot_of_core(run, placed->core) : VQ_SIM_OUTSIDE);
}

/* Placements come in the order of the threads, so the next one is nearly always the right one. */
void
vq_sim_follow(VqSimRun *run, VqSimHost *host, const VqPlan *plan)
{
    guint next = 0;

    for (guint i = 0; i < host->threads->len; i++) {
        VqThread *thread = g_ptr_array_index(host->threads, i);
        const VqPlaced *placed =
            next < plan->placements->len ? g_ptr_array_index(plan->placements, next) : NULL;

        if (placed && placed->iothread == thread->iothread &&
            g_str_equal(placed->domain, thread->domain))
            next++;
        else
            placed = vq_plan_find(plan, thread->domain, NULL, thread->iothread);
        if (placed)
            follow_one(run, thread, VQ_SIM_STATE(host, i), placed);
    }
}

static bool
solve_anew(VqSimRun *run, VqSimHost *host, const char *newcomer, char **reason)
{
    VqPlacementInput input = vq_sim_input(run, host);

    forget_places(host);

    g_autoptr(VqPlan) plan = vq_sim_plan(run, &input);
    const VqRefused *refused = newcomer ? vq_plan_refusal(plan, newcomer) : NULL;

    if (refused) {
        *reason = g_strdup(refused->reason);
        return false;
    }
    vq_sim_follow(run, host, plan);
    return true;
}

/* What a policy that never moves anybody sees of a host. */
typedef struct {
    guint threads;
    bool owned;
    double load;
} Seen;

static Seen *
look(const VqSimRun *run, const VqSimHost *host, bool *shared)
{
    Seen *seen = g_new0(Seen, run->n_slots + 1); /* never of length 0 */

    *shared = false;
    for (guint i = 0; i < host->states->len; i++) {
        const VqSimThread *state = VQ_SIM_STATE(host, i);
        const VqThread *thread = g_ptr_array_index(host->threads, i);

        *shared |= state->slot != VQ_SIM_NOWHERE && !state->own;
        if (state->slot < 0)
            continue;
        seen[state->slot].threads++;
        seen[state->slot].owned |= state->own;
        seen[state->slot].load +=
            thread->load >= 0 ? thread->load : run->input->params.default_load;
    }
    return seen;
}

/* Empty slots from @from on, cyclic; at most @count into @found. */
static guint
find_empty(const VqSimRun *run, const Seen *seen, guint from, guint count, guint *found)
{
    guint n = 0;

    for (guint i = 0; i < run->n_slots && n < count; i++) {
        guint slot = (from + i) % run->n_slots;

        if (seen[slot].threads == 0)
            found[n++] = slot;
    }
    return n;
}

static bool
leaves_one(const VqSimRun *run, const Seen *seen, guint needed, bool shared)
{
    guint owned = 0;

    for (guint i = 0; i < run->n_slots; i++)
        owned += seen[i].owned;
    return owned + needed + (shared ? 1 : 0) <= run->n_slots;
}

/* Cores of their own for the @count threads of a device from @first on. */
static bool
place_own(VqSimRun *run, VqSimHost *host, Seen *seen, guint first, guint count, bool shared)
{
    g_autofree guint *found = g_new(guint, count);
    guint from = run->policy == VQ_SIM_ROUND_ROBIN ? host->next : 0;

    if (!leaves_one(run, seen, count, shared) || find_empty(run, seen, from, count, found) < count)
        return false;
    for (guint i = 0; i < count; i++) {
        VQ_SIM_STATE(host, first + i)->own = true;
        VQ_SIM_STATE(host, first + i)->slot = (int)found[i];
        seen[found[i]].owned = true;
        seen[found[i]].threads = 1;
        host->next = found[i] + 1;
    }
    return true;
}

static bool
has_room(const VqSimRun *run, const Seen *seen, guint slot)
{
    double limit = run->input->params.load_limit * run->slots[slot].capacity;

    return seen[slot].load + run->input->params.default_load <= limit;
}

/* First fit: the first core with room, else the least loaded; round robin: the next one. */
static int
choose_shared(const VqSimRun *run, const VqSimHost *host, const Seen *seen)
{
    int least = VQ_SIM_OUTSIDE;

    for (guint i = 0; i < run->n_slots; i++) {
        bool turn = run->policy == VQ_SIM_ROUND_ROBIN;
        guint slot = turn ? (host->next + i) % run->n_slots : i;

        if (seen[slot].owned)
            continue;
        if (turn || has_room(run, seen, slot))
            return (int)slot;
        if (least < 0 || seen[slot].load / run->slots[slot].capacity <
                             seen[least].load / run->slots[least].capacity)
            least = (int)slot;
    }
    return least;
}

static bool
place_shared(VqSimRun *run, VqSimHost *host, Seen *seen, guint i)
{
    int slot = choose_shared(run, host, seen);

    VQ_SIM_STATE(host, i)->slot = slot;
    if (slot < 0)
        return false;
    seen[slot].threads++;
    seen[slot].load += run->input->params.default_load;
    host->next = (guint)slot + 1;
    return true;
}

/* Threads from @first on that serve the same disk. */
static guint
disk_threads(const VqSimHost *host, guint first)
{
    guint end = first + 1;

    while (end < host->states->len &&
           VQ_SIM_STATE(host, end)->disk == VQ_SIM_STATE(host, first)->disk)
        end++;
    return end - first;
}

static bool
has_shared(const VqSimHost *host, guint first)
{
    for (guint i = first; i < host->states->len; i++) {
        if (VQ_SIM_STATE(host, i)->policy->placement == VQ_PLACEMENT_SHARED)
            return true;
    }
    return false;
}

static bool
refuse(char **reason, const VqSimThread *state, const char *what)
{
    *reason = g_strdup_printf("disk '%s' requires %s", state->policy->target, what);
    return false;
}

static bool
place_fixed(VqSimRun *run, VqSimHost *host, guint first, char **reason)
{
    bool shared;
    g_autofree Seen *seen = look(run, host, &shared);

    shared |= has_shared(host, first);
    for (guint i = first; i < host->states->len; i += disk_threads(host, i)) {
        const VqSimThread *state = VQ_SIM_STATE(host, i);

        if (state->policy->placement != VQ_PLACEMENT_DEDICATED ||
            place_own(run, host, seen, i, disk_threads(host, i), shared))
            continue;
        if (state->policy->required)
            return refuse(reason, state, "cores of its own, and not enough are empty");
        shared = true;
    }
    for (guint i = first; i < host->states->len; i++) {
        const VqSimThread *state = VQ_SIM_STATE(host, i);

        if (!state->own && !place_shared(run, host, seen, i) && state->policy->required)
            return refuse(reason, state, "a core of the pool, and all are dedicated");
    }
    return true;
}

bool
vq_sim_place(VqSimRun *run, VqSimHost *host, guint first, char **reason)
{
    if (first == host->threads->len) /* a VM without disks */
        return true;

    const VqThread *newcomer = g_ptr_array_index(host->threads, first);

    switch (run->policy) {
    case VQ_SIM_OURS:
        return vq_sim_rebalance_arrive(run, host, first, reason);
    case VQ_SIM_ORACLE:
        return solve_anew(run, host, newcomer->domain, reason);
    case VQ_SIM_NONE:
        for (guint i = first; i < host->states->len; i++)
            VQ_SIM_STATE(host, i)->slot = VQ_SIM_OUTSIDE;
        return true;
    case VQ_SIM_FIRST_FIT:
    case VQ_SIM_ROUND_ROBIN:
    default:
        return place_fixed(run, host, first, reason);
    }
}

void
vq_sim_left(VqSimRun *run, VqSimHost *host, const char *domain)
{
    if (run->policy == VQ_SIM_OURS)
        vq_sim_rebalance_leave(host, domain);
    else if (run->policy == VQ_SIM_ORACLE)
        solve_anew(run, host, NULL, NULL);
}

void
vq_sim_tick(VqSimRun *run, VqSimHost *host)
{
    if (run->policy == VQ_SIM_OURS)
        vq_sim_rebalance_tick(run, host);
    else if (run->policy == VQ_SIM_ORACLE && host->threads->len > 0)
        solve_anew(run, host, NULL, NULL);
}
