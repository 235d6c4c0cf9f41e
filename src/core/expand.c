/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Expanding and collapsing, from text to text: parse, take out an earlier expansion, read what the
 * owner wishes, write it, and hand back the text only if it says something else than the input.
 */
#include "core/expand.h"
#include "base/error.h"
#include "core/expand-xml.h"

#include <string.h>

/*
 * A document that may concern us, or NULL with *@concerned false if the text is to be used as it
 * is: it is not ours to refuse what has no policy, not even what is no XML.
 */
static xmlDoc *
read_document(const char *xml, gsize length, bool *concerned, GError **error)
{
    g_autoptr(xmlDoc) doc = NULL;
    g_autoptr(GError) local = NULL;
    bool names_policy = xml && memmem(xml, length, VQ_NS_POLICY, strlen(VQ_NS_POLICY)) != NULL;
    xmlNode *root;
    VqMetadata metadata;

    *concerned = false;
    if (!vq_domain_may_concern(xml, length))
        return NULL;
    doc = vq_xml_parse(xml, length, "domain XML", &local);
    root = doc ? xmlDocGetRootElement(doc) : NULL;
    if (!doc && names_policy) {
        *concerned = true;
        g_propagate_error(error, g_steal_pointer(&local));
        return NULL;
    }
    if (!vq_xml_is(root, "domain", NULL))
        return NULL;
    metadata = vq_metadata_find(root);
    *concerned = metadata.policy || metadata.state || metadata.nova || names_policy;
    return *concerned ? g_steal_pointer(&doc) : NULL;
}

/* *@out is left NULL if @doc says what the input, @before, said. */
static bool
write_document(const char *xml, gsize length, xmlDoc *doc, const xmlDoc *before, char **out,
               GError **error)
{
    bool declaration = memmem(xml, MIN(length, 8), "<?xml", 5) != NULL; /* after a BOM too */

    *out = NULL;
    if (vq_xml_same(doc, before))
        return true;
    *out = vq_xml_to_text(doc, declaration, error);
    return *out != NULL;
}

bool
vq_expand(const char *xml, gsize length, char **out, GError **error)
{
    bool concerned;
    g_autoptr(xmlDoc) doc = read_document(xml, length, &concerned, error);
    g_autoptr(VqProblems) problems = vq_problems_new();

    *out = NULL;
    if (!doc)
        return !concerned;

    g_autoptr(xmlDoc) before = xmlCopyDoc(doc, 1);
    xmlNode *root = xmlDocGetRootElement(doc);
    g_autoptr(VqUndone) undone = vq_expansion_undo(root, problems);
    g_autoptr(VqDomain) domain = vq_domain_from_root(root);

    vq_domain_join(domain, root, problems);
    if (!vq_problems_to_error(problems, error))
        return false;
    if (!domain->policy && !domain->has_state)
        return true;
    if (!vq_expansion_write(root, domain, undone, error))
        return false;
    return write_document(xml, length, doc, before, out, error);
}

bool
vq_collapse(const char *xml, gsize length, char **out, GError **error)
{
    bool concerned;
    g_autoptr(xmlDoc) doc = read_document(xml, length, &concerned, error);
    g_autoptr(VqProblems) problems = vq_problems_new();

    *out = NULL;
    if (!doc)
        return !concerned;

    g_autoptr(xmlDoc) before = xmlCopyDoc(doc, 1);
    xmlNode *root = xmlDocGetRootElement(doc);
    VqMetadata metadata = vq_metadata_find(root);
    g_autoptr(GHashTable) nothing = g_hash_table_new(g_str_hash, g_str_equal);

    if (!metadata.state)
        return true;
    vq_metadata_check(doc, &metadata, problems);

    g_autoptr(VqUndone) undone = vq_expansion_undo(root, problems);

    if (!vq_problems_to_error(problems, error))
        return false;
    vq_expansion_move_tuning(root, undone, nothing);
    vq_xml_remove(metadata.state, true);
    return write_document(xml, length, doc, before, out, error);
}
