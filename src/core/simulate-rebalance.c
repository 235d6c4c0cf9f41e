/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's rounds on a simulated host: what was served is sampled as work, and core/rebalance.h
 * says when to place and who rests. A newcomer is placed with everybody else resting, as when the
 * daemon is asked to admit it; the round that comings and goings call for is that of the next step.
 */
#include "core/simulate-work.h"

#include "core/rebalance.h"

#define US_OF_MS 1000

void
vq_sim_rebalance_init(const VqSimRun *run, VqSimHost *host)
{
    VqRebalanceParams params = vq_rebalance_params(NULL);

    host->rebalance = vq_rebalance_new(&params, &run->input->params);
}

void
vq_sim_rebalance_clear(VqSimHost *host)
{
    g_clear_pointer(&host->rebalance, vq_rebalance_free);
}

void
vq_sim_rebalance_sample(const VqSimRun *run, VqSimHost *host, guint first, gint64 now)
{
    for (guint i = first; i < host->threads->len; i++) {
        const VqThread *thread = g_ptr_array_index(host->threads, i);
        VqSimThread *state = VQ_SIM_STATE(host, i);

        if (!state->tracked) /* valid as long as the thread runs: every plan has it */
            state->tracked = vq_rebalance_thread(host->rebalance, thread->domain, thread->iothread);
        vq_rebalance_sample(host->rebalance, state->tracked, now * US_OF_MS, state->work,
                            run->input->counters ? VQ_WORK_COUNTERS : VQ_WORK_CPU_TIME);
    }
}

/* One placement because of @step, into force unless the domain @newcomer is refused. */
static bool
place(VqSimRun *run, VqSimHost *host, VqStep step, const char *newcomer, char **reason)
{
    VqPlacementInput input = vq_sim_input(run, host);
    gint64 now = run->now * US_OF_MS;

    vq_rebalance_prepare(host->rebalance, &input, host->threads, step, now);

    g_autoptr(VqPlan) plan = vq_sim_plan(run, &input);
    const VqRefused *refused = newcomer ? vq_plan_refusal(plan, newcomer) : NULL;

    if (refused) {
        *reason = g_strdup(refused->reason);
        return false;
    }
    vq_sim_follow(run, host, plan);
    vq_rebalance_follow(host->rebalance, plan, &input, step, now);
    return true;
}

void
vq_sim_rebalance_tick(VqSimRun *run, VqSimHost *host)
{
    VqStep step = vq_rebalance_tick(host->rebalance, run->now * US_OF_MS, NULL);

    if (step != VQ_STEP_NONE)
        place(run, host, step, NULL, NULL);
}

bool
vq_sim_rebalance_arrive(VqSimRun *run, VqSimHost *host, guint first, char **reason)
{
    const VqThread *newcomer = g_ptr_array_index(host->threads, first);

    if (!place(run, host, VQ_STEP_NONE, newcomer->domain, reason))
        return false;
    vq_sim_rebalance_sample(run, host, first, run->now);
    vq_rebalance_event(host->rebalance);
    return true;
}

void
vq_sim_rebalance_leave(VqSimHost *host, const char *domain)
{
    vq_rebalance_forget(host->rebalance, domain);
    vq_rebalance_event(host->rebalance);
}
