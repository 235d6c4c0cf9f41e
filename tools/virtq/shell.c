/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The shell. A command of it is a command of the command line: nothing of a command outlives it
 * but the global options, which are those that virtq was started with.
 */
#include "shell.h"
#include "complete.h"

#include "base/error.h"

#include <editline/readline.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROMPT        "virtq # "
#define HISTORY_LINES 500

/* readline's completion has no argument of its own; set while the shell reads from a terminal. */
static VqTool *completing;

/* The end of what begins at @p: one character, an escaped one, or all between quotes. */
static const char *
skip_one(const char *p)
{
    char quote = *p;

    if (*p == '\\')
        return p[1] ? p + 2 : p + 1;
    if (*p != '\'' && *p != '"')
        return p + 1;
    for (p++; *p && *p != quote; p++) {
        if (*p == '\\' && quote == '"' && p[1])
            p++;
    }
    return *p ? p + 1 : p;
}

static void
add_part(GPtrArray *parts, const char *from, const char *to)
{
    char *part = g_strstrip(g_strndup(from, to - from));

    if (*part)
        g_ptr_array_add(parts, part);
    else
        g_free(part);
}

GPtrArray *
vq_shell_split(const char *line)
{
    GPtrArray *parts = g_ptr_array_new_with_free_func(g_free);
    const char *from = line, *p = line;
    bool word_start = true;

    while (*p && !(word_start && *p == '#')) {
        word_start = g_ascii_isspace(*p) || *p == ';';
        if (*p != ';') {
            p = skip_one(p);
            continue;
        }
        add_part(parts, from, p);
        from = ++p;
    }
    add_part(parts, from, p);
    return parts;
}

/* Runs one command; *@quit is set if it asks to leave. */
static bool
run_one(VqTool *tool, const char *text, bool *quit, GError **error)
{
    g_auto(GStrv) words = NULL;
    int count;

    if (!g_shell_parse_argv(text, &count, &words, error))
        return false;
    if (g_str_equal(words[0], "quit") || g_str_equal(words[0], "exit")) {
        *quit = count == 1;
        if (!*quit)
            g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s: too many arguments", words[0]);
        return *quit;
    }

    /* options are taken out of the array that a command gets; the words stay ours */
    g_autofree char **argv = g_memdup2(words, (count + 1) * sizeof(*words));

    return vq_command_run(tool, count, argv, error);
}

/* Runs all commands of a line; counts those that failed in *@failed. Returns whether to go on. */
static bool
run_line(VqTool *tool, const char *line, unsigned *failed)
{
    g_autoptr(GPtrArray) parts = vq_shell_split(line);
    bool quit = false;

    for (guint i = 0; i < parts->len && !quit; i++) {
        g_autoptr(GError) error = NULL;
        bool ok = run_one(tool, g_ptr_array_index(parts, i), &quit, &error);

        /* what a command printed comes before what the next one says */
        fflush(stdout);
        if (!ok) {
            g_printerr("error: %s\n", error->message);
            (*failed)++;
        }
    }
    return !quit;
}

static unsigned
run_stream(VqTool *tool)
{
    unsigned failed = 0;
    char *line = NULL;
    size_t size = 0;
    bool more = true;

    /* a command that reads "-" gets what follows its line, as in sh */
    setvbuf(stdin, NULL, _IONBF, 0);
    while (more && getline(&line, &size, stdin) >= 0)
        more = run_line(tool, line, &failed);
    free(line);
    return failed;
}

static char *
next_match(const char *text, int state)
{
    static GPtrArray *found;
    static guint next;

    if (state == 0) {
        g_autofree char *before = g_strndup(rl_line_buffer, rl_point);
        g_autoptr(GPtrArray) parts = vq_shell_split(before);
        const char *part = parts->len ? g_ptr_array_index(parts, parts->len - 1) : "";
        g_auto(GStrv) words = NULL;
        g_autoptr(GPtrArray) all = g_ptr_array_new();

        g_clear_pointer(&found, g_ptr_array_unref);
        next = 0;
        g_shell_parse_argv(part, NULL, &words, NULL);
        for (char **w = words; w && *w; w++)
            g_ptr_array_add(all, *w);
        if (!*text)
            g_ptr_array_add(all, (char *)"");
        g_ptr_array_add(all, NULL);
        found = vq_complete(completing, (const char *const *)all->pdata);
    }
    if (next < found->len)
        return strdup(g_ptr_array_index(found, next++));
    return NULL;
}

/* No match: readline's own, file names. */
static char **
complete_word(const char *text, int start, int end)
{
    return rl_completion_matches(text, next_match);
}

static void
run_terminal(VqTool *tool)
{
    unsigned failed = 0;
    bool more = true;

    completing = tool;
    rl_readline_name = "virtq";
    rl_attempted_completion_function = complete_word;
    using_history();
    stifle_history(HISTORY_LINES);
    while (more) {
        char *line = readline(PROMPT);

        if (!line) {
            puts("");
            break;
        }
        if (*line)
            add_history(line);
        more = run_line(tool, line, &failed);
        free(line);
    }
    completing = NULL;
}

int
vq_shell_run(VqTool *tool)
{
    if (!isatty(STDIN_FILENO))
        return run_stream(tool) > 0;
    if (!tool->quiet)
        puts("virtq: 'help' lists the commands, 'quit' leaves.");
    run_terminal(tool);
    return 0;
}
