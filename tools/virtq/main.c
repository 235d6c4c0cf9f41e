/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtq: the tool. Global options, then one command, or a shell without one. */
#include "command.h"

#include "base/enum.h"
#include "base/error.h"
#include "config.h"

#include <locale.h>

static const VqEnumEntry format_names[] = {
    {VQ_FORMAT_TABLE, "table"},
    {VQ_FORMAT_JSON, "json"},
    {VQ_FORMAT_XML, "xml"},
    {0, NULL},
};

typedef struct {
    char *uri, *socket, *format;
    gboolean quiet, version;
} Options;

static bool
parse_options(Options *options, int *argc, char ***argv, GError **error)
{
    const GOptionEntry entries[] = {
        {"connect", 'c', 0, G_OPTION_ARG_STRING, &options->uri, "libvirt connection URI", "URI"},
        {"socket", 's', 0, G_OPTION_ARG_FILENAME, &options->socket,
         "the daemon's socket (" VQ_SOCKET ")", "PATH"},
        {"format", 'f', 0, G_OPTION_ARG_STRING, &options->format, "table, json or xml", "FORMAT"},
        {"quiet", 'q', 0, G_OPTION_ARG_NONE, &options->quiet, "print results only", NULL},
        {"version", 'V', 0, G_OPTION_ARG_NONE, &options->version, "print the version", NULL},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("[COMMAND [ARG...]]");

    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_set_strict_posix(context, TRUE);
    g_option_context_set_description(context, "'virtq help' lists the commands.");
    return g_option_context_parse(context, argc, argv, error);
}

static bool
run(int argc, char **argv, GError **error)
{
    Options options = {0};
    VqTool tool = {0};
    int format = VQ_FORMAT_TABLE;

    if (!parse_options(&options, &argc, &argv, error))
        return false;

    g_autofree char *uri = options.uri;
    g_autofree char *socket = options.socket ? options.socket : g_strdup(VQ_SOCKET);
    g_autofree char *format_name = options.format;

    if (options.version) {
        puts(VQ_VERSION);
        return true;
    }
    if (format_name && !vq_enum_from_name(format_names, format_name, &format)) {
        g_autofree char *list = vq_enum_list(format_names);

        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "--format '%s' is not %s", format_name,
                    list);
        return false;
    }
    tool = (VqTool){.uri = uri, .socket = socket, .format = format, .quiet = options.quiet};
    if (argc < 2) {
        char *help[] = {(char *)"help", NULL};

        return vq_command_run(&tool, 1, help, error);
    }
    return vq_command_run(&tool, argc - 1, argv + 1, error);
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;

    setlocale(LC_ALL, "");
    g_set_prgname("virtq");
    if (run(argc, argv, &error))
        return 0;
    g_printerr("error: %s\n", error->message);
    return 1;
}
