/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hypervisor port on libvirt: connection with keepalive, events, live XML, pins and polling.
 *
 * A lost connection is opened anew by the next observe(). gvir_event_register() must have been
 * called, and a main loop must run, before the first observe().
 */
#pragma once

#include "host/hypervisor.h"

typedef struct {
    const char *uri;
    const char *run_dir;        /* of libvirt's QEMU driver, for NAME.pid */
    unsigned keepalive_seconds; /* three unanswered ones end the connection */
    unsigned recheck_seconds;   /* the XML of a domain without events is read this often */
} VqLibvirtParams;

/* Main thread. Opens nothing yet. */
VqHypervisor *vq_libvirt_new(const VqLibvirtParams *params);
