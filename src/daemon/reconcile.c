/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/reconcile.h"

#include "base/error.h"
#include "daemon/boot.h"
#include "host/topology.h"

#include <gio/gio.h>

/* Events come in bursts (a start of a domain is four); one round serves them all. */
#define COALESCE_MS 5
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
    char *state_path, *boot_id;
    char *online;         /* CPUs, as last seen */
    char *saved;          /* text of the records as last written */
    GThreadPool *worker;  /* one thread */
    GHashTable *reported; /* failures that were logged: object -> text */
    GArray *waiters;      /* of Waiter */
    guint timer;
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
    GSourceFunc then; /* main thread */
} Job;

static void begin_round(VqReconcile *self);
static gboolean decide(gpointer data);
static gboolean conclude(gpointer data);

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
    self->dirty = false;
    self->rounds++;
    hand_over(self, vq_manager_wanted(self->manager), NULL, decide); /* observe */
}

static gboolean
decide(gpointer data)
{
    Job *job = data;
    VqReconcile *self = job->reconcile;
    VqManager *manager = self->manager;

    if (job->error) {
        end_round(self, job->error);
    } else {
        check_machine(self, job->seen->online);                     /* topology */
        vq_manager_see(manager, job->seen, g_get_monotonic_time()); /* policy */
        vq_plan_free(manager->plan);
        manager->plan = vq_manager_compute(manager); /* placement, plan */
        GPtrArray *actions = vq_manager_actions(manager, manager->plan);
        vq_manager_intend(manager, actions); /* record the intent */
        vq_reconcile_save(self, false);
        hand_over(self, NULL, actions, conclude); /* apply */
    }
    job_free(job);
    return G_SOURCE_REMOVE;
}

/* Each failure is logged once for as long as it lasts. */
static void
log_outcome(VqReconcile *self, const GPtrArray *actions)
{
    GHashTableIter iter;
    gpointer object, text;

    for (guint i = 0; i < actions->len; i++) {
        const VqAction *a = g_ptr_array_index(actions, i);
        g_autofree char *what = vq_action_object(a);
        g_autofree char *cpus = a->cpus ? vq_cpuset_format(a->cpus) : NULL;

        if (!a->error && a->cpus)
            g_info("%s: to CPU %s: %s", what, cpus, a->reason);
        else if (!a->error)
            g_info("%s: poll-max-ns %" G_GUINT64_FORMAT ": %s", what, a->poll.max_ns, a->reason);
    }
    g_hash_table_iter_init(&iter, self->manager->failures);
    while (g_hash_table_iter_next(&iter, &object, &text)) {
        if (g_strcmp0(g_hash_table_lookup(self->reported, object), text) != 0)
            g_warning("%s", (char *)text);
    }
    g_hash_table_remove_all(self->reported);
    g_hash_table_iter_init(&iter, self->manager->failures);
    while (g_hash_table_iter_next(&iter, &object, &text))
        g_hash_table_insert(self->reported, g_strdup(object), g_strdup(text));
}

static gboolean
conclude(gpointer data)
{
    Job *job = data;
    VqReconcile *self = job->reconcile;
    bool changed = false;

    for (guint i = 0; i < job->actions->len; i++)
        changed |= !((VqAction *)g_ptr_array_index(job->actions, i))->error;
    vq_manager_applied(self->manager, job->actions); /* record */
    vq_reconcile_save(self, false);
    log_outcome(self, job->actions);
    self->dirty |= changed; /* look whether it is as it should be, and go on from there */
    end_round(self, NULL);
    job_free(job);
    return G_SOURCE_REMOVE;
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
    if (!self->running)
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
    if (!vq_records_save(self->manager->records, self->state_path, self->boot_id, durable,
                         &error)) {
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

VqReconcile *
vq_reconcile_new(VqManager *manager, VqHypervisor *hypervisor, const char *state_path)
{
    VqReconcile *self = g_new0(VqReconcile, 1);

    self->manager = manager;
    self->hypervisor = hypervisor;
    self->state_path = g_strdup(state_path);
    self->boot_id = vq_boot_id();
    self->reported = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
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
    self->hypervisor->changed = NULL;
    if (self->running)
        return false;
    g_thread_pool_free(self->worker, TRUE, TRUE);
    g_hash_table_unref(self->reported);
    g_array_unref(self->waiters);
    g_free(self->state_path);
    g_free(self->boot_id);
    g_free(self->online);
    g_free(self->saved);
    g_free(self);
    return true;
}
