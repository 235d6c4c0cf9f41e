/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a step did: each core serves its threads, everything is weighted by time. A core's threads
 * share it evenly, and what one does not need goes to the others (processor sharing), as the
 * kernel's fair scheduler does; work that finds no room in its step is lost.
 */
#include "core/simulate-work.h"

#include <math.h>

#define BINS 1000 /* of a core's load, 0.1 % each */

typedef struct {
    double demand, served; /* cores */
    guint first;           /* of its threads in links; G_MAXUINT: none */
    guint threads;
    bool owned;
} Core;

typedef struct _VqSimAccount {
    Core *cores;
    guint *links; /* thread -> next thread on its core */
    guint links_size;
    double bins[BINS + 1]; /* ms */
    double span;           /* ms of all hosts */
    double demand, served; /* core-ms */
    double capacity;
    double cores_used;                   /* ms */
    double shared, over;                 /* thread-ms */
    double near, far;                    /* work with a known device node, core-ms */
    double threads, fragmented, outside; /* thread-ms */
    double dedicated, degraded;          /* thread-ms */
    double vms, vcpus;                   /* ms */
    double decision_ns, decision_max;
    VqSimSample sample; /* of this step so far */
    double step_shared, step_over, step_near, step_far;
} Account;

#define NO_THREAD G_MAXUINT

Account *
vq_sim_account_new(const VqSimRun *run)
{
    Account *account = g_new0(Account, 1);

    account->cores = g_new0(Core, run->n_slots + 1);
    return account;
}

void
vq_sim_account_free(Account *account)
{
    if (!account)
        return;
    g_free(account->cores);
    g_free(account->links);
    g_free(account);
}

void
vq_sim_account_move(VqSimRun *run, VqSimThread *state)
{
    gint64 rest = run->now - state->moved;

    run->result->moves++;
    if (state->moved >= 0 && (run->result->shortest_rest < 0 || rest < run->result->shortest_rest))
        run->result->shortest_rest = rest;
    state->moved = run->now;
}

void
vq_sim_account_decision(VqSimRun *run, gint64 ns)
{
    run->result->decisions++;
    run->account->decision_ns += (double)ns;
    run->account->decision_max = MAX(run->account->decision_max, (double)ns);
}

/* Threads by core; unpinned ones (policy none) on one core as large as the pool, the last. */
static void
gather(const VqSimRun *run, Account *account, const VqSimHost *host)
{
    if (host->states->len > account->links_size) {
        account->links_size = host->states->len * 2;
        account->links = g_renew(guint, account->links, account->links_size);
    }
    for (guint i = 0; i <= run->n_slots; i++)
        account->cores[i] = (Core){.first = NO_THREAD};
    for (guint i = host->states->len; i-- > 0;) {
        const VqSimThread *state = VQ_SIM_STATE(host, i);
        Core *core = &account->cores[state->slot >= 0 ? (guint)state->slot : run->n_slots];

        account->links[i] = core->first;
        core->first = i;
        core->threads++;
        core->demand += state->demand;
        core->owned |= state->own;
    }
}

/* Threads that ask for no more than @share get it; returns how many did not, and what is left. */
static guint
serve_modest(const Account *account, const VqSimHost *host, const Core *core, double share,
             double each, double *left)
{
    guint hungry = 0;

    for (guint i = core->first; i != NO_THREAD; i = account->links[i]) {
        VqSimThread *state = VQ_SIM_STATE(host, i);
        double want = MIN(state->demand, each);

        if (state->served >= 0)
            continue;
        if (want > share) {
            hungry++;
            continue;
        }
        state->served = want;
        *left -= want;
    }
    return hungry;
}

/* Max-min fair: whoever asks for less than an even share gets it, and the rest is shared anew
 * among the others. One thread gets @each at most. */
static void
serve(const Account *account, const VqSimHost *host, Core *core, double capacity, double each)
{
    guint hungry = core->threads, before;
    double left = capacity;

    for (guint i = core->first; i != NO_THREAD; i = account->links[i])
        VQ_SIM_STATE(host, i)->served = -1;
    do {
        before = hungry;
        hungry = before > 0 ? serve_modest(account, host, core, left / before, each, &left) : 0;
    } while (hungry > 0 && hungry < before);
    core->served = 0;
    for (guint i = core->first; i != NO_THREAD; i = account->links[i]) {
        VqSimThread *state = VQ_SIM_STATE(host, i);

        if (state->served < 0)
            state->served = left / hungry;
        core->served += state->served;
    }
}

