/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fences around libxml2, what is read from nodes, and numbers. */
#include "base/error.h"
#include "base/xml.h"

#include <glib/gstdio.h>
#include <libxml/xmlerror.h>
#include <string.h>

static xmlDoc *
parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    xmlDoc *doc = vq_xml_parse(text, strlen(text), "input", &error);

    g_assert_no_error(error);
    g_assert_nonnull(doc);
    return doc;
}

/* @text must be refused with @code, and a message that begins with @start. */
static void
refuse(const char *text, gsize length, int code, const char *start)
{
    g_autoptr(GError) error = NULL;

    g_autoptr(xmlDoc) doc = vq_xml_parse(text, length, "input", &error);

    if (doc)
        g_error("not refused: %.*s", (int)MIN(length, 60), text);
    g_assert_error(error, VQ_ERROR, code);
    if (!g_str_has_prefix(error->message, start))
        g_error("'%s' does not begin with '%s'", error->message, start);
    g_assert_null(strchr(error->message, '\n'));
}

static void
test_size(void)
{
    g_autofree char *text = g_strnfill(VQ_XML_SIZE_MAX + 1, ' ');
    g_autoptr(GError) error = NULL;

    memcpy(text, "<a/>", 4);

    g_autoptr(xmlDoc) doc = vq_xml_parse(text, VQ_XML_SIZE_MAX, "input", &error);

    g_assert_no_error(error);
    g_assert_nonnull(doc);
    refuse(text, VQ_XML_SIZE_MAX + 1, VQ_ERROR_LIMIT,
           "input of 1048577 bytes is above the limit of 1048576 bytes");
    g_assert_null(vq_xml_parse_sized("<abc/>", 6, 5, "it", &error));
    g_assert_cmpstr(error->message, ==, "it of 6 bytes is above the limit of 5 bytes");
}

static char *
nested(unsigned depth)
{
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < depth; i++)
        g_string_append(text, "<a>");
    for (unsigned i = 0; i < depth; i++)
        g_string_append(text, "</a>");
    return g_string_free(text, FALSE);
}

/* libxml2's 256 are those above an element. */
static void
test_depth(void)
{
    g_autofree char *most = nested(257);
    g_autofree char *deeper = nested(258);
    g_autofree char *deepest = nested(100000);
    g_autoptr(xmlDoc) doc = parse(most);

    refuse(deeper, strlen(deeper), VQ_ERROR_INVALID, "line 1: input: Excessive depth");
    refuse(deepest, strlen(deepest), VQ_ERROR_INVALID, "line 1: input: Excessive depth");
}

/* Entities of entities, ten of each: 10^9 "lol" if they were replaced. */
static void
test_billion_laughs(void)
{
    g_autoptr(GString) text = g_string_new("<!DOCTYPE a [<!ENTITY e0 'lol'>");
    g_autoptr(GError) error = NULL;
    gint64 start = g_get_monotonic_time();

    for (int i = 1; i < 10; i++) {
        g_string_append_printf(text, "<!ENTITY e%d '", i);
        for (int j = 0; j < 10; j++)
            g_string_append_printf(text, "&e%d;", i - 1);
        g_string_append(text, "'>");
    }
    g_string_append(text, "]>\n<a x='&e9;'>&e9;</a>");
    refuse(text->str, text->len, VQ_ERROR_INVALID, "line 2: input: Detected an entity");
    g_assert_cmpint(g_get_monotonic_time() - start, <, 5 * G_USEC_PER_SEC);
}

/* Neither an external entity nor an external DTD is read: the text stays out of the document. */
static void
test_external(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    g_autofree char *content = NULL;
    gint fd = g_file_open_tmp("vq-test-xml-XXXXXX", &path, &error);

    g_assert_no_error(error);
    g_close(fd, NULL);
    g_assert_true(g_file_set_contents(path, "<!ENTITY e 'secret'>", -1, NULL));

    g_autofree char *entity =
        g_strdup_printf("<!DOCTYPE a [<!ENTITY e SYSTEM 'file://%s'>]><a><b/>&e;</a>", path);
    g_autofree char *dtd = g_strdup_printf("<!DOCTYPE a SYSTEM 'file://%s'><a>&e;</a>", path);

    for (int i = 0; i < 2; i++) {
        const char *text = i ? dtd : entity;
        g_autoptr(xmlDoc) doc = vq_xml_parse(text, strlen(text), "input", NULL);
        g_autofree char *found = doc ? vq_xml_text(xmlDocGetRootElement(doc)) : NULL;

        g_assert_null(found ? strstr(found, "secret") : NULL);
    }
    g_remove(path);
}

