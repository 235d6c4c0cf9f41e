/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the extension was built for, as data: guard.c compares it with what it meets. The tests
 * link other abi-*.c files, to play a libvirt that differs.
 */
#pragma once

#include <glib.h>

typedef struct {
    unsigned long version;      /* major * 1000000 + minor * 1000 + micro, as virGetVersion() */
    const char *symbol_version; /* of the private symbols: "LIBVIRT_PRIVATE_11.3.0" */
    const char *const *symbols; /* private symbols in use, NULL terminated */
    gsize slots;                /* pointers in virHypervisorDriver */
    const guint16 *null_slots;  /* indexes that QEMU's driver leaves empty, ascending */
    gsize n_null_slots;
} VqAbi;

extern const VqAbi vq_abi;
