/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/server.h"

#include "base/error.h"
#include "protocol/client.h"
#include "protocol/errors.h"
#include "interface-info.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A peer that has not logged in by then is dropped: it would hold one of few places. */
#define LOGIN_SECONDS 5

struct _VqServer {
    VqMethods methods;
    GSocketService *service;
    char *path; /* made by us, or NULL */
    unsigned connections_max;
    GHashTable *peers; /* of Peer */
    char *guid;
};

/* One connection, from accept to close. */
typedef struct {
    VqServer *server;
    GSocketConnection *stream;
    GDBusConnection *dbus;     /* NULL until logged in */
    GCancellable *cancellable; /* of the login */
    guint timer;
    uid_t uid;
} Peer;

static void
peer_free(gpointer data)
{
    Peer *peer = data;

    g_clear_handle_id(&peer->timer, g_source_remove);
    if (peer->dbus) {
        g_signal_handlers_disconnect_by_data(peer->dbus, peer);
        g_dbus_connection_close(peer->dbus, NULL, NULL, NULL);
        g_object_unref(peer->dbus);
    }
    g_clear_object(&peer->stream);
    g_clear_object(&peer->cancellable);
    g_free(peer);
}

static void
on_call(GDBusConnection *connection, const char *sender, const char *path, const char *interface,
        const char *method, GVariant *args, GDBusMethodInvocation *invocation, gpointer data)
{
    const Peer *peer = data;

    if (peer->uid != 0 && peer->uid != geteuid()) {
        g_dbus_method_invocation_return_error(invocation, VQ_ERROR, VQ_ERROR_DENIED,
                                              "user %u may not use virtqueued, only root may",
                                              (unsigned)peer->uid);
        return;
    }
    vq_methods_call(&peer->server->methods, method, args, invocation);
}

static void
on_closed(GDBusConnection *connection, gboolean remote, GError *error, gpointer data)
{
    Peer *peer = data;

    g_hash_table_remove(peer->server->peers, peer);
}

static void
on_login(GObject *source, GAsyncResult *result, gpointer data)
{
    static const GDBusInterfaceVTable table = {.method_call = on_call};
    g_autoptr(GError) error = NULL;
    GDBusConnection *dbus = g_dbus_connection_new_finish(result, &error);
    Peer *peer = data;

    if (!dbus && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED) && !peer->server) {
        peer_free(peer); /* the server is gone already */
        return;
    }
    g_clear_handle_id(&peer->timer, g_source_remove);
    if (!dbus) {
        g_debug("a client did not log in: %s", error->message);
        g_hash_table_remove(peer->server->peers, peer);
        return;
    }
    peer->dbus = dbus;
    g_dbus_connection_set_exit_on_close(dbus, FALSE);
    g_signal_connect(dbus, "closed", G_CALLBACK(on_closed), peer);
    g_dbus_connection_register_object(dbus, VQ_DBUS_PATH,
                                      (GDBusInterfaceInfo *)&org_virtqueued_daemon1_interface,
                                      &table, peer, NULL, NULL);
    g_dbus_connection_start_message_processing(dbus);
    if (g_dbus_connection_is_closed(dbus))
        g_hash_table_remove(peer->server->peers, peer);
}

static gboolean
on_login_timeout(gpointer data)
{
    Peer *peer = data;

    peer->timer = 0;
    g_cancellable_cancel(peer->cancellable);
    return G_SOURCE_REMOVE;
}

static gboolean
on_incoming(GSocketService *service, GSocketConnection *stream, GObject *source, gpointer data)
{
    VqServer *server = data;
    g_autoptr(GCredentials) credentials =
        g_socket_get_credentials(g_socket_connection_get_socket(stream), NULL);
    uid_t uid = credentials ? g_credentials_get_unix_user(credentials, NULL) : (uid_t)-1;

    if (g_hash_table_size(server->peers) >= server->connections_max) {
        g_debug("a client is turned away: %u are connected", server->connections_max);
        return TRUE;
    }

    Peer *peer = g_new0(Peer, 1);

    peer->server = server;
    peer->stream = g_object_ref(stream);
    peer->cancellable = g_cancellable_new();
    peer->uid = uid;
    peer->timer = g_timeout_add_seconds(LOGIN_SECONDS, on_login_timeout, peer);
    g_hash_table_add(server->peers, peer);
    g_dbus_connection_new(G_IO_STREAM(stream), server->guid,
                          G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER |
                              G_DBUS_CONNECTION_FLAGS_DELAY_MESSAGE_PROCESSING,
                          NULL, peer->cancellable, on_login, peer);
    return TRUE;
}

/* Whether a socket file that is in the way belongs to nobody. */
static bool
clear_stale(const char *path, GError **error)
{
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GSocketConnection) connection = NULL;
    struct stat st;

    if (lstat(path, &st) < 0)
        return true;
    if (!S_ISSOCK(st.st_mode)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_CONFLICT, "%s: exists and is not a socket", path);
        return false;
    }
    connection = g_socket_client_connect(client, G_SOCKET_CONNECTABLE(address), NULL, NULL);
    if (connection) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_CONFLICT,
                    "another virtqueued serves the socket %s; stop it or choose another --socket",
                    path);
        return false;
    }
    g_unlink(path);
    return true;
}

static bool
listen_on_path(VqServer *server, const char *path, GError **error)
{
    g_autofree char *dir = g_path_get_dirname(path);
    g_autoptr(GSocketAddress) address = NULL;

    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT, "%s: longer than a socket's name may be (%d)",
                    path, (int)sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
        return false;
    }
    if (g_mkdir_with_parents(dir, 0755) < 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_FAILED, "%s: %s", dir, g_strerror(errno));
        return false;
    }
    if (!clear_stale(path, error))
        return false;

    mode_t mask = umask(0177);

    address = g_unix_socket_address_new(path);

    bool ok = g_socket_listener_add_address(G_SOCKET_LISTENER(server->service), address,
                                            G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL,
                                            NULL, error);

    umask(mask);
    if (ok)
        server->path = g_strdup(path);
    return ok;
}

VqServer *
vq_server_new(const char *path, GSocket *socket, unsigned connections, const VqMethods *methods,
              GError **error)
{
    VqServer *server = g_new0(VqServer, 1);

    vq_errors_register();
    server->methods = *methods;
    server->connections_max = connections;
    server->guid = g_dbus_generate_guid();
    server->peers = g_hash_table_new_full(NULL, NULL, peer_free, NULL);
    server->service = g_socket_service_new();
    g_signal_connect(server->service, "incoming", G_CALLBACK(on_incoming), server);

    bool ok = socket ? g_socket_listener_add_socket(G_SOCKET_LISTENER(server->service), socket,
                                                    NULL, error)
                     : listen_on_path(server, path, error);

    if (ok)
        return server;
    vq_server_free(server);
    return NULL;
}

void
vq_server_free(VqServer *server)
{
    GHashTableIter iter;
    gpointer key;

    if (!server)
        return;
    g_socket_service_stop(server->service);
    g_socket_listener_close(G_SOCKET_LISTENER(server->service));
    g_signal_handlers_disconnect_by_data(server->service, server);
    g_hash_table_iter_init(&iter, server->peers);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        Peer *peer = key;

        if (peer->dbus)
            continue;
        /* its login answers once more: it frees itself then */
        peer->server = NULL;
        g_hash_table_iter_steal(&iter);
        g_cancellable_cancel(peer->cancellable);
    }
    g_hash_table_unref(server->peers);
    g_object_unref(server->service);
    if (server->path)
        g_unlink(server->path);
    g_free(server->path);
    g_free(server->guid);
    g_free(server);
}
