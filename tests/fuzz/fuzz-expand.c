/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"

#include "core/domain.h"
#include "core/expand.h"

#include <string.h>

/*
 * Any bytes: expanded, or refused with an error, or left alone. What was expanded is stable, its
 * expansion can be taken out, and the reader of domains finds nothing wrong with it.
 */
static void
check_expanded(const char *text)
{
    gsize length = strlen(text);
    g_autofree char *again = NULL, *back = NULL, *twice = NULL;
    g_autoptr(VqProblems) problems = vq_problems_new();
    g_autoptr(GError) error = NULL;

    g_assert_true(vq_expand(text, length, &again, &error));
    g_assert_no_error(error);
    g_assert_null(again);
    g_assert_true(vq_collapse(text, length, &back, &error));
    g_assert_no_error(error);
    if (back) {
        g_assert_true(vq_collapse(back, strlen(back), &twice, &error));
        g_assert_no_error(error);
        g_assert_null(twice);
    }

    g_autoptr(VqDomain) domain = vq_domain_read(text, length, problems, &error);

    g_assert_no_error(error);
    g_assert_nonnull(domain);
    g_assert_true(vq_problems_empty(problems));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL, collapse_error = NULL, read_error = NULL;
    g_autoptr(VqProblems) problems = vq_problems_new();
    g_autofree char *out = NULL, *back = NULL;
    bool ok = vq_expand((const char *)data, size, &out, &error);

    g_assert_true(ok == (error == NULL));
    g_assert_true(ok || !out);
    if (out)
        check_expanded(out);
    ok = vq_collapse((const char *)data, size, &back, &collapse_error);
    g_assert_true(ok == (collapse_error == NULL));

    g_autoptr(VqDomain) domain = vq_domain_read((const char *)data, size, problems, &read_error);

    g_assert_true(!domain == (read_error != NULL));
    return 0;
}
