/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client against a real GDBus server and against peers that misbehave; each in a thread.
 */
#include "base/error.h"
#include "protocol/client.h"
#include "protocol/errors.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Scheduling of a loaded machine; far above what a call may overrun, far below a hang. */
#define SLACK_MS 400

typedef struct {
    char *dir, *path;
    GMainLoop *loop;
    GThread *thread;
    GMutex lock;
    GCond ready;
    gboolean up;
} Server;

static void
method_call(GDBusConnection *connection, const char *sender, const char *path,
            const char *interface, const char *method, GVariant *args,
            GDBusMethodInvocation *invocation, gpointer user_data)
{
    if (g_str_equal(method, "Admit")) {
        const char *xml;

        g_variant_get(args, "(&s)", &xml);
        if (g_str_equal(xml, "refuse"))
            g_dbus_method_invocation_return_error(invocation, VQ_ERROR, VQ_ERROR_REFUSED,
                                                  "disk 'vda': no core is left");
        else if (g_str_equal(xml, "foreign"))
            g_dbus_method_invocation_return_dbus_error(invocation, "com.example.Odd", "odd");
        else
            g_dbus_method_invocation_return_value(
                invocation, g_variant_new_parsed("([(%u, '4')], [%s])", 7, xml));
    } else {
        g_dbus_method_invocation_return_value(invocation, NULL);
    }
}

static const char INTROSPECTION[] =
    "<node><interface name='" VQ_DBUS_INTERFACE "'>"
    "<method name='Admit'><arg type='s' direction='in'/>"
    "<arg type='a(us)' direction='out'/>"
    "<arg type='as' direction='out'/></method>"
    "<method name='Withdraw'><arg type='s' direction='in'/></method>"
    "</interface></node>";

static gboolean
new_connection(GDBusServer *server, GDBusConnection *connection, gpointer user_data)
{
    static const GDBusInterfaceVTable vtable = {.method_call = method_call};
    g_autoptr(GDBusNodeInfo) node = g_dbus_node_info_new_for_xml(INTROSPECTION, NULL);

    g_assert_nonnull(node);
    g_object_ref(connection);
    g_dbus_connection_register_object(connection, VQ_DBUS_PATH, node->interfaces[0], &vtable, NULL,
                                      NULL, NULL);
    g_signal_connect(connection, "closed", G_CALLBACK(g_object_unref), NULL);
    /* A signal ahead of the reply, which the client has to pass over. */
    g_dbus_connection_emit_signal(connection, NULL, VQ_DBUS_PATH, VQ_DBUS_INTERFACE, "Noise", NULL,
                                  NULL);
    return TRUE;
}

static gpointer
server_thread(gpointer data)
{
    Server *server = data;
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autofree char *address = g_strdup_printf("unix:path=%s", server->path);
    g_autofree char *guid = g_dbus_generate_guid();
    g_autoptr(GError) error = NULL;
    g_autoptr(GDBusServer) bus = NULL;

    g_main_context_push_thread_default(context);
    bus = g_dbus_server_new_sync(address, G_DBUS_SERVER_FLAGS_NONE, guid, NULL, NULL, &error);
    g_assert_no_error(error);
    g_signal_connect(bus, "new-connection", G_CALLBACK(new_connection), NULL);
    g_dbus_server_start(bus);
    g_mutex_lock(&server->lock);
    server->loop = g_main_loop_new(context, FALSE);
    server->up = TRUE;
    g_cond_signal(&server->ready);
    g_mutex_unlock(&server->lock);
    g_main_loop_run(server->loop);
    g_dbus_server_stop(bus);
    g_main_context_pop_thread_default(context);
    return NULL;
}

static void
make_dir(Server *server)
{
    server->dir = g_dir_make_tmp("vq-client-XXXXXX", NULL);
    g_assert_nonnull(server->dir);
    server->path = g_build_filename(server->dir, "sock", NULL);
}

static void
remove_dir(Server *server)
{
    g_unlink(server->path);
    g_rmdir(server->dir);
    g_free(server->path);
    g_free(server->dir);
}

static void
server_start(Server *server)
{
    make_dir(server);
    server->thread = g_thread_new("server", server_thread, server);
    g_mutex_lock(&server->lock);
    while (!server->up)
        g_cond_wait(&server->ready, &server->lock);
    g_mutex_unlock(&server->lock);
}

static void
server_stop(Server *server)
{
    g_main_loop_quit(server->loop);
    g_thread_join(server->thread);
    g_main_loop_unref(server->loop);
    remove_dir(server);
}

static GVariant *
admit(const char *path, const char *xml, int timeout_ms, GError **error)
{
    return vq_client_call(path, "Admit", g_variant_new("(s)", xml), G_VARIANT_TYPE("(a(us)as)"),
                          timeout_ms, error);
}

