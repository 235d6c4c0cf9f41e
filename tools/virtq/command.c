/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "command.h"

#include "base/error.h"

#include <gio/gunixinputstream.h>
#include <string.h>
#include <unistd.h>

const VqCommand vq_commands[] = {
    {"validate", "Offline", "FILE...", "check the policy in domain XML", vq_cmd_validate, 1, -1},
    {"expand", "Offline", "FILE|-", "print domain XML with its policy expanded", vq_cmd_expand, 1,
     1},
    {"collapse", "Offline", "FILE|-", "print domain XML with the expansion taken out",
     vq_cmd_collapse, 1, 1},
    {"topology", "Offline", "", "cores, nodes, disks, the I/O core pool and why", vq_cmd_topology,
     0, 0},
    {"plan", "Offline", "DOMAIN.xml...", "show where threads would go and what would be refused",
     vq_cmd_plan, 1, -1},
    {"draw", "Offline", "FILE.svg [DOMAIN.xml...]", "draw the host, or a plan, with its queues",
     vq_cmd_draw, 1, -1},
    {"simulate", "Offline", "", "play VMs that come, do I/O and go, in virtual time",
     vq_cmd_simulate, 0, 0},
    {"list", "Domains", "", "where each queue is served", vq_cmd_list, 0, 0},
    {"info", "Domains", "DOMAIN", "the same for one domain, with its IOThreads' settings",
     vq_cmd_info, 1, 1},
    {"why", "Domains", "DOMAIN DISK [QUEUE]", "the reason for a placement, and the next best",
     vq_cmd_why, 2, 3},
    {"off", "Domains", "DOMAIN", "hand a domain back to plain libvirt", vq_cmd_off, 1, 1},
    {"on", "Domains", "DOMAIN", "take it again, threads pinned by hand included", vq_cmd_on, 1, 1},
    {"rebalance", "Host", "", "check and place all threads now", vq_cmd_rebalance, 0, 0},
    {"drain", "Host", "CPULIST", "take CPUs out of the pool", vq_cmd_drain, 1, 1},
    {"undrain", "Host", "", "give all drained CPUs back to the pool", vq_cmd_undrain, 0, 0},
    {"top", "Host", "", "queues, threads and cores at work, live", vq_cmd_top, 0, 0},
    {"metrics", "Host", "", "counters as Prometheus reads them", vq_cmd_metrics, 0, 0},
    {"status", "Host", "", "the state of the daemon", vq_cmd_status, 0, 0},
    {"help", "General", "[COMMAND]", "print this list, or the help of a command", vq_cmd_help, 0,
     1},
    {"complete", NULL, "-- [WORD...]", "print what the last word may become", vq_cmd_complete, 1,
     -1},
    {NULL},
};

/* Where vq_command_parse() is to put a command's options instead of parsing; else NULL. */
static GArray *wanted_options;

const VqCommand *
vq_command_find(const char *name)
{
    for (const VqCommand *c = vq_commands; c->name; c++) {
        if (g_str_equal(c->name, name))
            return c;
    }
    return NULL;
}

static bool
check_count(const VqCommand *command, int count, GError **error)
{
    if (count >= command->min_args && (command->max_args < 0 || count <= command->max_args))
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s: %s; usage: virtq %s [OPTION...] %s",
                command->name,
                count < command->min_args ? "argument missing" : "too many arguments",
                command->name, command->args);
    return false;
}

