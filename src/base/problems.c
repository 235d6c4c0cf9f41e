/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/problems.h"
#include "base/error.h"

static void
problem_free(gpointer data)
{
    VqProblem *problem = data;

    g_free(problem->text);
    g_free(problem);
}

VqProblems *
vq_problems_new(void)
{
    VqProblems *problems = g_new0(VqProblems, 1);

    problems->list = g_ptr_array_new_with_free_func(problem_free);
    return problems;
}

void
vq_problems_free(VqProblems *problems)
{
    if (!problems)
        return;
    g_ptr_array_unref(problems->list);
    g_free(problems);
}

void
vq_problems_add(VqProblems *problems, unsigned line, int code, const char *format, ...)
{
    problems->total++;
    if (problems->list->len >= VQ_PROBLEMS_MAX)
        return;

    VqProblem *problem = g_new0(VqProblem, 1);
    va_list args;

    problem->line = line;
    problem->code = code;
    va_start(args, format);
    problem->text = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(problems->list, problem);
}

bool
vq_problems_empty(const VqProblems *problems)
{
    return problems->total == 0;
}

bool
vq_problems_to_error(const VqProblems *problems, GError **error)
{
    if (vq_problems_empty(problems))
        return true;

    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < problems->list->len; i++) {
        const VqProblem *p = g_ptr_array_index(problems->list, i);

        if (i)
            g_string_append_c(text, '\n');
        if (p->line)
            g_string_append_printf(text, "line %u: ", p->line);
        g_string_append(text, p->text);
    }
    if (problems->total > problems->list->len)
        g_string_append_printf(text, "\n... and %u more", problems->total - problems->list->len);

    const VqProblem *first = g_ptr_array_index(problems->list, 0);

    g_set_error_literal(error, VQ_ERROR, first->code, text->str);
    return false;
}
