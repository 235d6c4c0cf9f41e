/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Measured load, by "domain/disk/queue": the share of a core that serving the queue takes.
 */
#pragma once

#include <glib.h>

/* domain/disk/queue -> double *. Reads {"vm1/vda/0": 0.42, ...}; errors name the key and value. */
GHashTable *vq_load_from_json(const char *text, gssize length, GError **error);

/* Sets the load of each thread (of VqThread) to the sum of its queues', where all are known. */
void vq_load_apply(GPtrArray *threads, GHashTable *loads);
