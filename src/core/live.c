/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/live.h"

#include "base/error.h"
#include "base/xml.h"

#include <stdlib.h>

/* More of either than libvirt and QEMU serve is not believed. */
#define THREADS_MAX 16384
#define VCPUS_MAX   8192

static void
thread_free(gpointer data)
{
    VqLiveThread *thread = data;

    vq_cpuset_free(thread->pin);
    g_free(thread);
}

static void
vcpu_free(gpointer data)
{
    VqLiveVcpu *vcpu = data;

    vq_cpuset_free(vcpu->pin);
    g_free(vcpu);
}

void
vq_live_free(VqLive *live)
{
    if (!live)
        return;
    g_ptr_array_unref(live->threads);
    g_ptr_array_unref(live->vcpus);
    vq_cpuset_free(live->emulator_pin);
    vq_cpuset_free(live->default_cpus);
    g_free(live);
}

static VqCpuset *
attr_cpuset(const xmlNode *node, const char *name)
{
    g_autofree char *text = vq_xml_attr(node, name);

    return text ? vq_cpuset_parse(text, NULL) : NULL;
}

static bool
attr_uint(const xmlNode *node, const char *name, unsigned max, unsigned *value)
{
    g_autofree char *text = vq_xml_attr(node, name);

    return vq_parse_uint(text, max, value);
}

static void
read_poll(VqLiveThread *thread, const xmlNode *node)
{
    const xmlNode *poll = vq_xml_child(node, "poll", NULL);
    unsigned value;

    thread->has_poll = poll != NULL;
    thread->poll.max_ns = VQ_POLL_QEMU_MAX_NS;
    if (attr_uint(poll, "max", G_MAXUINT, &value))
        thread->poll.max_ns = value;
    if (attr_uint(poll, "grow", G_MAXUINT, &value))
        thread->poll.grow = value;
    if (attr_uint(poll, "shrink", G_MAXUINT, &value))
        thread->poll.shrink = value;
}

static VqLiveThread *
add_thread(VqLive *live, unsigned id)
{
    VqLiveThread *thread = g_new0(VqLiveThread, 1);

    thread->iothread = id;
    thread->poll.max_ns = VQ_POLL_QEMU_MAX_NS;
    g_ptr_array_add(live->threads, thread);
    return thread;
}

static int
compare_threads(gconstpointer a, gconstpointer b)
{
    const VqLiveThread *left = *(VqLiveThread *const *)a, *right = *(VqLiveThread *const *)b;

    return (left->iothread > right->iothread) - (left->iothread < right->iothread);
}

/* libvirt lists ids in <iothreadids> when any differs from 1..n, or has settings of its own. */
static void
read_threads(VqLive *live, const xmlNode *root)
{
    g_autofree char *count_text = vq_xml_text(vq_xml_child(root, "iothreads", NULL));
    const xmlNode *ids = vq_xml_child(root, "iothreadids", NULL);
    unsigned count = 0, id;

    VQ_XML_FOREACH (node, ids, "iothread") {
        if (attr_uint(node, "id", G_MAXUINT, &id) && live->threads->len < THREADS_MAX &&
            !vq_live_thread(live, id))
            read_poll(add_thread(live, id), node);
    }
    vq_parse_uint(count_text, THREADS_MAX, &count);
    for (id = 1; live->threads->len < count; id++) {
        if (!vq_live_thread(live, id))
            add_thread(live, id);
    }
    g_ptr_array_sort(live->threads, compare_threads);
}

static void
add_vcpu(VqLive *live, unsigned number)
{
    VqLiveVcpu *vcpu = g_new0(VqLiveVcpu, 1);

    vcpu->vcpu = number;
    g_ptr_array_add(live->vcpus, vcpu);
}

/* <vcpus> lists them singly where some can be plugged; else the first "current" ones are online. */
static void
read_vcpus(VqLive *live, const xmlNode *root)
{
    const xmlNode *node = vq_xml_child(root, "vcpu", NULL);
    const xmlNode *list = vq_xml_child(root, "vcpus", NULL);
    g_autofree char *text = vq_xml_text(node);
    unsigned online = 0;

    live->default_cpus = attr_cpuset(node, "cpuset");
    if (list) {
        VQ_XML_FOREACH (vcpu, list, "vcpu") {
            g_autofree char *enabled = vq_xml_attr(vcpu, "enabled");
            unsigned id;

            if (g_strcmp0(enabled, "yes") == 0 && attr_uint(vcpu, "id", VCPUS_MAX, &id) &&
                live->vcpus->len < VCPUS_MAX)
                add_vcpu(live, id);
        }
        return;
    }
    if (!attr_uint(node, "current", VCPUS_MAX, &online))
        vq_parse_uint(text, VCPUS_MAX, &online);
    for (unsigned i = 0; i < online; i++)
        add_vcpu(live, i);
}

static void
pin_vcpu(VqLive *live, unsigned number, const xmlNode *node)
{
    for (guint i = 0; i < live->vcpus->len; i++) {
        VqLiveVcpu *vcpu = g_ptr_array_index(live->vcpus, i);

        if (vcpu->vcpu == number && !vcpu->pin)
            vcpu->pin = attr_cpuset(node, "cpuset");
    }
}

/* One <iothreadpin> or <vcpupin>. */
static void
read_pin(VqLive *live, const xmlNode *node)
{
    bool is_vcpu = vq_xml_is(node, "vcpupin", NULL);
    unsigned number;

    if (!attr_uint(node, is_vcpu ? "vcpu" : "iothread", G_MAXUINT, &number))
        return;
    if (is_vcpu) {
        pin_vcpu(live, number, node);
        return;
    }

    VqLiveThread *thread = (VqLiveThread *)vq_live_thread(live, number);

    if (thread && !thread->pin)
        thread->pin = attr_cpuset(node, "cpuset");
}

static void
read_pins(VqLive *live, const xmlNode *tune)
{
    VQ_XML_FOREACH (node, tune, "iothreadpin")
        read_pin(live, node);
    VQ_XML_FOREACH (node, tune, "vcpupin")
        read_pin(live, node);
    live->emulator_pin = attr_cpuset(vq_xml_child(tune, "emulatorpin", NULL), "cpuset");
}

VqLive *
vq_live_read(const char *xml, gsize length, GError **error)
{
    g_autoptr(xmlDoc) doc = vq_xml_parse(xml, length, "live domain XML", error);
    const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    g_autoptr(VqLive) live = NULL;

    if (!doc)
        return NULL;
    if (!vq_xml_is(root, "domain", NULL)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "live domain XML: no <domain> element");
        return NULL;
    }
    live = g_new0(VqLive, 1);
    live->threads = g_ptr_array_new_with_free_func(thread_free);
    live->vcpus = g_ptr_array_new_with_free_func(vcpu_free);
    read_threads(live, root);
    read_vcpus(live, root);
    read_pins(live, vq_xml_child(root, "cputune", NULL));
    return g_steal_pointer(&live);
}

const VqLiveThread *
vq_live_thread(const VqLive *live, unsigned iothread)
{
    for (guint i = 0; i < live->threads->len; i++) {
        const VqLiveThread *thread = g_ptr_array_index(live->threads, i);

        if (thread->iothread == iothread)
            return thread;
    }
    return NULL;
}
