/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One D-Bus method call over a unix socket, written on the socket itself: connect, SASL EXTERNAL,
 * one message out, its reply in, close.
 *
 * Not a GDBusConnection on purpose. That one hands its reading and writing to a thread of its own
 * and its handshake to a thread pool; inside the libvirt daemon this would start threads that
 * outlive the call, and a peer could make it allocate 128 MiB. Here everything happens in the
 * caller's thread, each wait is a poll() that ends at the deadline, and the size of what the peer
 * may send is bounded. GDBusMessage does the marshalling.
 */
#include "protocol/client.h"

#include "base/error.h"
#include "protocol/errors.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A live plan of 4096 threads takes about 3 MiB. */
#define REPLY_MAX (16 * 1024 * 1024)

/* The D-Bus fixed header, enough to know a message's length. */
#define HEADER_SIZE 16

/* A SASL line of a sane server is below 60 bytes. */
#define AUTH_LINE_MAX 512

/* Pause before connecting again to a socket whose backlog is full: poll() cannot wait for that. */
#define BACKLOG_RETRY_US (5 * 1000)

typedef struct {
    int fd;
    gint64 deadline;  /* g_get_monotonic_time() */
    int timeout_ms;   /* for messages */
    const char *path; /* for messages */
} Call;

static void
call_clear(Call *call)
{
    if (call->fd >= 0)
        close(call->fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Call, call_clear)

static bool
timed_out(const Call *call, GError **error)
{
    g_set_error(error, VQ_ERROR, VQ_ERROR_TIMEOUT, "virtqueued did not answer on %s within %d ms",
                call->path, call->timeout_ms);
    return false;
}

static bool
broken(const Call *call, const char *what, GError **error)
{
    g_set_error(error, VQ_ERROR, VQ_ERROR_UNAVAILABLE, "what answers on %s is not virtqueued: %s",
                call->path, what);
    return false;
}

static bool
system_error(const Call *call, const char *what, GError **error)
{
    g_set_error(error, VQ_ERROR, VQ_ERROR_UNAVAILABLE, "cannot %s virtqueued on %s: %s", what,
                call->path, g_strerror(errno));
    return false;
}

/* Waits for @events on the socket, until the deadline. */
static bool
wait_for(Call *call, short events, GError **error)
{
    for (;;) {
        struct pollfd pollfd = {.fd = call->fd, .events = events};
        gint64 left = call->deadline - g_get_monotonic_time();
        int ready;

        if (left <= 0)
            return timed_out(call, error);
        ready = poll(&pollfd, 1, (int)((left + 999) / 1000));
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return system_error(call, "wait for", error);
    }
}

static bool
call_connect(Call *call, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(call->path) >= sizeof address.sun_path) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                    "socket path '%s' has %zu bytes, the limit is %zu", call->path,
                    strlen(call->path), sizeof address.sun_path - 1);
        return false;
    }
    strcpy(address.sun_path, call->path);
    call->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (call->fd < 0)
        return system_error(call, "make a socket for", error);
    while (connect(call->fd, (struct sockaddr *)&address, sizeof address) < 0) {
        if (errno == EACCES || errno == EPERM) {
            g_set_error(error, VQ_ERROR, VQ_ERROR_DENIED,
                        "not allowed to connect to virtqueued on %s: %s", call->path,
                        g_strerror(errno));
            return false;
        }
        if (errno != EAGAIN && errno != EINTR)
            return system_error(call, "connect to", error);
        if (g_get_monotonic_time() + BACKLOG_RETRY_US >= call->deadline)
            return timed_out(call, error);
        g_usleep(BACKLOG_RETRY_US);
    }
    return true;
}

static bool
send_all(Call *call, const void *data, gsize size, GError **error)
{
    const char *at = data;

    while (size > 0) {
        ssize_t sent = send(call->fd, at, size, MSG_NOSIGNAL);

        if (sent >= 0) {
            at += sent;
            size -= sent;
        } else if (errno != EINTR && errno != EAGAIN) {
            return system_error(call, "send to", error);
        } else if (!wait_for(call, POLLOUT, error)) {
            return false;
        }
    }
    return true;
}

/* Exactly @size bytes; the deadline holds for a peer that trickles, too. */
static bool
receive_all(Call *call, void *data, gsize size, GError **error)
{
    char *at = data;

    while (size > 0) {
        ssize_t received;

        if (!wait_for(call, POLLIN, error))
            return false;
        received = recv(call->fd, at, size, 0);
        if (received > 0) {
            at += received;
            size -= received;
        } else if (received == 0) {
            g_set_error(error, VQ_ERROR, VQ_ERROR_UNAVAILABLE,
                        "virtqueued closed the connection on %s", call->path);
            return false;
        } else if (errno != EINTR && errno != EAGAIN) {
            return system_error(call, "receive from", error);
        }
    }
    return true;
}

/*
 * SASL EXTERNAL: the kernel tells the peer who we are. The peer's line is read byte by byte, so
 * that nothing behind it is taken.
 */
