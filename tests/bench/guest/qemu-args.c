/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu-args.h"
#include "base/error.h"
#include "device.h"
#include "ring.h"

#include <string.h>
#include <sys/stat.h>

/* Much larger than any host's memory, so that nothing depends on its size. */
#define NULL_BYTES (G_GINT64_CONSTANT(64) << 30)

static void
add(GPtrArray *argv, const char *name, char *value)
{
    g_ptr_array_add(argv, g_strdup(name));
    g_ptr_array_add(argv, value);
}

static char *
to_text(JsonObject *object)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);

    json_node_set_object(node, object);
    return json_to_string(node, FALSE);
}

/* Adds the members of the object in @text. */
static bool
add_members(JsonObject *to, const char *option, const char *text, GError **error)
{
    g_autoptr(JsonNode) node = NULL;
    g_autoptr(GList) members = NULL;
    JsonObject *from;

    if (!text) {
        return true;
    }
    node = json_from_string(text, NULL);
    if (!node || !JSON_NODE_HOLDS_OBJECT(node)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "--%s: not a JSON object: %s", option, text);
        return false;
    }
    from = json_node_get_object(node);
    members = json_object_get_members(from);
    for (GList *item = members; item; item = item->next) {
        json_object_set_member(to, item->data,
                               json_node_copy(json_object_get_member(from, item->data)));
    }
    return true;
}

static bool
file_node(JsonObject *node, const SynOptions *options, GError **error)
{
    g_autofree char *path = g_canonicalize_filename(options->backend, NULL);
    JsonObject *cache = json_object_new();
    struct stat status;

    json_object_set_boolean_member(cache, "direct", strcmp(options->aio, "threads") != 0);
    json_object_set_object_member(node, "cache", cache);
    if (stat(path, &status) != 0 || !(S_ISREG(status.st_mode) || S_ISBLK(status.st_mode))) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_NOT_FOUND,
                    "--backend %s is neither 'null' nor a file or block device", options->backend);
        return false;
    }
    json_object_set_string_member(node, "driver", S_ISBLK(status.st_mode) ? "host_device" : "file");
    json_object_set_string_member(node, "filename", path);
    json_object_set_string_member(node, "aio", options->aio);
    json_object_set_boolean_member(cache, "no-flush", FALSE);
    return true;
}

static bool
add_backend(GPtrArray *argv, const SynOptions *options, GError **error)
{
    g_autoptr(JsonObject) node = json_object_new();
    const char *name = options->format ? "protocol" : "disk";

    for (guint i = 0; options->blockdevs && options->blockdevs[i]; i++) {
        add(argv, "-blockdev", g_strdup(options->blockdevs[i]));
    }
    if (options->blockdevs) {
        return true;
    }
    json_object_set_string_member(node, "node-name", name);
    if (strcmp(options->backend, "null") == 0) {
        json_object_set_string_member(node, "driver", "null-co");
        json_object_set_int_member(node, "size", NULL_BYTES);
        json_object_set_boolean_member(node, "read-zeroes", FALSE);
    } else if (!file_node(node, options, error)) {
        return false;
    }
    add(argv, "-blockdev", to_text(node));
    if (options->format) {
        g_autoptr(JsonObject) format = json_object_new();

        json_object_set_string_member(format, "driver", options->format);
        json_object_set_string_member(format, "node-name", "disk");
        json_object_set_string_member(format, "file", name);
        add(argv, "-blockdev", to_text(format));
    }
    return true;
}

/* The IOThread of each queue. */
static bool
read_map(const SynOptions *options, unsigned *map, GError **error)
{
    g_auto(GStrv) parts = options->map ? g_strsplit(options->map, ",", -1) : NULL;

    for (int i = 0; i < options->queues; i++) {
        map[i] = (unsigned)(i % options->iothreads);
    }
    if (parts && g_strv_length(parts) != (guint)options->queues) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "--map %s has not %d numbers, one a queue",
                    options->map, options->queues);
        return false;
    }
    for (int i = 0; parts && parts[i]; i++) {
        guint64 value;

        if (!g_ascii_string_to_unsigned(parts[i], 10, 0, (guint64)options->iothreads - 1, &value,
                                        NULL)) {
            g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID,
                        "--map: '%s' is not an IOThread of 0..%d (--iothreads)", parts[i],
                        options->iothreads - 1);
            return false;
        }
        map[i] = (unsigned)value;
    }
    return true;
}

