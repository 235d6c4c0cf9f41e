/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "core/domain.h"
#include "core/expand.h"

#include <string.h>

#define STORAGE "<vq:storage xmlns:vq='urn:virtqueued:domain:1.0'>"

static const char full[] =
    "<domain type='kvm' id='7'>\n"
    "<name> vm1 </name><uuid>C7A5FDBD EDAF9455926AD65C16DB1809</uuid>\n"
    "<metadata>" STORAGE "<vq:disk target='vda' placement='dedicated' weight='7'/>"
    "<vq:disk target='*' queues='2'/></vq:storage></metadata>\n"
    "<vcpu current='1' cpuset='8-9'>3</vcpu><iothreads>4</iothreads>\n"
    "<iothreadids><iothread id='9'/><iothread id='2'/></iothreadids>\n"
    "<cputune><vcpupin vcpu='0' cpuset='4-5,^5'/></cputune>\n"
    "<numatune><memory mode='strict' nodeset='1'/><memnode cellid='0' mode='strict' nodeset='3'/>"
    "</numatune><devices>\n"
    "<disk type='block'><driver queues='3'><iothreads><iothread id='9'/><iothread id='2'/>"
    "</iothreads></driver><source dev='/dev/sdx'/><target dev='vda'/></disk>\n"
    "<disk type='file'><source file='/a'/><target dev='vdb' bus='virtio'/>"
    "<address type='ccw' cssid='0xfe' ssid='0x0' devno='0x0001'/></disk>\n"
    "<disk type='file'><driver iothread='1'/><source file='/b'/><target dev='vdc'/></disk>\n"
    "<disk type='file'><source file='/c'/><target dev='sda' bus='scsi'/></disk>\n"
    "<controller type='scsi' model='lsilogic' index='0'/><controller type='scsi' "
    "model='virtio-scsi'/>\n"
    "</devices></domain>";

static VqDomain *
read_text(const char *text)
{
    g_autoptr(VqProblems) problems = vq_problems_new();
    g_autoptr(GError) error = NULL;
    VqDomain *domain = vq_domain_read(text, strlen(text), problems, &error);

    g_assert_no_error(error);
    g_assert_true(vq_problems_empty(problems));
    return domain;
}

static void
assert_set(const VqCpuset *set, const char *expected)
{
    g_autofree char *text = vq_cpuset_format(set);

    g_assert_cmpstr(text, ==, expected);
}

static void
test_identity(void)
{
    g_autoptr(VqDomain) domain = read_text(full);
    const unsigned ids[] = {1, 2, 3, 9};

    g_assert_cmpstr(domain->name, ==, "vm1");
    g_assert_cmpstr(domain->uuid, ==, "c7a5fdbd-edaf-9455-926a-d65c16db1809");
    g_assert_cmpint(domain->id, ==, 7);
    g_assert_cmpuint(domain->vcpus, ==, 3);
    g_assert_cmpmem(domain->iothreads->data, domain->iothreads->len * sizeof(unsigned), ids,
                    sizeof(ids));
    assert_set(domain->memory_nodes, "1,3");
    assert_set(domain->vcpu_cpus, "4,8-9");
    g_assert_false(domain->has_state);
    g_assert_true(vq_domain_is_managed(domain));
}

static void
assert_map(const VqDevice *device, guint i, unsigned iothread, guint queues)
{
    const VqQueueMap *map = g_ptr_array_index(device->maps, i);

    g_assert_cmpuint(map->iothread, ==, iothread);
    g_assert_cmpuint(map->queues->len, ==, queues);
}

