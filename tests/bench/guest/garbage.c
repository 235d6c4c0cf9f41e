/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "garbage.h"
#include "clock.h"
#include "ring.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdio.h>
#include <string.h>

#define RING 256
/* QEMU is given so long to trip, with the memory changing under its hands. */
#define CHANGING_US 400
/* Another request's end, after the reset. */
#define RECOVERY_MS 10000

typedef struct {
    const SynOptions *options;
    SynQemu *qemu;
    SynDevice *device;
    GRand *random;
    uint64_t desc, driver, dev, tables, data; /* of each queue, RING_BYTES apart */
    uint64_t data_bytes, stride;
    unsigned queues;
    bool packed;
    unsigned broken; /* rounds after which the device asked for a reset */
} Garbage;

static uint32_t
pick(Garbage *g, uint32_t below)
{
    return (uint32_t)g_rand_int_range(g->random, 0, (gint32)below);
}

static bool
one_in(Garbage *g, uint32_t n)
{
    return pick(g, n) == 0;
}

/* Mostly an address of the data; else one that is not RAM, or not for data. */
static uint64_t
some_address(Garbage *g, unsigned queue)
{
    uint64_t top = g->qemu->memory.size;
    bool registers = g->options->own_registers;
    const uint64_t bad[] = {
        0,
        UINT64_MAX,
        UINT64_MAX - 15,
        top,
        top - 8,
        top - 1,
        0xa0000,    /* video memory */
        0xfffff000, /* firmware */
        0xfee00000, /* APIC */
        0xfec00000,
        registers ? g->device->common : 0,
        registers ? g->device->notify : 0,
        g->desc + g->stride * queue,
        g->dev + g->stride * queue,
        g->tables + g->stride * queue,
        (uint64_t)g_rand_int(g->random) << 32 | g_rand_int(g->random),
    };

    if (!one_in(g, 6)) {
        return g->data + pick(g, (uint32_t)g->data_bytes);
    }
    return bad[pick(g, G_N_ELEMENTS(bad))];
}

static uint32_t
some_length(Garbage *g)
{
    static const uint32_t lengths[] = {
        0,    1,     15,       16,       17,       511,        512,         513,
        4096, 65536, 1u << 20, 1u << 22, 1u << 30, 0x7fffffff, 0x80000000u, 0xffffffffu};

    return one_in(g, 4) ? lengths[pick(g, G_N_ELEMENTS(lengths))] : 512u << pick(g, 5);
}

static uint16_t
some_flags(Garbage *g, bool last)
{
    uint16_t flags =
        (uint16_t)((last ? 0 : VRING_DESC_F_NEXT) | (one_in(g, 2) ? VRING_DESC_F_WRITE : 0));

    if (one_in(g, 12)) {
        flags |= VRING_DESC_F_INDIRECT;
    }
    return one_in(g, 16) ? (uint16_t)g_rand_int(g->random) : flags;
}

/* A request's header at @address, if that is data: types known and unknown, sectors at the edges.
 */
static void
some_header(Garbage *g, uint64_t address)
{
    const uint64_t end = g->device->capacity / 512;
    const uint64_t sectors[] = {0,       1,          end - 1,        end,        end + 1,
                                end - 8, UINT64_MAX, UINT64_MAX - 7, 1ull << 63, 1ull << 55};
    struct virtio_blk_outhdr header = {
        .type = one_in(g, 4) ? pick(g, 32) : pick(g, 2),
        .ioprio = g_rand_int(g->random),
        .sector = one_in(g, 3) ? sectors[pick(g, G_N_ELEMENTS(sectors))] : pick(g, 1024) * 8,
    };

    if (one_in(g, 20)) {
        header.type = g_rand_int(g->random);
    }
    if (address >= g->data && address - g->data <= g->data_bytes - sizeof(header)) {
        memcpy(syn_memory_at(&g->qemu->memory, address), &header, sizeof(header));
    }
}

