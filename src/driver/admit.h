/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The question to the daemon whether a domain may start here, from within the libvirt daemon:
 * bounded in time and in number, whatever state the daemon is in.
 *
 * Knows nothing of libvirt. Any thread; no lock is held while a call is under way.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Calls under way at once; more wait in line, within their own time limit. libvirt has 20 worker
 * threads, and those that wait here are not there for anybody else. */
#define VQ_ADMIT_CALLS_MAX 4

typedef struct {
    const char *socket;
    unsigned timeout_ms;      /* for all of a call, standing in line included */
    unsigned breaker_seconds; /* after a missed answer the daemon is not asked for so long */
} VqAdmitSettings;

typedef struct {
    unsigned iothread;
    char *cpus; /* cpuset, libvirt syntax */
} VqAdmitPin;

typedef struct {
    GPtrArray *pins;  /* of VqAdmitPin, to be applied as soon as the domain runs */
    GPtrArray *notes; /* of char *: what was degraded, for people */
} VqAdmission;

/*
 * Asks. NULL and VQ_ERROR_REFUSED if a promise cannot be kept, with the daemon's text; any other
 * error: there was no answer to rely on. A domain with a @required promise is asked for even
 * shortly after a missed answer.
 */
VqAdmission *vq_admit(const VqAdmitSettings *settings, const char *xml, bool required,
                      GError **error);

/* The start did not happen: gives the reservation back. Failing is harmless, it expires. */
void vq_admit_withdraw(const VqAdmitSettings *settings, const char *domain);

void vq_admission_free(VqAdmission *admission);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqAdmission, vq_admission_free)
