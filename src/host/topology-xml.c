/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fences around hwloc's XML reader. A distribution's hwloc may read XML with libxml2 or with a
 * parser of its own that takes only what hwloc writes (no comment, no entity); both trust counts
 * and indexes. So the document is parsed here, checked, and handed on as hwloc would have written
 * it. Partner: topology-hwloc.c.
 */
#include "host/topology-xml.h"
#include "base/cpuset.h"
#include "base/error.h"
#include "base/xml.h"
#include "host/topology-convert.h"

#include <string.h>
#include <sys/stat.h>

/* Objects of one machine: 16384 CPUs with their cores and caches, and devices. */
#define OBJECTS_MAX 200000
#define DEPTH_MAX   128 /* levels of nesting; hwloc's own limit of object depths */

typedef struct {
    const char *origin;
    unsigned objects;
} Clean;

char *
vq_topology_xml_read(const char *path, gsize *length, GError **error)
{
    struct stat st;
    char *text = NULL;

    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s: not a regular file", path);
        return NULL;
    }
    if (st.st_size > VQ_TOPOLOGY_XML_MAX) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                    "%s: %" G_GINT64_FORMAT " bytes are above the limit of %d", path,
                    (gint64)st.st_size, VQ_TOPOLOGY_XML_MAX);
        return NULL;
    }
    if (!g_file_get_contents(path, &text, length, error))
        return NULL;
    return text;
}

static bool
refuse(const Clean *clean, const xmlNode *node, int code, const char *what, GError **error)
{
    g_set_error(error, VQ_ERROR, code, "line %u: %s: <%s> %s", vq_xml_line(node), clean->origin,
                (const char *)node->name, what);
    return false;
}

/* hwloc's sets: words of up to 32 bits in hexadecimal, comma separated, "0xf...f" first if the set
 * has no end. A set without end, or beyond our numbers, would let loops over it run for long. */
static bool
check_set(const Clean *clean, const xmlNode *node, const char *name, GError **error)
{
    g_autofree char *text = vq_xml_attr(node, name);
    unsigned words = 0;

    if (!text)
        return true;
    if (strstr(text, "...")) {
        /* complete sets may be endless where the machine's size is unknown: that tells nothing */
        if (!g_str_has_prefix(name, "complete_"))
            return refuse(clean, node, VQ_ERROR_INVALID, "has a set without end", error);
        xmlUnsetProp((xmlNode *)node, (const xmlChar *)name);
        return true;
    }
    if (strspn(text, "0123456789abcdefABCDEFx,") != strlen(text))
        return refuse(clean, node, VQ_ERROR_INVALID, "has a set that is not hexadecimal", error);
    for (const char *p = text; *p; p++)
        words += *p == ',';
    if (words >= VQ_CPUSET_MAX / 32 || strlen(text) > VQ_CPUSET_MAX)
        return refuse(clean, node, VQ_ERROR_LIMIT, "has a set with numbers above the limit", error);
    return true;
}

static bool
check_number(const Clean *clean, const xmlNode *node, const char *name, unsigned max,
             GError **error)
{
    g_autofree char *text = vq_xml_attr(node, name);
    unsigned value;

    if (!text || vq_parse_uint(text, max, &value))
        return true;

    g_autofree char *what =
        g_strdup_printf("has %s='%.20s', which is not a number of 0..%u", name, text, max);

    return refuse(clean, node, VQ_ERROR_LIMIT, what, error);
}

static bool
is_device(const char *type)
{
    static const char *const devices[] = {"Bridge", "PCIDev", "OSDev", "Misc", NULL};

    return g_strv_contains(devices, type);
}

