/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * To the user of virsh (an error) and to the libvirt daemon's log. Any thread.
 */
#pragma once

#include <glib.h>

/* Makes @error the error of the present libvirt call: "virtqueued: ..." with a fitting code. */
void vq_report(const GError *error);

/* A line "virtqueued: ..." in the libvirt daemon's log. */
void vq_warn(const char *format, ...) G_GNUC_PRINTF(1, 2);
void vq_info(const char *format, ...) G_GNUC_PRINTF(1, 2);
