/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of problems: order, lines, the bound on what is kept, and the error made of it. */
#include "base/error.h"
#include "base/problems.h"

#include <string.h>

static void
test_empty(void)
{
    g_autoptr(VqProblems) problems = vq_problems_new();
    g_autoptr(GError) error = NULL;

    g_assert_true(vq_problems_empty(problems));
    g_assert_true(vq_problems_to_error(problems, &error));
    g_assert_no_error(error);
    vq_problems_free(NULL);
}

/* One a line in the order found; the first gives the code; no line number where none is known. */
static void
test_several(void)
{
    g_autoptr(VqProblems) problems = vq_problems_new();
    g_autoptr(GError) error = NULL;

    vq_problems_add(problems, 12, VQ_ERROR_LIMIT, "disk '%s': queues='%d'", "vda", 1025);
    vq_problems_add(problems, 0, VQ_ERROR_CONFLICT, "100%% of it");
    vq_problems_add(problems, 70000, VQ_ERROR_INVALID, "%s", "%n%s");
    g_assert_false(vq_problems_empty(problems));
    g_assert_false(vq_problems_to_error(problems, &error));
    g_assert_error(error, VQ_ERROR, VQ_ERROR_LIMIT);
    g_assert_cmpstr(error->message, ==,
                    "line 12: disk 'vda': queues='1025'\n100% of it\nline 70000: %n%s");
    g_assert_false(vq_problems_to_error(problems, NULL));
}

static void
check_many(unsigned count, unsigned lines, const char *end)
{
    g_autoptr(VqProblems) problems = vq_problems_new();
    g_autoptr(GError) error = NULL;

    for (unsigned i = 1; i <= count; i++)
        vq_problems_add(problems, i, VQ_ERROR_INVALID, "bad");
    g_assert_cmpuint(problems->total, ==, count);
    g_assert_cmpuint(problems->list->len, ==, MIN(count, VQ_PROBLEMS_MAX));
    g_assert_false(vq_problems_to_error(problems, &error));

    g_auto(GStrv) text = g_strsplit(error->message, "\n", -1);

    g_assert_cmpuint(g_strv_length(text), ==, lines);
    g_assert_cmpstr(text[lines - 1], ==, end);
}

static void
test_bound(void)
{
    check_many(VQ_PROBLEMS_MAX, VQ_PROBLEMS_MAX, "line 100: bad");
    check_many(VQ_PROBLEMS_MAX + 1, VQ_PROBLEMS_MAX + 1, "... and 1 more");
    check_many(1000000, VQ_PROBLEMS_MAX + 1, "... and 999900 more");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/problems/empty", test_empty);
    g_test_add_func("/problems/several", test_several);
    g_test_add_func("/problems/bound", test_bound);
    return g_test_run();
}
