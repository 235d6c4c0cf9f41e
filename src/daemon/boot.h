/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's relations with the system it was started by. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

/* The kernel's id of this boot, "" where it has none. g_free(). */
char *vq_boot_id(void);

/* Sends @state ("READY=1") to systemd; nothing without one. Not libsystemd: one datagram is all. */
void vq_notify(const char *state);

/* The listening socket systemd handed over, or NULL. */
GSocket *vq_activation_socket(GError **error);

/*
 * Takes the lock on @state_dir (made if missing), held until the process ends; error CONFLICT names
 * the process that has it.
 */
bool vq_lock_state(const char *state_dir, GError **error);
