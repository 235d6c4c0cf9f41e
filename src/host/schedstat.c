/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPU time of threads: the first number of their schedstat, nanoseconds on a CPU (sched-stats.rst).
 * The kernel brings it up to date when the thread is switched and at scheduler ticks, which are a
 * second apart on CPUs with nohz_full.
 */
#include "host/load-source.h"

#include <fcntl.h>
#include <unistd.h>

typedef struct {
    VqLoadSource port; /* first */
    int root_fd;
} Schedstat;

static gpointer
schedstat_open(VqLoadSource *port, const VqDomain *domain, const VqThreadTime *thread)
{
    g_autofree char *path = g_strdup_printf("proc/%d/task/%d/schedstat", thread->pid, thread->tid);
    int fd = thread->pid > 0
                 ? openat(((Schedstat *)port)->root_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
                 : -1;

    return fd < 0 ? NULL : GINT_TO_POINTER(fd + 1);
}

static bool
schedstat_read(VqLoadSource *port, gpointer opened, guint64 *work_ns)
{
    char text[64]; /* three numbers, of which the first is ours */
    ssize_t n = pread(GPOINTER_TO_INT(opened) - 1, text, sizeof(text) - 1, 0);

    if (n <= 0 || !g_ascii_isdigit(text[0]))
        return false;
    text[n] = '\0';
    *work_ns = g_ascii_strtoull(text, NULL, 10);
    return true;
}

static void
schedstat_close(VqLoadSource *port, gpointer opened)
{
    close(GPOINTER_TO_INT(opened) - 1);
}

static void
schedstat_free(VqLoadSource *port)
{
    Schedstat *self = (Schedstat *)port;

    if (self->root_fd >= 0)
        close(self->root_fd);
    g_free(self);
}

VqLoadSource *
vq_schedstat_new(const char *root)
{
    Schedstat *self = g_new0(Schedstat, 1);

    self->port = (VqLoadSource){.kind = VQ_WORK_CPU_TIME,
                                .open = schedstat_open,
                                .read = schedstat_read,
                                .close = schedstat_close,
                                .free = schedstat_free};
    self->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return &self->port;
}
