/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Configuration files: tests/data/config/NAME.conf against NAME.out (the keys that differ from
 * their defaults) or NAME.err. VQ_TEST_REGENERATE=1 writes what is found.
 */
#include "base/error.h"
#include "base/keyfile.h"
#include "core/settings.h"

#include <string.h>

static char *
source_path(const char *name)
{
    return g_build_filename(g_getenv("VQ_SRCDIR"), name, NULL);
}

static void
compare(const char *path, const char *found)
{
    g_autofree char *wanted = NULL;

    if (g_getenv("VQ_TEST_REGENERATE")) {
        g_assert_true(g_file_set_contents(path, found, -1, NULL));
        return;
    }
    if (!g_file_get_contents(path, &wanted, NULL, NULL))
        g_error("%s is missing; found:\n%s", path, found);
    g_assert_cmpstr(found, ==, wanted);
}

static char *
show(const VqKeyFile *file, const VqKeySpec *s)
{
    switch (s->type) {
    case VQ_KEY_INT:
        return g_strdup_printf("%u", vq_key_file_int(file, s->group, s->key));
    case VQ_KEY_BOOL:
        return g_strdup(vq_key_file_bool(file, s->group, s->key) ? "true" : "false");
    case VQ_KEY_CPUSET:
        return vq_cpuset_format(vq_key_file_cpuset(file, s->group, s->key));
    case VQ_KEY_ENUM:
        return g_strdup(vq_enum_name(s->names, vq_key_file_enum(file, s->group, s->key)));
    case VQ_KEY_STRING:
    case VQ_KEY_PATH:
        break;
    }
    return g_strdup(vq_key_file_string(file, s->group, s->key));
}

static char *
dump(const VqKeyFile *file)
{
    g_autoptr(VqKeyFile) defaults = vq_key_file_defaults(vq_settings);
    GString *out = g_string_new(NULL);

    for (const VqKeySpec *s = vq_settings; s->group; s++) {
        g_autofree char *value = show(file, s);
        g_autofree char *normal = show(defaults, s);

        if (!g_str_equal(value, normal))
            g_string_append_printf(out, "[%s] %s = %s\n", s->group, s->key, value);
    }
    return g_string_free(out, FALSE);
}

static void
test_pair(gconstpointer data)
{
    const char *name = data;
    g_autofree char *dir = source_path("tests/data/config");
    g_autofree char *input = g_strdup_printf("%s/%s.conf", dir, name);
    g_autofree char *text = NULL;
    g_autofree char *label = g_strdup_printf("%s.conf", name);
    g_autoptr(GError) error = NULL;
    gsize length;

    g_assert_true(g_file_get_contents(input, &text, &length, NULL));

    g_autoptr(VqKeyFile) file = vq_key_file_parse(vq_settings, text, length, label, NULL, &error);
    g_autofree char *expected = g_strdup_printf("%s/%s.%s", dir, name, file ? "out" : "err");
    g_autofree char *other = g_strdup_printf("%s/%s.%s", dir, name, file ? "err" : "out");
    g_autofree char *found = file ? dump(file) : g_strdup_printf("%s\n", error->message);

    compare(expected, found);
    g_assert_false(g_file_test(other, G_FILE_TEST_EXISTS));
}

/* Each file of the directory belongs to a NAME.conf. */
static void
test_no_stray_data(void)
{
    g_autofree char *path = source_path("tests/data/config");
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir))) {
        const char *dot = strrchr(name, '.');
        g_autofree char *stem = g_strndup(name, dot ? (gsize)(dot - name) : strlen(name));
        g_autofree char *conf = g_strdup_printf("%s/%s.conf", path, stem);

        if (!g_file_test(conf, G_FILE_TEST_EXISTS))
            g_error("%s/%s belongs to no test", path, name);
    }
}

