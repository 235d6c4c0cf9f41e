/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The laws of the expansion, held against every domain XML file in libvirt's own tests. Each file
 * gets a policy put in, and is then expanded, expanded again, collapsed, given another policy and
 * validated with libvirt's schema.
 *
 * Needs libvirt's unpacked source (-Dlibvirt_source); skipped without.
 */
#include "base/error.h"
#include "core/expand-xml.h"
#include "core/expand.h"

#include <libxml/c14n.h>
#include <libxml/relaxng.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

typedef enum {
    POLICY_ALL,   /* every virtio disk, a given number of queues */
    POLICY_NAMED, /* each device by its name, fewer IOThreads than queues */
    POLICY_AUTO,  /* each device by its name, everything as the owner's <driver> says */
    POLICY_MOVED, /* as the first, after every disk has been moved to bus virtio: most of libvirt's
                   * files have other buses */
} PolicyKind;

typedef struct {
    guint files, expanded, unchanged, refused, schema_valid, devices;
} Count;

static GPtrArray *corpus; /* of char *: paths of domain XML files */
static const char *current = "";
static xmlRelaxNG *schema;

static void
collect(const char *path, unsigned depth)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *full = g_build_filename(path, name, NULL);

        if (g_file_test(full, G_FILE_TEST_IS_DIR) && depth < 4)
            collect(full, depth + 1);
        else if (g_str_has_suffix(name, ".xml") && g_file_test(full, G_FILE_TEST_IS_REGULAR))
            g_ptr_array_add(corpus, g_steal_pointer(&full));
    }
}

static int
compare_paths(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *
read_file(guint i, gsize *length)
{
    char *text = NULL;

    g_assert_true(g_file_get_contents(g_ptr_array_index(corpus, i), &text, length, NULL));
    return text;
}

static xmlDoc *
parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    xmlDoc *doc = vq_xml_parse(text, strlen(text), "test", &error);

    g_assert_no_error(error);
    return doc;
}

static char *
to_text(xmlDoc *doc)
{
    g_autoptr(GError) error = NULL;
    char *text = vq_xml_to_text(doc, false, &error);

    g_assert_no_error(error);
    return text;
}

static void
add_entry(xmlNode *storage, const VqDevice *device, PolicyKind kind)
{
    bool disk = device->kind == VQ_DEVICE_DISK;
    g_autofree char *index = g_strdup_printf("%u", device->index);
    xmlNode *node =
        xmlNewChild(storage, storage->ns, (const xmlChar *)(disk ? "disk" : "controller"), NULL);

    xmlNewProp(node, (const xmlChar *)(disk ? "target" : "index"),
               (const xmlChar *)(disk ? device->name : index));
    if (kind == POLICY_AUTO)
        return;
    vq_xml_set_uint(node, "queues", 5);
    vq_xml_set_uint(node, "iothreads", 2);
    xmlNewProp(node, (const xmlChar *)"polling", (const xmlChar *)"off");
}

static xmlNode *
build_policy(xmlNode *root, PolicyKind kind)
{
    g_autoptr(VqDomain) domain = vq_domain_from_root(root);
    xmlNode *storage = vq_xml_new(root->doc, "storage");

    xmlSetNs(storage, xmlNewNs(storage, (const xmlChar *)VQ_NS_POLICY, (const xmlChar *)"vq"));
    if (kind == POLICY_ALL || kind == POLICY_MOVED) {
        xmlNode *disk = xmlNewChild(storage, storage->ns, (const xmlChar *)"disk", NULL);

        xmlNewProp(disk, (const xmlChar *)"target", (const xmlChar *)"*");
        vq_xml_set_uint(disk, "queues", 4);
        return storage;
    }
    for (guint i = 0; i < domain->devices->len; i++)
        add_entry(storage, g_ptr_array_index(domain->devices, i), kind);
    return storage;
}