static void
test_devices(void)
{
    g_autoptr(VqDomain) domain = read_text(full);
    const VqDevice *const *d = (const VqDevice *const *)domain->devices->pdata;

    g_assert_cmpuint(domain->devices->len, ==, 4);
    g_assert_cmpstr(d[0]->name, ==, "vda");
    g_assert_cmpstr(d[0]->source, ==, "/dev/sdx");
    g_assert_cmpuint(d[0]->maps->len, ==, 2);
    assert_map(d[0], 0, 9, 2);
    assert_map(d[0], 1, 2, 1);
    g_assert_cmpuint(d[0]->policy->weight, ==, 7);
    g_assert_cmpint(d[0]->policy->placement, ==, VQ_PLACEMENT_DEDICATED);
    /* QEMU gives one queue to a device that is not on pci */
    g_assert_cmpuint(d[1]->queues, ==, 1);
    g_assert_false(d[1]->queues_set);
    g_assert_cmpuint(d[1]->policy->queues, ==, 2);
    /* '*' passes over a disk with an IOThread by hand */
    assert_map(d[2], 0, 1, 3);
    g_assert_null(d[2]->policy);
    g_assert_cmpstr(d[3]->name, ==, "scsi1");
    g_assert_cmpuint(d[3]->index, ==, 1);
}

static void
test_not_a_domain(void)
{
    static const char *const texts[] = {"", "x", "<domain", "<network/>",
                                        "<x:domain xmlns:x='y'/>"};

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(VqProblems) problems = vq_problems_new();
        g_autoptr(GError) error = NULL;

        g_assert_null(vq_domain_read(texts[i], strlen(texts[i]), problems, &error));
        g_assert_error(error, VQ_ERROR, VQ_ERROR_INVALID);
    }
}

/* A domain of more than VQ_XML_SIZE_MAX bytes, with @metadata. */
static char *
large_domain(const char *metadata)
{
    g_autofree char *filler = g_strnfill(VQ_XML_SIZE_MAX, 'x');

    return g_strdup_printf("<domain type='kvm'><metadata>%s</metadata><description>%s&#10;"
                           "</description></domain>",
                           metadata, filler);
}

static void
test_size(void)
{
    g_autofree char *foreign = large_domain("<a:b xmlns:a='urn:a'/>");
    g_autofree char *ours = large_domain(STORAGE "<vq:disk target='vda'/></vq:storage>");
    g_autoptr(GError) error = NULL;
    char *out = NULL;

    g_assert_true(vq_expand(foreign, strlen(foreign), &out, &error));
    g_assert_no_error(error);
    g_assert_null(out);
    g_assert_false(vq_expand(ours, strlen(ours), &out, &error));
    g_assert_error(error, VQ_ERROR, VQ_ERROR_LIMIT);
    g_assert_null(out);
}

/* What has no policy is not ours to refuse, be it XML or not; length counts, not a final NUL. */
static void
test_not_ours(void)
{
    static const char *const texts[] = {
        "",
        "garbage",
        "<domain",
        "&#x",
        "<!DOCTYPE domain [<!ENTITY a 'b'>]><domain type='kvm'><name>&a;</name></domain>",
        "<!DOCTYPE domain [<!ENTITY a 'b'>]><domain type='kvm'><metadata><x xmlns:v='" VQ_NS_POLICY
        "'/></metadata><name>&a;</name></domain>",
        "<network>urn:virtqueued:</network>",
        "<domain type='kvm'><description>virtqueue:queues</description></domain>",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *exact = g_memdup2(texts[i], strlen(texts[i]));
        g_autoptr(GError) error = NULL;
        char *out = NULL;

        g_assert_true(vq_expand(exact, strlen(texts[i]), &out, &error));
        g_assert_no_error(error);
        g_assert_null(out);
        g_assert_true(vq_collapse(exact, strlen(texts[i]), &out, &error));
        g_assert_null(out);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/domain/identity", test_identity);
    g_test_add_func("/domain/devices", test_devices);
    g_test_add_func("/domain/not-a-domain", test_not_a_domain);
    g_test_add_func("/expand/size", test_size);
    g_test_add_func("/expand/not-ours", test_not_ours);
    return g_test_run();
}
