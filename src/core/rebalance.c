/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When to place, and who rests. What overload is: the sum of the loads of the shared threads on a
 * core, each the mean over its source's sustain time, above load_limit of the core's capacity.
 *
 * Placement is given peaks, which are forgotten slowly, and threads that shared an overloaded core
 * are not packed again for a long time: a load that goes up and down makes moves on its first ways
 * up. Only an overload for which peaks leave no better place is placed with the loads of now: a
 * thread must not wait for a peak somewhere else to be forgotten.
 */
#include "core/rebalance-work.h"
#include "core/settings.h"

#include <string.h>

/* One core as the shared threads on it make it. */
typedef struct {
    double load, peak; /* sums */
    double room;       /* what it can take; 0: nobody is on it */
    bool unknown;      /* somebody on it has not been measured for long enough */
    bool stuck;        /* somebody on it may not be packed */
    bool over;         /* above the limit, and not yet clearly below since */
    bool acted;        /* it was the reason of the last step */
    bool peaks_full;   /* with peaks no better place was found: loads as they are must do */
    gint64 retry_at;   /* not before */
    gint64 backoff_us; /* after steps that moved nobody from here; 0: none was in vain */
} Core;

struct _VqRebalance {
    VqRebalanceParams params;
    VqPlacementParams placement;
    GHashTable *threads; /* of VqTracked */
    GArray *cores;       /* of Core, by logical number */
    unsigned generation; /* of the plan */
    bool event;
    bool as_loaded; /* the overload that a step is for is placed with loads, not with peaks */
    bool more;
    VqStep more_of;  /* what the step was that had more to do */
    gint64 again_at; /* an event's step while threads rested is made up for then; 0: no need */
    gint64 pack_since, pack_checked, pack_backoff_us;
    bool pack_possible;
};

static gint64
key_us(const VqKeyFile *file, const char *key, gint64 unit_us)
{
    return vq_key_file_int(file, VQ_GROUP_REBALANCE, key) * unit_us;
}

VqRebalanceParams
vq_rebalance_params(const VqKeyFile *file)
{
    g_autoptr(VqKeyFile) defaults = file ? NULL : vq_key_file_defaults(vq_settings);
    const VqKeyFile *f = file ? file : defaults;
    const gint64 ms = 1000, s = G_USEC_PER_SEC;

    return (VqRebalanceParams){
        .slow = {key_us(f, "sample_ms", ms), key_us(f, "sustain_ms", ms),
                 key_us(f, "cooldown_ms", ms)},
        .fast = {key_us(f, "fast_sample_ms", ms), key_us(f, "fast_sustain_ms", ms),
                 key_us(f, "fast_cooldown_ms", ms)},
        .pack_sustain_us = key_us(f, "pack_sustain_seconds", s),
        .peak_us = key_us(f, "peak_seconds", s),
        .remember_us = key_us(f, "remember_seconds", s),
        .retry_us = key_us(f, "retry_seconds", s),
        .cooldown_growth = vq_key_file_int(f, VQ_GROUP_REBALANCE, "cooldown_growth"),
        .step_moves = vq_key_file_int(f, VQ_GROUP_REBALANCE, "step_moves"),
        .clear_gap = vq_key_file_int(f, VQ_GROUP_REBALANCE, "clear_gap") / 100.0,
    };
}

const VqPace *
vq_rebalance_pace(const VqRebalanceParams *params, VqWorkSource source)
{
    return source == VQ_WORK_COUNTERS ? &params->fast : &params->slow;
}

VqRebalance *
vq_rebalance_new(const VqRebalanceParams *params, const VqPlacementParams *placement)
{
    VqRebalance *self = g_new0(VqRebalance, 1);

    self->params = *params;
    self->placement = *placement;
    self->threads = g_hash_table_new_full(vq_tracked_hash, vq_tracked_equal, vq_tracked_free, NULL);
    self->cores = g_array_new(FALSE, TRUE, sizeof(Core));
    return self;
}

void
vq_rebalance_configure(VqRebalance *self, const VqRebalanceParams *params,
                       const VqPlacementParams *placement)
{
    self->params = *params;
    self->placement = *placement;
}

