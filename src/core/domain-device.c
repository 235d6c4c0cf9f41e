/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The devices of a domain that have virtqueues for requests: disks on bus virtio and virtio-scsi
 * controllers. vq_domain_device_nodes() decides which; all else follows its order.
 */
#include "core/domain-xml.h"

#include <string.h>

static const char *const scsi_models[] = {
    "virtio-scsi",
    "virtio-transitional",
    "virtio-non-transitional",
    NULL,
};

char *
vq_disk_bus(const xmlNode *disk)
{
    static const struct {
        const char *prefix, *bus;
    } guesses[] = {{"hd", "ide"}, {"sd", "scsi"}, {"vd", "virtio"}, {"xvd", "xen"}, {"ubd", "uml"}};
    const xmlNode *target = vq_xml_child(disk, "target", NULL);
    g_autofree char *device = vq_xml_attr(disk, "device");
    g_autofree char *name = vq_xml_attr(target, "dev");
    char *bus = vq_xml_attr(target, "bus");

    if (bus)
        return bus;
    if (g_strcmp0(device, "floppy") == 0)
        return g_strdup("fdc");
    for (gsize i = 0; name && i < G_N_ELEMENTS(guesses); i++) {
        if (g_str_has_prefix(name, guesses[i].prefix))
            return g_strdup(guesses[i].bus);
    }
    return g_strdup("ide");
}

static bool
is_virtio_disk(const xmlNode *node)
{
    if (!vq_xml_is(node, "disk", NULL))
        return false;

    g_autofree char *bus = vq_disk_bus(node);
    g_autofree char *name = vq_xml_attr(vq_xml_child(node, "target", NULL), "dev");

    return name && *name && g_str_equal(bus, "virtio");
}

static bool
is_scsi_controller(const xmlNode *node)
{
    g_autofree char *type = vq_xml_attr(node, "type");

    return vq_xml_is(node, "controller", NULL) && g_strcmp0(type, "scsi") == 0;
}

static bool
is_virtio_scsi(const xmlNode *node)
{
    g_autofree char *model = vq_xml_attr(node, "model");

    return is_scsi_controller(node) && model && g_strv_contains(scsi_models, model);
}

GPtrArray *
vq_domain_device_nodes(const xmlNode *root)
{
    const xmlNode *devices = vq_xml_child(root, "devices", NULL);
    GPtrArray *nodes = g_ptr_array_new();

    for (xmlNode *node = devices ? devices->children : NULL; node; node = node->next) {
        if (is_virtio_disk(node) || is_virtio_scsi(node))
            g_ptr_array_add(nodes, node);
    }
    return nodes;
}

static bool
read_index(const xmlNode *controller, unsigned *index)
{
    g_autofree char *text = vq_xml_attr(controller, "index");

    return vq_parse_uint(text, G_MAXINT, index);
}

GArray *
vq_scsi_indexes(const xmlNode *root)
{
    const xmlNode *devices = vq_xml_child(root, "devices", NULL);
    g_autoptr(GHashTable) taken = g_hash_table_new(NULL, NULL);
    GArray *indexes = g_array_new(FALSE, FALSE, sizeof(unsigned));
    unsigned index, next = 0;

    VQ_XML_FOREACH (node, devices, "controller") {
        if (is_scsi_controller(node) && read_index(node, &index))
            g_hash_table_add(taken, GUINT_TO_POINTER(index));
    }
    VQ_XML_FOREACH (node, devices, "controller") {
        if (!is_scsi_controller(node))
            continue;
        if (!read_index(node, &index)) {
            while (g_hash_table_contains(taken, GUINT_TO_POINTER(next)))
                next++;
            index = next++;
        }
        g_array_append_val(indexes, index);
    }
    return indexes;
}

/* Sources on the host: of the others, placement can know nothing. */
static char *
read_source(const xmlNode *disk)
{
    const xmlNode *source = vq_xml_child(disk, "source", NULL);
    char *path = vq_xml_attr(source, "dev");

    return path ? path : vq_xml_attr(source, "file");
}

/* Why libvirt or QEMU cannot let an IOThread serve the device; NULL if they can. */
static char *
read_unsuitable(const xmlNode *node)
{
    g_autofree char *type = vq_xml_attr(node, "type");
    g_autofree char *address = vq_xml_attr(vq_xml_child(node, "address", NULL), "type");

    if (g_strcmp0(type, "vhostuser") == 0)
        return g_strdup("is of type 'vhostuser': its queues are served by another process, not by "
                        "IOThreads of QEMU");
    if (address && !g_str_equal(address, "pci") && !g_str_equal(address, "ccw") &&
        !g_str_equal(address, "none"))
        return g_strdup_printf("has an address of type '%s'; IOThreads serve devices on 'pci' and "
                               "'ccw' only",
                               address);
    return NULL;
}

