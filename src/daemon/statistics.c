/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/statistics.h"

#include "base/error.h"

/* Nobody gets anything fresher: a crowd of askers must not become a load. */
#define AGE_MIN_MS 100
/* An answer waits no longer for a reading, which takes some ms; then it is what is in memory, with
 * its age. */
#define WAIT_MS 300

typedef struct {
    VqStatistics *statistics;
    VqStatisticsDone done;
    gpointer data;
    guint timer;
} Waiter;

struct _VqStatistics {
    VqManager *manager;
    VqMeasure *measure;
    GThreadPool *thread; /* of one */
    GPtrArray *waiters;  /* of Waiter */
    bool running;
    bool freed;        /* what comes back from the thread is not wanted any more */
    gint64 running_us; /* since when it is */
    gint64 begun_us;   /* of the last reading that has ended, 0: none */
    gint64 cost_us;
    guint64 readings;
    char *problem; /* of the last reading, or NULL */
};

/* What goes to the thread and back. */
typedef struct {
    VqStatistics *statistics;
    GPtrArray *measurements; /* of VqMeasurement */
    gint64 begun_us, cost_us;
    GError *error;
} Job;

static void
job_free(Job *job)
{
    g_ptr_array_unref(job->measurements);
    g_clear_error(&job->error);
    g_free(job);
}

static void
waiter_free(gpointer data)
{
    Waiter *waiter = data;

    g_clear_handle_id(&waiter->timer, g_source_remove);
    g_free(waiter);
}

static void
answer(Waiter *waiter)
{
    VqStatisticsDone done = waiter->done;
    gpointer data = waiter->data;

    g_ptr_array_remove(waiter->statistics->waiters, waiter);
    done(data);
}

static gboolean
on_wait_over(gpointer data)
{
    Waiter *waiter = data;

    waiter->timer = 0;
    answer(waiter);
    return G_SOURCE_REMOVE;
}

static void
forget_ended(VqStatistics *self)
{
    g_autoptr(GHashTable) alive = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < self->manager->guests->len; i++) {
        const VqGuest *guest = g_ptr_array_index(self->manager->guests, i);

        g_hash_table_add(alive, guest->seen->domain->uuid);
    }
    vq_meters_retain(self->manager->meters, alive);
}

static void
take(VqStatistics *self, const Job *job)
{
    self->begun_us = job->begun_us;
    self->cost_us = job->cost_us;
    self->readings++;
    g_free(self->problem);
    self->problem = job->error ? g_strdup(job->error->message) : NULL;
    for (guint i = 0; i < job->measurements->len; i++) {
        const VqMeasurement *m = g_ptr_array_index(job->measurements, i);

        vq_meters_take(self->manager->meters, m->uuid, m->id, m->readings, m->sources);
    }
    forget_ended(self);
    while (self->waiters->len > 0)
        answer(g_ptr_array_index(self->waiters, 0));
}

static gboolean
conclude(gpointer data)
{
    Job *job = data;
    VqStatistics *self = job->statistics;

    self->running = false;
    if (!self->freed)
        take(self, job);
    job_free(job);
    return G_SOURCE_REMOVE;
}

/* Statistics thread. */
static void
work(gpointer data, gpointer user_data)
{
    Job *job = data;
    VqMeasure *measure = user_data;

    measure->read(measure, job->measurements, &job->error);
    job->cost_us = g_get_monotonic_time() - job->begun_us;
    g_idle_add_full(G_PRIORITY_DEFAULT, conclude, job, NULL);
}

static void
begin(VqStatistics *self)
{
    Job *job = g_new0(Job, 1);

    job->statistics = self;
    job->begun_us = g_get_monotonic_time();
    job->measurements = g_ptr_array_new_with_free_func((GDestroyNotify)vq_measurement_free);
    for (guint i = 0; i < self->manager->guests->len; i++) {
        const VqGuest *guest = g_ptr_array_index(self->manager->guests, i);

        g_ptr_array_add(job->measurements, vq_measurement_new(guest->seen));
    }
    self->running = true;
    self->running_us = job->begun_us;
    g_thread_pool_push(self->thread, job, NULL);
}

void
vq_statistics_request(VqStatistics *self, guint max_age_ms, VqStatisticsDone done, gpointer data)
{
    gint64 now = g_get_monotonic_time();
    gint64 age_us = now - self->begun_us;
    Waiter *waiter;

    if ((self->begun_us && age_us <= MAX(max_age_ms, AGE_MIN_MS) * (gint64)1000) ||
        (self->running && now - self->running_us > WAIT_MS * 1000)) { /* it hangs */
        done(data);
        return;
    }
    waiter = g_new0(Waiter, 1);
    *waiter = (Waiter){self, done, data, g_timeout_add(WAIT_MS, on_wait_over, waiter)};
    g_ptr_array_add(self->waiters, waiter);
    if (!self->running)
        begin(self);
}

gint64
vq_statistics_cost_us(const VqStatistics *self)
{
    return self->cost_us;
}

guint64
vq_statistics_readings(const VqStatistics *self)
{
    return self->readings;
}

const char *
vq_statistics_problem(const VqStatistics *self)
{
    return self->problem;
}

VqStatistics *
vq_statistics_new(VqManager *manager, VqMeasure *measure)
{
    VqStatistics *self = g_new0(VqStatistics, 1);

    self->manager = manager;
    self->measure = measure;
    self->thread = g_thread_pool_new(work, measure, 1, TRUE, NULL);
    self->waiters = g_ptr_array_new_with_free_func(waiter_free);
    return self;
}

bool
vq_statistics_free(VqStatistics *self)
{
    if (!self)
        return true;
    g_ptr_array_set_size(self->waiters, 0);
    self->freed = true;
    if (self->running)
        return false;
    g_thread_pool_free(self->thread, TRUE, TRUE);
    g_ptr_array_unref(self->waiters);
    g_free(self->problem);
    g_free(self);
    return true;
}