static void
count_core(Account *account, double load, double cores, double span)
{
    guint bin = (guint)(CLAMP(load, 0, 1) * BINS + 0.5);

    account->bins[bin] += cores * span;
    account->cores_used += cores * span;
    account->sample.busiest = MAX(account->sample.busiest, load);
}

/* Whether threads run on all of the pool; where there is none, they are outside like the others'.
 */
static bool
is_unpinned(const VqSimRun *run)
{
    return run->policy == VQ_SIM_NONE && run->n_slots > 0;
}

/* The ideal kernel: every core does the same. Threads wake up on idle cores while there are any. */
static guint
serve_unpinned(const VqSimRun *run, Account *account, const VqSimHost *host, double span)
{
    Core *all = &account->cores[run->n_slots];
    guint cores = MIN(all->threads, run->n_slots);

    serve(account, host, all, run->capacity, 1);
    if (cores > 0)
        count_core(account, all->served / run->capacity * run->n_slots / cores, cores, span);
    return cores;
}

static guint
serve_pinned(const VqSimRun *run, Account *account, const VqSimHost *host, double span)
{
    guint used = 0;

    for (guint i = 0; i < run->n_slots; i++) {
        const VqSimSlot *slot = &run->slots[i];
        Core *core = &account->cores[i];
        double capacity = core->owned ? slot->speed : slot->capacity;

        if (core->threads == 0)
            continue;
        serve(account, host, core, capacity, slot->speed);
        count_core(account, core->served / capacity, 1, span);
        used++;
    }
    /* the CPUs outside the pool have room for the few that are there */
    serve(account, host, &account->cores[run->n_slots], INFINITY, 1);
    return used;
}

static const GArray *
device_nodes(const VqThread *thread)
{
    return ((VqServed *)g_ptr_array_index(thread->serves, 0))->device_nodes;
}

static bool
is_near(const VqSimSlot *slot, const GArray *nodes)
{
    for (guint i = 0; i < nodes->len; i++) {
        if (slot->node == (int)g_array_index(nodes, unsigned, i))
            return true;
    }
    return false;
}

/* The share of the pool that is near: where an unpinned thread finds itself. */
static double
near_share(const VqSimRun *run, const GArray *nodes)
{
    double near = 0;

    for (guint i = 0; i < run->n_slots; i++)
        near += is_near(&run->slots[i], nodes) ? run->slots[i].capacity : 0;
    return run->capacity > 0 ? near / run->capacity : 0;
}

/* Whether a core near the thread's device has room for it. */
static bool
has_room_near(const VqSimRun *run, const Account *account, const VqSimThread *state,
              const GArray *nodes)
{
    double limit = run->input->params.load_limit;

    for (guint i = 0; i < run->n_slots; i++) {
        const Core *core = &account->cores[i];

        if (core->owned || !is_near(&run->slots[i], nodes))
            continue;
        if (core->threads == 0 ||
            (!state->own && core->demand + state->demand <= limit * run->slots[i].capacity))
            return true;
    }
    return false;
}

static void
count_place(const VqSimRun *run, Account *account, const VqThread *thread, const VqSimThread *state,
            double span)
{
    const GArray *nodes = device_nodes(thread);
    bool unpinned = is_unpinned(run);
    double near;

    account->outside += state->slot < 0 && !unpinned ? span : 0;
    if (nodes->len == 0 || (state->slot < 0 && !unpinned))
        return;
    near = unpinned ? near_share(run, nodes) : is_near(&run->slots[state->slot], nodes);
    account->step_near += near * state->served;
    account->step_far += (1 - near) * state->served;
    if (near < 1 && has_room_near(run, account, state, nodes))
        account->fragmented += (1 - near) * span;
}

static void
count_thread(const VqSimRun *run, Account *account, const VqThread *thread,
             const VqSimThread *state, double span)
{
    bool unpinned = is_unpinned(run);
    const Core *core = &account->cores[state->slot >= 0 ? (guint)state->slot : run->n_slots];
    double capacity = state->slot >= 0 ? run->slots[state->slot].capacity : run->capacity;

    account->threads += span;
    if (thread->class == VQ_PLACEMENT_DEDICATED) {
        account->dedicated += span;
        account->degraded += state->own ? 0 : span;
    }
    if (!state->own && (state->slot >= 0 || unpinned)) {
        account->step_shared += 1;
        account->step_over += core->demand > run->input->params.load_limit * capacity;
    }
    count_place(run, account, thread, state, span);
}

