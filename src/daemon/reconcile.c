/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/reconcile.h"

#include "base/error.h"
#include "daemon/boot.h"
#include "daemon/notice.h"
#include "host/topology.h"

#include <gio/gio.h>

/* Events come in bursts (a start of a domain is four); one round serves them all. */
#define COALESCE_MS 2
/* Steps for load that one look at the loads may lead to: each that moves nobody allows another. */
#define STEPS_MAX 8
/* First pause before another attempt at a libvirt that is not there; doubles. */
#define RETRY_MS 500

typedef struct {
    VqRoundDone done;
    gpointer data;
    guint64 round; /* the first one that may answer it */
} Waiter;

struct _VqReconcile {
    VqManager *manager;
    VqHypervisor *hypervisor;
    VqSampler *sampler; /* or NULL */
    VqNotice *notice;
    char *state_path, *boot_id;
    char *online;        /* CPUs, as last seen */
    char *saved;         /* text of the records as last written */
    GThreadPool *worker; /* one thread */
    GArray *waiters;     /* of Waiter */
    guint timer;
    guint sampling; /* timer */
    gint64 sampling_us;
    gint64 event_us;   /* when the first thing happened that the next round serves; 0: nothing */
    gint64 began_us;   /* the present round or step */
    gint64 partner_us; /* of it, so far */
    bool stepping;     /* it is a step */
    VqRoundStats stats;
    char *why; /* stats.why */
    guint retry_ms;
    guint64 rounds; /* begun */
    bool running, dirty, connected, was_connected;
};

/* What goes to the worker and back. */
typedef struct {
    VqReconcile *reconcile;
    GHashTable *wanted;  /* to observe */
    GPtrArray *actions;  /* to apply */
    VqObservation *seen; /* result */
    GError *error;
    gint64 partner_us; /* result: spent in the partner's calls */
    GSourceFunc then;  /* main thread */
} Job;

static void begin_round(VqReconcile *self);
static gboolean decide(gpointer data);
static gboolean conclude(gpointer data);
static gboolean on_sample(gpointer data);

static void
job_free(Job *job)
{
    g_clear_pointer(&job->wanted, g_hash_table_unref);
    g_clear_pointer(&job->actions, g_ptr_array_unref);
    vq_observation_free(job->seen);
    g_clear_error(&job->error);
    g_free(job);
}

/* Worker thread. */
static void
work(gpointer data, gpointer user_data)
{
    Job *job = data;
    VqHypervisor *hypervisor = user_data;

    if (job->actions)
        hypervisor->apply(hypervisor, job->actions);
    else
        job->seen = hypervisor->observe(hypervisor, job->wanted, &job->error);
    job->partner_us = hypervisor->partner_us;
    hypervisor->partner_us = 0;
    g_idle_add_full(G_PRIORITY_DEFAULT, job->then, job, NULL);
}

static void
hand_over(VqReconcile *self, GHashTable *wanted, GPtrArray *actions, GSourceFunc then)
{
    Job *job = g_new0(Job, 1);

    job->reconcile = self;
    job->wanted = wanted;
    job->actions = actions;
    job->then = then;
    g_thread_pool_push(self->worker, job, NULL);
}

static gboolean
on_timer(gpointer data)
{
    VqReconcile *self = data;

    self->timer = 0;
    begin_round(self);
    return G_SOURCE_REMOVE;
}

static void
schedule(VqReconcile *self, guint ms)
{
    g_clear_handle_id(&self->timer, g_source_remove);
    self->timer = g_timeout_add(ms, on_timer, self);
}

static void
answer_waiters(VqReconcile *self, const GError *error)
{
    for (guint i = 0; i < self->waiters->len;) {
        Waiter waiter = g_array_index(self->waiters, Waiter, i);

        if (waiter.round > self->rounds) {
            i++;
            continue;
        }
        g_array_remove_index(self->waiters, i);
        waiter.done(error, waiter.data);
    }
}

static void
end_round(VqReconcile *self, const GError *error)
{
    guint pause = self->manager->config->reconcile_seconds * 1000;

    self->running = false;
    self->connected = error == NULL;
    if (error) {
        if (self->was_connected || self->rounds == 1)
            g_warning("%s; trying again", error->message);
        pause = MIN(self->retry_ms, self->manager->config->reconnect_seconds * 1000);
        self->retry_ms = MIN(self->retry_ms * 2, 3600 * 1000);
    } else {
        if (!self->was_connected)
            g_message("connected to libvirt at %s; %u domains with declared queues",
                      self->manager->config->uri, self->manager->guests->len);
        self->retry_ms = RETRY_MS;
        if (!self->stepping)
            self->manager->round_us = g_get_monotonic_time();
    }
    self->was_connected = self->connected;
    answer_waiters(self, error);
    /* a dirty mark says nothing about a libvirt that is not there: its pause is kept */
    schedule(self, self->dirty && !error ? COALESCE_MS : pause);
}

