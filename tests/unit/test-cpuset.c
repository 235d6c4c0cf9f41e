/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cpuset.h"
#include "base/error.h"

static void
assert_set(const VqCpuset *set, const char *expected)
{
    g_autofree char *text = vq_cpuset_format(set);

    g_assert_cmpstr(text, ==, expected);
}

static void
test_parse(void)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"  \n", ""},
        {"0", "0"},
        {"0-3,8", "0-3,8"},
        {" 3 , 1 ,2 ", "1-3"},
        {"0-7,^2", "0-1,3-7"},
        {"0-7,^2-5", "0-1,6-7"},
        {"^2,0-3", "0-3"}, /* left to right */
        {"63-64,127-128", "63-64,127-128"},
        {"16383", "16383"},
        {"007", "7"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(VqCpuset) set = vq_cpuset_parse(cases[i][0], &error);

        g_assert_no_error(error);
        assert_set(set, cases[i][1]);
    }
}

static void
test_parse_bad(void)
{
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"a", VQ_ERROR_INVALID},
        {"1,", VQ_ERROR_INVALID},
        {",1", VQ_ERROR_INVALID},
        {"1-", VQ_ERROR_INVALID},
        {"-1", VQ_ERROR_INVALID},
        {"3-1", VQ_ERROR_INVALID},
        {"1 2", VQ_ERROR_INVALID},
        {"^", VQ_ERROR_INVALID},
        {"^^1", VQ_ERROR_INVALID},
        {"0x3", VQ_ERROR_INVALID},
        {"16384", VQ_ERROR_LIMIT},
        {"0-16384", VQ_ERROR_LIMIT},
        {"1-2-3", VQ_ERROR_INVALID},
        {"(null)", VQ_ERROR_INVALID},
        {"99999999999999999999999999", VQ_ERROR_LIMIT},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(VqCpuset) set = vq_cpuset_parse(cases[i].text, &error);

        g_assert_null(set);
        g_assert_error(error, VQ_ERROR, cases[i].code);
    }
}

static void
test_members(void)
{
    g_autoptr(VqCpuset) set = vq_cpuset_new();
    unsigned seen = 0, sum = 0;

    g_assert_true(vq_cpuset_empty(set));
    g_assert_cmpint(vq_cpuset_next(set, 0), ==, -1);
    vq_cpuset_add(set, 5);
    vq_cpuset_add(set, 64);
    vq_cpuset_add_range(set, 127, 129);
    vq_cpuset_add(set, VQ_CPUSET_MAX); /* ignored */
    vq_cpuset_add_range(set, VQ_CPUSET_MAX - 1, G_MAXUINT);
    vq_cpuset_remove(set, 128);
    vq_cpuset_remove(set, 9999);
    vq_cpuset_remove(set, G_MAXUINT);
    g_assert_true(vq_cpuset_has(set, 64));
    g_assert_false(vq_cpuset_has(set, 65));
    g_assert_false(vq_cpuset_has(set, G_MAXUINT));
    g_assert_cmpuint(vq_cpuset_count(set), ==, 5);
    g_assert_cmpint(vq_cpuset_next(set, 5), ==, 5);
    g_assert_cmpint(vq_cpuset_next(set, 6), ==, 64);
    g_assert_cmpint(vq_cpuset_next(set, 128), ==, 129);
    g_assert_cmpint(vq_cpuset_next(set, VQ_CPUSET_MAX), ==, -1);
    VQ_CPUSET_FOREACH (cpu, set) {
        seen++;
        sum += cpu;
    }
    g_assert_cmpuint(seen, ==, 5);
    g_assert_cmpuint(sum, ==, 5 + 64 + 127 + 129 + 16383);
    assert_set(set, "5,64,127,129,16383");
}

static void
test_algebra(void)
{
    /* each pair in both orders: one set has fewer words than the other */
    g_autoptr(VqCpuset) a = vq_cpuset_parse("0-3", NULL);
    g_autoptr(VqCpuset) b = vq_cpuset_parse("2-5,100", NULL);
    g_autoptr(VqCpuset) empty = vq_cpuset_new();

    for (int order = 0; order < 2; order++) {
        const VqCpuset *x = order ? b : a, *y = order ? a : b;
        g_autoptr(VqCpuset) u = vq_cpuset_copy(x);
        g_autoptr(VqCpuset) i = vq_cpuset_copy(x);
        g_autoptr(VqCpuset) d = vq_cpuset_copy(x);

        vq_cpuset_union(u, y);
        vq_cpuset_intersect(i, y);
        vq_cpuset_subtract(d, y);
        assert_set(u, "0-5,100");
        assert_set(i, "2-3");
        assert_set(d, order ? "4-5,100" : "0-1");
        g_assert_true(vq_cpuset_intersects(x, y));
        g_assert_false(vq_cpuset_intersects(d, y));
        g_assert_true(vq_cpuset_subset(i, x) && vq_cpuset_subset(i, y));
        g_assert_false(vq_cpuset_subset(x, y));
        g_assert_true(vq_cpuset_subset(empty, x));
        g_assert_false(vq_cpuset_subset(x, empty));
        g_assert_false(vq_cpuset_equal(x, y));
        vq_cpuset_subtract(u, u);
        g_assert_true(vq_cpuset_equal(u, empty) && vq_cpuset_equal(empty, u));
    }
    vq_cpuset_free(NULL);
}

static void
test_single(void)
{
    g_autoptr(VqCpuset) set = vq_cpuset_new_single(70);

    assert_set(set, "70");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpuset/parse", test_parse);
    g_test_add_func("/cpuset/parse-bad", test_parse_bad);
    g_test_add_func("/cpuset/members", test_members);
    g_test_add_func("/cpuset/algebra", test_algebra);
    g_test_add_func("/cpuset/single", test_single);
    return g_test_run();
}
