/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Against a crash loop: a file that exists from before the extension is loaded until the libvirt
 * daemon has run for VQ_SENTINEL_SECONDS, or has ended in an orderly way. Found at the next start,
 * it says that the last one crashed with the extension in it, and the stock driver runs alone until
 * an administrator removes the file (or the host reboots, it lives in /run).
 *
 * Only for libvirtd and virtqemud: a client with an embedded driver may end as it likes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define VQ_SENTINEL_SECONDS 10

/* False if the file was there, or cannot be made; @reason says which, and what to do. */
bool vq_sentinel_arm(char *reason, size_t size);

/* Removes it. Harmless if it was not armed by this process. */
void vq_sentinel_disarm(void);
