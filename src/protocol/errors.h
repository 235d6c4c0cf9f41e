/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * VqErrorCode <-> D-Bus error names (org.virtqueued.Error.*): one table for both ends.
 */
#pragma once

#include "base/enum.h"
#include "base/error.h"

/* VqErrorCode -> full D-Bus error name. */
extern const VqEnumEntry vq_error_dbus_names[];

/*
 * Makes GDBus translate VQ_ERROR both ways by the table, process wide. For the daemon and
 * tests; the client does without, since it must leave its process (the libvirt daemon) as it is.
 */
void vq_errors_register(void);

/* The VqErrorCode for @dbus_name; a name that is not ours is VQ_ERROR_FAILED. */
int vq_error_from_dbus_name(const char *dbus_name);
