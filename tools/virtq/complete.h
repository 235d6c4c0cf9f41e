/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What may stand at the end of a command line, for bash and for the shell. */
#pragma once

#include "command.h"

/*
 * @words: those behind "virtq", NULL-terminated, the last one being the one to complete (maybe
 * ""). Returns the words (char *) that it may become; none where a file name is wanted, or nothing
 * is known. Names of domains and disks come from the daemon, within COMPLETE_TIMEOUT_MS, and are
 * left out without it. Free with g_ptr_array_unref().
 */
GPtrArray *vq_complete(const VqTool *tool, const char *const *words);
