/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's monitor protocol: one command at a time, events counted as they come. One thread. */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

typedef struct {
    int fd;
    GString *buffer;
    GHashTable *events;  /* name -> GUINT_TO_POINTER(count) */
    GHashTable *figures; /* "EVENT.member-ns" -> SynHistogram, of nanoseconds in events */
} SynQmp;

/* @fd: connected, then owned. Reads the greeting, negotiates. */
SynQmp *syn_qmp_new(int fd, GError **error);
void syn_qmp_free(SynQmp *qmp);

/* The answer's "return" (the caller's). VQ_ERROR_REFUSED with QEMU's text if it answers with an
 * error; VQ_ERROR_TIMEOUT after @timeout_ms; VQ_ERROR_UNAVAILABLE if the connection is gone. */
JsonNode *syn_qmp_execute(SynQmp *qmp, const char *command, int timeout_ms, GError **error);

/* Takes in events that have come. */
void syn_qmp_poll(SynQmp *qmp);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SynQmp, syn_qmp_free)