void
vq_rebalance_free(VqRebalance *self)
{
    if (!self)
        return;
    g_hash_table_unref(self->threads);
    g_array_unref(self->cores);
    g_free(self);
}

static VqTracked *
find(const VqRebalance *self, const char *domain, unsigned iothread)
{
    const VqTracked key = {.domain = (char *)domain, .iothread = iothread};

    return g_hash_table_lookup(self->threads, &key);
}

VqTracked *
vq_rebalance_thread(VqRebalance *self, const char *domain, unsigned iothread)
{
    VqTracked *thread = find(self, domain, iothread);

    if (thread)
        return thread;
    thread = vq_tracked_new(domain, iothread);
    thread->generation = self->generation;
    g_hash_table_add(self->threads, thread);
    return thread;
}

void
vq_rebalance_forget(VqRebalance *self, const char *domain)
{
    GHashTableIter iter;
    gpointer thread;

    g_hash_table_iter_init(&iter, self->threads);
    while (g_hash_table_iter_next(&iter, &thread, NULL)) {
        if (g_str_equal(((VqTracked *)thread)->domain, domain))
            g_hash_table_iter_remove(&iter);
    }
}

void
vq_rebalance_sample(VqRebalance *self, VqTracked *thread, gint64 now, guint64 work_ns,
                    VqWorkSource source)
{
    vq_tracked_sample(thread, &self->params, now, work_ns, source);
}

void
vq_rebalance_event(VqRebalance *self)
{
    self->event = true;
}

static Core *
core_at(VqRebalance *self, int core)
{
    if ((guint)core >= self->cores->len)
        g_array_set_size(self->cores, (guint)core + 1);
    return &g_array_index(self->cores, Core, core);
}

static bool
counts(const VqTracked *t)
{
    return t->seated && t->shared && t->core >= 0;
}

/* Sums up the cores. */
static void
add_up(VqRebalance *self, gint64 now)
{
    GHashTableIter iter;
    gpointer key;

    for (guint i = 0; i < self->cores->len; i++) {
        Core *core = &g_array_index(self->cores, Core, i);

        core->load = core->peak = 0;
        core->room = 0;
        core->unknown = core->stuck = false;
    }
    g_hash_table_iter_init(&iter, self->threads);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        const VqTracked *t = key;

        if (!counts(t))
            continue;

        Core *core = core_at(self, t->core);
        bool known = t->known && t->source != VQ_WORK_POLLED;

        core->room = t->room;
        core->load += known ? t->load : self->placement.default_load;
        core->peak += known ? t->peak : self->placement.default_load;
        core->unknown |= !known;
        core->stuck |= t->held || vq_tracked_rests(t, now) || now < t->unpacked_us;
    }
}

/* The core to act on, most loaded first; -1. Marks all that are to be acted on: those for which
 * peaks will do, and else the others. */
static int
find_overload(VqRebalance *self, gint64 now)
{
    double limit = self->placement.load_limit, worst = 0;
    bool peaks_do = false;
    int found = -1;

    for (guint i = 0; i < self->cores->len; i++) {
        Core *core = &g_array_index(self->cores, Core, i);
        double now_at = core->room > 0 ? core->load / core->room : 0;

        core->over = now_at > limit || (core->over && now_at > limit - self->params.clear_gap);
        if (!core->over) {
            core->peaks_full = false;
            core->backoff_us = 0;
            core->retry_at = 0;
        }
        core->acted = now_at > limit && now >= core->retry_at;
        peaks_do |= core->acted && !core->peaks_full;
    }
    for (guint i = 0; i < self->cores->len; i++) {
        Core *core = &g_array_index(self->cores, Core, i);

        core->acted &= !peaks_do || !core->peaks_full;
        if (core->acted && (found < 0 || core->load / core->room > worst)) {
            worst = core->load / core->room;
            found = (int)i;
        }
    }
    self->as_loaded = found >= 0 && !peaks_do;
    return found;
}

/* Whether the threads of core @index fit on the others, each on one, below pack_below. Room is
 * counted as a whole and for the largest single piece: placement looks closer. */
