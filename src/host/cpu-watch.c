/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cpu-watch.h"

#include "base/error.h"

#include <errno.h>
#include <glib-unix.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KERNEL_GROUP 1    /* the kernel's own messages; 2 are udev's */
#define MESSAGE_MAX  8192 /* of the kernel: 2048 of environment and a path */

struct _VqCpuWatch {
    int fd;
    guint source;
    void (*changed)(gpointer data);
    gpointer data;
};

bool
vq_cpu_watch_concerns(const char *message, gsize length)
{
    const char *end = message + length;

    for (const char *line = message; line < end;) {
        const char *stop = memchr(line, '\0', end - line);

        if (!stop)
            return false;
        if (g_str_equal(line, "SUBSYSTEM=cpu"))
            return true;
        line = stop + 1;
    }
    return false;
}

/* All that has come: with many CPUs at once one call is enough. */
static gboolean
on_message(gint fd, GIOCondition condition, gpointer data)
{
    VqCpuWatch *watch = data;
    char message[MESSAGE_MAX];
    struct sockaddr_nl from = {0};
    struct iovec part = {message, sizeof(message)};
    struct msghdr header = {
        .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &part, .msg_iovlen = 1};
    bool concerns = false;
    ssize_t n;

    while ((n = recvmsg(fd, &header, MSG_DONTWAIT)) >= 0) {
        /* nl_pid 0: from the kernel and nobody else */
        if (from.nl_pid == 0)
            concerns |= vq_cpu_watch_concerns(message, n);
    }
    if (errno == ENOBUFS) /* messages were lost */
        concerns = true;
    if (concerns)
        watch->changed(watch->data);
    return G_SOURCE_CONTINUE;
}

VqCpuWatch *
vq_cpu_watch_new(void (*changed)(gpointer data), gpointer data, GError **error)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    VqCpuWatch *watch;

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_UNAVAILABLE, "the kernel's messages about CPUs: %s",
                    g_strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    watch = g_new0(VqCpuWatch, 1);
    watch->fd = fd;
    watch->changed = changed;
    watch->data = data;
    watch->source = g_unix_fd_add(fd, G_IO_IN, on_message, watch);
    return watch;
}

void
vq_cpu_watch_free(VqCpuWatch *watch)
{
    if (!watch)
        return;
    g_source_remove(watch->source);
    close(watch->fd);
    g_free(watch);
}