/* Puts a policy in the place of one that is there, or makes one (and <metadata>). */
static void
set_policy(xmlDoc *doc, PolicyKind kind)
{
    xmlNode *root = xmlDocGetRootElement(doc);
    VqMetadata metadata = vq_metadata_find(root);
    xmlNode *policy = build_policy(root, kind);

    if (metadata.policy) {
        vq_xml_replace(metadata.policy, policy);
        return;
    }
    if (!metadata.metadata) {
        metadata.metadata = vq_xml_new(doc, "metadata");
        xmlAddChild(metadata.metadata, policy);
        vq_xml_append(root, metadata.metadata);
        return;
    }
    vq_xml_append(metadata.metadata, policy);
}

static void
move_to_virtio(xmlNode *root)
{
    VQ_XML_FOREACH (disk, vq_xml_child(root, "devices", NULL), "disk") {
        xmlNode *target = vq_xml_child(disk, "target", NULL);
        xmlNode *address = vq_xml_child(disk, "address", NULL);
        g_autofree char *device = vq_xml_attr(disk, "device");

        if (!target || (device && !g_str_equal(device, "disk")))
            continue;
        xmlSetProp(target, (const xmlChar *)"bus", (const xmlChar *)"virtio");
        if (address)
            vq_xml_remove(address, false);
    }
}

/* The file with a policy, as text; NULL if it is no domain. */
static char *
with_policy(guint i, PolicyKind kind)
{
    gsize length;
    g_autofree char *text = read_file(i, &length);
    g_autoptr(xmlDoc) doc = vq_xml_parse(text, length, "file", NULL);

    if (!doc || doc->intSubset || !vq_xml_is(xmlDocGetRootElement(doc), "domain", NULL))
        return NULL;
    if (kind == POLICY_MOVED)
        move_to_virtio(xmlDocGetRootElement(doc));
    set_policy(doc, kind);
    return to_text(doc);
}

static char *
expand(const char *text)
{
    g_autoptr(GError) error = NULL;
    char *out = NULL;
    bool ok = vq_expand(text, strlen(text), &out, &error);

    g_assert_no_error(error);
    g_assert_true(ok);
    return out;
}

static char *
collapse(const char *text)
{
    g_autoptr(GError) error = NULL;
    char *out = NULL;
    bool ok = vq_collapse(text, strlen(text), &out, &error);

    g_assert_no_error(error);
    g_assert_true(ok);
    return out;
}

static char *
canonical(const char *text)
{
    g_autoptr(xmlDoc) doc = parse(text);
    xmlChar *out = NULL;
    int size = xmlC14NDocDumpMemory(doc, NULL, XML_C14N_1_1, NULL, 1, &out);
    char *copy;

    g_assert_cmpint(size, >=, 0);
    copy = g_strndup((char *)out, size);
    xmlFree(out);
    return copy;
}

static void
ignore(void *data, const char *format, ...)
{
}

static bool
is_valid(const char *text)
{
    g_autoptr(xmlDoc) doc = parse(text);
    xmlRelaxNGValidCtxt *ctxt = xmlRelaxNGNewValidCtxt(schema);
    int result;

    xmlRelaxNGSetValidErrors(ctxt, ignore, ignore, NULL);
    result = xmlRelaxNGValidateDoc(ctxt, doc);
    xmlRelaxNGFreeValidCtxt(ctxt);
    return result == 0;
}

/* Whether @text, with its policy replaced or removed, expands to what @fresh expands to. */
static void
assert_redo(const char *expanded, guint i, PolicyKind other)
{
    g_autofree char *fresh = with_policy(i, other);
    g_autofree char *wanted = NULL;
    g_autofree char *edited = NULL;
    g_autofree char *got = NULL;
    g_autoptr(xmlDoc) doc = parse(expanded);

    if (!vq_expand(fresh, strlen(fresh), &wanted, NULL))
        return; /* the other policy cannot be followed for this file */

    xmlNode *policy = vq_metadata_find(xmlDocGetRootElement(doc)).policy;
    g_autoptr(xmlDoc) source = parse(fresh);
    xmlNode *copy = xmlDocCopyNode(vq_metadata_find(xmlDocGetRootElement(source)).policy, doc, 1);

    xmlReplaceNode(policy, copy);
    xmlFreeNode(policy);
    edited = to_text(doc);
    got = expand(edited);

    g_autoptr(xmlDoc) a = parse(wanted ? wanted : fresh);
    g_autoptr(xmlDoc) b = parse(got ? got : edited);

    if (!vq_xml_same(a, b))
        g_test_message("wanted:\n%s\ngot:\n%s", wanted, got);
    g_assert_true(vq_xml_same(a, b));
}

