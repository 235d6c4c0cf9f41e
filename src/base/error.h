/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one GError domain of the project.
 *
 * Only failures are errors: an outcome that is documented and expected (a thread that gets a
 * shared core instead of its own, say) is a value, never a GError.
 */
#pragma once

#include <glib.h>

#define VQ_ERROR (vq_error_quark())

typedef enum {
    VQ_ERROR_FAILED,      /* none of the below; the message says it all */
    VQ_ERROR_INVALID,     /* input is not well-formed or has a value outside its set */
    VQ_ERROR_LIMIT,       /* a number, size, depth or count is above its limit */
    VQ_ERROR_CONFLICT,    /* two pieces of input contradict each other */
    VQ_ERROR_REFUSED,     /* a promise that was asked for cannot be kept */
    VQ_ERROR_NOT_FOUND,   /* the named object does not exist (any more) */
    VQ_ERROR_UNSUPPORTED, /* known, but not possible with what is here */
    VQ_ERROR_DENIED,      /* the caller may not do this */
    VQ_ERROR_TIMEOUT,     /* a partner did not answer within its time */
    VQ_ERROR_UNAVAILABLE, /* a partner is not there */
} VqErrorCode;

GQuark vq_error_quark(void);