static bool
check_object(Clean *clean, const xmlNode *node, GError **error)
{
    static const char *const sets[] = {"cpuset",          "complete_cpuset", "online_cpuset",
                                       "allowed_cpuset",  "nodeset",         "complete_nodeset",
                                       "allowed_nodeset", "root_cpuset"};
    g_autofree char *type = vq_xml_attr(node, "type");
    bool numbered = type && (g_str_equal(type, "PU") || g_str_equal(type, "NUMANode") ||
                             g_str_equal(type, "Core") || g_str_equal(type, "Package"));

    if (!type)
        return refuse(clean, node, VQ_ERROR_INVALID, "has no type", error);
    if (!is_device(type) && !xmlHasProp((xmlNode *)node, (const xmlChar *)"cpuset"))
        return refuse(clean, node, VQ_ERROR_INVALID, "has no cpuset", error); /* hwloc crashes */
    if (++clean->objects > OBJECTS_MAX)
        return refuse(clean, node, VQ_ERROR_LIMIT, "is one object too many (limit 200000)", error);
    for (guint i = 0; i < G_N_ELEMENTS(sets); i++) {
        if (!check_set(clean, node, sets[i], error))
            return false;
    }
    return !numbered || g_str_equal(type, "Core") || g_str_equal(type, "Package") ||
           check_number(clean, node, "os_index", VQ_CPUSET_MAX - 1, error);
}

static bool
check_element(Clean *clean, const xmlNode *node, GError **error)
{
    if (vq_xml_is(node, "object", NULL))
        return check_object(clean, node, error);
    if (vq_xml_is(node, "distances", NULL) || vq_xml_is(node, "distances2", NULL) ||
        vq_xml_is(node, "distances2hetero", NULL))
        return check_number(clean, node, "nbobjs", VQ_TOPOLOGY_NODES_MAX, error);
    if (vq_xml_is(node, "cpukind", NULL))
        return check_set(clean, node, "cpuset", error);
    return true;
}

/* What hwloc's own reader stumbles over, or what we have no use for and should not trust. */
static bool
unwanted(const xmlNode *node)
{
    return (node->type != XML_ELEMENT_NODE && node->type != XML_TEXT_NODE) ||
           vq_xml_is(node, "userdata", NULL);
}

static bool
walk(Clean *clean, xmlNode *parent, unsigned depth, GError **error)
{
    if (depth > DEPTH_MAX)
        return refuse(clean, parent, VQ_ERROR_LIMIT, "is nested too deeply (limit 128)", error);
    for (xmlNode *node = parent->children, *next; node; node = next) {
        next = node->next;
        if (unwanted(node)) {
            xmlUnlinkNode(node);
            xmlFreeNode(node);
        } else if (node->type == XML_ELEMENT_NODE &&
                   (!check_element(clean, node, error) || !walk(clean, node, depth + 1, error))) {
            return false;
        }
    }
    return true;
}

char *
vq_topology_xml_clean(const char *text, gsize length, const char *origin, GError **error)
{
    g_autoptr(xmlDoc) doc = vq_xml_parse_sized(text, length, VQ_TOPOLOGY_XML_MAX, origin, error);
    Clean clean = {.origin = origin};
    xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    xmlChar *out = NULL;
    char *copy;
    int size;

    if (!root)
        return NULL;
    if (doc->intSubset && doc->intSubset->children)
        return refuse(&clean, root, VQ_ERROR_INVALID, "has declarations in its DOCTYPE", error),
               NULL;
    if (!vq_xml_is(root, "topology", NULL) && !vq_xml_is(root, "root", NULL))
        return refuse(&clean, root, VQ_ERROR_INVALID,
                      "is not what an hwloc XML file begins with (<topology>)", error),
               NULL;
    if (!walk(&clean, root, 0, error))
        return NULL;
    for (xmlNode *node = doc->children, *next; node; node = next) {
        next = node->next;
        if (node->type == XML_COMMENT_NODE || node->type == XML_PI_NODE) {
            xmlUnlinkNode(node);
            xmlFreeNode(node);
        }
    }
    xmlDocDumpFormatMemoryEnc(doc, &out, &size, "UTF-8", 0);
    copy = g_strdup((const char *)out);
    xmlFree(out);
    return copy;
}
