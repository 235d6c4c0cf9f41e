/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vq_domain_read(): the domain as it stands, with the policies that are in force for the domain
 * as its owner wrote it. The difference is our own expansion, which must not be taken for a
 * mapping by hand.
 */
#include "base/error.h"
#include "core/domain-xml.h"
#include "core/expand-xml.h"

/* Both have the same devices in the same order: undoing an expansion adds and removes none. */
static void
take_policies(VqDomain *domain, VqDomain *original)
{
    for (guint i = 0; i < domain->devices->len && i < original->devices->len; i++) {
        VqDevice *device = g_ptr_array_index(domain->devices, i);
        const VqDevice *from = g_ptr_array_index(original->devices, i);

        device->policy = from->policy;
    }
    domain->policy = g_steal_pointer(&original->policy);
}

VqDomain *
vq_domain_read(const char *xml, gsize length, VqProblems *problems, GError **error)
{
    g_autoptr(xmlDoc) doc = vq_xml_parse(xml, length, "domain XML", error);
    xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;

    if (!doc)
        return NULL;
    if (!vq_xml_is(root, "domain", NULL)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID,
                    "line %u: the root element is <%s>, not <domain>", vq_xml_line(root),
                    (const char *)root->name);
        return NULL;
    }

    g_autoptr(VqDomain) domain = vq_domain_from_root(root);

    vq_undone_free(vq_expansion_undo(root, problems));

    g_autoptr(VqDomain) original = vq_domain_from_root(root);

    vq_domain_join(original, root, problems);
    take_policies(domain, original);
    return g_steal_pointer(&domain);
}
