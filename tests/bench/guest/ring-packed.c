/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The packed ring: chains are copied into the ring in the order posted. Of all chains posted since
 * the last show, the first descriptor of the first gets its flags last: before it the device looks
 * at none (VIRTIO 1.3, 2.8.19). */
#include "ring-packed.h"

#define AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED  (1u << VRING_PACKED_DESC_F_USED)

void
syn_packed_init(SynRing *ring, SynMemory *memory)
{
    ring->driver_address = syn_memory_take(memory, sizeof(*ring->driver_event), 64);
    ring->device_address = syn_memory_take(memory, sizeof(*ring->device_event), 64);
    ring->ring = syn_memory_at(memory, ring->desc_address);
    ring->driver_event = syn_memory_at(memory, ring->driver_address);
    ring->device_event = syn_memory_at(memory, ring->device_address);
    ring->avail_wrap = ring->used_wrap = true;
    if (ring->shape.indirect) {
        unsigned descriptors = ring->shape.slots * (ring->shape.segments + 2);

        ring->tables = syn_memory_take(memory, descriptors * sizeof(*ring->ring), 64);
    }
}

/* Descriptors that a slot's request takes in the ring. */
static unsigned
taken(const SynRing *ring, unsigned slot)
{
    return ring->shape.indirect ? 1 : ring->op[slot] == SYN_FLUSH ? 2 : ring->per_slot;
}

static void
put(SynRing *ring, const struct vring_desc *desc, unsigned slot, uint16_t more)
{
    struct vring_packed_desc *to = &ring->ring[ring->avail_next];
    uint16_t flags = (uint16_t)(more | (ring->avail_wrap ? AVAIL : USED));

    to->addr = desc->addr;
    to->len = desc->len;
    to->id = (uint16_t)slot;
    if (ring->posted == 0) {
        ring->held_place = ring->avail_next;
        ring->held_flags = flags;
    } else {
        __atomic_store_n(&to->flags, flags, __ATOMIC_RELEASE);
    }
    ring->posted++;
    if (++ring->avail_next == ring->shape.size) {
        ring->avail_next = 0;
        ring->avail_wrap = !ring->avail_wrap;
    }
}

/* An indirect table has no links: its descriptors are taken as they stand, a flush's two too. */
static void
put_table(SynRing *ring, unsigned slot)
{
    const struct vring_desc *chain = ring->chain[slot];
    uint64_t address = ring->tables + (uint64_t)slot * ring->per_slot * sizeof(*ring->ring);
    struct vring_packed_desc *table = syn_memory_at(ring->memory, address);
    struct vring_desc head = {.addr = address};
    unsigned n = 0;

    for (unsigned i = 0; i < ring->per_slot; i++) {
        bool data = i > 0 && i + 1 < ring->per_slot;

        if (!data || ring->op[slot] != SYN_FLUSH) {
            table[n].addr = chain[i].addr;
            table[n].len = chain[i].len;
            table[n].flags = chain[i].flags & VRING_DESC_F_WRITE;
            n++;
        }
    }
    head.len = n * (uint32_t)sizeof(*table);
    put(ring, &head, slot, VRING_DESC_F_INDIRECT);
}

void
syn_packed_post(SynRing *ring, unsigned slot)
{
    const struct vring_desc *chain = ring->chain[slot];
    unsigned last = ring->per_slot - 1;

    if (ring->shape.indirect) {
        put_table(ring, slot);
        return;
    }
    put(ring, &chain[0], slot, VRING_DESC_F_NEXT);
    for (unsigned i = 1; i < last && ring->op[slot] != SYN_FLUSH; i++) {
        put(ring, &chain[i], slot, chain[i].flags);
    }
    put(ring, &chain[last], slot, VRING_DESC_F_WRITE);
}

/* As vring_need_event(), with a place and a wrap bit instead of a free running index. */
static bool
asks_for_kick(const SynRing *ring, unsigned posted)
{
    uint16_t flags, off_wrap, place;

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    flags = __atomic_load_n(&ring->device_event->flags, __ATOMIC_ACQUIRE);
    if (flags != VRING_PACKED_EVENT_FLAG_DESC) {
        return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
    }
    off_wrap = __atomic_load_n(&ring->device_event->off_wrap, __ATOMIC_RELAXED);
    place = off_wrap & (uint16_t) ~(1u << VRING_PACKED_EVENT_F_WRAP_CTR);
    if (off_wrap >> VRING_PACKED_EVENT_F_WRAP_CTR != ring->avail_wrap) {
        place -= ring->shape.size;
    }
    return vring_need_event(place, ring->avail_next, (uint16_t)(ring->avail_next - posted));
}

bool
syn_packed_show(SynRing *ring)
{
    unsigned posted = ring->posted;

    if (posted == 0) {
        return false;
    }
    ring->posted = 0;
    __atomic_store_n(&ring->ring[ring->held_place].flags, ring->held_flags, __ATOMIC_RELEASE);
    return asks_for_kick(ring, posted);
}

bool
syn_packed_reap(SynRing *ring, uint32_t *slot, uint32_t *length)
{
    const struct vring_packed_desc *desc = &ring->ring[ring->used_next];
    uint16_t flags = __atomic_load_n(&desc->flags, __ATOMIC_ACQUIRE);
    bool avail = flags & AVAIL, used = flags & USED;

    if (avail != used || used != ring->used_wrap) {
        return false;
    }
    *slot = desc->id;
    *length = desc->len;
    if (desc->id < ring->shape.slots) {
        ring->used_next = (uint16_t)(ring->used_next + taken(ring, desc->id));
    } else {
        ring->used_next++;
    }
    if (ring->used_next >= ring->shape.size) {
        ring->used_next = (uint16_t)(ring->used_next - ring->shape.size);
        ring->used_wrap = !ring->used_wrap;
    }
    return true;
}

void
syn_packed_interrupts(SynRing *ring, bool wanted)
{
    __atomic_store_n(&ring->driver_event->flags,
                     wanted ? VRING_PACKED_EVENT_FLAG_ENABLE : VRING_PACKED_EVENT_FLAG_DISABLE,
                     __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