/* A chain that looks like a request: header, data, status; then broken here and there. */
static void
some_chain(Garbage *g, struct vring_desc *desc, unsigned first, unsigned size, unsigned queue)
{
    unsigned length = 1 + pick(g, one_in(g, 10) ? size : 6);

    for (unsigned i = 0; i < length; i++) {
        struct vring_desc *d = &desc[(first + i) % size];

        d->addr = some_address(g, queue);
        d->len = i == 0 && !one_in(g, 8)            ? 16
                 : i + 1 == length && !one_in(g, 8) ? 1
                                                    : some_length(g);
        d->flags = some_flags(g, i + 1 == length);
        d->next = (uint16_t)((first + i + 1) % size);
        if (i == 0) {
            d->flags &= (uint16_t)~VRING_DESC_F_WRITE;
            some_header(g, d->addr);
        }
        if (one_in(g, 24)) {
            /* A loop, or out of the table. */
            d->next = one_in(g, 2) ? (uint16_t)pick(g, size) : (uint16_t)g_rand_int(g->random);
        }
        if (d->flags & VRING_DESC_F_INDIRECT) {
            d->addr = one_in(g, 4) ? d->addr : g->tables + g->stride * queue;
            d->len = one_in(g, 4) ? d->len : 16 * (1 + pick(g, RING));
        }
    }
}

static void
fill_split(Garbage *g, unsigned queue)
{
    const SynMemory *memory = &g->qemu->memory;
    struct vring_desc *desc = syn_memory_at(memory, g->desc + g->stride * queue);
    struct vring_avail *avail = syn_memory_at(memory, g->driver + g->stride * queue);
    unsigned requests = 1 + pick(g, 40);
    unsigned head = 0;

    for (unsigned i = 0; i < requests; i++) {
        some_chain(g, desc, head, RING, queue);
        avail->ring[(avail->idx + i) % RING] =
            one_in(g, 16) ? (uint16_t)g_rand_int(g->random) : (uint16_t)head;
        head = one_in(g, 10) ? pick(g, RING) : (head + 7) % RING; /* chains overlap */
    }
    avail->flags = one_in(g, 8) ? (uint16_t)g_rand_int(g->random) : 0;
    avail->ring[RING] = (uint16_t)g_rand_int(g->random); /* used_event */
    __atomic_store_n(&avail->idx,
                     one_in(g, 10) ? (uint16_t)g_rand_int(g->random)
                                   : (uint16_t)(avail->idx + requests),
                     __ATOMIC_RELEASE);
}

static void
fill_packed(Garbage *g, unsigned queue)
{
    struct vring_packed_desc *ring = syn_memory_at(&g->qemu->memory, g->desc + g->stride * queue);
    struct vring_desc chain[RING];
    unsigned n = 1 + pick(g, RING);

    some_chain(g, chain, 0, RING, queue);
    for (unsigned i = 0; i < n; i++) {
        if (chain[i].flags == 0 && one_in(g, 2)) {
            some_chain(g, chain, i, RING, queue);
        }
        ring[i].addr = chain[i].addr;
        ring[i].len = chain[i].len;
        ring[i].id = one_in(g, 8) ? (uint16_t)g_rand_int(g->random) : (uint16_t)i;
        __atomic_store_n(&ring[i].flags,
                         (uint16_t)(chain[i].flags | 1u << VRING_PACKED_DESC_F_AVAIL),
                         __ATOMIC_RELEASE);
    }
}

static void
fill_tables(Garbage *g, unsigned queue)
{
    struct vring_desc *table = syn_memory_at(&g->qemu->memory, g->tables + g->stride * queue);

    for (unsigned i = 0; i < RING; i += 8) {
        some_chain(g, table, i, RING, queue);
    }
}

/* Single words of rings and tables, while QEMU reads them. */
static void
change_under_its_hands(Garbage *g)
{
    uint64_t end = syn_clock_slow() + CHANGING_US * 1000;

    while (syn_clock_slow() < end) {
        unsigned queue = pick(g, g->queues);
        uint64_t place = (one_in(g, 2) ? g->desc : g->tables) + g->stride * queue;
        uint64_t *word = syn_memory_at(&g->qemu->memory, place + 8 * pick(g, RING * 2));

        __atomic_store_n(word, one_in(g, 2) ? some_address(g, queue) : g_rand_int(g->random),
                         __ATOMIC_RELAXED);
    }
}

