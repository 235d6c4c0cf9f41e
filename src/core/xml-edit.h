/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Editing a parsed document so that it looks as if its author had written the new elements: a new
 * element takes the white space of its neighbour, and taking it out again leaves every other byte
 * as it was. Internal to src/core.
 */
#pragma once

#include "base/xml.h"

/* A new element @name in no namespace, not in the tree yet. */
xmlNode *vq_xml_new(xmlDoc *doc, const char *name);

void vq_xml_set_uint(xmlNode *node, const char *name, unsigned value);

/* The text that is to be the content of @node; its present content is freed. */
void vq_xml_set_text(xmlNode *node, const char *text);

/* Puts @node (with its children) into the tree beside @anchor, laid out like it. */
void vq_xml_insert_after(xmlNode *anchor, xmlNode *node);
void vq_xml_insert_before(xmlNode *anchor, xmlNode *node);

/*
 * Puts @node behind the last child of @parent, or before the first one. Returns true if @parent
 * held nothing but white space, which vq_xml_remove() has to be told to restore it exactly.
 */
bool vq_xml_append(xmlNode *parent, xmlNode *node);
bool vq_xml_prepend(xmlNode *parent, xmlNode *node);

/*
 * Takes @node out of the tree together with the white space that came with it; the caller owns it.
 * If nothing but white space is left in its parent, that goes too unless @spaced.
 */
void vq_xml_unlink(xmlNode *node, bool spaced);
/* The same, and frees it. */
void vq_xml_remove(xmlNode *node, bool spaced);

/* Puts @node in the place of @old, laid out like it; @old is freed. */
void vq_xml_replace(xmlNode *old, xmlNode *node);

bool vq_xml_has_elements(const xmlNode *node);

/* Whether two documents say the same: white space between elements and order of attributes apart.
 */
bool vq_xml_same(const xmlDoc *a, const xmlDoc *b);

/*
 * The document as UTF-8 text, with an XML declaration if @declaration. NULL and @error if it is
 * larger than VQ_XML_SIZE_MAX. Free with g_free().
 */
char *vq_xml_to_text(xmlDoc *doc, bool declaration, GError **error);