static void
map_free(gpointer data)
{
    VqQueueMap *map = data;

    g_array_unref(map->queues);
    g_free(map);
}

static VqQueueMap *
map_new(unsigned iothread)
{
    VqQueueMap *map = g_new0(VqQueueMap, 1);

    map->iothread = iothread;
    map->queues = g_array_new(FALSE, FALSE, sizeof(unsigned));
    return map;
}

static int
compare_unsigned(gconstpointer a, gconstpointer b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return (x > y) - (x < y);
}

static void
read_map(VqDevice *device, const xmlNode *iothread)
{
    g_autofree char *text = vq_xml_attr(iothread, "id");
    unsigned id, queue;

    if (!vq_parse_uint(text, G_MAXUINT, &id))
        return;

    VqQueueMap *map = map_new(id);

    VQ_XML_FOREACH (node, iothread, "queue") {
        g_autofree char *queue_text = vq_xml_attr(node, "id");

        if (vq_parse_uint(queue_text, G_MAXUINT, &queue))
            g_array_append_val(map->queues, queue);
        device->maps_explicit = true;
    }
    g_array_sort(map->queues, compare_unsigned);
    g_ptr_array_add(device->maps, map);
}

static void
deal_round_robin(VqDevice *device)
{
    unsigned queues = MIN(device->queues, VQ_QUEUES_MAX);

    for (unsigned queue = 0; device->maps->len && queue < queues; queue++) {
        VqQueueMap *map = g_ptr_array_index(device->maps, queue % device->maps->len);

        g_array_append_val(map->queues, queue);
    }
}

/*
 * QEMU's default is a queue for each vCPU on pci and one elsewhere; machine types before 5.2 had
 * one everywhere, which is not told apart here.
 */
static unsigned
default_queues(const xmlNode *node, const VqDevice *device, unsigned vcpus)
{
    g_autofree char *address = vq_xml_attr(vq_xml_child(node, "address", NULL), "type");

    if (address && !g_str_equal(address, "pci") && !g_str_equal(address, "none"))
        return 1;
    return MIN(vcpus, vq_policy_queues_max(device->kind));
}

static void
read_driver(VqDevice *device, const xmlNode *node, unsigned vcpus)
{
    const xmlNode *driver = vq_xml_child(node, "driver", NULL);
    g_autofree char *queues = vq_xml_attr(driver, "queues");
    g_autofree char *iothread = vq_xml_attr(driver, "iothread");
    unsigned id;

    /* libvirt takes queues='0' for unset */
    if (vq_parse_uint(queues, G_MAXUINT, &device->queues) && device->queues)
        device->queues_set = true;
    else
        device->queues = default_queues(node, device, vcpus);
    VQ_XML_FOREACH (map, vq_xml_child(driver, "iothreads", NULL), "iothread") {
        read_map(device, map);
    }
    if (device->maps->len == 0 && vq_parse_uint(iothread, G_MAXUINT, &id) && id)
        g_ptr_array_add(device->maps, map_new(id));
    if (!device->maps_explicit)
        deal_round_robin(device);
}

static VqDevice *
device_new(const xmlNode *node, unsigned index, unsigned vcpus)
{
    VqDevice *device = g_new0(VqDevice, 1);

    device->maps = g_ptr_array_new_with_free_func(map_free);
    device->line = vq_xml_line(node);
    device->unsuitable = read_unsuitable(node);
    if (vq_xml_is(node, "controller", NULL)) {
        device->kind = VQ_DEVICE_CONTROLLER;
        device->index = index;
        device->name = g_strdup_printf("scsi%u", index);
    } else {
        device->kind = VQ_DEVICE_DISK;
        device->name = vq_xml_attr(vq_xml_child(node, "target", NULL), "dev");
        device->source = read_source(node);
    }
    read_driver(device, node, vcpus);
    return device;
}

void
vq_domain_read_devices(VqDomain *domain, const xmlNode *root)
{
    const xmlNode *devices = vq_xml_child(root, "devices", NULL);
    g_autoptr(GArray) indexes = vq_scsi_indexes(root);
    guint scsi = 0;

    for (const xmlNode *node = devices ? devices->children : NULL; node; node = node->next) {
        unsigned index = is_scsi_controller(node) ? g_array_index(indexes, unsigned, scsi++) : 0;

        if (domain->devices->len < VQ_DEVICES_MAX && (is_virtio_disk(node) || is_virtio_scsi(node)))
            g_ptr_array_add(domain->devices, device_new(node, index, domain->vcpus));
    }
}