/* What is measured is what was served; CPU time runs slower on a faster core. */
static void
measure(const VqSimRun *run, VqSimHost *host, double span)
{
    for (guint i = 0; i < host->threads->len; i++) {
        VqThread *thread = g_ptr_array_index(host->threads, i);
        VqSimThread *state = VQ_SIM_STATE(host, i);
        double speed = state->slot >= 0 ? run->slots[state->slot].speed : 1;

        state->work += (guint64)(state->served / speed * span * 1e6);
        thread->load = state->served;
        thread->load_source = "simulated";
    }
}

void
vq_sim_account_host(VqSimRun *run, VqSimHost *host, gint64 ms)
{
    Account *account = run->account;
    double span = (double)ms;
    guint used;

    gather(run, account, host);
    used = is_unpinned(run) ? serve_unpinned(run, account, host, span)
                            : serve_pinned(run, account, host, span);
    for (guint i = 0; i < host->states->len; i++) {
        const VqSimThread *state = VQ_SIM_STATE(host, i);

        account->sample.demand += state->demand;
        account->sample.served += state->served;
        count_thread(run, account, g_ptr_array_index(host->threads, i), state, span);
    }
    account->sample.vms += host->vms;
    account->sample.cores += used;
    run->result->cores_max = MAX(run->result->cores_max, used);
    account->span += span;
    account->capacity += run->capacity * span;
    account->vms += host->vms * span;
    account->vcpus += host->vcpus * span;
    measure(run, host, span);
    if (host->rebalance)
        vq_sim_rebalance_sample(run, host, 0, run->now + ms);
}

static double
share(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

void
vq_sim_account_step(VqSimRun *run, gint64 ms)
{
    Account *account = run->account;
    double span = (double)ms;

    account->demand += account->sample.demand * span;
    account->served += account->sample.served * span;
    account->shared += account->step_shared * span;
    account->over += account->step_over * span;
    account->near += account->step_near * span;
    account->far += account->step_far * span;
    if (run->input->samples) {
        account->sample.time = run->now;
        account->sample.moves = run->result->moves;
        account->sample.over = share(account->step_over, account->step_shared);
        account->sample.remote = share(account->step_far, account->step_near + account->step_far);
        g_array_append_val(run->result->samples, account->sample);
    }
    account->sample = (VqSimSample){0};
    account->step_shared = account->step_over = account->step_near = account->step_far = 0;
}

/* The load below which cores in use were for this share of the time. */
static double
percentile(const Account *account, double part)
{
    double sum = 0, bound = part * account->cores_used;

    for (guint i = 0; i <= BINS; i++) {
        sum += account->bins[i];
        if (sum > 0 && sum >= bound)
            return (double)i / BINS;
    }
    return 0;
}

void
vq_sim_account_finish(VqSimRun *run)
{
    const Account *a = run->account;
    VqSimResult *r = run->result;
    double hours = (double)run->input->end / 3600000.0;

    r->vm_hours = a->vms / 3600000.0;
    r->thread_hours = a->threads / 3600000.0;
    r->vcpus_used = run->vcpus < G_MAXUINT ? share(a->vcpus, a->span * run->vcpus) : 0;
    r->load_p50 = percentile(a, 0.50);
    r->load_p90 = percentile(a, 0.90);
    r->load_p99 = percentile(a, 0.99);
    r->load_max = percentile(a, 1);
    r->cores_mean = share(a->cores_used, a->span);
    r->idle = a->capacity > 0 ? MAX(1 - a->served / a->capacity, 0) : 0;
    r->over_limit = share(a->over, a->shared);
    r->lost = share(a->demand - a->served, a->demand);
    r->remote = share(a->far, a->near + a->far);
    r->fragmented = share(a->fragmented, a->threads);
    r->degraded = share(a->degraded, a->dedicated);
    r->outside = share(a->outside, a->threads);
    r->moves_per_hour = share((double)r->moves, hours * run->input->hosts);
    r->decision_us_mean = share(a->decision_ns / 1000, (double)r->decisions);
    r->decision_us_max = a->decision_max / 1000;
}
