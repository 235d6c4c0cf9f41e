/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads the work of all managed I/O threads as often as their source's pace says, and hands it to
 * the manager's rebalance. It knows no timer: `now` is an argument, reconcile.c calls it.
 *
 * Main thread only. Partner: host/load-source.h.
 */
#pragma once

#include "daemon/manager.h"
#include "host/load-source.h"

typedef struct _VqSampler VqSampler;

/* @sources: of VqLoadSource, the best first; taken. @manager must live as long. */
VqSampler *vq_sampler_new(VqManager *manager, GPtrArray *sources);
void vq_sampler_free(VqSampler *sampler);

/* After each vq_manager_follow(): threads that came are opened, those that went closed. */
void vq_sampler_follow(VqSampler *sampler);

/* Reads what is due. */
void vq_sampler_read(VqSampler *sampler, gint64 now_us);

/* Until the next reading; 0: there is nothing to be read. */
gint64 vq_sampler_pause_us(const VqSampler *sampler);

/* How many threads are read, and how many readings were made. */
guint vq_sampler_threads(const VqSampler *sampler);
guint64 vq_sampler_readings(const VqSampler *sampler);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqSampler, vq_sampler_free)
