/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Says when CPUs go offline or come back, as the kernel tells udev: messages on a netlink socket
 * (netlink(7), NETLINK_KOBJECT_UEVENT). Reading /sys/devices/system/cpu/online in each round would
 * find it too, only later.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct _VqCpuWatch VqCpuWatch;

/* @changed is called in the main thread's loop. NULL with an error where there is no such socket.
 */
VqCpuWatch *vq_cpu_watch_new(void (*changed)(gpointer data), gpointer data, GError **error);
void vq_cpu_watch_free(VqCpuWatch *watch);

/* Whether a message of the kernel is about a CPU: "ACTION@PATH" and KEY=VALUE, each ended by NUL.
 */
bool vq_cpu_watch_concerns(const char *message, gsize length);
