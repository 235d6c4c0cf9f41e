/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a running domain's live XML says of its threads: where they are pinned and how they poll.
 * libvirt keeps it up to date on every pin and over its own restart, which is why the daemon needs
 * no record of where things are.
 */
#pragma once

#include "base/cpuset.h"

typedef struct {
    guint64 max_ns;
    unsigned grow, shrink;
} VqPollValues;

/* QEMU's own: util/aio-posix.c and iothread.c of QEMU 10.0 (IOTHREAD_POLL_MAX_NS_DEFAULT) */
#define VQ_POLL_QEMU_MAX_NS 32768

typedef struct {
    unsigned iothread;
    VqCpuset *pin; /* NULL: libvirt has no pin for it */
    bool has_poll; /* <poll> is there */
    VqPollValues poll;
} VqLiveThread;

typedef struct {
    unsigned vcpu;
    VqCpuset *pin; /* NULL: none */
} VqLiveVcpu;

typedef struct {
    GPtrArray *threads;     /* of VqLiveThread, ascending by iothread */
    GPtrArray *vcpus;       /* of VqLiveVcpu: those online, ascending */
    VqCpuset *emulator_pin; /* NULL: none */
    VqCpuset *default_cpus; /* <vcpu cpuset=>: where threads without a pin run; NULL: anywhere */
} VqLive;

/* Reads live domain XML. What it does not understand it leaves out. Any thread. */
VqLive *vq_live_read(const char *xml, gsize length, GError **error);
void vq_live_free(VqLive *live);

/* or NULL */
const VqLiveThread *vq_live_thread(const VqLive *live, unsigned iothread);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqLive, vq_live_free)