static bool
call_authenticate(Call *call, GError **error)
{
    g_autofree char *uid = g_strdup_printf("%u", (unsigned)geteuid());
    g_autoptr(GString) hello = g_string_new("AUTH EXTERNAL ");
    char line[AUTH_LINE_MAX] = "";
    gsize length = 0;

    for (const char *digit = uid; *digit; digit++)
        g_string_append_printf(hello, "%02x", (unsigned)*digit);
    g_string_append(hello, "\r\n");
    g_string_prepend_len(hello, "\0", 1);
    if (!send_all(call, hello->str, hello->len, error))
        return false;
    do {
        if (length == sizeof line - 1)
            return broken(call, "its greeting is too long", error);
        if (!receive_all(call, line + length, 1, error))
            return false;
    } while (line[length++] != '\n');
    if (g_str_has_prefix(line, "REJECTED")) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_DENIED, "virtqueued on %s does not serve user id %s",
                    call->path, uid);
        return false;
    }
    if (!g_str_has_prefix(line, "OK ") || !g_str_has_suffix(line, "\r\n"))
        return broken(call, "its greeting is not D-Bus", error);
    return send_all(call, "BEGIN\r\n", strlen("BEGIN\r\n"), error);
}

static bool
send_method(Call *call, const char *method, GVariant *args, GError **error)
{
    g_autoptr(GDBusMessage) message =
        g_dbus_message_new_method_call(NULL, VQ_DBUS_PATH, VQ_DBUS_INTERFACE, method);
    g_autofree guchar *blob = NULL;
    gsize size = 0;

    g_dbus_message_set_serial(message, 1);
    if (args)
        g_dbus_message_set_body(message, args);
    blob = g_dbus_message_to_blob(message, &size, G_DBUS_CAPABILITY_FLAGS_NONE, error);
    return blob && send_all(call, blob, size, error);
}

static GDBusMessage *
receive_message(Call *call, GError **error)
{
    g_autoptr(GError) reason = NULL;
    g_autoptr(GDBusMessage) message = NULL;
    g_autofree guchar *blob = g_malloc(HEADER_SIZE);
    gssize size;

    if (!receive_all(call, blob, HEADER_SIZE, error))
        return NULL;
    size = g_dbus_message_bytes_needed(blob, HEADER_SIZE, &reason);
    if (size < HEADER_SIZE || size > REPLY_MAX) {
        broken(call, reason ? reason->message : "its message is too long", error);
        return NULL;
    }
    blob = g_realloc(blob, size);
    if (!receive_all(call, blob + HEADER_SIZE, size - HEADER_SIZE, error))
        return NULL;
    message = g_dbus_message_new_from_blob(blob, size, G_DBUS_CAPABILITY_FLAGS_NONE, &reason);
    if (!message)
        broken(call, reason->message, error);
    return g_steal_pointer(&message);
}

/* The error reply as the daemon meant it: code by name, text from its first argument. */
static void
take_error(GDBusMessage *message, GError **error)
{
    const char *name = g_dbus_message_get_error_name(message);
    GVariant *body = g_dbus_message_get_body(message);
    const char *text = "no reason given";

    if (body && g_variant_n_children(body) > 0) {
        g_autoptr(GVariant) first = g_variant_get_child_value(body, 0);

        if (g_variant_is_of_type(first, G_VARIANT_TYPE_STRING))
            text = g_variant_get_string(first, NULL);
        g_set_error_literal(error, VQ_ERROR, vq_error_from_dbus_name(name), text);
        return;
    }
    g_set_error(error, VQ_ERROR, vq_error_from_dbus_name(name), "%s: %s", name, text);
}

static GVariant *
take_reply(Call *call, GDBusMessage *message, const GVariantType *reply_type, GError **error)
{
    GVariant *body = g_dbus_message_get_body(message);
    g_autoptr(GVariant) reply =
        g_variant_ref_sink(body ? body : g_variant_new_tuple(NULL, 0)); /* no body is () */

    if (g_dbus_message_get_message_type(message) == G_DBUS_MESSAGE_TYPE_ERROR) {
        take_error(message, error);
        return NULL;
    }
    if (reply_type && !g_variant_is_of_type(reply, reply_type)) {
        broken(call, "its answer has another type", error);
        return NULL;
    }
    return g_steal_pointer(&reply);
}

GVariant *
vq_client_call(const char *socket, const char *method, GVariant *args,
               const GVariantType *reply_type, int timeout_ms, GError **error)
{
    g_autoptr(GVariant) owned = args ? g_variant_ref_sink(args) : NULL;
    g_auto(Call) call = {
        .fd = -1,
        .deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000,
        .timeout_ms = timeout_ms,
        .path = socket,
    };

    if (!call_connect(&call, error) || !call_authenticate(&call, error) ||
        !send_method(&call, method, owned, error))
        return NULL;
    for (;;) {
        g_autoptr(GDBusMessage) message = receive_message(&call, error);

        if (!message)
            return NULL;
        /* Anything else, a signal for instance, is not for us. */
        if (g_dbus_message_get_reply_serial(message) == 1)
            return take_reply(&call, message, reply_type, error);
    }
}
