/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counters of running domains for whoever asks (virtq top, metrics, list): read on demand only, at
 * most every 100 ms, in a thread of its own. Answers come from memory, and do not wait for a
 * libvirt or a QEMU process that hangs longer than WAIT_MS of statistics.c.
 *
 * Main thread only. Partner: host/measure.h.
 */
#pragma once

#include "daemon/manager.h"
#include "host/measure.h"

typedef struct _VqStatistics VqStatistics;

/* Fills manager->meters. @measure is not taken. */
VqStatistics *vq_statistics_new(VqManager *manager, VqMeasure *measure);
/* Does not wait for a call that hangs: false if the thread is in one and still uses @measure. */
bool vq_statistics_free(VqStatistics *statistics);

/* Calls @done once: at once, or when what is in memory is not older than @max_age_ms, or when the
 * wait for that is over. */
typedef void (*VqStatisticsDone)(gpointer data);
void vq_statistics_request(VqStatistics *statistics, guint max_age_ms, VqStatisticsDone done,
                           gpointer data);

/* What the last reading took, microseconds, 0: none yet; and how many there were. */
gint64 vq_statistics_cost_us(const VqStatistics *statistics);
guint64 vq_statistics_readings(const VqStatistics *statistics);
/* Why there are no block statistics, or NULL. */
const char *vq_statistics_problem(const VqStatistics *statistics);
