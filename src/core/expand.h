/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domain XML in, domain XML out: declared queues become <iothreads>, <iothreadids> and <driver
 * queues=><iothreads>, and a record of what was added; and back.
 *
 * Laws (each a property test): no policy -> the same bytes; expand(expand(x)) = expand(x);
 * collapse(expand(x)) = x up to libvirt's normalisation; a changed policy gives the same as
 * expanding the original; what we do not know survives.
 */
#pragma once

#include "base/problems.h"

/*
 * Expands @xml (@length bytes). On success *@out is the new text, or NULL if the input is to be
 * used as it is, byte for byte (no policy, nothing to do). False and @error if the policy cannot
 * be followed: all problems at once, each with its line. Any thread; touches nothing outside.
 */
bool vq_expand(const char *xml, gsize length, char **out, GError **error);

/* Takes out exactly what vq_expand() added. Otherwise the same contract. */
bool vq_collapse(const char *xml, gsize length, char **out, GError **error);
