/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables of names: both directions, and the list for error messages. */
#include "base/enum.h"

static const VqEnumEntry colours[] = {{3, "red"}, {7, "green"}, {-1, "blue"}, {0, NULL}};
static const VqEnumEntry pair[] = {{0, "off"}, {1, "on"}, {0, NULL}};
static const VqEnumEntry single[] = {{0, "all"}, {0, NULL}};
static const VqEnumEntry none[] = {{0, NULL}};

static void
test_from_name(void)
{
    int value = 42;

    g_assert_true(vq_enum_from_name(colours, "red", &value));
    g_assert_cmpint(value, ==, 3);
    g_assert_true(vq_enum_from_name(colours, "blue", &value));
    g_assert_cmpint(value, ==, -1);
}

/* Neither another case, nor a part, nor white space; the value stays as it was. */
static void
test_unknown_name(void)
{
    static const char *const names[] = {"", "Red", "re", "redd", " red", "red ", "yellow"};
    int value = 42;

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_assert_false(vq_enum_from_name(colours, names[i], &value));
        g_assert_cmpint(value, ==, 42);
    }
    g_assert_false(vq_enum_from_name(none, "red", &value));
    g_assert_cmpint(value, ==, 42);
}

static void
test_name(void)
{
    g_assert_cmpstr(vq_enum_name(colours, 7), ==, "green");
    g_assert_cmpstr(vq_enum_name(colours, -1), ==, "blue");
    g_assert_null(vq_enum_name(colours, 0));
    g_assert_null(vq_enum_name(none, 0));
}

static void
check_list(const VqEnumEntry *table, const char *expected)
{
    g_autofree char *list = vq_enum_list(table);

    g_assert_cmpstr(list, ==, expected);
}

static void
test_list(void)
{
    check_list(colours, "red, green or blue");
    check_list(pair, "off or on");
    check_list(single, "all");
    check_list(none, "");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/enum/from-name", test_from_name);
    g_test_add_func("/enum/unknown-name", test_unknown_name);
    g_test_add_func("/enum/name", test_name);
    g_test_add_func("/enum/list", test_list);
    return g_test_run();
}
