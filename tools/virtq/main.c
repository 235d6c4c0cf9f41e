/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtq: the tool. Global options, then one command, or a shell without one. */
#include "shell.h"

#include "base/error.h"
#include "config.h"

#include <locale.h>

const VqEnumEntry vq_format_names[] = {
    {VQ_FORMAT_TABLE, "table"},
    {VQ_FORMAT_JSON, "json"},
    {VQ_FORMAT_XML, "xml"},
    {0, NULL},
};

typedef struct {
    char *uri, *socket, *format;
    gboolean quiet, version;
} Options;

#define MAIN_ENTRIES(o)                                                                            \
    {"connect", 'c', 0, G_OPTION_ARG_STRING, &(o)->uri, "libvirt connection URI", "URI"},          \
        {"socket",                                                                                 \
         's',                                                                                      \
         0,                                                                                        \
         G_OPTION_ARG_FILENAME,                                                                    \
         &(o)->socket,                                                                             \
         "the daemon's socket (" VQ_SOCKET ")",                                                    \
         "PATH"},                                                                                  \
        {"format", 'f', 0, G_OPTION_ARG_STRING, &(o)->format, "table, json or xml", "FORMAT"},     \
        {"quiet", 'q', 0, G_OPTION_ARG_NONE, &(o)->quiet, "print results only", NULL},             \
    {                                                                                              \
        "version", 'V', 0, G_OPTION_ARG_NONE, &(o)->version, "print the version", NULL             \
    }

GArray *
vq_main_options(void)
{
    Options options;
    const GOptionEntry entries[] = {MAIN_ENTRIES(&options), {"help"}, {NULL}};
    GArray *names = g_array_new(FALSE, FALSE, sizeof(VqOptionName));

    vq_options_add(names, entries);
    return names;
}

static bool
parse_options(Options *options, int *argc, char ***argv, GError **error)
{
    const GOptionEntry entries[] = {MAIN_ENTRIES(options), {NULL}};
    g_autoptr(GOptionContext) context = g_option_context_new("[COMMAND [ARG...]]");

    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_set_strict_posix(context, TRUE);
    g_option_context_set_description(context, "'virtq help' lists the commands.");
    return g_option_context_parse(context, argc, argv, error);
}

static bool
run(int argc, char **argv, int *status, GError **error)
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
    if (format_name && !vq_enum_from_name(vq_format_names, format_name, &format)) {
        g_autofree char *list = vq_enum_list(vq_format_names);

        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "--format '%s' is not %s", format_name,
                    list);
        return false;
    }
    tool = (VqTool){.uri = uri, .socket = socket, .format = format, .quiet = options.quiet};
    if (argc < 2) {
        *status = vq_shell_run(&tool);
        return true;
    }
    return vq_command_run(&tool, argc - 1, argv + 1, error);
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    int status = 0;

    setlocale(LC_ALL, "");
    g_set_prgname("virtq");
    if (run(argc, argv, &status, &error))
        return status;
    g_printerr("error: %s\n", error->message);
    return 1;
}