static bool
negotiate(Garbage *g, bool sane, GError **error)
{
    uint64_t wanted = 1ull << VIRTIO_BLK_F_MQ;

    g->packed = g->options->packed;
    wanted |= sane || !one_in(g, 3) ? 1ull << VIRTIO_RING_F_EVENT_IDX : 0;
    wanted |= sane || !one_in(g, 3) ? 1ull << VIRTIO_RING_F_INDIRECT_DESC : 0;
    return syn_device_start(
        g->device, wanted,
        1ull << VIRTIO_F_VERSION_1 | (g->packed ? 1ull << VIRTIO_F_RING_PACKED : 0), error);
}

/* Rings where they belong, now and then somewhere else. */
static bool
place_rings(Garbage *g, GError **error)
{
    for (unsigned i = 0; i < g->queues; i++) {
        uint64_t at[3] = {g->desc + g->stride * i, g->driver + g->stride * i,
                          g->dev + g->stride * i};

        memset(syn_memory_at(&g->qemu->memory, at[0]), 0, RING * 16);
        memset(syn_memory_at(&g->qemu->memory, at[1]), 0, 6 + 2 * RING);
        memset(syn_memory_at(&g->qemu->memory, at[2]), 0, 6 + 8 * RING);
        for (unsigned part = 0; part < 3; part++) {
            at[part] = one_in(g, 40) ? some_address(g, i) : at[part];
        }
        if (!syn_device_queue(g->device, i, one_in(g, 20) ? 1 << pick(g, 9) : RING, at[0], at[1],
                              at[2], -1, error)) {
            return false;
        }
    }
    return true;
}

static bool
attack(Garbage *g, GError **error)
{
    if (!negotiate(g, false, error) || !place_rings(g, error)) {
        return false;
    }
    syn_device_run(g->device);
    for (unsigned turn = 1 + pick(g, 3); turn > 0; turn--) {
        for (unsigned i = 0; i < g->queues; i++) {
            fill_tables(g, i);
            if (g->packed) {
                fill_packed(g, i);
            } else {
                fill_split(g, i);
            }
            syn_device_kick(g->device, i);
        }
        change_under_its_hands(g);
    }
    g->broken += !!(syn_device_status(g->device) & VIRTIO_CONFIG_S_NEEDS_RESET);
    return true;
}

/* A read that a good driver would make; whether it was served. */
static bool
works(Garbage *g, GError **error)
{
    SynMemory memory = g->qemu->memory; /* a copy: what it takes is given back */
    SynRingShape shape = {
        .packed = g->packed, .event_idx = true, .slots = 1, .segments = 1, .size = 4};
    SynChain chain = {.data_bytes = 4096};
    SynRing ring;
    uint32_t slot = 1, length = 0;
    uint64_t end;
    bool done = false;

    if (!negotiate(g, true, error)) {
        return false;
    }
    chain.header = syn_memory_take(&memory, 64, 64);
    chain.status = chain.header + 63;
    chain.data = syn_memory_take(&memory, 4096, 4096);
    syn_ring_init(&ring, &memory, &shape, &chain);
    ring.memory = &g->qemu->memory;
    if (syn_device_queue(g->device, 0, shape.size, ring.desc_address, ring.driver_address,
                         ring.device_address, -1, error)) {
        syn_device_run(g->device);
        *(uint8_t *)syn_memory_at(&memory, chain.status) = 0xff;
        syn_ring_post(&ring, 0, SYN_READ);
        if (syn_ring_show(&ring)) {
            syn_device_kick(g->device, 0);
        }
        end = syn_clock_slow() + RECOVERY_MS * 1000000ull;
        while (!done && syn_clock_slow() < end && syn_qemu_alive(g->qemu)) {
            done = syn_ring_reap(&ring, &slot, &length);
        }
    }
    syn_ring_clear(&ring);
    return done && slot == 0 && *(uint8_t *)syn_memory_at(&memory, chain.status) == 0;
}

