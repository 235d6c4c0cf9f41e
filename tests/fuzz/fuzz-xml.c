/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"

#include "base/xml.h"

static void
visit(const xmlNode *node, unsigned depth)
{
    g_assert_cmpuint(depth, <=, 300);
    for (; node; node = node->next) {
        if (node->type != XML_ELEMENT_NODE)
            continue;

        g_autofree char *id = vq_xml_attr(node, "id");
        g_autofree char *text = depth < 3 ? vq_xml_text(node) : NULL;

        vq_xml_line(node);
        visit(node->children, depth + 1);
    }
}

/* A document or an error, never both; and every accessor on every element. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(xmlDoc) doc = vq_xml_parse((const char *)data, size, "input", &error);

    g_assert_true(!doc == (error != NULL));
    if (doc)
        visit(xmlDocGetRootElement(doc), 0);
    return 0;
}
