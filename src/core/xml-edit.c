/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/xml-edit.h"
#include "base/error.h"

#include <libxml/xmlsave.h>
#include <string.h>

#define STEP "  " /* libvirt's indentation */

xmlNode *
vq_xml_new(xmlDoc *doc, const char *name)
{
    return xmlNewDocNode(doc, NULL, (const xmlChar *)name, NULL);
}

void
vq_xml_set_uint(xmlNode *node, const char *name, unsigned value)
{
    char text[16];

    g_snprintf(text, sizeof(text), "%u", value);
    xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)text);
}

void
vq_xml_set_text(xmlNode *node, const char *text)
{
    xmlNode *child = xmlNewDocText(node->doc, (const xmlChar *)text);

    for (xmlNode *old = node->children, *next; old; old = next) {
        next = old->next;
        xmlUnlinkNode(old);
        xmlFreeNode(old);
    }
    xmlAddChild(node, child);
}

static bool
is_blank(const xmlNode *node)
{
    return node && xmlIsBlankNode((xmlNode *)node);
}

/* The last line break and what follows it of the white space before @node; NULL if there is none.
 */
static const char *
indent_of(const xmlNode *node)
{
    if (!is_blank(node->prev))
        return NULL;
    return strrchr((const char *)node->prev->content, '\n');
}

/* White space between the children of @node, which stands at @indent. */
static void
lay_out(xmlNode *node, const char *indent)
{
    if (!indent || !vq_xml_has_elements(node))
        return;

    g_autofree char *inner = g_strconcat(indent, STEP, NULL);

    for (xmlNode *child = node->children; child; child = child->next) {
        lay_out(child, inner);
        xmlAddPrevSibling(child, xmlNewDocText(node->doc, (const xmlChar *)inner));
    }
    xmlAddChild(node, xmlNewDocText(node->doc, (const xmlChar *)indent));
}

/* A text node of its own: libxml2's functions would merge it into a neighbouring one. */
static void
link_text_before(xmlNode *node, const char *text)
{
    xmlNode *space = xmlNewDocText(node->doc, (const xmlChar *)text);

    space->parent = node->parent;
    space->next = node;
    space->prev = node->prev;
    if (node->prev)
        node->prev->next = space;
    else
        node->parent->children = space;
    node->prev = space;
}

void
vq_xml_insert_after(xmlNode *anchor, xmlNode *node)
{
    g_autofree char *indent = g_strdup(indent_of(anchor));

    xmlAddNextSibling(anchor, node);
    lay_out(node, indent);
    if (indent)
        link_text_before(node, indent);
}

void
vq_xml_insert_before(xmlNode *anchor, xmlNode *node)
{
    g_autofree char *indent = g_strdup(indent_of(anchor));
    g_autofree char *space =
        is_blank(anchor->prev) ? g_strdup((const char *)anchor->prev->content) : NULL;

    xmlAddPrevSibling(anchor, node);
    lay_out(node, indent);
    /* all of it: vq_xml_unlink() takes what stands before the node, and leaves this */
    if (space)
        link_text_before(anchor, space);
}

/* The first or last child that is neither text nor blank. */
static xmlNode *
markup_child(const xmlNode *parent, bool last)
{
    xmlNode *node = last ? parent->last : parent->children;

    while (node && (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE))
        node = last ? node->prev : node->next;
    return node;
}

static bool
insert_only_child(xmlNode *parent, xmlNode *node)
{
    const char *indent = indent_of(parent);
    xmlNode *content = parent->children;
    g_autofree char *inner = indent ? g_strconcat(indent, STEP, NULL) : NULL;

    if (content && !(is_blank(content) && strchr((const char *)content->content, '\n')))
        g_clear_pointer(&inner, g_free);
    if (content)
        xmlAddPrevSibling(content, node);
    else
        xmlAddChild(parent, node);
    lay_out(node, inner);
    if (inner && !content)
        xmlAddChild(parent, xmlNewDocText(parent->doc, (const xmlChar *)indent));
    if (inner)
        link_text_before(node, inner);
    return content != NULL;
}

bool
vq_xml_append(xmlNode *parent, xmlNode *node)
{
    xmlNode *last = markup_child(parent, true);

    if (!last)
        return insert_only_child(parent, node);
    vq_xml_insert_after(last, node);
    return false;
}