/* Without its policy, an expanded domain goes back to what it was without one. */
static void
assert_removed(const char *base, const char *expanded)
{
    g_autoptr(xmlDoc) bare = parse(base);
    g_autoptr(xmlDoc) doc = parse(expanded);
    g_autofree char *edited = NULL;
    g_autofree char *got = NULL;

    vq_xml_remove(vq_metadata_find(xmlDocGetRootElement(bare)).policy, true);
    vq_xml_remove(vq_metadata_find(xmlDocGetRootElement(doc)).policy, true);
    edited = to_text(doc);
    got = expand(edited);
    g_assert_nonnull(got);

    g_autoptr(xmlDoc) result = parse(got);

    g_assert_true(vq_xml_same(bare, result));
}

/* What the daemon sees of an expanded domain: the same policies in force, with their threads. */
static guint
assert_read(const char *base, const char *expanded)
{
    g_autoptr(VqProblems) problems = vq_problems_new();
    g_autoptr(VqDomain) before = vq_domain_read(base, strlen(base), problems, NULL);
    g_autoptr(VqDomain) after = vq_domain_read(expanded, strlen(expanded), problems, NULL);
    guint managed = 0;

    g_assert_true(vq_problems_empty(problems));
    g_assert_true(after->has_state);
    g_assert_cmpuint(before->devices->len, ==, after->devices->len);
    for (guint i = 0; i < after->devices->len; i++) {
        const VqDevice *a = g_ptr_array_index(before->devices, i);
        const VqDevice *b = g_ptr_array_index(after->devices, i);

        g_assert_cmpstr(a->name, ==, b->name);
        g_assert_true((a->policy != NULL) == (b->policy != NULL));
        if (!b->policy)
            continue;

        VqDevicePlan plan = vq_device_plan(a, before->vcpus);

        managed++;
        g_assert_true(b->queues_set || a->maps->len);
        g_assert_cmpuint(b->queues, ==, plan.queues);
        g_assert_cmpuint(b->maps->len, ==, plan.iothreads ? plan.iothreads : a->maps->len);
    }
    g_assert_cmpuint(after->iothreads->len, >=, before->iothreads->len);
    return managed;
}

static void
check_file(guint i, PolicyKind kind, PolicyKind other, Count *count)
{
    g_autofree char *base = with_policy(i, kind);
    g_autoptr(GError) error = NULL;
    g_autofree char *out = NULL;

    if (!base)
        return;
    current = g_ptr_array_index(corpus, i);
    count->files++;
    if (!vq_expand(base, strlen(base), &out, &error)) {
        g_assert_error(error, VQ_ERROR, error->code);
        g_assert_true(g_str_has_prefix(error->message, "line "));
        g_assert_null(out);
        count->refused++;
        return;
    }
    if (!out) {
        count->unchanged++;
        return;
    }
    count->expanded++;

    g_autofree char *again = expand(out);
    g_autofree char *back = collapse(out);
    g_autofree char *twice = collapse(back);
    g_autofree char *canonical_base = canonical(base);
    g_autofree char *canonical_back = canonical(back);

    g_assert_null(again);
    g_assert_null(twice);
    g_assert_cmpstr(canonical_back, ==, canonical_base);
    g_assert_cmpstr(back, ==, base);
    count->devices += assert_read(base, out);
    if (kind != POLICY_MOVED)
        assert_redo(out, i, other);
    assert_removed(base, out);
    if (is_valid(base)) {
        count->schema_valid++;
        g_assert_true(is_valid(out));
    }
}

static bool
ready(void)
{
    if (corpus->len)
        return true;
    g_test_skip("libvirt's source is not there (-Dlibvirt_source)");
    return false;
}