static void
test_not_well_formed(void)
{
    static const struct {
        const char *text, *start;
    } cases[] = {
        {"", "line 1: input: "},
        {"\n\n", "line "},
        {"text", "line 1: input: Start tag expected"},
        {"<a>\n<b>\n</a>", "line 3: input: Opening and ending tag mismatch"},
        {"<a/>\n\n<b/>", "line 3: input: Extra content"},
        {"<a\nx='1'\nx='2'/>", "line 3: input: Attribute x redefined"},
        {"<a>\n&undefined;</a>", "line 2: input: Entity 'undefined' not defined"},
        {"<a>\n<b x=1/></a>", "line 2: input: AttValue"},
        {"<a>\n<", "line 2: input: "},
        {"<a>\x01</a>", "line 1: input: "},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++)
        refuse(cases[i].text, strlen(cases[i].text), VQ_ERROR_INVALID, cases[i].start);
    refuse("<a>\n\0</a>", 9, VQ_ERROR_INVALID, "line 2: input: NUL byte");
    refuse("<a/>\0<b/>", 9, VQ_ERROR_INVALID, "line 1: input: NUL byte");
    refuse("<a/>\0", 5, VQ_ERROR_INVALID, "line 1: input: NUL byte");
}

/* No note on stderr, which is the daemon's log; and its error handler is still the one it was. */
static void
check_encodings(void)
{
    static const char *const texts[] = {
        "<a>\n\xff\xfe</a>",
        "<?xml version='1.0' encoding='UTF-16'?><a>\xff</a>",
        "<?xml version='1.0' encoding='EUC-JP'?>\n<a>\xff\xff\xff\xff</a>",
        "<?xml version='1.0' encoding='no-such'?><a/>",
        "\xff\xfe<\0a\0/\0",
    };

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;
        gsize length = i == 4 ? 7 : strlen(texts[i]);
        g_autoptr(xmlDoc) doc = vq_xml_parse(texts[i], length, "input", &error);

        g_assert_true(!doc == (error != NULL));
        if (i < 4 && i != 1)
            g_assert_error(error, VQ_ERROR, VQ_ERROR_INVALID);
    }
}

static void
test_encodings(void)
{
    if (g_test_subprocess()) {
        check_encodings();
        return;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("");
}

static void
count_errors(void *user_data, xmlErrorPtr e)
{
    (*(int *)user_data)++;
}

static void
test_handler_is_kept(void)
{
    int count = 0;

    xmlSetStructuredErrorFunc(&count, (xmlStructuredErrorFunc)(void (*)(void))count_errors);
    check_encodings();
    g_assert_cmpint(count, ==, 0);
    g_assert_true(xmlStructuredError == (xmlStructuredErrorFunc)(void (*)(void))count_errors);
    g_assert_true(xmlStructuredErrorContext == &count);
    xmlSetStructuredErrorFunc(NULL, NULL);
}

static void
test_latin1(void)
{
    g_autoptr(xmlDoc) doc =
        parse("<?xml version='1.0' encoding='ISO-8859-1'?><a x='\xe9'>\xe8</a>");
    g_autofree char *x = vq_xml_attr(xmlDocGetRootElement(doc), "x");
    g_autofree char *text = vq_xml_text(xmlDocGetRootElement(doc));

    g_assert_cmpstr(x, ==, "\xc3\xa9");
    g_assert_cmpstr(text, ==, "\xc3\xa8");
}

/* libxml2 keeps 16 bits of a line in a node. */
static void
test_lines(void)
{
    g_autofree char *gap = g_strnfill(70000, '\n');
    g_autofree char *text = g_strdup_printf("<a>\n<b/>%s<c>x</c>\n<d/>\n</a>", gap);
    g_autofree char *bad = g_strdup_printf("<a>\n%s<b></a>", gap);
    g_autoptr(xmlDoc) doc = parse(text);
    xmlNode *root = xmlDocGetRootElement(doc);

    g_assert_cmpuint(vq_xml_line(root), ==, 1);
    g_assert_cmpuint(vq_xml_line(vq_xml_child(root, "b", NULL)), ==, 2);
    g_assert_cmpuint(vq_xml_line(vq_xml_child(root, "c", NULL)), ==, 70002);
    g_assert_cmpuint(vq_xml_line(vq_xml_child(root, "d", NULL)), ==, 70003);
    refuse(bad, strlen(bad), VQ_ERROR_INVALID, "line 70002: input: ");
}

static void
test_nodes(void)
{
    g_autoptr(xmlDoc) doc = parse("<r xmlns:n='urn:n'><n:d i='0'/><d i='1' n:i='9'/>t<e/>"
                                  "<d i='2'> two <b>x</b>\n</d><!--<d/>--></r>");
    xmlNode *root = xmlDocGetRootElement(doc);
    xmlNode *other = vq_xml_child(root, "d", "urn:n");
    g_autoptr(GString) seen = g_string_new(NULL);

    VQ_XML_FOREACH (d, root, "d") {
        g_autofree char *i = vq_xml_attr(d, "i");
        g_autofree char *text = vq_xml_text(d);

        g_string_append_printf(seen, "%s=%s.", i, text);
    }
    g_assert_cmpstr(seen->str, ==, "1=.2=two x.");
    g_assert_true(vq_xml_is(other, "d", "urn:n"));
    g_assert_false(vq_xml_is(other, "d", NULL));
    g_assert_null(vq_xml_next(other, "d", "urn:n"));
    g_assert_null(vq_xml_child(root, "x", NULL));
    g_assert_null(vq_xml_child(NULL, "x", NULL));
    g_assert_null(vq_xml_attr(root, "n"));
    g_assert_null(vq_xml_attr(NULL, "i"));
    g_assert_null(vq_xml_text(NULL));
    g_assert_false(vq_xml_is(NULL, "d", NULL));
}

static void
test_uint(void)
{
    static const char *const wrong[] = {
        "",    " 1",  "1 ",       "+1", "-1",  "0x1",        "1.0",
        "1e3", "one", "\xd9\xa1", "11", "011", "4294967296", "18446744073709551617"};
    unsigned value = 42;

    g_assert_false(vq_parse_uint(NULL, 10, &value));
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++)
        g_assert_false(vq_parse_uint(wrong[i], 10, &value));
    g_assert_false(vq_parse_uint("4294967296", G_MAXUINT, &value));
    g_assert_false(vq_parse_uint("99999999999999999999999999", G_MAXUINT, &value));
    g_assert_cmpuint(value, ==, 42);
    g_assert_true(vq_parse_uint("10", 10, &value));
    g_assert_cmpuint(value, ==, 10);
    g_assert_true(vq_parse_uint("0", 0, &value));
    g_assert_cmpuint(value, ==, 0);
    g_assert_true(vq_parse_uint("0007", 10, &value));
    g_assert_cmpuint(value, ==, 7);
    g_assert_true(vq_parse_uint("4294967295", G_MAXUINT, &value));
    g_assert_cmpuint(value, ==, G_MAXUINT);
}