static void
test_only_group(void)
{
    const char *text = "[host]\npool_share = 95\n[nonsense]\na=b\n[driver]\ntimeout_ms = 50\n";
    const char *bad = "[host]\npool_share = 95\n[driver]\ntimeout_ms = 5\n";
    g_autoptr(GError) error = NULL;
    g_autoptr(VqKeyFile) file =
        vq_key_file_parse(vq_settings, text, strlen(text), "x", VQ_GROUP_DRIVER, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(vq_key_file_int(file, "driver", "timeout_ms"), ==, 50);
    g_assert_cmpuint(vq_key_file_int(file, "host", "pool_share"), ==, 25);
    g_assert_null(vq_key_file_parse(vq_settings, bad, strlen(bad), "x", VQ_GROUP_DRIVER, &error));
    g_assert_cmpstr(error->message, ==,
                    "x:4: [driver] timeout_ms: '5' is below the limit of 10 (milliseconds)");
}

static void
test_input_limits(void)
{
    g_autofree char *big = g_strnfill(VQ_KEY_FILE_MAX + 1, '\n');
    g_autoptr(GError) error = NULL;

    g_assert_null(vq_key_file_parse(vq_settings, big, VQ_KEY_FILE_MAX + 1, "big", NULL, &error));
    g_assert_error(error, VQ_ERROR, VQ_ERROR_LIMIT);
    g_clear_error(&error);
    g_assert_null(vq_key_file_parse(vq_settings, "[host]\0x", 8, "nul", NULL, &error));
    g_assert_error(error, VQ_ERROR, VQ_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_null(vq_key_file_load(vq_settings, "/nonexistent/vq.conf", NULL, &error));
    g_assert_error(error, VQ_ERROR, VQ_ERROR_NOT_FOUND);
    g_clear_error(&error);
    g_assert_null(vq_key_file_load(vq_settings, "/dev/zero", NULL, &error));
    g_assert_error(error, VQ_ERROR, VQ_ERROR_INVALID);
}

/* What is printed as the default file is a valid file that changes nothing, commented or not. */
static void
test_template(void)
{
    g_autofree char *text = vq_key_file_template(vq_settings);
    g_autoptr(GString) active = g_string_new(text);
    g_autoptr(GError) error = NULL;
    g_autoptr(VqKeyFile) file = NULL;

    for (const VqKeySpec *s = vq_settings; s->group; s++) {
        g_autofree char *commented = g_strdup_printf("\n#%s = ", s->key);
        g_autofree char *plain = g_strdup_printf("\n%s = ", s->key);

        g_assert_cmpuint(g_string_replace(active, commented, plain, 0), ==, 1);
        g_assert_cmpuint(strlen(s->doc), >, 40);
    }
    file = vq_key_file_parse(vq_settings, active->str, active->len, "template", NULL, &error);
    g_assert_no_error(error);

    g_autofree char *found = dump(file);

    g_assert_cmpstr(found, ==, "");
}

/* The manual page has the table's text, word for word, between its two marks. */
static void
test_manual(void)
{
    static const char begin[] = ".. begin of keys\n\n", end[] = ".. end of keys\n";
    g_autofree char *path = source_path("docs/man/virtqueued.conf.rst");
    g_autofree char *rst = vq_key_file_rst(vq_settings);
    g_autofree char *page = NULL;

    g_assert_true(g_file_get_contents(path, &page, NULL, NULL));

    char *from = strstr(page, begin);
    char *to = strstr(page, end);

    g_assert_nonnull(from);
    g_assert_nonnull(to);

    g_autofree char *head = g_strndup(page, from - page);
    g_autofree char *found = g_strconcat(head, begin, rst, to, NULL);

    compare(path, found);
}

int
main(int argc, char **argv)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *name;

    g_test_init(&argc, &argv, NULL);

    g_autofree char *path = source_path("tests/data/config");
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);

    while (dir && (name = g_dir_read_name(dir))) {
        if (!g_str_has_suffix(name, ".conf"))
            continue;

        char *stem = g_strndup(name, strlen(name) - strlen(".conf"));
        g_autofree char *test = g_strdup_printf("/keyfile/data/%s", stem);

        g_ptr_array_add(names, stem);
        g_test_add_data_func(test, stem, test_pair);
    }
    g_test_add_func("/keyfile/no-stray-data", test_no_stray_data);
    g_test_add_func("/keyfile/only-group", test_only_group);
    g_test_add_func("/keyfile/input-limits", test_input_limits);
    g_test_add_func("/keyfile/template", test_template);
    g_test_add_func("/keyfile/manual", test_manual);
    g_assert_cmpuint(names->len, >, 0);
    return g_test_run();
}