/* CPUs came or went: the machine is read again; at the next round once more if that fails. */
static void
check_machine(VqReconcile *self, const char *online)
{
    VqManager *manager = self->manager;
    g_autoptr(GError) error = NULL;
    VqTopology *topology;

    if (g_strcmp0(self->online, online) == 0)
        return;
    if (self->online) {
        topology = vq_host_topology_live("/", &error);
        if (!topology || !vq_manager_configure(manager, manager->config, topology, &error)) {
            vq_topology_free(topology);
            g_warning("CPUs of the host changed to %s: %s", online, error->message);
            return;
        }
        g_message("CPUs of the host changed from %s to %s; pool: %s", self->online, online,
                  manager->pool->reason);
    }
    g_free(self->online);
    self->online = g_strdup(online);
}

static void
begin_round(VqReconcile *self)
{
    if (self->running) {
        self->dirty = true;
        return;
    }
    self->running = true;
    self->stepping = false;
    self->dirty = false;
    self->rounds++;
    self->began_us = self->event_us ? self->event_us : g_get_monotonic_time();
    self->event_us = 0;
    self->partner_us = 0;
    hand_over(self, vq_manager_wanted(self->manager), NULL, decide); /* observe */
}

/* Once per round or step. */
static void
note_time(const VqReconcile *self, VqRoundTimes *times)
{
    gint64 own = g_get_monotonic_time() - self->began_us - self->partner_us;

    times->count++;
    times->own = own;
    times->own_max = MAX(times->own_max, own);
    times->libvirt = self->partner_us;
    times->libvirt_max = MAX(times->libvirt_max, self->partner_us);
}

/* Placement and plan; again, as long as a step for load moves nobody and another one may. */
static void
make_plan(VqReconcile *self, gint64 now)
{
    VqManager *manager = self->manager;
    VqStep step = VQ_STEP_NONE;
    unsigned n = 0;

    do {
        g_autofree char *why = NULL;

        step = vq_manager_tick(manager, now, &why);
        vq_manager_follow(manager, vq_manager_compute(manager));
        if (step != VQ_STEP_NONE && step != VQ_STEP_EVENT && manager->plan->moves->len > 0) {
            g_info("%u I/O threads move: %s", manager->plan->moves->len, why);
            self->stats.moved += manager->plan->moves->len;
            g_free(self->why);
            self->stats.why = self->why = g_steal_pointer(&why);
        }
    } while (step != VQ_STEP_NONE && manager->plan->moves->len == 0 && ++n < STEPS_MAX);
    if (self->sampler)
        vq_sampler_follow(self->sampler);
    vq_notice_plan(self->notice, manager);
}

/* The timer runs on where the pause is what it was: rounds must not keep readings from coming. */
static void
schedule_sampling(VqReconcile *self)
{
    gint64 pause_us = self->sampler ? vq_sampler_pause_us(self->sampler) : 0;

    if (pause_us == self->sampling_us)
        return;
    g_clear_handle_id(&self->sampling, g_source_remove);
    self->sampling_us = pause_us;
    if (pause_us > 0)
        self->sampling = g_timeout_add((guint)(pause_us / 1000), on_sample, self);
}

/* The second half of a round, and all of a step. */
static void
act(VqReconcile *self)
{
    VqManager *manager = self->manager;
    GPtrArray *actions;

    make_plan(self, g_get_monotonic_time()); /* placement, plan */
    schedule_sampling(self);
    actions = vq_manager_actions(manager, manager->plan);
    if (self->stepping && actions->len == 0) {
        g_ptr_array_unref(actions);
        self->running = false;
        return;
    }
    vq_manager_intend(manager, actions); /* record the intent */
    vq_reconcile_save(self, false);
    hand_over(self, NULL, actions, conclude); /* apply */
}

