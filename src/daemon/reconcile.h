/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loop: observe -> policy -> topology -> placement -> plan -> apply -> record. One round at a
 * time; what happens meanwhile makes another one follow. Between rounds the sampler reads loads; if
 * they call for it a step of the same loop moves threads, on what the last round saw.
 *
 * Main thread only. The two calls that may block (observe, apply) are made in the one worker
 * thread, on data handed over whole, so that the main thread answers at any time.
 */
#pragma once

#include "daemon/sampler.h"

typedef struct _VqReconcile VqReconcile;

/* When a round that began after the request has ended. @error: why it could not, or NULL. */
typedef void (*VqRoundDone)(const GError *error, gpointer data);

/* @sampler: NULL: loads are not measured. @state_path: file of the records. None of the arguments
 * is taken. */
VqReconcile *vq_reconcile_new(VqManager *manager, VqHypervisor *hypervisor, VqSampler *sampler,
                              const char *state_path);
/* Does not wait for a call that hangs: false if the worker is in one and still uses everything. */
bool vq_reconcile_free(VqReconcile *reconcile);

/* Something happened: a round as soon as possible. */
void vq_reconcile_trigger(VqReconcile *reconcile);
/* The same, and says when it is done. */
void vq_reconcile_request(VqReconcile *reconcile, VqRoundDone done, gpointer data);
/* Writes the records now. */
void vq_reconcile_save(VqReconcile *reconcile, bool durable);

/* How long rounds took: from what called for it, or the end of the round before, until all was
 * applied. Microseconds. */
typedef struct {
    guint64 count;
    gint64 own, own_max;         /* without the partner's time */
    gint64 libvirt, libvirt_max; /* in calls of libvirt */
} VqRoundTimes;

typedef struct {
    VqRoundTimes events; /* rounds that changed something */
    VqRoundTimes steps;  /* steps for load that moved threads */
    guint64 moved;       /* threads moved by them */
    const char *why;     /* the last one; NULL: none so far */
} VqRoundStats;

const VqRoundStats *vq_reconcile_stats(const VqReconcile *reconcile);

bool vq_reconcile_connected(const VqReconcile *reconcile);
guint64 vq_reconcile_rounds(const VqReconcile *reconcile);
