/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's command line. */
#pragma once

#include "qemu.h"

typedef struct {
    int memory, firmware, qtest, qmp; /* inherited descriptors */
    uint64_t memory_bytes;
} SynQemuFds;

/* NULL-terminated, of strings. Errors: VQ_ERROR_INVALID for options that are not JSON, or no map.
 */
GPtrArray *syn_qemu_args(const SynOptions *options, const char *accel, const SynQemuFds *fds,
                         GError **error);
