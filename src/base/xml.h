/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libxml2 with fences: what libvirt's own parser refuses, and a little more, is refused here with
 * an error that names the line.
 *
 * In-process safe, since the caller may be the libvirt daemon: xmlCleanupParser() is never called,
 * nothing is printed, and the thread's error handler is another one only while a call runs.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <libxml/tree.h>

/* Bytes of one document; libvirt's RPC ends at 4 MiB a string and its output is larger than its
 * input. */
#define VQ_XML_SIZE_MAX (1024 * 1024)

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)

/*
 * Parses @length bytes of UTF-8 XML with the flags that libvirt uses (no network, no entity
 * substitution, no DTD loading, depth limit 256). @what names the input in
 * errors ("domain XML"). Errors: VQ_ERROR_INVALID with line and the parser's text, VQ_ERROR_LIMIT.
 * Any thread.
 */
xmlDoc *vq_xml_parse(const char *text, gsize length, const char *what, GError **error);

/* The same with another limit than VQ_XML_SIZE_MAX, for machines' descriptions. */
xmlDoc *vq_xml_parse_sized(const char *text, gsize length, gsize max, const char *what,
                           GError **error);

/* Whether @node is an element @name in namespace @ns (NULL: in no namespace). */
bool vq_xml_is(const xmlNode *node, const char *name, const char *ns);

/* The first child element @name in namespace @ns, or NULL. @node may be NULL. */
xmlNode *vq_xml_child(const xmlNode *node, const char *name, const char *ns);

/* The next sibling element @name in namespace @ns, or NULL. */
xmlNode *vq_xml_next(const xmlNode *node, const char *name, const char *ns);

/* for each child element @name of @parent, in no namespace */
#define VQ_XML_FOREACH(node, parent, name)                                                         \
    for (xmlNode *node = vq_xml_child((parent), (name), NULL); node;                               \
         node = vq_xml_next(node, (name), NULL))

/* An attribute or text longer than this is cut off, before it has twice as many bytes: entities
 * would make gigabytes of a small document. */
#define VQ_XML_TEXT_MAX (64 * 1024)

/* Attribute @name (no namespace) of @node, or NULL. @node may be NULL. Free with g_free(). */
char *vq_xml_attr(const xmlNode *node, const char *name);

/* Text content of @node, stripped; NULL if @node is NULL. Free with g_free(). */
char *vq_xml_text(const xmlNode *node);

/* The 1-based line of @node; right beyond line 65535 too. */
unsigned vq_xml_line(const xmlNode *node);

/* A decimal number of 0..@max, nothing around it; false, with *@value untouched, otherwise. */
bool vq_parse_uint(const char *text, unsigned max, unsigned *value);
