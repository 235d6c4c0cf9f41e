/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The measured load of one thread. The filter is the mean over exactly the sustain time: two
 * points on the curve of cumulative work, the older one interpolated. So a load above a limit for
 * the sustain time is seen as such at its end and not, as with exponential smoothing, some time
 * later; and a load that oscillates faster than that is seen as its mean.
 */
#include "core/rebalance-work.h"

#include <string.h>

guint
vq_tracked_hash(gconstpointer thread)
{
    const VqTracked *t = thread;

    return g_str_hash(t->domain) * 31 + t->iothread;
}

gboolean
vq_tracked_equal(gconstpointer a, gconstpointer b)
{
    const VqTracked *left = a, *right = b;

    return left->iothread == right->iothread && g_str_equal(left->domain, right->domain);
}

VqTracked *
vq_tracked_new(const char *domain, unsigned iothread)
{
    VqTracked *thread = g_new0(VqTracked, 1);

    thread->domain = g_strdup(domain);
    thread->iothread = iothread;
    thread->core = -1;
    thread->speed = 1;
    return thread;
}

void
vq_tracked_free(gpointer thread)
{
    g_free(((VqTracked *)thread)->domain);
    g_free(thread);
}

double
vq_tracked_load(const VqTracked *thread)
{
    return thread->known ? thread->load : -1;
}

double
vq_tracked_peak(const VqTracked *thread)
{
    return thread->known ? thread->peak : -1;
}

bool
vq_tracked_rests(const VqTracked *thread, gint64 now)
{
    return thread->moved && now - thread->moved_us < thread->rest_us;
}

/* Drops what is older than the window needs: all before the last sample at or before @begin. */
static void
drop_old(VqTracked *t, gint64 begin)
{
    guint drop = 0;

    while (drop + 1 < t->n_samples && t->samples[drop + 1].time_us <= begin)
        drop++;
    t->n_samples -= drop;
    memmove(t->samples, t->samples + drop, t->n_samples * sizeof(VqTrackSample));
}

static void
append(VqTracked *t, VqTrackSample sample, gint64 sustain_us)
{
    VqTrackSample *last = t->samples + t->n_samples - 1;
    gint64 spacing = sustain_us / VQ_TRACK_SPACING;

    /* the last one goes if its predecessor is near enough to do without it */
    if (t->n_samples >= 2 && sample.time_us - last[-1].time_us < spacing)
        t->n_samples--;
    drop_old(t, sample.time_us - sustain_us);
    if (t->n_samples == VQ_TRACK_SAMPLES) /* the pace was changed: the oldest goes */
        memmove(t->samples, t->samples + 1, --t->n_samples * sizeof(VqTrackSample));
    t->samples[t->n_samples++] = sample;
}

/* Work done until @time, which lies between the first two samples. */
static double
work_at(const VqTracked *t, gint64 time)
{
    const VqTrackSample *a = t->samples, *b = a + 1;

    return a->work_us + (b->work_us - a->work_us) * (double)(time - a->time_us) /
                            (double)(b->time_us - a->time_us);
}

static void
evaluate(VqTracked *t, const VqRebalanceParams *params, gint64 sustain_us, gint64 passed_us)
{
    const VqTrackSample *last = t->samples + t->n_samples - 1;
    gint64 begin = last->time_us - sustain_us;

    if (t->n_samples < 2 || t->samples[0].time_us > begin)
        return;
    t->load = (last->work_us - work_at(t, begin)) / (double)sustain_us;
    t->load = CLAMP(t->load, 0, 1);
    if (!t->known || t->peak <= t->load)
        t->peak = t->load;
    else /* a third of the way is left after peak_us */
        t->peak = t->load + (t->peak - t->load) * (double)params->peak_us /
                                (double)(params->peak_us + passed_us);
    t->known = true;
}

static void
start_anew(VqTracked *t, gint64 now, guint64 work_ns, VqWorkSource source)
{
    t->samples[0] = (VqTrackSample){.time_us = now};
    t->n_samples = 1;
    t->raw_ns = work_ns;
    t->source = source;
    t->known = false;
}

void
vq_tracked_sample(VqTracked *t, const VqRebalanceParams *params, gint64 now, guint64 work_ns,
                  VqWorkSource source)
{
    gint64 sustain_us = vq_rebalance_pace(params, source)->sustain_us;
    VqTrackSample next = {.time_us = now};

    if (t->n_samples == 0 || t->source != source || work_ns < t->raw_ns) {
        start_anew(t, now, work_ns, source);
        return;
    }

    const VqTrackSample last = t->samples[t->n_samples - 1];

    if (now <= last.time_us)
        return;
    next.work_us = last.work_us + (double)(work_ns - t->raw_ns) / 1000.0 * t->speed;
    t->raw_ns = work_ns;
    append(t, next, sustain_us);
    evaluate(t, params, sustain_us, now - last.time_us);
}

void
vq_tracked_move(VqTracked *t, const VqRebalanceParams *params, gint64 now)
{
    gint64 cooldown = vq_rebalance_pace(params, t->source)->cooldown_us;

    /* who moves again and again rests longer each time */
    if (t->moved && now - t->moved_us < params->remember_us)
        t->rest_us = CLAMP(2 * t->rest_us, cooldown, cooldown * params->cooldown_growth);
    else
        t->rest_us = cooldown;
    t->moved = true;
    t->moved_us = now;
}
