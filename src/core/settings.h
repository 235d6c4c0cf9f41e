/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every key of virtqueued.conf, as a table for base/keyfile.h. The daemon reads all of it, the
 * driver extension the group VQ_GROUP_DRIVER and the socket.
 */
#pragma once

#include "base/keyfile.h"

#define VQ_GROUP_HOST      "host"
#define VQ_GROUP_PLACEMENT "placement"
#define VQ_GROUP_REBALANCE "rebalance"
#define VQ_GROUP_LIBVIRT   "libvirt"
#define VQ_GROUP_DAEMON    "daemon"
#define VQ_GROUP_DRIVER    "driver"

extern const VqKeySpec vq_settings[];
