/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A modern virtio-blk-pci device behind qtest: found by scanning bus 0, its BARs placed (no
 * firmware runs), configured through the PCI capabilities of the VIRTIO 1.x specification,
 * section 4.1.4.
 */
#pragma once

#include "memory.h"
#include "qtest.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define SYN_MAX_QUEUES 64

typedef struct {
    SynQtest *qtest;
    unsigned slot;                        /* on bus 0 */
    uint64_t bar[6];                      /* 0: not there */
    uint64_t common, notify, isr, config; /* addresses of the structures */
    uint32_t notify_step;
    uint64_t msix; /* address of the vector table; 0: none */
    uint64_t features;
    uint64_t capacity; /* bytes */
    unsigned num_queues;
    uint64_t notify_address[SYN_MAX_QUEUES];
} SynDevice;

/* Finds the first virtio-blk device, places its BARs, turns it on. */
bool syn_device_find(SynDevice *device, SynQtest *qtest, GError **error);

/* Reset, and features negotiated up to FEATURES_OK: those of @wanted that the device offers; one of
 * @needed that it lacks is an error. Reads capacity and queue count. */
bool syn_device_start(SynDevice *device, uint64_t wanted, uint64_t needed, GError **error);

/* Between start and run. Addresses of descriptors, driver area and device area; @vector: MSI-X
 * vector or -1. */
bool syn_device_queue(SynDevice *device, unsigned queue, uint16_t size, uint64_t desc,
                      uint64_t driver, uint64_t dev, int vector, GError **error);

/* MSI-X vector @vector stores @data at @address, which may be RAM: that is then the interrupt. */
void syn_device_vector(SynDevice *device, unsigned vector, uint64_t address, uint32_t data);

/* DRIVER_OK. */
void syn_device_run(SynDevice *device);
void syn_device_reset(SynDevice *device);

/* The status register. */
uint8_t syn_device_status(SynDevice *device);
uint16_t syn_device_queue_max(SynDevice *device, unsigned queue);

static inline void
syn_device_kick(SynDevice *device, unsigned queue)
{
    syn_qtest_kick(device->qtest, device->notify_address[queue], (uint16_t)queue);
}
