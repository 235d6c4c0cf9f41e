/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's socket: D-Bus to each peer, without a bus. Peers must be root or the daemon's own
 * user; their number and the time they may take to log in are bounded. Main thread only.
 */
#pragma once

#include "daemon/reconcile.h"
#include "daemon/statistics.h"

#include <gio/gio.h>

typedef struct _VqServer VqServer;

/* What methods work on. */
typedef struct {
    VqManager *manager;
    VqReconcile *reconcile;
    VqStatistics *statistics;
} VqMethods;

/*
 * Listens on @path, or on @socket if systemd handed one over. Error CONFLICT if somebody serves
 * @path already. Nothing is taken.
 */
VqServer *vq_server_new(const char *path, GSocket *socket, unsigned connections,
                        const VqMethods *methods, GError **error);
/* Closes all connections; removes the socket if it made it. */
void vq_server_free(VqServer *server);

/* methods.c: carries out one call and answers it, now or after a round. */
void vq_methods_call(const VqMethods *methods, const char *method, GVariant *args,
                     GDBusMethodInvocation *invocation);
