/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What rebalance.c (steps) and rebalance-track.c (one thread's load) share. Internal to src/core.
 */
#pragma once

#include "core/rebalance.h"

/* Samples kept of a thread; closer together than a part of the sustain time they replace each
 * other, so that this many reach back far enough whatever the pace. */
#define VQ_TRACK_SAMPLES 16
#define VQ_TRACK_SPACING 12

typedef struct {
    gint64 time_us;
    double work_us; /* of a core of capacity 1024, since the first sample */
} VqTrackSample;

struct _VqTracked {
    char *domain;
    unsigned iothread;

    VqWorkSource source;
    guint64 raw_ns; /* as last told */
    guint n_samples;
    VqTrackSample samples[VQ_TRACK_SAMPLES]; /* ascending; the first reaches back beyond the window
                                                once the thread is known */
    bool known;                              /* load and peak are */
    double load, peak;

    bool seated;  /* core, speed, room and shared are known */
    int core;     /* logical, -1: none of the pool */
    double speed; /* of the core's PUs, 1 = the fastest of the machine: what work counts for */
    double room;  /* of the core: what it can take of shared threads; its siblings are in it */
    bool shared, held;
    bool moved;          /* for load, ever: moved_us and rest_us are of the last time */
    gint64 moved_us;     /* when */
    gint64 rest_us;      /* the cool-down that began then */
    gint64 unpacked_us;  /* until then it is not packed again; 0: it may be */
    unsigned generation; /* of the plan that had it last */
};

/* Hash and equality by domain and IOThread. */
guint vq_tracked_hash(gconstpointer thread);
gboolean vq_tracked_equal(gconstpointer a, gconstpointer b);
VqTracked *vq_tracked_new(const char *domain, unsigned iothread);
void vq_tracked_free(gpointer thread);

void vq_tracked_sample(VqTracked *thread, const VqRebalanceParams *params, gint64 now,
                       guint64 work_ns, VqWorkSource source);
/* It changed core for load. */
void vq_tracked_move(VqTracked *thread, const VqRebalanceParams *params, gint64 now);
