/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The write log: what the guest knows of the order of its writes and flushes, and the check of a
 * disk image against it. A flush that completed promises that all writes completed before it was
 * submitted are on the disk, whatever happens then (VIRTIO 1.3, 5.2.6.2); writes that no flush
 * covers may be there, or not.
 *
 * Text, one line a request: OPERATION SUBMITTED COMPLETED OFFSET GENERATION STATUS QUEUE, numbers
 * of one counter, COMPLETED 0 for never.
 */
#pragma once

#include "load.h"

bool syn_writelog_save(const SynLoad *load, const char *path, GError **error);

typedef struct {
    uint64_t blocks;   /* that were written */
    uint64_t promised; /* of these, with a write that a flush covers */
    uint64_t lost;     /* older than promised, or nothing of ours */
    uint64_t strange;  /* newer than anything submitted, of another place, or torn without cause */
    uint64_t torn;     /* torn, allowed: a write was under way */
    char *first;       /* the first fault */
} SynReplay;

bool syn_writelog_check(const char *log, const char *image, SynReplay *replay, GError **error);