static void
test_calls(void)
{
    Server server = {0};
    g_autoptr(GVariant) reply = NULL;
    g_autoptr(GVariant) empty = NULL;
    g_autoptr(GVariant) none = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    g_autofree char *big = g_strnfill(900 * 1024, 'x');
    g_autoptr(GVariant) large = NULL;

    server_start(&server);
    reply = admit(server.path, "note", 5000, &error);
    g_assert_no_error(error);
    text = g_variant_print(reply, FALSE);
    g_assert_cmpstr(text, ==, "([(7, '4')], ['note'])");
    large = admit(server.path, big, 5000, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_variant_get_size(large), >, strlen(big));
    empty = vq_client_call(server.path, "Withdraw", g_variant_new("(s)", "vm"), G_VARIANT_TYPE_UNIT,
                           5000, &error);
    g_assert_no_error(error);
    g_assert_nonnull(empty);
    none = vq_client_call(server.path, "Withdraw", g_variant_new("(s)", "vm"),
                          G_VARIANT_TYPE("(s)"), 5000, &error);
    g_assert_error(error, VQ_ERROR, VQ_ERROR_UNAVAILABLE);
    g_assert_null(none);
    server_stop(&server);
}

static void
test_errors(void)
{
    Server server = {0};
    g_autoptr(GError) refused = NULL;
    g_autoptr(GError) foreign = NULL;
    g_autoptr(GError) unknown = NULL;

    server_start(&server);
    g_assert_null(admit(server.path, "refuse", 5000, &refused));
    g_assert_error(refused, VQ_ERROR, VQ_ERROR_REFUSED);
    g_assert_cmpstr(refused->message, ==, "disk 'vda': no core is left");
    g_assert_null(admit(server.path, "foreign", 5000, &foreign));
    g_assert_error(foreign, VQ_ERROR, VQ_ERROR_FAILED);
    g_assert_cmpstr(foreign->message, ==, "odd");
    g_assert_null(vq_client_call(server.path, "NoSuch", NULL, NULL, 5000, &unknown));
    g_assert_error(unknown, VQ_ERROR, VQ_ERROR_FAILED);
    server_stop(&server);
}

static gpointer
many_calls(gpointer path)
{
    for (int i = 0; i < 50; i++) {
        g_autofree char *note = g_strdup_printf("%p-%d", (gpointer)g_thread_self(), i);
        g_autoptr(GError) error = NULL;
        g_autoptr(GVariant) reply = admit(path, note, 10000, &error);
        g_autoptr(GVariant) notes = NULL;
        g_autofree const char **list = NULL;

        g_assert_no_error(error);
        notes = g_variant_get_child_value(reply, 1);
        list = g_variant_get_strv(notes, NULL);
        g_assert_cmpstr(list[0], ==, note);
    }
    return NULL;
}

static void
test_threads(void)
{
    Server server = {0};
    GThread *threads[8];

    server_start(&server);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("caller", many_calls, server.path);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
    server_stop(&server);
}

/* A peer that misbehaves: what it sends, all at once or byte by byte, and what must come of it. */
typedef struct {
    const char *name;
    const char *sends; /* after the first bytes of the client arrived */
    gsize size;        /* 0: strlen */
    gboolean trickle;  /* one byte each 40 ms */
    gboolean closes;   /* after sending; else the connection stays open and silent */
    gboolean mute;     /* never even accepts */
    int code;
} Hostile;

#define OK "OK 0123456789abcdef0123456789abcdef\r\n"

static const Hostile HOSTILE[] = {
    {.name = "mute", .mute = TRUE, .code = VQ_ERROR_TIMEOUT},
    {.name = "silent", .sends = "", .code = VQ_ERROR_TIMEOUT},
    {.name = "closes", .sends = "", .closes = TRUE, .code = VQ_ERROR_UNAVAILABLE},
    {.name = "half-handshake", .sends = "OK 0123", .code = VQ_ERROR_TIMEOUT},
    {.name = "handshake-then-silent", .sends = OK, .code = VQ_ERROR_TIMEOUT},
    {.name = "handshake-then-close", .sends = OK, .closes = TRUE, .code = VQ_ERROR_UNAVAILABLE},
    {.name = "rejects", .sends = "REJECTED EXTERNAL\r\n", .code = VQ_ERROR_DENIED},
    {.name = "http", .sends = "HTTP/1.1 400 Bad\r\n", .code = VQ_ERROR_UNAVAILABLE},
    {.name = "garbage", .sends = OK "zzzzzzzzzzzzzzzzzzzzzzzzzz", .code = VQ_ERROR_UNAVAILABLE},
    {.name = "half-message",
     .sends = OK "l\2\0\1\10\0\0\0\1\0\0\0\10\0\0\0",
     .size = sizeof OK - 1 + 16,
     .code = VQ_ERROR_TIMEOUT},
    {.name = "huge-message",
     .sends = OK "l\2\0\1\0\0\0\7\1\0\0\0\10\0\0\0",
     .size = sizeof OK - 1 + 16,
     .code = VQ_ERROR_UNAVAILABLE},
    {.name = "bad-body",
     .sends = OK "l\2\0\1\10\0\0\0\1\0\0\0\10\0\0\0zzzzzzzzzzzzzzzz",
     .size = sizeof OK - 1 + 32,
     .code = VQ_ERROR_UNAVAILABLE},
    {.name = "trickle", .sends = OK, .trickle = TRUE, .code = VQ_ERROR_TIMEOUT},
};

