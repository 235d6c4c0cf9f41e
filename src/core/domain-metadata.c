/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where policies stand in a domain, and when one may be followed at all.
 */
#include "base/error.h"
#include "core/domain-xml.h"

#include <string.h>

static bool
contains(const char *xml, gsize length, const char *needle)
{
    return xml && memmem(xml, length, needle, strlen(needle)) != NULL;
}

bool
vq_domain_may_concern(const char *xml, gsize length)
{
    if (contains(xml, length, "urn:virtqueued:") || contains(xml, length, "virtqueue:"))
        return true;
    /* spelled with character references or entities; nobody needs that in a large document */
    return length <= VQ_XML_SIZE_MAX &&
           (contains(xml, length, "&#") || contains(xml, length, "<!DOCTYPE"));
}

VqMetadata
vq_metadata_find(const xmlNode *root)
{
    VqMetadata found = {.metadata = vq_xml_child(root, "metadata", NULL)};
    xmlNode *node = found.metadata ? found.metadata->children : NULL;

    for (; node; node = node->next) {
        const char *ns = node->type == XML_ELEMENT_NODE && node->ns ? (char *)node->ns->href : "";

        if (!found.policy && g_str_equal(ns, VQ_NS_POLICY))
            found.policy = node;
        else if (!found.state && g_str_equal(ns, VQ_NS_STATE))
            found.state = node;
        else if (!found.nova && vq_xml_is(node, "instance", VQ_NS_NOVA))
            found.nova = node;
    }
    return found;
}

/* libvirt keeps the first top-level element of a namespace and drops the others without a word. */
static void
check_single(const xmlNode *first, const char *what, VqProblems *problems)
{
    for (const xmlNode *node = first ? first->next : NULL; node; node = node->next) {
        if (node->type == XML_ELEMENT_NODE && node->ns &&
            xmlStrEqual(node->ns->href, first->ns->href))
            vq_problems_add(problems, vq_xml_line(node), VQ_ERROR_CONFLICT,
                            "a second element in namespace '%s' (the first: line %u); libvirt "
                            "keeps one: leave one %s",
                            (const char *)first->ns->href, vq_xml_line(first), what);
    }
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlBuffer, xmlBufferFree)

static void
check_size(const xmlNode *policy, VqProblems *problems)
{
    g_autoptr(xmlBuffer) buffer = xmlBufferCreate();
    int size = xmlNodeDump(buffer, policy->doc, (xmlNode *)policy, 0, 0);

    if (size > VQ_POLICY_SIZE_MAX)
        vq_problems_add(problems, vq_xml_line(policy), VQ_ERROR_LIMIT,
                        "<storage> of %d bytes is above the limit of %d", size, VQ_POLICY_SIZE_MAX);
}

/* A policy that stands anywhere else has no effect; its author thinks otherwise. */
static void
check_misplaced(const xmlNode *node, const VqMetadata *metadata, VqProblems *problems)
{
    for (; node; node = node->next) {
        if (node->type != XML_ELEMENT_NODE || node == metadata->metadata)
            continue;
        if (node->ns && g_str_equal((const char *)node->ns->href, VQ_NS_POLICY))
            vq_problems_add(problems, vq_xml_line(node), VQ_ERROR_INVALID,
                            "<%s> of namespace '%s' stands in <%s>, where it has no effect; put it "
                            "in the domain's (first) <metadata>",
                            (const char *)node->name, VQ_NS_POLICY,
                            (const char *)node->parent->name);
        else
            check_misplaced(node->children, metadata, problems);
    }
}

void
vq_iothreads_check(const xmlNode *root, VqProblems *problems)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);

    VQ_XML_FOREACH (node, vq_xml_child(root, "iothreadids", NULL), "iothread") {
        g_autofree char *text = vq_xml_attr(node, "id");
        unsigned id;

        if (!vq_parse_uint(text, G_MAXUINT, &id) || !id)
            vq_problems_add(problems, vq_xml_line(node), VQ_ERROR_INVALID,
                            "<iothread> of <iothreadids> with id='%s', which is no number above 0",
                            text ? text : "");
        else if (!g_hash_table_add(seen, GUINT_TO_POINTER(id)))
            vq_problems_add(problems, vq_xml_line(node), VQ_ERROR_CONFLICT,
                            "IOThread %u stands in <iothreadids> twice", id);
    }
}

void
vq_metadata_check(const xmlDoc *doc, const VqMetadata *metadata, VqProblems *problems)
{
    if ((metadata->policy || metadata->state) && doc->intSubset)
        vq_problems_add(problems, 1, VQ_ERROR_UNSUPPORTED,
                        "DOCTYPE in a domain with a policy of virtqueued: entities would not "
                        "survive; remove it");
    check_single(metadata->policy, "<storage>", problems);
    check_single(metadata->state, "record of the expansion", problems);
    if (metadata->policy)
        check_size(metadata->policy, problems);
    check_misplaced(xmlDocGetRootElement(doc), metadata, problems);
}

VqPolicy *
vq_policy_from_metadata(const VqMetadata *metadata, VqProblems *problems)
{
    VqPolicy *policy = metadata->policy ? vq_policy_read(metadata->policy, problems) : NULL;
    VqPolicy *nova = metadata->nova ? vq_policy_read_nova(metadata->nova, problems) : NULL;

    if (!policy || !nova)
        return policy ? policy : nova;
    vq_policy_append(policy, nova);
    return policy;
}
