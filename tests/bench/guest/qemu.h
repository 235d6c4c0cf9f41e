/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The QEMU process: started with a shared memory backend, one virtio-blk-pci device and IOThreads
 * named io0, io1, ...; or found at its sockets. A started one ends with this program, whatever
 * happens to it.
 */
#pragma once

#include "memory.h"
#include "options.h"
#include "qmp.h"
#include "qtest.h"

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

typedef struct {
    pid_t pid;
    bool ours;
    int status; /* of waitpid(), when it has ended */
    bool ended;
    SynMemory memory;
    SynQtest *qtest;
    SynQmp *qmp;
    char *version, *accel;
    int words;            /* what it wrote to standard error */
    GPtrArray *iothreads; /* of SynIothread, by QEMU's list */
} SynQemu;

typedef struct {
    char *id;
    pid_t tid;
} SynIothread;

/* CPU time in nanoseconds, since the thread or process started. */
typedef struct {
    uint64_t cpu, wait; /* wait: runnable, but on no CPU */
} SynTimes;

SynQemu *syn_qemu_start(const SynOptions *options, uint64_t memory_bytes, GError **error);
void syn_qemu_free(SynQemu *qemu);

/* Reads iothreads anew, and puts them on the CPUs that options ask for. */
bool syn_qemu_iothreads(SynQemu *qemu, const SynOptions *options, GError **error);

/* Puts IOThreads under SCHED_FIFO, and above them what must get a turn while they and the load
 * spin: QEMU's main thread and the calling thread. */
bool syn_qemu_realtime(const SynQemu *qemu, GError **error);

/* Whether it still runs. */
bool syn_qemu_alive(SynQemu *qemu);
void syn_qemu_kill(SynQemu *qemu);

/* The end of what it wrote to standard error, for messages. */
char *syn_qemu_words(const SynQemu *qemu);

SynTimes syn_qemu_thread_times(const SynQemu *qemu, pid_t tid);
bool syn_qemu_thread_sleeps(const SynQemu *qemu, pid_t tid);
uint64_t syn_qemu_process_cpu(const SynQemu *qemu);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SynQemu, syn_qemu_free)