static bool
answers(SynQemu *qemu)
{
    g_autoptr(JsonNode) answer =
        syn_qmp_execute(qemu->qmp, "{\"execute\":\"query-status\"}", RECOVERY_MS, NULL);

    return answer && syn_qemu_alive(qemu);
}

/* Waits until no IOThread has work any more; false if one runs on and on.
 *
 * A reset while an IOThread reads a descriptor outside of RAM is another matter (--reset-at-once):
 * the access takes QEMU's big lock, which the main loop holds while it waits for the IOThread. QEMU
 * 10.0 deadlocks there. */
static bool
quiesce(Garbage *g)
{
    uint64_t end = syn_clock_slow() + RECOVERY_MS * 1000000ull;
    uint64_t last = 0;
    unsigned calm = 0;

    while (calm < 4 && syn_qemu_alive(g->qemu)) {
        uint64_t cpu = 0;

        g_usleep(200);
        for (guint i = 0; i < g->qemu->iothreads->len; i++) {
            const SynIothread *thread = g_ptr_array_index(g->qemu->iothreads, i);
            SynTimes times = syn_qemu_thread_times(g->qemu, thread->tid);

            /* One that waits for a CPU is not calm. */
            cpu += times.cpu + times.wait;
            calm = syn_qemu_thread_sleeps(g->qemu, thread->tid) ? calm : 0;
        }
        calm = cpu == last ? calm + 1 : 0;
        last = cpu;
        if (syn_clock_slow() > end) {
            return false;
        }
    }
    return true;
}

/* NULL, or what went wrong. */
static char *
round_of(Garbage *g)
{
    g_autoptr(GError) error = NULL;
    bool ok = attack(g, &error);

    if (ok && !g->options->reset_at_once && !quiesce(g)) {
        return g_strdup_printf("an IOThread still runs %d s after the last kick",
                               RECOVERY_MS / 1000);
    }
    if (ok) {
        syn_device_reset(g->device);
        ok = answers(g->qemu) && works(g, &error);
    }
    if (!answers(g->qemu)) {
        g_autofree char *words = syn_qemu_words(g->qemu);

        return g_strdup_printf("QEMU ended or hangs, status 0x%x; its last words: %s",
                               g->qemu->status, words);
    }
    if (!ok) {
        return g_strdup_printf("the device does not work after a reset%s%s", error ? ": " : "",
                               error ? error->message : "");
    }
    return NULL;
}

static void
lay_out(Garbage *g)
{
    SynMemory *memory = &g->qemu->memory;

    g->queues = MIN((unsigned)g->options->queues, 4u);
    g->stride = 6 * 4096;
    g->desc = syn_memory_take(memory, g->stride * g->queues, 4096);
    g->driver = g->desc + 4096;
    g->dev = g->desc + 2 * 4096;
    g->tables = g->desc + 4 * 4096;
    g->data_bytes = 4u << 20;
    g->data = syn_memory_take(memory, g->data_bytes, 4096);
}

int
syn_garbage(const SynOptions *options, SynQemu *qemu, SynDevice *device)
{
    Garbage g = {.options = options, .qemu = qemu, .device = device};
    int status = 0;

    lay_out(&g);
    for (int i = 0; i < options->rounds && status == 0; i++) {
        guint64 seed = (guint64)options->garbage_seed + (guint64)i;
        g_autofree char *problem = NULL;

        g.random = g_rand_new_with_seed((guint32)seed);
        problem = round_of(&g);
        g_rand_free(g.random);
        if (problem) {
            printf("seed %" G_GUINT64_FORMAT ": %s\n", seed, problem);
            status = 1;
        }
    }
    if (status == 0) {
        printf("%d rounds survived; after %u of them the device asked for a reset\n",
               options->rounds, g.broken);
    }
    return status;
}