/* The parser stops entities of entities; one large entity, used often, it lets pass. */
static void
test_repeated_entity(void)
{
    g_autofree char *large = g_strnfill(50000, 'x');
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    g_string_append_printf(text, "<!DOCTYPE a [<!ENTITY e '%s'><!ENTITY s 'vm'>]>\n<a b='", large);
    for (int i = 0; i < 3000; i++)
        g_string_append(text, "&e;");
    g_string_append(text, "' c='my-&s;&amp;1'>");
    for (int i = 0; i < 3000; i++)
        g_string_append(text, "&e;");
    g_string_append(text, "<n>&s;&#49;</n></a>");

    g_autoptr(xmlDoc) doc = vq_xml_parse(text->str, text->len, "input", &error);

    if (!doc) {
        /* later releases of libxml2 refuse it as a whole */
        g_assert_error(error, VQ_ERROR, VQ_ERROR_INVALID);
        return;
    }

    const xmlNode *root = xmlDocGetRootElement(doc);
    g_autofree char *attr = vq_xml_attr(root, "b");
    g_autofree char *content = vq_xml_text(root);
    g_autofree char *name = vq_xml_text(vq_xml_child(root, "n", NULL));
    g_autofree char *mixed = vq_xml_attr(root, "c");

    g_assert_cmpuint(strlen(attr), <=, 2 * VQ_XML_TEXT_MAX);
    g_assert_cmpuint(strlen(content), <=, 2 * VQ_XML_TEXT_MAX);
    g_assert_cmpstr(name, ==, "vm1");
    g_assert_cmpstr(mixed, ==, "my-vm&1");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/xml/size", test_size);
    g_test_add_func("/xml/depth", test_depth);
    g_test_add_func("/xml/billion-laughs", test_billion_laughs);
    g_test_add_func("/xml/external", test_external);
    g_test_add_func("/xml/not-well-formed", test_not_well_formed);
    g_test_add_func("/xml/encodings", test_encodings);
    g_test_add_func("/xml/handler-is-kept", test_handler_is_kept);
    g_test_add_func("/xml/latin1", test_latin1);
    g_test_add_func("/xml/lines", test_lines);
    g_test_add_func("/xml/nodes", test_nodes);
    g_test_add_func("/xml/parse-uint", test_uint);
    g_test_add_func("/xml/repeated-entity", test_repeated_entity);
    return g_test_run();
}