typedef struct {
    const Hostile *hostile;
    int listener;
} Peer;

static gpointer
peer_thread(gpointer data)
{
    const Peer *peer = data;
    const Hostile *hostile = peer->hostile;
    gsize size = hostile->size ? hostile->size : strlen(hostile->sends);
    int fd = accept(peer->listener, NULL, NULL);
    char buffer[4096];

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(recv(fd, buffer, sizeof buffer, 0), >, 0);
    for (gsize i = 0; hostile->trickle && i < size; i++) {
        if (send(fd, hostile->sends + i, 1, MSG_NOSIGNAL) < 0)
            break;
        g_usleep(40 * 1000);
    }
    if (!hostile->trickle)
        send(fd, hostile->sends, size, MSG_NOSIGNAL);
    while (!hostile->closes && recv(fd, buffer, sizeof buffer, 0) > 0)
        continue;
    close(fd);
    return NULL;
}

static int
listen_on(const char *path, int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(fd, backlog), ==, 0);
    return fd;
}

static void
test_hostile(gconstpointer data)
{
    const Hostile *hostile = data;
    Server server = {0};
    Peer peer = {.hostile = hostile};
    GThread *thread = NULL;
    g_autoptr(GError) error = NULL;
    gint64 started;

    make_dir(&server);
    peer.listener = listen_on(server.path, 5);
    if (!hostile->mute)
        thread = g_thread_new("peer", peer_thread, &peer);
    started = g_get_monotonic_time();
    g_assert_null(admit(server.path, "x", 150, &error));
    g_assert_cmpint((g_get_monotonic_time() - started) / 1000, <, 150 + SLACK_MS);
    g_assert_error(error, VQ_ERROR, hostile->code);
    g_test_message("%s", error->message);
    if (thread)
        g_thread_join(thread);
    close(peer.listener);
    remove_dir(&server);
}

/* A stopped daemon whose backlog is full: connect() itself would block for ever. */
static void
test_backlog(void)
{
    Server server = {0};
    int listener, fds[3];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_autoptr(GError) error = NULL;
    gint64 started;

    make_dir(&server);
    listener = listen_on(server.path, 0);
    g_strlcpy(address.sun_path, server.path, sizeof address.sun_path);
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(fds[i], (struct sockaddr *)&address, sizeof address) < 0)
            g_test_message("backlog full after %u", i);
    }
    started = g_get_monotonic_time();
    g_assert_null(admit(server.path, "x", 150, &error));
    g_assert_cmpint((g_get_monotonic_time() - started) / 1000, <, 150 + SLACK_MS);
    g_assert_error(error, VQ_ERROR, VQ_ERROR_TIMEOUT);
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++)
        close(fds[i]);
    close(listener);
    remove_dir(&server);
}

static void
test_absent(void)
{
    g_autoptr(GError) absent = NULL;
    g_autoptr(GError) too_long = NULL;
    g_autofree char *path = g_strnfill(200, 'x');

    g_assert_null(admit("/nonexistent/vq/sock", "x", 1000, &absent));
    g_assert_error(absent, VQ_ERROR, VQ_ERROR_UNAVAILABLE);
    g_assert_null(admit(path, "x", 1000, &too_long));
    g_assert_error(too_long, VQ_ERROR, VQ_ERROR_LIMIT);
}

/* Every code of VqErrorCode has a name, and comes back from it. */
static void
test_names(void)
{
    for (int code = VQ_ERROR_FAILED; code <= VQ_ERROR_UNAVAILABLE; code++) {
        const char *name = vq_enum_name(vq_error_dbus_names, code);

        g_assert_nonnull(name);
        g_assert_cmpint(vq_error_from_dbus_name(name), ==, code);
    }
    g_assert_cmpint(vq_error_from_dbus_name("org.freedesktop.DBus.Error.NoReply"), ==,
                    VQ_ERROR_FAILED);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vq_errors_register();
    g_test_add_func("/client/calls", test_calls);
    g_test_add_func("/client/errors", test_errors);
    g_test_add_func("/client/threads", test_threads);
    g_test_add_func("/client/backlog", test_backlog);
    g_test_add_func("/client/absent", test_absent);
    g_test_add_func("/client/names", test_names);
    for (guint i = 0; i < G_N_ELEMENTS(HOSTILE); i++) {
        g_autofree char *path = g_strconcat("/client/hostile/", HOSTILE[i].name, NULL);

        g_test_add_data_func(path, &HOSTILE[i], test_hostile);
    }
    return g_test_run();
}
