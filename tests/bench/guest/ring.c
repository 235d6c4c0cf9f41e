/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What both kinds have in common, and the split ring. Partner: ring-packed.c. */
#include "ring-packed.h"

#include <string.h>

static unsigned
descriptors(const SynRingShape *shape)
{
    return shape->segments + 2; /* header, data, status */
}

uint16_t
syn_ring_size(const SynRingShape *shape)
{
    unsigned need = shape->slots * (shape->indirect ? 1 : descriptors(shape));
    unsigned size = 2;

    while (size < need) {
        size *= 2;
    }
    return (uint16_t)MIN(size, 32768u);
}

uint64_t
syn_ring_bytes(const SynRingShape *shape)
{
    uint64_t tables = (uint64_t)shape->slots * (descriptors(shape) * 32 + 64);

    return (uint64_t)shape->size * (16 + 2 + 8) + tables + 4 * 4096;
}

/* The chain of a slot: header, data in equal segments, status. */
static void
write_chain(const SynRing *ring, struct vring_desc *desc, unsigned first, const SynChain *chain)
{
    unsigned segments = ring->shape.segments;
    uint32_t part = chain->data_bytes / segments;

    desc[0] = (struct vring_desc){.addr = chain->header, .len = 16, .flags = VRING_DESC_F_NEXT};
    for (unsigned i = 0; i < segments; i++) {
        desc[i + 1] = (struct vring_desc){
            .addr = chain->data + (uint64_t)part * i, .len = part, .flags = VRING_DESC_F_NEXT};
    }
    desc[segments + 1] =
        (struct vring_desc){.addr = chain->status, .len = 1, .flags = VRING_DESC_F_WRITE};
    for (unsigned i = 0; i <= segments; i++) {
        desc[i].next = (uint16_t)(first + i + 1);
    }
    for (unsigned i = 1; i <= segments; i++) {
        desc[i].flags |= VRING_DESC_F_WRITE; /* SYN_READ, as ring->op says */
    }
}

static void
lay_out_chains(SynRing *ring, SynMemory *memory, const SynChain *chains)
{
    const SynRingShape *shape = &ring->shape;

    ring->chain = g_new0(struct vring_desc *, shape->slots);
    ring->op = g_new0(SynOp, shape->slots);
    ring->per_slot = descriptors(shape);
    for (unsigned i = 0; i < shape->slots; i++) {
        unsigned first = 0;

        if (shape->indirect || shape->packed) {
            uint64_t table = syn_memory_take(memory, ring->per_slot * sizeof(**ring->chain), 64);

            ring->chain[i] = syn_memory_at(memory, table);
            if (!shape->packed) {
                ring->desc[i] = (struct vring_desc){
                    .addr = table, .len = ring->per_slot * 16, .flags = VRING_DESC_F_INDIRECT};
            }
        } else {
            first = i * ring->per_slot;
            ring->chain[i] = ring->desc + first;
        }
        write_chain(ring, ring->chain[i], first, &chains[i]);
    }
}

void
syn_ring_init(SynRing *ring, SynMemory *memory, const SynRingShape *shape, const SynChain *chains)
{
    uint16_t size = shape->size;

    *ring = (SynRing){.shape = *shape, .memory = memory};
    ring->desc_address = syn_memory_take(memory, 16u * size, 4096);
    if (shape->packed) {
        syn_packed_init(ring, memory);
    } else {
        ring->driver_address = syn_memory_take(memory, 6 + 2u * size, 4096);
        ring->device_address = syn_memory_take(memory, 6 + 8u * size, 4096);
        ring->desc = syn_memory_at(memory, ring->desc_address);
        ring->avail = syn_memory_at(memory, ring->driver_address);
        ring->used = syn_memory_at(memory, ring->device_address);
    }
    lay_out_chains(ring, memory, chains);
    syn_ring_interrupts(ring, false);
}

void
syn_ring_clear(SynRing *ring)
{
    g_clear_pointer(&ring->chain, g_free);
    g_clear_pointer(&ring->op, g_free);
}

/* Data descriptors follow the direction; a flush has none: its header leads to the status. */
static void
set_op(SynRing *ring, unsigned slot, SynOp op)
{
    struct vring_desc *desc = ring->chain[slot];
    unsigned segments = ring->shape.segments;
    uint16_t first =
        ring->shape.indirect || ring->shape.packed ? 0 : (uint16_t)(slot * ring->per_slot);

    ring->op[slot] = op;
    desc[0].next = (uint16_t)(first + (op == SYN_FLUSH ? segments + 1 : 1u));
    for (unsigned i = 1; i <= segments; i++) {
        desc[i].flags = VRING_DESC_F_NEXT | (op == SYN_READ ? VRING_DESC_F_WRITE : 0);
    }
}

void
syn_ring_post(SynRing *ring, unsigned slot, SynOp op)
{
    if (ring->op[slot] != op) {
        set_op(ring, slot, op);
    }
    if (ring->shape.packed) {
        syn_packed_post(ring, slot);
    } else {
        unsigned head = ring->shape.indirect ? slot : slot * ring->per_slot;

        ring->avail->ring[ring->avail_next++ & (ring->shape.size - 1)] = (uint16_t)head;
    }
}

bool
syn_ring_show(SynRing *ring)
{
    uint16_t old = ring->avail_shown;
    const uint16_t *avail_event;

    if (ring->shape.packed) {
        return syn_packed_show(ring);
    }
    if (old == ring->avail_next) {
        return false;
    }
    /* The entries and the chains before the index; the index before the device's wish is read
     * (2.7.13.4.1), or both sides could wait for each other. */
    __atomic_store_n(&ring->avail->idx, ring->avail_next, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    ring->avail_shown = ring->avail_next;
    if (!ring->shape.event_idx) {
        return !(__atomic_load_n(&ring->used->flags, __ATOMIC_RELAXED) & VRING_USED_F_NO_NOTIFY);
    }
    avail_event = (const uint16_t *)&ring->used->ring[ring->shape.size];
    return vring_need_event(__atomic_load_n(avail_event, __ATOMIC_RELAXED), ring->avail_next, old);
}

bool
syn_ring_reap(SynRing *ring, uint32_t *slot, uint32_t *length)
{
    const vring_used_elem_t *element;

    if (ring->shape.packed) {
        return syn_packed_reap(ring, slot, length);
    }
    if (__atomic_load_n(&ring->used->idx, __ATOMIC_ACQUIRE) == ring->used_next) {
        return false;
    }
    element = &ring->used->ring[ring->used_next++ & (ring->shape.size - 1)];
    *slot = element->id;
    if (!ring->shape.indirect) {
        *slot = *slot % ring->per_slot == 0 ? *slot / ring->per_slot : UINT32_MAX;
    }
    *length = element->len;
    return true;
}

void
syn_ring_interrupts(SynRing *ring, bool wanted)
{
    uint16_t *used_event;

    if (ring->shape.packed) {
        syn_packed_interrupts(ring, wanted);
        return;
    }
    used_event = &ring->avail->ring[ring->shape.size];
    if (ring->shape.event_idx) {
        /* Behind what was used, it is reached again only after 65535 completions. */
        __atomic_store_n(used_event, (uint16_t)(wanted ? ring->used_next : ring->used_next - 1),
                         __ATOMIC_RELAXED);
    } else {
        __atomic_store_n(&ring->avail->flags, wanted ? 0 : VRING_AVAIL_F_NO_INTERRUPT,
                         __ATOMIC_RELAXED);
    }
    /* Before the used index is looked at again. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
