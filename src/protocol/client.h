/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls to the daemon, bounded in time: for the tool and, inside the libvirt daemon, for the
 * driver extension. Any thread, no state shared between calls, no main loop needed.
 */
#pragma once

#include <gio/gio.h>

#define VQ_DBUS_PATH      "/org/virtqueued/Daemon1"
#define VQ_DBUS_INTERFACE "org.virtqueued.Daemon1"

/*
 * Connects to the unix socket @socket, calls @method with @args (floating, consumed, or NULL) and
 * returns its out-tuple. The whole of it takes at most @timeout_ms, whatever the peer does:
 * stopped, backlog full, trickling, garbage, half a handshake. Errors: VQ_ERROR_UNAVAILABLE (nobody
 * listens), VQ_ERROR_TIMEOUT, VQ_ERROR_REFUSED/NOT_FOUND/INVALID/... as the daemon says
 * (org.virtqueued.Error.*), with the daemon's text.
 */
GVariant *vq_client_call(const char *socket, const char *method, GVariant *args,
                         const GVariantType *reply_type, int timeout_ms, GError **error);
