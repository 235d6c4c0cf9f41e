/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp.h"
#include "base/error.h"
#include "histogram.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Negotiation: QEMU answers it as soon as it runs; starting takes it 0.1 to 2 s. */
#define START_MS 20000

/* Takes the next line, waiting no more than until @deadline (monotonic microseconds). NULL: none.
 */
static char *
next_line(SynQmp *qmp, gint64 deadline, GError **error)
{
    for (;;) {
        char *end = memchr(qmp->buffer->str, '\n', qmp->buffer->len);
        struct pollfd wait = {.fd = qmp->fd, .events = POLLIN};
        char chunk[4096];
        gssize n;

        if (end) {
            char *line = g_strndup(qmp->buffer->str, (gsize)(end - qmp->buffer->str));

            g_string_erase(qmp->buffer, 0, end + 1 - qmp->buffer->str);
            return line;
        }
        if (poll(&wait, 1, (int)(MAX(0, deadline - g_get_monotonic_time()) + 999) / 1000) == 0) {
            g_set_error(error, VQ_ERROR, VQ_ERROR_TIMEOUT, "QEMU's monitor did not answer in time");
            return NULL;
        }
        n = recv(qmp->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        if (n > 0) {
            g_string_append_len(qmp->buffer, chunk, n);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            g_set_error(error, VQ_ERROR, VQ_ERROR_UNAVAILABLE, "QEMU's monitor is gone");
            return NULL;
        }
    }
}

static void
count_event(SynQmp *qmp, JsonObject *object)
{
    const char *name = json_object_get_string_member(object, "event");
    guint count = GPOINTER_TO_UINT(g_hash_table_lookup(qmp->events, name));
    JsonObject *data = json_object_has_member(object, "data")
                           ? json_object_get_object_member(object, "data")
                           : NULL;
    g_autoptr(GList) members = data ? json_object_get_members(data) : NULL;

    g_hash_table_insert(qmp->events, g_strdup(name), GUINT_TO_POINTER(count + 1));
    for (GList *item = members; item; item = item->next) {
        g_autofree char *key = g_strdup_printf("%s.%s", name, (char *)item->data);
        SynHistogram *histogram;

        if (!g_str_has_suffix(item->data, "-ns")) {
            continue;
        }
        histogram = g_hash_table_lookup(qmp->figures, key);
        if (!histogram) {
            histogram = g_new0(SynHistogram, 1);
            g_hash_table_insert(qmp->figures, g_strdup(key), histogram);
        }
        syn_histogram_add(histogram, (uint64_t)json_object_get_int_member(data, item->data));
    }
}

/* Reads up to the first line with @member (or "error"), which is returned. */
static JsonNode *
read_until(SynQmp *qmp, const char *member, gint64 deadline, GError **error)
{
    for (;;) {
        g_autofree char *line = next_line(qmp, deadline, error);
        g_autoptr(JsonNode) node = line ? json_from_string(line, error) : NULL;
        JsonObject *object;

        if (!node || !JSON_NODE_HOLDS_OBJECT(node)) {
            return NULL;
        }
        object = json_node_get_object(node);
        if (json_object_has_member(object, "event")) {
            count_event(qmp, object);
        } else if (json_object_has_member(object, "error")) {
            JsonObject *what = json_object_get_object_member(object, "error");

            g_set_error(error, VQ_ERROR, VQ_ERROR_REFUSED, "QEMU: %s",
                        json_object_get_string_member(what, "desc"));
            return NULL;
        } else if (json_object_has_member(object, member)) {
            return json_node_copy(json_object_get_member(object, member));
        }
    }
}

JsonNode *
syn_qmp_execute(SynQmp *qmp, const char *command, int timeout_ms, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    g_autofree char *line = g_strdup_printf("%s\n", command);

    if (send(qmp->fd, line, strlen(line), MSG_NOSIGNAL) < 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_UNAVAILABLE, "QEMU's monitor is gone");
        return NULL;
    }
    return read_until(qmp, "return", deadline, error);
}

void
syn_qmp_poll(SynQmp *qmp)
{
    for (;;) {
        g_autofree char *line = next_line(qmp, 0, NULL);
        g_autoptr(JsonNode) node = line ? json_from_string(line, NULL) : NULL;

        if (!line) {
            return;
        }
        if (node && JSON_NODE_HOLDS_OBJECT(node) &&
            json_object_has_member(json_node_get_object(node), "event")) {
            count_event(qmp, json_node_get_object(node));
        }
    }
}

SynQmp *
syn_qmp_new(int fd, GError **error)
{
    g_autoptr(SynQmp) qmp = g_new0(SynQmp, 1);
    g_autoptr(JsonNode) greeting = NULL;
    g_autoptr(JsonNode) answer = NULL;

    qmp->fd = fd;
    qmp->buffer = g_string_new(NULL);
    qmp->events = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    qmp->figures = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    greeting = read_until(qmp, "QMP", g_get_monotonic_time() + START_MS * 1000, error);
    if (greeting) {
        answer = syn_qmp_execute(qmp, "{\"execute\":\"qmp_capabilities\"}", START_MS, error);
    }
    return answer ? g_steal_pointer(&qmp) : NULL;
}

void
syn_qmp_free(SynQmp *qmp)
{
    if (qmp) {
        close(qmp->fd);
        g_string_free(qmp->buffer, TRUE);
        g_hash_table_unref(qmp->events);
        g_hash_table_unref(qmp->figures);
        g_free(qmp);
    }
}
