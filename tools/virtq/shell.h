/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The shell: what virtq is without a command. */
#pragma once

#include "command.h"

/*
 * Runs commands from stdin until its end, or quit: from a terminal with a prompt, editing, history
 * and completion; otherwise line by line. An error is printed and ends nothing. Returns the exit
 * status: 1 if stdin is no terminal and any command failed, else 0.
 */
int vq_shell_run(VqTool *tool);

/*
 * Splits a line at each ';' outside quotes and comments. The parts are still quoted; empty ones are
 * left out. Free with g_ptr_array_unref().
 */
GPtrArray *vq_shell_split(const char *line);
