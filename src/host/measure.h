/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's port to what is counted of running domains: CPU times of IOThreads from /proc, and
 * of disks what libvirt's block statistics say. Requests are plain data, handed over whole.
 *
 * Implemented by measure-libvirt.c; by a fake in the tests. Partner: daemon/statistics.h.
 */
#pragma once

#include "core/meters.h"
#include "host/hypervisor.h"

/* What is to be read of one start of a domain, and what was. */
typedef struct {
    char *uuid;
    int id;           /* libvirt's */
    GArray *threads;  /* of VqThreadTime: iothread and tid */
    GArray *readings; /* of VqReading: the result */
    unsigned sources; /* bits 1 << VqCounterSource: those that answered, result */
} VqMeasurement;

VqMeasurement *vq_measurement_new(const VqSeen *seen);
void vq_measurement_free(VqMeasurement *measurement);

/* Appends a reading with nothing known yet; valid until the next one is added. */
VqReading *vq_measurement_add(VqMeasurement *measurement, VqMeteredKind kind, const char *disk,
                              unsigned number, VqCounterSource source, gint64 time_us);

typedef struct _VqMeasure VqMeasure;

struct _VqMeasure {
    /*
     * Fills in each of @measurements (of VqMeasurement). What a source does not say is left out; it
     * is no error of the others. Called in the statistics thread only; may block for as long as
     * libvirt or a QEMU process does. @error: why there are no block statistics.
     */
    bool (*read)(VqMeasure *self, GPtrArray *measurements, GError **error);
    void (*free)(VqMeasure *self);
};

/* With a connection to libvirt at @uri of its own, opened when it is first needed. */
VqMeasure *vq_measure_new(const char *uri, unsigned keepalive_seconds);