static gboolean
decide(gpointer data)
{
    Job *job = data;
    VqReconcile *self = job->reconcile;

    self->partner_us += job->partner_us;
    if (job->error) {
        end_round(self, job->error);
    } else {
        check_machine(self, job->seen->online);                           /* topology */
        vq_manager_see(self->manager, job->seen, g_get_monotonic_time()); /* policy */
        act(self);
    }
    job_free(job);
    return G_SOURCE_REMOVE;
}

static gboolean
conclude(gpointer data)
{
    Job *job = data;
    VqReconcile *self = job->reconcile;
    bool changed = false;

    for (guint i = 0; i < job->actions->len; i++)
        changed |= !((VqAction *)g_ptr_array_index(job->actions, i))->error;
    vq_manager_tally(self->manager, job->actions, g_get_monotonic_time());
    vq_manager_applied(self->manager, job->actions); /* record */
    self->partner_us += job->partner_us;
    if (changed)
        note_time(self, self->stepping ? &self->stats.steps : &self->stats.events);
    vq_reconcile_save(self, false);
    vq_notice_actions(self->notice, self->manager, job->actions);
    self->dirty |= changed; /* look whether it is as it should be, and go on from there */
    end_round(self, NULL);
    job_free(job);
    return G_SOURCE_REMOVE;
}

/* Loads are read, and if they call for it threads move: on what the last round saw, for whatever
 * happens to domains makes a round of its own. */
static gboolean
on_sample(gpointer data)
{
    VqReconcile *self = data;
    gint64 now = g_get_monotonic_time();

    vq_sampler_read(self->sampler, now);
    if (!self->running && !self->dirty && self->connected &&
        vq_manager_tick(self->manager, now, NULL) != VQ_STEP_NONE) {
        self->running = self->stepping = true;
        self->began_us = now;
        self->partner_us = 0;
        act(self);
    }
    return G_SOURCE_CONTINUE;
}

static void
on_changed(gpointer data)
{
    vq_reconcile_trigger(data);
}

void
vq_reconcile_trigger(VqReconcile *self)
{
    self->dirty = true;
    if (self->running)
        return;
    if (!self->event_us)
        self->event_us = g_get_monotonic_time();
    schedule(self, COALESCE_MS);
}

void
vq_reconcile_request(VqReconcile *self, VqRoundDone done, gpointer data)
{
    Waiter waiter = {done, data, self->rounds + 1};

    g_array_append_val(self->waiters, waiter);
    vq_reconcile_trigger(self);
}

void
vq_reconcile_save(VqReconcile *self, bool durable)
{
    g_autofree char *text = vq_records_format(self->manager->records, self->boot_id);
    g_autoptr(GError) error = NULL;

    if (!durable && g_strcmp0(text, self->saved) == 0)
        return;
    if (!vq_records_save(text, self->state_path, durable, &error)) {
        g_warning("%s", error->message);
        return;
    }
    g_free(self->saved);
    self->saved = g_steal_pointer(&text);
}

bool
vq_reconcile_connected(const VqReconcile *self)
{
    return self->connected;
}

guint64
vq_reconcile_rounds(const VqReconcile *self)
{
    return self->rounds;
}

const VqRoundStats *
vq_reconcile_stats(const VqReconcile *self)
{
    return &self->stats;
}

VqReconcile *
vq_reconcile_new(VqManager *manager, VqHypervisor *hypervisor, VqSampler *sampler,
                 const char *state_path)
{
    VqReconcile *self = g_new0(VqReconcile, 1);

    self->manager = manager;
    self->hypervisor = hypervisor;
    self->sampler = sampler;
    self->notice = vq_notice_new();
    self->state_path = g_strdup(state_path);
    self->boot_id = vq_boot_id();
    self->waiters = g_array_new(FALSE, TRUE, sizeof(Waiter));
    self->worker = g_thread_pool_new(work, hypervisor, 1, TRUE, NULL);
    self->retry_ms = RETRY_MS;
    hypervisor->changed = on_changed;
    hypervisor->changed_data = self;
    return self;
}

bool
vq_reconcile_free(VqReconcile *self)
{
    if (!self)
        return true;
    g_clear_handle_id(&self->timer, g_source_remove);
    g_clear_handle_id(&self->sampling, g_source_remove);
    self->hypervisor->changed = NULL;
    if (self->running)
        return false;
    g_thread_pool_free(self->worker, TRUE, TRUE);
    vq_notice_free(self->notice);
    g_free(self->why);
    g_array_unref(self->waiters);
    g_free(self->state_path);
    g_free(self->boot_id);
    g_free(self->online);
    g_free(self->saved);
    g_free(self);
    return true;
}