bool
vq_command_parse(const VqCommand *command, const GOptionEntry *entries, int *argc, char ***argv,
                 bool *done, GError **error)
{
    g_autoptr(GOptionContext) context = g_option_context_new(command->args);
    g_autofree char *program = g_strdup_printf("virtq %s", command->name);
    gboolean help = FALSE;
    const GOptionEntry help_entry[] = {
        {"help", 'h', 0, G_OPTION_ARG_NONE, &help, "print this help", NULL},
        {NULL},
    };

    *done = wanted_options != NULL;
    if (wanted_options) {
        vq_options_add(wanted_options, help_entry);
        vq_options_add(wanted_options, entries);
        return true;
    }
    g_set_prgname(program);
    g_option_context_set_summary(context, command->summary);
    g_option_context_set_help_enabled(context, FALSE);
    g_option_context_add_main_entries(context, help_entry, NULL);
    if (entries)
        g_option_context_add_main_entries(context, entries, NULL);

    bool ok = g_option_context_parse(context, argc, argv, error);

    if (!ok) {
        g_prefix_error(error, "%s: ", command->name);
    } else if (help) {
        g_autofree char *text = g_option_context_get_help(context, TRUE, NULL);

        fputs(text, stdout);
        *done = true;
    } else {
        ok = check_count(command, *argc - 1, error);
    }
    g_set_prgname("virtq");
    return ok;
}

void
vq_options_add(GArray *options, const GOptionEntry *entries)
{
    for (const GOptionEntry *e = entries; e && e->long_name; e++) {
        VqOptionName name = {
            .long_name = e->long_name,
            .short_name = e->short_name,
            .has_value = e->arg != G_OPTION_ARG_NONE,
        };

        g_array_append_val(options, name);
    }
}

GArray *
vq_command_options(const VqCommand *command)
{
    g_autoptr(GError) error = NULL;
    GArray *options = g_array_new(FALSE, FALSE, sizeof(VqOptionName));
    VqTool tool = {0};
    char *argv[] = {(char *)command->name, NULL};

    wanted_options = options;
    command->run(&tool, command, 1, argv, &error);
    wanted_options = NULL;
    return options;
}

bool
vq_command_run(VqTool *tool, int argc, char **argv, GError **error)
{
    const VqCommand *command = vq_command_find(argv[0]);

    if (!command) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "unknown command '%s'; see 'virtq help'",
                    argv[0]);
        return false;
    }
    return command->run(tool, command, argc, argv, error);
}

bool
vq_cmd_help(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    bool done;

    if (!vq_command_parse(command, NULL, &argc, &argv, &done, error))
        return false;
    if (done)
        return true;
    if (argc > 1) {
        char *help_argv[] = {argv[1], (char *)"--help", NULL};

        return vq_command_run(tool, 2, help_argv, error);
    }
    for (const VqCommand *c = vq_commands; c->name; c++) {
        if (!c->group)
            continue;
        if (c == vq_commands || !g_str_equal(c->group, c[-1].group))
            printf("%s %s:\n", c == vq_commands ? "" : "\n", c->group);
        printf("    %-22s %s\n", c->name, c->summary);
    }
    return true;
}

static GInputStream *
open_input(const char *path, GError **error)
{
    if (g_str_equal(path, "-"))
        return g_unix_input_stream_new(STDIN_FILENO, FALSE);

    g_autoptr(GFile) file = g_file_new_for_path(path);

    return G_INPUT_STREAM(g_file_read(file, NULL, error));
}

bool
vq_tool_read(const char *path, gsize max, char **text, gsize *length, GError **error)
{
    g_autoptr(GInputStream) in = open_input(path, error);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    guint8 chunk[16384];
    gssize n;

    if (!in)
        return false;
    while ((n = g_input_stream_read(in, chunk, sizeof(chunk), NULL, error)) > 0) {
        g_byte_array_append(bytes, chunk, n);
        if (bytes->len > max) {
            g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                        "%s: larger than the limit of %" G_GSIZE_FORMAT " bytes", path, max);
            return false;
        }
    }
    if (n < 0) {
        g_prefix_error(error, "%s: ", path);
        return false;
    }
    *length = bytes->len;
    g_byte_array_append(bytes, (const guint8 *)"", 1);
    *text = (char *)g_byte_array_free(g_steal_pointer(&bytes), FALSE);
    return true;
}
