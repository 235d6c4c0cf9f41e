/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tool's frame: a table of commands, each in a file of its group, run from the command line
 * or from the shell. To add one: a vq_cmd_*() here, a line in the table of command.c, its text in
 * docs/man/virtq.rst (a test compares the two).
 */
#pragma once

#include "base/enum.h"

#include <gio/gio.h>
#include <stdbool.h>
#include <stdio.h>

typedef enum {
    VQ_FORMAT_TABLE,
    VQ_FORMAT_JSON,
    VQ_FORMAT_XML,
} VqFormat;

extern const VqEnumEntry vq_format_names[];

/* What holds for all commands of one run. */
typedef struct {
    char *uri;    /* -c, or NULL: libvirt's default */
    char *socket; /* of the daemon */
    VqFormat format;
    bool quiet;
} VqTool;

typedef struct _VqCommand VqCommand;

/*
 * Runs a command. argv[0] is its name; options are taken out by vq_command_parse(). Prints its
 * result on stdout. False and @error after a failure; main() prints the error.
 */
typedef bool (*VqCommandFunc)(VqTool *tool, const VqCommand *command, int argc, char **argv,
                              GError **error);

struct _VqCommand {
    const char *name;
    const char *group;   /* heading in help: "Offline", "Host", "Domains"; NULL: not listed */
    const char *args;    /* "DOMAIN DISK [QUEUE]", "" for none */
    const char *summary; /* one line */
    VqCommandFunc run;
    int min_args, max_args; /* positional ones; max -1: any number */
};

extern const VqCommand vq_commands[]; /* ends with a NULL name */

const VqCommand *vq_command_find(const char *name);

/*
 * Parses the command's options (@entries, may be NULL, ends with {NULL}) and checks the number of
 * positional arguments, which are left in argv[1..]. With --help, prints the help and sets *@done.
 */
bool vq_command_parse(const VqCommand *command, const GOptionEntry *entries, int *argc,
                      char ***argv, bool *done, GError **error);

/* What completion needs of an option. Static strings. */
typedef struct {
    const char *long_name;
    char short_name; /* or 0 */
    bool has_value;
} VqOptionName;

/* The options of a command, of VqOptionName: those that it hands to vq_command_parse(). Main thread
 * only. */
GArray *vq_command_options(const VqCommand *command);

/* The global options, of VqOptionName. */
GArray *vq_main_options(void);

/* Adds the names of @entries to @options, of VqOptionName. */
void vq_options_add(GArray *options, const GOptionEntry *entries);

/* argv[0] of @argv names the command to run. */
bool vq_command_run(VqTool *tool, int argc, char **argv, GError **error);

/* Reads all of a file, "-" being stdin; at most @max bytes. */
bool vq_tool_read(const char *path, gsize max, char **text, gsize *length, GError **error);

/* Offline (offline.c, topology.c, plan.c, simulate.c) */
bool vq_cmd_validate(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
bool vq_cmd_expand(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
bool vq_cmd_collapse(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
bool vq_cmd_topology(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
bool vq_cmd_plan(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
bool vq_cmd_draw(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
bool vq_cmd_simulate(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
/* Host and domains, through the daemon (live.c, draw.c, metrics.c, top.c) */
bool vq_cmd_list(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
bool vq_cmd_info(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
bool vq_cmd_why(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
bool vq_cmd_rebalance(VqTool *tool, const VqCommand *command, int argc, char **argv,
                      GError **error);
bool vq_cmd_off(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
bool vq_cmd_on(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
bool vq_cmd_drain(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
bool vq_cmd_undrain(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
bool vq_cmd_top(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
bool vq_cmd_metrics(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
bool vq_cmd_status(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);

bool vq_cmd_complete(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
bool vq_cmd_help(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error);