static bool
fits_elsewhere(const VqRebalance *self, guint index)
{
    const Core *core = &g_array_index(self->cores, Core, index);
    double room = 0;

    for (guint i = 0; i < self->cores->len; i++) {
        const Core *other = &g_array_index(self->cores, Core, i);

        if (i != index && other->room > 0)
            room += MAX(0, self->placement.pack_below * other->room - other->peak);
    }
    return core->peak <= room;
}

static bool
can_pack(const VqRebalance *self)
{
    for (guint i = 0; !self->placement.spread && i < self->cores->len; i++) {
        const Core *core = &g_array_index(self->cores, Core, i);

        if (core->room > 0 && !core->unknown && !core->stuck && fits_elsewhere(self, i))
            return true;
    }
    return false;
}

/* Packing is no hurry: looked at with the pace of the slow source. */
static bool
pack_is_due(VqRebalance *self, gint64 now)
{
    if (now - self->pack_checked >= self->params.slow.sample_us || !self->pack_checked) {
        bool possible = can_pack(self);

        if (possible && !self->pack_possible)
            self->pack_since = now;
        self->pack_possible = possible;
        self->pack_checked = now;
        if (!possible)
            self->pack_backoff_us = 0;
    }
    return self->pack_possible &&
           now - self->pack_since >= self->params.pack_sustain_us + self->pack_backoff_us;
}

static VqStep
tell(VqStep step, char **why, char *text)
{
    if (why)
        *why = text;
    else
        g_free(text);
    return step;
}

static VqStep
tell_overload(const VqRebalance *self, int index, char **why)
{
    const Core *core = &g_array_index(self->cores, Core, index);

    return tell(VQ_STEP_OVERLOAD, why,
                g_strdup_printf("core %d is loaded to %.0f per cent, above the limit of %.0f",
                                index, 100 * core->load / core->room,
                                100 * self->placement.load_limit));
}

VqStep
vq_rebalance_tick(VqRebalance *self, gint64 now, char **why)
{
    int core;

    add_up(self, now);
    core = find_overload(self, now);
    if (why)
        *why = NULL;
    if (self->event)
        return tell(VQ_STEP_EVENT, why, g_strdup("I/O threads or CPUs came or went"));
    if (self->params.step_moves == 0)
        return VQ_STEP_NONE;
    if (core >= 0)
        return tell_overload(self, core, why);
    if (self->more)
        return tell(VQ_STEP_MORE, why, g_strdup("the last step left more to be moved"));
    if (self->again_at && now >= self->again_at)
        return tell(VQ_STEP_EVENT, why, g_strdup("threads that had just been moved may again"));
    if (pack_is_due(self, now))
        return tell(VQ_STEP_PACK, why, g_strdup("a core could be given up"));
    return VQ_STEP_NONE;
}

/* What @step is made for: that of the step it continues. */
static VqStep
kind_of(const VqRebalance *self, VqStep step)
{
    return step == VQ_STEP_MORE ? self->more_of : step;
}

/* For a step of this @kind. */
static void
prepare_thread(const VqRebalance *self, VqThread *thread, VqStep kind, gint64 now)
{
    const VqTracked *t = find(self, thread->domain, thread->iothread);
    bool known = t && t->known && t->source != VQ_WORK_POLLED;

    if (known) {
        thread->load = kind == VQ_STEP_OVERLOAD && self->as_loaded ? t->load : t->peak;
        thread->load_source = t->source == VQ_WORK_COUNTERS ? "counters" : "thread CPU time";
    } else if (t && t->known) {
        thread->load = self->placement.default_load;
        thread->load_source = "default, CPU time includes polling";
    }
    /* nobody is moved for a load that nobody knows: after a start all stay where they are */
    thread->resting =
        thread->running && (kind == VQ_STEP_NONE || !known || vq_tracked_rests(t, now) ||
                            (kind != VQ_STEP_OVERLOAD && now < t->unpacked_us));
}

void
vq_rebalance_prepare(const VqRebalance *self, VqPlacementInput *input, GPtrArray *threads,
                     VqStep step, gint64 now)
{
    VqStep kind = self->params.step_moves ? kind_of(self, step) : VQ_STEP_NONE;

    for (guint i = 0; i < threads->len; i++)
        prepare_thread(self, g_ptr_array_index(threads, i), kind, now);
    input->max_moves = MAX(self->params.step_moves, 1);
    input->calm = true;
}

