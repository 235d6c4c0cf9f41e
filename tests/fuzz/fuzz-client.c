/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a peer on the daemon's socket may send to the client, which runs inside the libvirt daemon.
 * The input is sent as it is once the client has connected, and the connection closed behind it.
 */
#include "target.h"

#include "base/error.h"
#include "protocol/client.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TIMEOUT_MS 2000 /* never reached: the peer always closes */

static char *directory;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void
remove_socket(void)
{
    g_unlink(address.sun_path);
    g_rmdir(directory);
    g_free(directory);
}

static int
listener(void)
{
    static int fd = -1;

    if (fd >= 0)
        return fd;
    directory = g_dir_make_tmp("vq-fuzz-XXXXXX", NULL);
    g_assert_nonnull(directory);
    g_snprintf(address.sun_path, sizeof address.sun_path, "%s/sock", directory);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    atexit(remove_socket);
    return fd;
}

typedef struct {
    int fd;
    const uint8_t *data;
    size_t size;
} Input;

static gpointer
peer(gpointer user_data)
{
    const Input *input = user_data;
    int fd = accept(input->fd, NULL, NULL);
    char rest[4096];

    g_assert_cmpint(fd, >=, 0);
    for (size_t at = 0; at < input->size;) {
        ssize_t sent = send(fd, input->data + at, input->size - at, MSG_NOSIGNAL);

        if (sent <= 0)
            break;
        at += sent;
    }
    shutdown(fd, SHUT_WR);
    while (read(fd, rest, sizeof rest) > 0)
        continue;
    close(fd);
    return NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {listener(), data, size};
    g_autoptr(GThread) thread = g_thread_new("peer", peer, &input);
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        vq_client_call(address.sun_path, "Admit", g_variant_new("(s)", "<domain/>"),
                       G_VARIANT_TYPE("(a(us)as)"), TIMEOUT_MS, &error);

    g_thread_join(g_steal_pointer(&thread));
    g_assert_true(!reply == (error != NULL));
    g_assert_false(g_error_matches(error, VQ_ERROR, VQ_ERROR_TIMEOUT));
    if (reply)
        g_assert_true(g_variant_is_of_type(reply, G_VARIANT_TYPE("(a(us)as)")));
    return 0;
}
