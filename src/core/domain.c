/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domain XML -> VqDomain: identity, vCPUs, IOThreads, NUMA. Partners: domain-device.c (devices),
 * domain-policy.c (policy against the rest), expand-undo.c (what is ours is taken out before the
 * owner's own settings are judged).
 */
#include "base/error.h"
#include "core/domain-xml.h"

#include <string.h>

static void
device_free(gpointer data)
{
    VqDevice *device = data;

    g_free(device->name);
    g_free(device->source);
    g_free(device->unsuitable);
    g_ptr_array_unref(device->maps);
    g_free(device);
}

void
vq_domain_free(VqDomain *domain)
{
    if (!domain)
        return;
    g_free(domain->name);
    g_free(domain->uuid);
    g_array_unref(domain->iothreads);
    vq_cpuset_free(domain->memory_nodes);
    vq_cpuset_free(domain->vcpu_cpus);
    g_ptr_array_unref(domain->devices);
    vq_policy_free(domain->policy);
    g_free(domain);
}

bool
vq_domain_is_managed(const VqDomain *domain)
{
    for (guint i = 0; i < domain->devices->len; i++) {
        const VqDevice *device = g_ptr_array_index(domain->devices, i);

        if (device->policy)
            return true;
    }
    return false;
}

/* libvirt takes a UUID with or without dashes, in either case; NULL if it is none. */
static char *
read_uuid(const xmlNode *root)
{
    g_autofree char *text = vq_xml_text(vq_xml_child(root, "uuid", NULL));
    g_autoptr(GString) uuid = g_string_new(NULL);
    unsigned digits = 0;

    for (const char *p = text; p && *p; p++) {
        if (g_ascii_isxdigit(*p)) {
            if (digits == 8 || digits == 12 || digits == 16 || digits == 20)
                g_string_append_c(uuid, '-');
            g_string_append_c(uuid, g_ascii_tolower(*p));
            digits++;
        } else if (*p != '-' && !g_ascii_isspace(*p)) {
            return NULL;
        }
    }
    return digits == 32 ? g_string_free(g_steal_pointer(&uuid), FALSE) : NULL;
}

static unsigned
read_number(const xmlNode *node, unsigned fallback)
{
    g_autofree char *text = vq_xml_text(node);
    unsigned value;

    return vq_parse_uint(text, G_MAXUINT, &value) ? value : fallback;
}

static int
read_id(const xmlNode *root)
{
    g_autofree char *text = vq_xml_attr(root, "id");
    unsigned id;

    return vq_parse_uint(text, G_MAXINT, &id) ? (int)id : -1;
}

static int
compare_unsigned(gconstpointer a, gconstpointer b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return (x > y) - (x < y);
}

GArray *
vq_iothread_ids(const GArray *ids, unsigned count)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(unsigned));
    g_autoptr(GHashTable) taken = g_hash_table_new(NULL, NULL);

    count = MIN(count, VQ_IOTHREADS_MAX);
    for (guint i = 0; i < ids->len && i < VQ_IOTHREADS_MAX; i++) {
        unsigned id = g_array_index(ids, unsigned, i);

        g_array_append_val(all, id);
        g_hash_table_add(taken, GUINT_TO_POINTER(id));
    }
    for (unsigned id = 1; all->len < count && id <= count; id++) {
        if (!g_hash_table_contains(taken, GUINT_TO_POINTER(id)))
            g_array_append_val(all, id);
    }
    return all;
}

static GArray *
read_iothreads(const xmlNode *root)
{
    g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(unsigned));

    VQ_XML_FOREACH (iothread, vq_xml_child(root, "iothreadids", NULL), "iothread") {
        g_autofree char *text = vq_xml_attr(iothread, "id");
        unsigned id;

        if (vq_parse_uint(text, G_MAXUINT, &id))
            g_array_append_val(ids, id);
    }

    GArray *all = vq_iothread_ids(ids, read_number(vq_xml_child(root, "iothreads", NULL), 0));

    g_array_sort(all, compare_unsigned);
    return all;
}

/* Adds a cpuset attribute; what cannot be read is libvirt's to refuse. */
static void
add_set(VqCpuset *to, const xmlNode *node, const char *attribute)
{
    g_autofree char *text = vq_xml_attr(node, attribute);
    g_autoptr(VqCpuset) set = text ? vq_cpuset_parse(text, NULL) : NULL;

    if (set)
        vq_cpuset_union(to, set);
}

static VqCpuset *
read_memory_nodes(const xmlNode *root)
{
    const xmlNode *numatune = vq_xml_child(root, "numatune", NULL);
    VqCpuset *nodes = vq_cpuset_new();

    add_set(nodes, vq_xml_child(numatune, "memory", NULL), "nodeset");
    VQ_XML_FOREACH (memnode, numatune, "memnode") {
        add_set(nodes, memnode, "nodeset");
    }
    return nodes;
}

/* <vcpupin> says it for each vCPU, <vcpu cpuset=> for all the others. */
static VqCpuset *
read_vcpu_cpus(const xmlNode *root)
{
    VqCpuset *cpus = vq_cpuset_new();

    VQ_XML_FOREACH (pin, vq_xml_child(root, "cputune", NULL), "vcpupin") {
        add_set(cpus, pin, "cpuset");
    }
    add_set(cpus, vq_xml_child(root, "vcpu", NULL), "cpuset");
    return cpus;
}

VqDomain *
vq_domain_from_root(const xmlNode *root)
{
    VqDomain *domain = g_new0(VqDomain, 1);

    domain->name = vq_xml_text(vq_xml_child(root, "name", NULL));
    domain->uuid = read_uuid(root);
    domain->id = read_id(root);
    domain->vcpus = MAX(read_number(vq_xml_child(root, "vcpu", NULL), 1), 1);
    domain->iothreads = read_iothreads(root);
    domain->memory_nodes = read_memory_nodes(root);
    domain->vcpu_cpus = read_vcpu_cpus(root);
    domain->devices = g_ptr_array_new_with_free_func(device_free);
    domain->has_state = vq_metadata_find(root).state != NULL;
    vq_domain_read_devices(domain, root);
    return domain;
}