bool
vq_xml_prepend(xmlNode *parent, xmlNode *node)
{
    xmlNode *first = markup_child(parent, false);

    if (!first)
        return insert_only_child(parent, node);
    vq_xml_insert_before(first, node);
    return false;
}

static void
clear_blank(xmlNode *parent)
{
    for (const xmlNode *child = parent->children; child; child = child->next) {
        if (!is_blank(child))
            return;
    }
    for (xmlNode *child = parent->children, *next; child; child = next) {
        next = child->next;
        xmlUnlinkNode(child);
        xmlFreeNode(child);
    }
}

void
vq_xml_unlink(xmlNode *node, bool spaced)
{
    xmlNode *parent = node->parent, *space = node->prev;

    if (is_blank(space)) {
        xmlUnlinkNode(space);
        xmlFreeNode(space);
    }
    xmlUnlinkNode(node);
    if (!spaced)
        clear_blank(parent);
}

void
vq_xml_remove(xmlNode *node, bool spaced)
{
    vq_xml_unlink(node, spaced);
    xmlFreeNode(node);
}

void
vq_xml_replace(xmlNode *old, xmlNode *node)
{
    lay_out(node, indent_of(old));
    xmlReplaceNode(old, node);
    xmlFreeNode(old);
}

bool
vq_xml_has_elements(const xmlNode *node)
{
    for (const xmlNode *child = node ? node->children : NULL; child; child = child->next) {
        if (child->type == XML_ELEMENT_NODE)
            return true;
    }
    return false;
}

static bool
same_ns(const xmlNs *a, const xmlNs *b)
{
    return a == b || (a && b && xmlStrEqual(a->href, b->href));
}

static bool
same_attributes(const xmlNode *a, const xmlNode *b)
{
    int count = 0;

    for (const xmlAttr *attr = a->properties; attr; attr = attr->next, count++) {
        const xmlChar *ns = attr->ns ? attr->ns->href : NULL;
        const xmlAttr *other = xmlHasNsProp(b, attr->name, ns);
        xmlChar *x = xmlNodeGetContent((const xmlNode *)attr);
        xmlChar *y = other ? xmlNodeGetContent((const xmlNode *)other) : NULL;
        bool same = y && xmlStrEqual(x, y);

        xmlFree(x);
        xmlFree(y);
        if (!same)
            return false;
    }
    for (const xmlAttr *attr = b->properties; attr; attr = attr->next)
        count--;
    return count == 0;
}

static const xmlNode *
skip_blank(const xmlNode *node)
{
    while (is_blank(node))
        node = node->next;
    return node;
}

static bool
same_nodes(const xmlNode *a, const xmlNode *b)
{
    for (;; a = a->next, b = b->next) {
        a = skip_blank(a);
        b = skip_blank(b);
        if (!a || !b)
            return a == b;
        if (a->type != b->type)
            return false;
        if (a->type != XML_ELEMENT_NODE) {
            if (!xmlStrEqual(a->name, b->name))
                return false;
            /* the content of a reference is the entity's, and the copy of a document lacks it */
            if (a->type != XML_ENTITY_REF_NODE && !xmlStrEqual(a->content, b->content))
                return false;
            continue;
        }
        if (!xmlStrEqual(a->name, b->name) || !same_ns(a->ns, b->ns) || !same_attributes(a, b) ||
            !same_nodes(a->children, b->children))
            return false;
    }
}

bool
vq_xml_same(const xmlDoc *a, const xmlDoc *b)
{
    return same_nodes(xmlDocGetRootElement(a), xmlDocGetRootElement(b));
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlBuffer, xmlBufferFree)

char *
vq_xml_to_text(xmlDoc *doc, bool declaration, GError **error)
{
    g_autoptr(xmlBuffer) buffer = xmlBufferCreate();
    int options = XML_SAVE_AS_XML | (declaration ? 0 : XML_SAVE_NO_DECL);
    xmlSaveCtxt *save = xmlSaveToBuffer(buffer, "UTF-8", options);

    if (!save || xmlSaveDoc(save, doc) < 0 || xmlSaveClose(save) < 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_FAILED, "cannot write the document");
        return NULL;
    }
    if (xmlBufferLength(buffer) > VQ_XML_SIZE_MAX) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                    "the expanded domain XML of %d bytes is above the limit of %d bytes",
                    xmlBufferLength(buffer), VQ_XML_SIZE_MAX);
        return NULL;
    }
    return g_strndup((const char *)xmlBufferContent(buffer), xmlBufferLength(buffer));
}