/* "iothread-vq-mapping": queues that no IOThread has are not allowed, nor IOThreads without. */
static JsonArray *
mapping(const SynOptions *options, const unsigned *map)
{
    JsonArray *list = json_array_new();

    for (unsigned i = 0; i < (unsigned)options->iothreads; i++) {
        g_autofree char *name = g_strdup_printf("io%u", i);
        JsonArray *queues = json_array_new();

        for (int q = 0; q < options->queues; q++) {
            if (map[q] == i) {
                json_array_add_int_element(queues, q);
            }
        }
        if (json_array_get_length(queues) > 0) {
            JsonObject *entry = json_object_new();

            json_object_set_string_member(entry, "iothread", name);
            json_object_set_array_member(entry, "vqs", queues);
            json_array_add_object_element(list, entry);
        } else {
            json_array_unref(queues);
        }
    }
    return list;
}

static bool
add_device(GPtrArray *argv, const SynOptions *options, GError **error)
{
    g_autoptr(JsonObject) device = json_object_new();
    unsigned map[SYN_MAX_QUEUES];
    SynRingShape shape = {.indirect = options->indirect,
                          .packed = options->packed,
                          .slots = (unsigned)options->depth,
                          .segments = (unsigned)options->segments};

    if (!read_map(options, map, error)) {
        return false;
    }
    json_object_set_string_member(device, "driver", "virtio-blk-pci");
    json_object_set_string_member(device, "id", "vd");
    json_object_set_string_member(device, "drive", "disk");
    json_object_set_int_member(device, "num-queues", options->queues);
    json_object_set_int_member(device, "queue-size", MAX(256, syn_ring_size(&shape)));
    json_object_set_boolean_member(device, "packed", options->packed);
    json_object_set_array_member(device, "iothread-vq-mapping", mapping(options, map));
    if (!add_members(device, "device", options->device, error)) {
        return false;
    }
    add(argv, "-device", to_text(device));
    return true;
}

static bool
add_iothreads(GPtrArray *argv, const SynOptions *options, GError **error)
{
    for (int i = 0; i < options->iothreads; i++) {
        g_autoptr(JsonObject) object = json_object_new();
        g_autofree char *name = g_strdup_printf("io%d", i);

        json_object_set_string_member(object, "qom-type", "iothread");
        json_object_set_string_member(object, "id", name);
        if (!add_members(object, "iothread", options->iothread, error)) {
            return false;
        }
        add(argv, "-object", to_text(object));
    }
    return true;
}

static void
add_machine(GPtrArray *argv, const char *accel, const SynQemuFds *fds)
{
    guint64 bytes = fds->memory_bytes;

    add(argv, "-name", g_strdup("synthetic-guest"));
    add(argv, "-machine", g_strdup("q35,memory-backend=ram,graphics=off"));
    add(argv, "-accel", g_strdup(accel));
    add(argv, "-m", g_strdup_printf("%" G_GUINT64_FORMAT "M", bytes >> 20));
    add(argv, "-object",
        g_strdup_printf("memory-backend-file,id=ram,share=on,size=%" G_GUINT64_FORMAT
                        ",mem-path=/proc/self/fd/%d",
                        bytes, fds->memory));
    add(argv, "-bios", g_strdup_printf("/proc/self/fd/%d", fds->firmware));
    add(argv, "-chardev", g_strdup_printf("socket,id=qtest,fd=%d", fds->qtest));
    add(argv, "-qtest", g_strdup("chardev:qtest"));
    add(argv, "-qtest-log", g_strdup("none"));
    add(argv, "-chardev", g_strdup_printf("socket,id=qmp,fd=%d", fds->qmp));
    add(argv, "-mon", g_strdup("chardev=qmp,mode=control"));
    add(argv, "-display", g_strdup("none"));
    g_ptr_array_add(argv, g_strdup("-nodefaults"));
    g_ptr_array_add(argv, g_strdup("-no-user-config"));
}

GPtrArray *
syn_qemu_args(const SynOptions *options, const char *accel, const SynQemuFds *fds, GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(argv, g_strdup(options->qemu));
    add_machine(argv, accel, fds);
    for (guint i = 0; options->qemu_args && options->qemu_args[i]; i++) {
        g_ptr_array_add(argv, g_strdup(options->qemu_args[i]));
    }
    if (!add_iothreads(argv, options, error) || !add_backend(argv, options, error) ||
        !add_device(argv, options, error)) {
        return NULL;
    }
    g_ptr_array_add(argv, NULL);
    return g_steal_pointer(&argv);
}
