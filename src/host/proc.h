/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPU time of a QEMU process' IOThreads, from /proc. All paths are below a root directory's
 * descriptor, so that a test can hand in a copied tree.
 */
#pragma once

#include "host/hypervisor.h"

/*
 * The process of the domain: @run_dir/NAME.pid if that process' command line has @uuid, else the
 * one process in /proc that was started with "-uuid UUID". 0 if there is none. Any thread.
 */
int vq_proc_qemu_pid(int root_fd, const char *run_dir, const char *name, const char *uuid);

/*
 * Appends a VqThreadTime for each thread of @pid that libvirt named "IO iothreadN". A name cut off
 * by the kernel (15 characters) that fits two threads is left out. Any thread.
 */
void vq_proc_thread_times(int root_fd, int pid, GArray *times);

/*
 * Times of one IOThread that vq_proc_thread_times() found: on a CPU, and runnable but on none.
 * False: it is gone, or its number is somebody else's by now. Any thread.
 */
bool vq_proc_thread_schedule(int root_fd, const VqThreadTime *thread, guint64 *cpu_ns,
                             guint64 *wait_ns);

/* The text of a file below @root_fd, at most 64 KiB, or NULL. @length may be NULL. */
char *vq_proc_read(int root_fd, const char *path, gsize *length);
