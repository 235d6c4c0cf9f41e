/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A list of problems found in one piece of input. Readers add every problem they meet and go on,
 * so that a user sees all of them at once; the caller decides whether they are fatal.
 *
 * A problem's text names the object, the value and the limit, e.g.
 * "disk 'vda': queues='1025' is above the limit of 1024".
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* More than this many are counted but not kept: input decides their number. */
#define VQ_PROBLEMS_MAX 100

typedef struct {
    unsigned line; /* 1-based line of the input, 0 = unknown */
    int code;      /* VqErrorCode */
    char *text;
} VqProblem;

typedef struct {
    GPtrArray *list; /* of VqProblem, in the order found */
    unsigned total;  /* found, including those not kept */
} VqProblems;

VqProblems *vq_problems_new(void);
void vq_problems_free(VqProblems *problems);

void vq_problems_add(VqProblems *problems, unsigned line, int code, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

bool vq_problems_empty(const VqProblems *problems);

/*
 * One GError out of all problems: its code is the first problem's, its message has one problem a
 * line as "line N: text". Returns false (for "return vq_problems_to_error(...)") if there was any
 * problem, true and no error if there was none.
 */
bool vq_problems_to_error(const VqProblems *problems, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqProblems, vq_problems_free)
