/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/sampler.h"

/* A reading may come this part of its interval early: timers are not exact. */
#define EARLY 8
/* Threads on a core of their own make no core overloaded; their load is for people only. */
#define DEDICATED_INTERVALS 4

/* One thread that is read. */
typedef struct {
    char *domain;
    int id; /* libvirt's: this start of the domain */
    unsigned iothread;
    int tid;
    VqLoadSource *source;
    gpointer opened;
    VqTracked *tracked;
    GArray *times; /* of VqThreadTime, of the guest; it is told what is read here too */
    guint index;   /* in it */
    bool polls, alone;
    gint64 read_us; /* last time, 0: never */
} Entry;

struct _VqSampler {
    VqManager *manager;
    GPtrArray *sources;  /* of VqLoadSource */
    GHashTable *entries; /* set of Entry */
    gint64 pause_us;
    guint64 readings;
};

static guint
entry_hash(gconstpointer key)
{
    const Entry *e = key;

    return g_str_hash(e->domain) * 31 + e->iothread;
}

static gboolean
entry_equal(gconstpointer a, gconstpointer b)
{
    const Entry *left = a, *right = b;

    return left->iothread == right->iothread && left->tid == right->tid && left->id == right->id &&
           g_str_equal(left->domain, right->domain);
}

static void
entry_free(gpointer data)
{
    Entry *e = data;

    if (e->opened)
        e->source->close(e->source, e->opened);
    g_clear_pointer(&e->times, g_array_unref);
    g_free(e->domain);
    g_free(e);
}

static void
source_free(gpointer data)
{
    VqLoadSource *source = data;

    source->free(source);
}

VqSampler *
vq_sampler_new(VqManager *manager, GPtrArray *sources)
{
    VqSampler *self = g_new0(VqSampler, 1);

    self->manager = manager;
    self->sources = sources;
    g_ptr_array_set_free_func(sources, source_free);
    self->entries = g_hash_table_new_full(entry_hash, entry_equal, entry_free, NULL);
    return self;
}

void
vq_sampler_free(VqSampler *self)
{
    if (!self)
        return;
    g_hash_table_unref(self->entries);
    g_ptr_array_unref(self->sources);
    g_free(self);
}

/* The entry of the thread from @before, or a new one; NULL if no source has it. */
static Entry *
take_entry(VqSampler *self, GHashTable *before, const VqDomain *domain, const VqThreadTime *time)
{
    const Entry key = {
        .domain = domain->name, .id = domain->id, .iothread = time->iothread, .tid = time->tid};
    gpointer found;

    if (g_hash_table_steal_extended(before, &key, &found, NULL))
        return found;
    for (guint i = 0; i < self->sources->len; i++) {
        VqLoadSource *source = g_ptr_array_index(self->sources, i);
        gpointer opened = source->open(source, domain, time);
        Entry *e;

        if (!opened)
            continue;
        e = g_new0(Entry, 1);
        *e = key;
        e->domain = g_strdup(domain->name);
        e->source = source;
        e->opened = opened;
        return e;
    }
    return NULL;
}

static gint64
interval_us(const VqSampler *self, const Entry *e)
{
    const VqPace *pace = vq_rebalance_pace(&self->manager->config->rebalance, e->source->kind);

    return pace->sample_us * (e->alone ? DEDICATED_INTERVALS : 1);
}

static void
follow_guest(VqSampler *self, GHashTable *before, GHashTable *plan, const VqGuest *guest)
{
    const VqDomain *domain = guest->seen->domain;

    for (guint i = 0; i < guest->seen->times->len; i++) {
        const VqThreadTime *time = &g_array_index(guest->seen->times, VqThreadTime, i);
        const VqLiveThread *live = vq_live_thread(guest->seen->live, time->iothread);
        const VqPlaced *placed = vq_plan_index_find(plan, domain->name, time->iothread);
        Entry *e = placed ? take_entry(self, before, domain, time) : NULL;

        if (!e)
            continue;
        e->tracked = vq_rebalance_thread(self->manager->rebalance, domain->name, time->iothread);
        g_clear_pointer(&e->times, g_array_unref);
        e->times = g_array_ref(guest->seen->times);
        e->index = i;
        e->polls = live && live->has_poll && live->poll.max_ns > VQ_POLL_QEMU_MAX_NS;
        e->alone = placed->class == VQ_PLACEMENT_DEDICATED;
        g_hash_table_add(self->entries, e);
        self->pause_us =
            self->pause_us ? MIN(self->pause_us, interval_us(self, e)) : interval_us(self, e);
    }
}

void
vq_sampler_follow(VqSampler *self)
{
    g_autoptr(GHashTable) before = g_steal_pointer(&self->entries);
    g_autoptr(GHashTable) plan = vq_plan_index(self->manager->plan);

    self->entries = g_hash_table_new_full(entry_hash, entry_equal, entry_free, NULL);
    self->pause_us = 0;
    for (guint i = 0; i < self->manager->guests->len; i++) {
        const VqGuest *guest = g_ptr_array_index(self->manager->guests, i);

        if (vq_guest_is_managed(guest))
            follow_guest(self, before, plan, guest);
    }
}

void
vq_sampler_read(VqSampler *self, gint64 now_us)
{
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, self->entries);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        Entry *e = key;
        gint64 interval = interval_us(self, e);
        VqWorkSource kind = e->source->kind;
        guint64 work_ns;

        if (e->read_us && now_us - e->read_us < interval - interval / EARLY)
            continue;
        /* it has ended: a round that hears so drops it */
        if (!e->opened || !e->source->read(e->source, e->opened, &work_ns))
            continue;
        if (kind == VQ_WORK_CPU_TIME)
            g_array_index(e->times, VqThreadTime, e->index).cpu_ns = work_ns;
        if (e->polls && kind == VQ_WORK_CPU_TIME)
            kind = VQ_WORK_POLLED;
        vq_rebalance_sample(self->manager->rebalance, e->tracked, now_us, work_ns, kind);
        e->read_us = now_us;
        self->readings++;
    }
}

gint64
vq_sampler_pause_us(const VqSampler *self)
{
    return self->pause_us;
}

guint
vq_sampler_threads(const VqSampler *self)
{
    return g_hash_table_size(self->entries);
}

guint64
vq_sampler_readings(const VqSampler *self)
{
    return self->readings;
}
