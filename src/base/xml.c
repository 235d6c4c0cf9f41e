/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/xml.h"
#include "base/error.h"

#include <libxml/parser.h>
#include <string.h>

typedef struct {
    int line;
    char *text; /* the first error only: the rest follows from it */
} ParseError;

static void
on_parse_error(void *user_data, xmlErrorPtr e)
{
    xmlParserCtxt *ctxt = user_data;
    ParseError *first = ctxt->_private;

    if (first->text || e->level < XML_ERR_ERROR)
        return;
    first->line = e->line;
    first->text = g_strstrip(g_strdup(e->message ? e->message : "not well-formed"));
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlParserCtxt, xmlFreeParserCtxt)

/*
 * libxml2's encoders report to the thread's handler instead of the parser's, which prints on stderr
 * if nobody has set one; the handler of the host process is back when this returns.
 */
static xmlDoc *
read_quietly(xmlParserCtxt *ctxt, const char *text, gsize length)
{
    xmlStructuredErrorFunc old = xmlStructuredError;
    void *old_context = xmlStructuredErrorContext;

    xmlSetStructuredErrorFunc(ctxt, (xmlStructuredErrorFunc)(void (*)(void))on_parse_error);

    xmlDoc *doc = xmlCtxtReadMemory(ctxt, text, length, NULL, NULL,
                                    XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_BIG_LINES);

    xmlSetStructuredErrorFunc(old_context, old);
    return doc;
}

static unsigned
line_at(const char *text, const char *end)
{
    unsigned line = 1;

    for (; text < end; text++)
        line += *text == '\n';
    return line;
}

xmlDoc *
vq_xml_parse(const char *text, gsize length, const char *what, GError **error)
{
    return vq_xml_parse_sized(text, length, VQ_XML_SIZE_MAX, what, error);
}

xmlDoc *
vq_xml_parse_sized(const char *text, gsize length, gsize max, const char *what, GError **error)
{
    if (length > max) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                    "%s of %" G_GSIZE_FORMAT " bytes is above the limit of %" G_GSIZE_FORMAT
                    " bytes",
                    what, length, max);
        return NULL;
    }

    const char *nul = memchr(text, '\0', length);

    if (nul) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "line %u: %s: NUL byte", line_at(text, nul),
                    what);
        return NULL;
    }

    g_autoptr(xmlParserCtxt) ctxt = xmlNewParserCtxt();
    ParseError first = {0};

    if (!ctxt) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_FAILED, "cannot create an XML parser");
        return NULL;
    }
    ctxt->_private = &first;
    ctxt->sax->serror = (xmlStructuredErrorFunc)(void (*)(void))on_parse_error;

    xmlDoc *doc = read_quietly(ctxt, text, length);

    if (!doc || !ctxt->wellFormed || !xmlDocGetRootElement(doc)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "line %d: %s: %s", MAX(first.line, 1), what,
                    first.text ? first.text : "not well-formed");
        g_clear_pointer(&doc, xmlFreeDoc);
    }
    g_free(first.text);
    return doc;
}

bool
vq_xml_is(const xmlNode *node, const char *name, const char *ns)
{
    if (!node || node->type != XML_ELEMENT_NODE || strcmp((const char *)node->name, name) != 0)
        return false;
    return g_strcmp0(node->ns ? (const char *)node->ns->href : NULL, ns) == 0;
}

static xmlNode *
first_from(xmlNode *node, const char *name, const char *ns)
{
    for (; node; node = node->next) {
        if (vq_xml_is(node, name, ns))
            return node;
    }
    return NULL;
}

xmlNode *
vq_xml_child(const xmlNode *node, const char *name, const char *ns)
{
    return node ? first_from(node->children, name, ns) : NULL;
}

xmlNode *
vq_xml_next(const xmlNode *node, const char *name, const char *ns)
{
    return first_from(node->next, name, ns);
}

/* Text as it is collected: entities repeat it at will, so both length and work have an end. */
typedef struct {
    GString *out;
    unsigned nodes; /* visited */
} Collected;

static void
collect(Collected *text, const xmlNode *node, int depth)
{
    for (; node && depth < 16 && text->out->len < VQ_XML_TEXT_MAX; node = node->next) {
        const xmlChar *content = NULL;
        const xmlNode *children = NULL;

        if (++text->nodes > VQ_XML_TEXT_MAX)
            return;
        if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE) {
            content = node->content;
        } else if (node->type == XML_ELEMENT_NODE) {
            children = node->children;
        } else if (node->type == XML_ENTITY_REF_NODE) {
            const xmlEntity *entity = xmlGetDocEntity(node->doc, node->name);

            children = entity ? entity->children : NULL;
            content = entity && !children ? entity->content : NULL;
        }
        if (content)
            g_string_append_len(text->out, (const char *)content,
                                MIN(strlen((const char *)content), VQ_XML_TEXT_MAX));
        collect(text, children, depth + 1);
    }
}

static char *
collected(const xmlNode *first)
{
    Collected text = {g_string_new(NULL), 0};

    collect(&text, first, 0);
    return g_string_free(text.out, FALSE);
}

char *
vq_xml_attr(const xmlNode *node, const char *name)
{
    for (const xmlAttr *attr = node ? node->properties : NULL; attr; attr = attr->next) {
        if (!attr->ns && strcmp((const char *)attr->name, name) == 0)
            return collected(attr->children);
    }
    return NULL;
}

char *
vq_xml_text(const xmlNode *node)
{
    return node ? g_strstrip(collected(node->children)) : NULL;
}

unsigned
vq_xml_line(const xmlNode *node)
{
    bool counted = node->type == XML_ELEMENT_NODE && node->line < G_MAXUSHORT;
    const xmlNode *text = node->prev && node->prev->type == XML_TEXT_NODE ? node->prev : NULL;

    /* Beyond 65535 only text knows its line, the one where it ends; libxml2 takes the text inside
     * or behind an element first, which is lines too far. */
    long line = xmlGetLineNo((xmlNode *)(counted || !text ? node : text));

    return line > 0 ? line : 0;
}

bool
vq_parse_uint(const char *text, unsigned max, unsigned *value)
{
    guint64 n = 0;

    if (!text || !g_ascii_isdigit(*text))
        return false;
    for (; g_ascii_isdigit(*text); text++) {
        n = n * 10 + (*text - '0');
        if (n > max)
            return false;
    }
    if (*text)
        return false;
    *value = n;
    return true;
}
