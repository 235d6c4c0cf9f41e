/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot.h"

#include "base/error.h"
#include "base/xml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ACTIVATION_FD 3 /* sd_listen_fds(3) */

char *
vq_boot_id(void)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents("/proc/sys/kernel/random/boot_id", &text, NULL, NULL))
        return g_strdup("");
    return g_strdup(g_strstrip(text));
}

void
vq_notify(const char *state)
{
    const char *path = g_getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    gsize length = path ? strlen(path) : 0;
    int fd;

    if (length == 0 || length >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, path, length);
    if (*path == '@')
        address.sun_path[0] = '\0'; /* abstract name space */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
               offsetof(struct sockaddr_un, sun_path) + length) < 0)
        g_debug("%s: %s", path, g_strerror(errno));
    close(fd);
}

GSocket *
vq_activation_socket(GError **error)
{
    const char *pid = g_getenv("LISTEN_PID"), *fds = g_getenv("LISTEN_FDS");
    unsigned owner = 0, count = 0;

    if (!vq_parse_uint(pid, G_MAXINT, &owner) || owner != (unsigned)getpid() ||
        !vq_parse_uint(fds, 1024, &count) || count == 0)
        return NULL;
    if (count > 1) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID,
                    "systemd handed over %u sockets, virtqueued takes one", count);
        return NULL;
    }
    fcntl(ACTIVATION_FD, F_SETFD, FD_CLOEXEC);
    return g_socket_new_from_fd(ACTIVATION_FD, error);
}

bool
vq_lock_state(const char *state_dir, GError **error)
{
    g_autofree char *path = g_build_filename(state_dir, "lock", NULL);
    g_autofree char *holder = NULL;
    g_autofree char *own = g_strdup_printf("%d\n", getpid());
    int fd;

    if (g_mkdir_with_parents(state_dir, 0700) < 0 ||
        (fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_FAILED, "%s: %s", path, g_strerror(errno));
        return false;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (g_file_get_contents(path, &holder, NULL, NULL))
            g_strstrip(holder);
        close(fd);
        g_set_error(error, VQ_ERROR, VQ_ERROR_CONFLICT,
                    "another virtqueued (process %s) uses the state directory %s",
                    holder && *holder ? holder : "unknown", state_dir);
        return false;
    }
    /* kept open, and locked, for as long as the process lives */
    if (ftruncate(fd, 0) < 0 || write(fd, own, strlen(own)) < 0)
        g_debug("%s: %s", path, g_strerror(errno));
    return true;
}
