/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tests/data/expand: NAME.xml expands to NAME.out.xml, is refused with NAME.err, or, with neither,
 * is used as it is. Each output must be stable and collapse to its input, records must follow
 * xml-schemas/state.rng, and for every policy schema and reader must agree.
 */
#include "base/error.h"
#include "core/expand-xml.h"
#include "core/expand.h"

#include <glib/gstdio.h>
#include <libxml/relaxng.h>
#include <string.h>

static char *dir;
static GHashTable *used; /* file names */
static bool regenerate;
static xmlRelaxNG *policy_schema, *state_schema;

static void
ignore(void *data, const char *format, ...)
{
}

static xmlRelaxNG *
read_schema(const char *name)
{
    g_autofree char *path = g_build_filename(g_getenv("VQ_SRCDIR"), "xml-schemas", name, NULL);
    xmlRelaxNGParserCtxt *ctxt = xmlRelaxNGNewParserCtxt(path);
    xmlRelaxNG *schema = xmlRelaxNGParse(ctxt);

    xmlRelaxNGFreeParserCtxt(ctxt);
    g_assert_nonnull(schema);
    return schema;
}

/* Whether @element, as a document of its own, follows @schema. */
static bool
follows(xmlRelaxNG *schema, const xmlNode *element)
{
    g_autoptr(xmlDoc) doc = xmlNewDoc((const xmlChar *)"1.0");
    xmlRelaxNGValidCtxt *ctxt = xmlRelaxNGNewValidCtxt(schema);
    bool valid;

    xmlDocSetRootElement(doc, xmlDocCopyNode((xmlNode *)element, doc, 1));
    xmlRelaxNGSetValidErrors(ctxt, ignore, ignore, NULL);
    valid = xmlRelaxNGValidateDoc(ctxt, doc) == 0;
    xmlRelaxNGFreeValidCtxt(ctxt);
    return valid;
}

/* NAME + @suffix as text, or NULL if there is no such file. */
static char *
read_expected(const char *name, const char *suffix)
{
    g_autofree char *file = g_strconcat(name, suffix, NULL);
    g_autofree char *path = g_build_filename(dir, file, NULL);
    char *text = NULL;

    if (g_file_get_contents(path, &text, NULL, NULL))
        g_hash_table_add(used, g_steal_pointer(&file));
    return text;
}

static void
compare(const char *name, const char *suffix, const char *got)
{
    g_autofree char *file = g_strconcat(name, suffix, NULL);
    g_autofree char *path = g_build_filename(dir, file, NULL);

    if (regenerate) {
        if (got)
            g_assert_true(g_file_set_contents(path, got, -1, NULL));
        else
            g_unlink(path);
    }

    g_autofree char *expected = read_expected(name, suffix);

    g_assert_cmpstr(got, ==, expected);
}

static void
check_state(const char *text)
{
    g_autoptr(xmlDoc) doc = vq_xml_parse(text, strlen(text), "output", NULL);
    const xmlNode *state = vq_metadata_find(xmlDocGetRootElement(doc)).state;

    g_assert_true(!state || follows(state_schema, state));
}

/* Stable, and collapsing to what the input collapses to. */
static void
check_laws(const char *input, const char *output)
{
    g_autofree char *again = NULL, *back = NULL, *start = NULL;

    g_assert_true(vq_expand(output, strlen(output), &again, NULL));
    g_assert_null(again);
    g_assert_true(vq_collapse(output, strlen(output), &back, NULL));
    g_assert_true(vq_collapse(input, strlen(input), &start, NULL));
    if (!back)
        back = g_strdup(output);
    if (!start)
        start = g_strdup(input);

    g_autoptr(xmlDoc) a = vq_xml_parse(start, strlen(start), "input", NULL);
    g_autoptr(xmlDoc) b = vq_xml_parse(back, strlen(back), "output", NULL);

    g_assert_true(vq_xml_same(a, b));
}

static void
test_case(gconstpointer data)
{
    const char *name = data;
    g_autofree char *input = read_expected(name, ".xml");
    g_autofree char *output = NULL, *text = NULL;
    g_autoptr(GError) error = NULL;

    if (!vq_expand(input, strlen(input), &output, &error))
        text = g_strconcat(error->message, "\n", NULL);
    compare(name, ".err", text);
    compare(name, ".out.xml", output);
    if (!output)
        return;
    check_state(output);
    check_laws(input, output);
}

/*
 * What the schema refuses, the reader refuses; what it accepts, the reader refuses only for what a
 * grammar cannot say: contradictions.
 */
static void
test_schema(gconstpointer data)
{
    const char *name = data;
    g_autofree char *input = read_expected(name, ".xml");
    g_autoptr(xmlDoc) doc = vq_xml_parse(input, strlen(input), "input", NULL);
    const xmlNode *policy = doc ? vq_metadata_find(xmlDocGetRootElement(doc)).policy : NULL;
    g_autoptr(VqProblems) problems = vq_problems_new();

    if (!policy) {
        g_test_skip("no policy element");
        return;
    }

    g_autoptr(VqPolicy) read = vq_policy_read(policy, problems);

    if (!follows(policy_schema, policy)) {
        g_assert_false(vq_problems_empty(problems));
        return;
    }
    for (guint i = 0; i < problems->list->len; i++)
        g_assert_cmpint(((VqProblem *)g_ptr_array_index(problems->list, i))->code, ==,
                        VQ_ERROR_CONFLICT);
}

static void
test_all_used(void)
{
    g_autoptr(GDir) files = g_dir_open(dir, 0, NULL);
    const char *file;

    while ((file = g_dir_read_name(files))) {
        if (!g_hash_table_contains(used, file))
            g_error("%s/%s is used by no test", dir, file);
    }
}

static void
add_cases(GPtrArray *names)
{
    g_autoptr(GDir) files = g_dir_open(dir, 0, NULL);
    const char *file;

    while ((file = g_dir_read_name(files))) {
        if (g_str_has_suffix(file, ".xml") && !g_str_has_suffix(file, ".out.xml"))
            g_ptr_array_add(names, g_strndup(file, strlen(file) - strlen(".xml")));
    }
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *path = g_strdup_printf("/expand/%s", name);
        g_autofree char *schema_path = g_strdup_printf("/schema/%s", name);

        g_test_add_data_func(path, name, test_case);
        g_test_add_data_func(schema_path, name, test_schema);
    }
}

int
main(int argc, char **argv)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    int result;

    g_test_init(&argc, &argv, NULL);
    dir = g_build_filename(g_getenv("VQ_SRCDIR"), "tests/data/expand", NULL);
    used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    regenerate = g_getenv("VQ_TEST_REGENERATE") != NULL;
    policy_schema = read_schema("policy.rng");
    state_schema = read_schema("state.rng");
    add_cases(names);
    g_assert_cmpuint(names->len, >=, 40);
    g_test_add_func("/files/all-used", test_all_used);
    result = g_test_run();
    xmlRelaxNGFree(policy_schema);
    xmlRelaxNGFree(state_schema);
    g_hash_table_unref(used);
    g_free(dir);
    return result;
}