static Count
check_all(PolicyKind kind, PolicyKind other)
{
    Count count = {0};

    for (guint i = 0; i < corpus->len; i++)
        check_file(i, kind, other, &count);
    g_printerr("# %u domains: %u expanded (%u devices; %u valid by libvirt's schema before and "
               "after), %u unchanged, %u refused\n",
               count.files, count.expanded, count.devices, count.schema_valid, count.unchanged,
               count.refused);
    return count;
}

static void
test_all(void)
{
    if (!ready())
        return;

    Count count = check_all(POLICY_ALL, POLICY_NAMED);

    g_assert_cmpuint(count.files, >, 2000);
    g_assert_cmpuint(count.expanded, >, 300);
    g_assert_cmpuint(count.schema_valid, >, 300);
}

static void
test_named(void)
{
    if (!ready())
        return;

    Count count = check_all(POLICY_NAMED, POLICY_AUTO);

    g_assert_cmpuint(count.expanded, >, 300);
    g_assert_cmpuint(count.schema_valid, >, 300);
    g_assert_cmpuint(count.refused, >, 10);
}

static void
test_auto(void)
{
    if (!ready())
        return;

    Count count = check_all(POLICY_AUTO, POLICY_ALL);

    g_assert_cmpuint(count.expanded, >, 300);
    g_assert_cmpuint(count.schema_valid, >, 300);
}

static void
test_moved(void)
{
    if (!ready())
        return;

    Count count = check_all(POLICY_MOVED, POLICY_MOVED);

    g_assert_cmpuint(count.expanded, >, 1000);
    g_assert_cmpuint(count.schema_valid, >, 1000);
}

/* Files without a policy are to be used as they are, whatever they contain. */
static void
test_untouched(void)
{
    guint files = 0;

    if (!ready())
        return;
    for (guint i = 0; i < corpus->len; i++, files++) {
        gsize length;
        g_autofree char *text = read_file(i, &length);
        g_autoptr(GError) error = NULL;
        char *out = NULL;

        g_assert_true(vq_expand(text, length, &out, &error));
        g_assert_no_error(error);
        g_assert_null(out);
        g_assert_true(vq_collapse(text, length, &out, &error));
        g_assert_no_error(error);
        g_assert_null(out);
    }
    g_printerr("# %u files pass as they are\n", files);
    g_assert_cmpuint(files, >, 2500);
}

static xmlRelaxNG *
read_schema(const char *source)
{
    g_autofree char *path = g_build_filename(source, "src/conf/schemas/domain.rng", NULL);
    xmlRelaxNGParserCtxt *ctxt = xmlRelaxNGNewParserCtxt(path);
    xmlRelaxNG *result;

    xmlRelaxNGSetParserErrors(ctxt, ignore, ignore, NULL);
    result = xmlRelaxNGParse(ctxt);
    xmlRelaxNGFreeParserCtxt(ctxt);
    return result;
}

/* Which file it was that an assertion failed for. */
static void
on_abort(int signum)
{
    static const char text[] = "# file: ";

    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0 ||
        write(STDERR_FILENO, current, strlen(current)) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
        return;
}

int
main(int argc, char **argv)
{
    const char *source = g_getenv("VQ_LIBVIRT_SOURCE");
    g_autofree char *tests = g_build_filename(source ? source : "", "tests", NULL);

    g_test_init(&argc, &argv, NULL);
    signal(SIGABRT, on_abort);
    corpus = g_ptr_array_new_with_free_func(g_free);
    if (source && *source) {
        collect(tests, 0);
        g_ptr_array_sort(corpus, compare_paths);
        schema = read_schema(source);
        g_assert_nonnull(schema);
    }
    g_test_add_func("/expand-laws/untouched", test_untouched);
    g_test_add_func("/expand-laws/all", test_all);
    g_test_add_func("/expand-laws/named", test_named);
    g_test_add_func("/expand-laws/auto", test_auto);
    g_test_add_func("/expand-laws/moved", test_moved);

    int result = g_test_run();

    if (schema)
        xmlRelaxNGFree(schema);
    g_ptr_array_unref(corpus);
    return result;
}
