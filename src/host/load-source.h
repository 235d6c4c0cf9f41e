/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's port to where the work of I/O threads can be read: a few numbers of each thread,
 * often and cheaply. Main thread only; nothing in it may wait, or call libvirt.
 *
 * Implemented by schedstat.c; by a fake in the tests.
 */
#pragma once

#include "core/rebalance.h"
#include "host/hypervisor.h"

typedef struct _VqLoadSource VqLoadSource;

struct _VqLoadSource {
    VqWorkSource kind; /* what is read is; CPU time of threads that poll is VQ_WORK_POLLED */
    /* What it needs to read @thread of @domain, NULL: it cannot. */
    gpointer (*open)(VqLoadSource *self, const VqDomain *domain, const VqThreadTime *thread);
    /* Work so far, see vq_rebalance_sample(). False: it is there no more. */
    bool (*read)(VqLoadSource *self, gpointer opened, guint64 *work_ns);
    void (*close)(VqLoadSource *self, gpointer opened);
    void (*free)(VqLoadSource *self);
};

/*
 * CPU time from /proc/PID/task/TID/schedstat below @root ("/"); a descriptor is kept for each
 * thread. A thread that ended cannot be taken for another one of its number: its descriptor says
 * so.
 */
VqLoadSource *vq_schedstat_new(const char *root);