/* Threads of the cores that a step is for stay apart: for long they are not packed again. */
static void
keep_apart(VqRebalance *self, gint64 now)
{
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, self->threads);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        VqTracked *t = key;

        if (counts(t) && core_at(self, t->core)->acted)
            t->unpacked_us = now + self->params.remember_us;
    }
}

/* As placement counts it: two PUs that work at once get more done than one. */
static double
room_of(const VqCore *core, const VqPlacementInput *input)
{
    g_autoptr(VqCpuset) pus = vq_cpuset_copy(core->pus);

    vq_cpuset_intersect(pus, input->pool);
    return core->capacity / 1024.0 * (vq_cpuset_count(pus) > 1 ? 1 + input->params.smt_gain : 1);
}

/* Takes the seat of @placed over. True: it moved for load. */
static bool
reseat(VqRebalance *self, VqTracked *t, const VqPlaced *placed, const VqPlacementInput *input,
       gint64 now)
{
    const VqCore *core =
        placed->cpu >= 0 ? vq_topology_core_of(input->topology, (unsigned)placed->cpu) : NULL;
    bool shared = placed->class == VQ_PLACEMENT_SHARED;
    int to = core ? (int)core->logical : -1;
    bool moved = counts(t) && shared && !placed->held && !t->held && to != t->core;

    if (moved) {
        Core *from = core_at(self, t->core);

        from->acted = false; /* not in vain */
        from->backoff_us = 0;
        vq_tracked_move(t, &self->params, now);
    }
    t->seated = true;
    t->shared = shared;
    t->held = placed->held;
    t->core = to;
    t->speed = core ? core->capacity / 1024.0 : 1;
    t->room = core ? room_of(core, input) : 0;
    t->generation = self->generation;
    return moved;
}

/* A step that moved nobody is tried again later, and each time later. */
static void
back_off(VqRebalance *self, VqStep kind, unsigned moved, gint64 now)
{
    const VqRebalanceParams *p = &self->params;

    for (guint i = 0; kind == VQ_STEP_OVERLOAD && i < self->cores->len; i++) {
        Core *core = &g_array_index(self->cores, Core, i);

        if (!core->acted)
            continue;
        if (!core->peaks_full) {
            core->peaks_full = true;
            continue;
        }
        core->backoff_us = CLAMP(2 * core->backoff_us, p->slow.sustain_us, p->retry_us);
        core->retry_at = now + core->backoff_us;
    }
    if (kind == VQ_STEP_PACK) {
        self->pack_since = now;
        self->pack_backoff_us =
            moved ? 0 : CLAMP(2 * self->pack_backoff_us, p->pack_sustain_us, p->remember_us);
    }
}

static bool
anybody_rests(const VqRebalance *self, gint64 now)
{
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, self->threads);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if (vq_tracked_rests(key, now))
            return true;
    }
    return false;
}

static gboolean
is_gone(gpointer key, gpointer value, gpointer data)
{
    return ((const VqTracked *)key)->generation != *(const unsigned *)data;
}

void
vq_rebalance_follow(VqRebalance *self, const VqPlan *plan, const VqPlacementInput *input,
                    VqStep step, gint64 now)
{
    VqStep kind = kind_of(self, step);
    bool rested = anybody_rests(self, now);
    unsigned moved = 0;

    if (kind == VQ_STEP_OVERLOAD)
        keep_apart(self, now);
    self->generation++;
    for (guint i = 0; i < plan->placements->len; i++) {
        const VqPlaced *placed = g_ptr_array_index(plan->placements, i);
        VqTracked *thread = vq_rebalance_thread(self, placed->domain, placed->iothread);

        moved += reseat(self, thread, placed, input, now);
    }
    g_hash_table_foreach_remove(self->threads, is_gone, &self->generation);
    if (kind == VQ_STEP_NONE)
        return;
    back_off(self, kind, moved, now);
    self->more = self->params.step_moves && moved >= self->params.step_moves;
    self->more_of = kind;
    if (kind == VQ_STEP_EVENT) {
        self->again_at = self->event && rested ? now + self->params.slow.cooldown_us : 0;
        self->event = false;
    }
}
