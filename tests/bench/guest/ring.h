/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The driver's side of a virtqueue (VIRTIO 1.3, sections 2.7 split and 2.8 packed) in memory shared
 * with QEMU. A ring has fixed slots, one a request: the chain of a slot is written once and only
 * its direction changes, so that posting is cheap. One thread a ring.
 */
#pragma once

#include "memory.h"

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

#define SYN_MAX_SEGMENTS 64

typedef enum { SYN_READ, SYN_WRITE, SYN_FLUSH } SynOp;

typedef struct {
    bool packed, event_idx, indirect;
    unsigned slots, segments;
    uint16_t size; /* descriptors in the ring, a power of two */
} SynRingShape;

/* Where a slot's request lies. */
typedef struct {
    uint64_t header, data, status; /* guest-physical */
    uint32_t data_bytes;
} SynChain;

typedef struct {
    SynRingShape shape;
    const SynMemory *memory;
    uint64_t desc_address, driver_address, device_address;

    /* split */
    struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    /* packed */
    struct vring_packed_desc *ring;
    struct vring_packed_desc_event *driver_event, *device_event;
    bool avail_wrap, used_wrap;

    uint16_t avail_next;  /* split: index, packed: place */
    uint16_t avail_shown; /* what the device was shown last */
    uint16_t used_next;
    unsigned posted; /* packed: descriptors since the last show */

    struct vring_desc **chain; /* of each slot; packed: a template */
    SynOp *op;
    unsigned per_slot; /* descriptors of a whole chain */
    uint64_t tables;   /* packed and indirect */
    /* packed: the first descriptor posted gets its flags when it is shown */
    uint16_t held_place, held_flags;
} SynRing;

/* Descriptors that a ring of this shape needs, and bytes of guest memory (an upper bound). */
uint16_t syn_ring_size(const SynRingShape *shape);
uint64_t syn_ring_bytes(const SynRingShape *shape);

/* Takes memory and lays everything out; @chains: one for each slot. */
void syn_ring_init(SynRing *ring, SynMemory *memory, const SynRingShape *shape,
                   const SynChain *chains);
void syn_ring_clear(SynRing *ring);

/* Adds a slot's request; the device does not see it before show(). */
void syn_ring_post(SynRing *ring, unsigned slot, SynOp op);
/* Shows what was posted. Returns whether the device asks for a kick. */
bool syn_ring_show(SynRing *ring);
/* Takes one completion: its slot (or a number beyond the slots, if the device wrote nonsense) and
 * its length. */
bool syn_ring_reap(SynRing *ring, uint32_t *slot, uint32_t *length);
/* Asks for an interrupt at the next completion, or for none as far as the ring can say so. */
void syn_ring_interrupts(SynRing *ring, bool wanted);
