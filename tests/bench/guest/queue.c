/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests of one queue: made, posted, taken back, checked. The loop's inner part: with polling
 * on both sides it decides how fast QEMU can be seen to be. Partner: load.c. */
#include "clock.h"
#include "load.h"
#include "stamp.h"

#include <string.h>

/* Where the first try is taken, others are sought beside it so often. */
#define TRIES 64

static struct virtio_blk_outhdr *
header_of(const SynQueue *queue, unsigned slot)
{
    return syn_memory_at(queue->load->memory, queue->meta + 64u * slot);
}

static uint8_t *
status_of(const SynQueue *queue, unsigned slot)
{
    return (uint8_t *)header_of(queue, slot) + 63;
}

static uint8_t *
data_of(const SynQueue *queue, unsigned slot)
{
    uint64_t stride = MAX(queue->load->block_size, 4096u);

    return syn_memory_at(queue->load->memory, queue->data + stride * slot);
}

static uint64_t
next_random(SynQueue *queue)
{
    queue->random ^= queue->random << 13;
    queue->random ^= queue->random >> 7;
    queue->random ^= queue->random << 17;
    return queue->random;
}

/* 0 .. below-1, without a division. */
static uint64_t
random_below(SynQueue *queue, uint64_t below)
{
    return (uint64_t)(((unsigned __int128)next_random(queue) * below) >> 64);
}

static G_GNUC_PRINTF(2, 3) void note_fault(SynQueue *queue, const char *format, ...)
{
    va_list args;

    if (!queue->first_fault) {
        va_start(args, format);
        queue->first_fault = g_strdup_vprintf(format, args);
        va_end(args);
    }
}

static SynOp
choose_op(SynQueue *queue, SynPhase phase)
{
    const unsigned *mix = queue->load->options->mix;
    unsigned n;

    if (phase == SYN_STAMPING) {
        return SYN_WRITE;
    }
    if (mix[SYN_READ] == 100) {
        return SYN_READ;
    }
    n = (unsigned)random_below(queue, 100);
    return n < mix[SYN_READ]                    ? SYN_READ
           : n < mix[SYN_READ] + mix[SYN_WRITE] ? SYN_WRITE
                                                : SYN_FLUSH;
}

static uint64_t
choose_block(SynQueue *queue, bool in_sequence)
{
    if (!in_sequence) {
        return random_below(queue, queue->region.blocks);
    }
    if (queue->position >= queue->region.blocks) {
        queue->position = 0;
    }
    return queue->position++;
}

/* Takes a block that no request in flight makes uncertain; false if none was found. */
static bool
claim_block(SynQueue *queue, SynRequest *request, bool in_sequence)
{
    SynRegion *region = &queue->region;
    uint64_t block = choose_block(queue, in_sequence);

    for (unsigned i = 0; i < TRIES; i++) {
        uint8_t *busy = &region->busy[block];

        if (request->op == SYN_WRITE ? *busy == 0 : *busy < SYN_WRITER - 1) {
            *busy = request->op == SYN_WRITE ? SYN_WRITER : (uint8_t)(*busy + 1);
            request->block = block;
            return true;
        }
        block = block + 1 < region->blocks ? block + 1 : 0;
    }
    return false;
}

/* Stamps what is written, spoils what will be read. */
static void
ready_data(SynQueue *queue, unsigned slot, SynRequest *request)
{
    SynLoad *load = queue->load;
    uint64_t offset = (queue->region.first + request->block) * load->block_size;

    request->generation = queue->region.generation[request->block];
    if (request->op == SYN_WRITE) {
        request->generation++;
        syn_stamp_write(data_of(queue, slot), load->block_size, offset, request->generation,
                        (uint64_t)load->options->seed);
    } else {
        syn_stamp_spoil(data_of(queue, slot), load->block_size);
    }
}

static bool
make_request(SynQueue *queue, unsigned slot, SynPhase phase)
{
    static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH};
    SynLoad *load = queue->load;
    SynRequest *request = &queue->requests[slot];
    struct virtio_blk_outhdr *header = header_of(queue, slot);
    bool in_sequence = phase == SYN_STAMPING || load->options->sequential;

    request->op = choose_op(queue, phase);
    request->block = 0;
    if (request->op != SYN_FLUSH) {
        if (!load->options->verify) {
            request->block = choose_block(queue, in_sequence);
        } else if (claim_block(queue, request, in_sequence)) {
            ready_data(queue, slot, request);
        } else {
            return false;
        }
    }
    header->type = types[request->op];
    header->ioprio = 0;
    header->sector = request->op == SYN_FLUSH
                         ? 0
                         : (queue->region.first + request->block) * (load->block_size / 512);
    *status_of(queue, slot) = 0xff;
    request->in_flight = true;
    if (queue->log) {
        request->submitted_number = __atomic_add_fetch(&load->log_number, 1, __ATOMIC_SEQ_CST);
    }
    syn_ring_post(&queue->ring, slot, request->op);
    return true;
}

unsigned
syn_queue_fill(SynQueue *queue, SynPhase phase)
{
    unsigned before = queue->free_count, posted;
    uint64_t now;

    while (queue->free_count > 0) {
        if (phase == SYN_STAMPING && queue->position >= queue->region.blocks) {
            break;
        }
        if (!make_request(queue, queue->free[queue->free_count - 1], phase)) {
            break;
        }
        queue->free_count--;
    }
    posted = before - queue->free_count;
    if (posted == 0) {
        return 0;
    }
    now = syn_clock();
    for (unsigned i = queue->free_count; i < before; i++) {
        queue->requests[queue->free[i]].submitted_ns = now;
    }
    if (syn_ring_show(&queue->ring)) {
        queue->kicks++;
        syn_device_kick(queue->load->device, queue->index);
    }
    return posted;
}

static void
keep_in_log(SynQueue *queue, const SynRequest *request, uint8_t status)
{
    SynLoad *load = queue->load;
    SynLogRecord record = {
        .submitted = request->submitted_number,
        .completed = __atomic_add_fetch(&load->log_number, 1, __ATOMIC_SEQ_CST),
        .offset = (queue->region.first + request->block) * load->block_size,
        .generation = request->generation,
        .op = (uint8_t)request->op,
        .status = status,
        .queue = (uint16_t)queue->index,
    };

    if (request->op != SYN_READ) {
        g_array_append_val(queue->log, record);
    }
}

/* Gives the block back, and compares what was read. */
static void
check_data(SynQueue *queue, unsigned slot, SynRequest *request, uint8_t status)
{
    SynLoad *load = queue->load;
    SynRegion *region = &queue->region;
    uint64_t offset = (region->first + request->block) * load->block_size;
    uint32_t found = 0;

    if (request->op == SYN_WRITE) {
        region->busy[request->block] = 0;
        /* After an error the block may hold the old, the new or a part of both. */
        region->generation[request->block] = status == VIRTIO_BLK_S_OK ? request->generation : 0;
        return;
    }
    region->busy[request->block]--;
    if (request->generation == 0 || status != VIRTIO_BLK_S_OK) {
        return;
    }
    if (!syn_stamp_check(data_of(queue, slot), load->block_size, offset,
                         (uint64_t)load->options->seed, &found)) {
        queue->faults.wrong++;
        note_fault(queue, "queue %u: wrong data read at offset %" G_GUINT64_FORMAT, queue->index,
                   (guint64)offset);
    } else if (found != request->generation) {
        queue->faults.wrong++;
        note_fault(queue,
                   "queue %u: stale data read at offset %" G_GUINT64_FORMAT
                   ": generation %u, written %u",
                   queue->index, (guint64)offset, found, request->generation);
    }
}

static void
check_status(SynQueue *queue, const SynRequest *request, uint8_t status, uint32_t length)
{
    uint32_t expected = request->op == SYN_READ ? queue->load->block_size + 1 : 1;

    if (status != VIRTIO_BLK_S_OK) {
        queue->faults.errors++;
        note_fault(queue, "queue %u: status %u of a request at offset %" G_GUINT64_FORMAT,
                   queue->index, status,
                   (guint64)((queue->region.first + request->block) * queue->load->block_size));
    } else if (length != expected) {
        queue->faults.wrong++;
        note_fault(queue, "queue %u: a completion of %u bytes, %u are right", queue->index, length,
                   expected);
    }
}

static void
complete(SynQueue *queue, uint32_t slot, uint32_t length, uint64_t now)
{
    SynRequest *request = &queue->requests[slot];
    uint8_t status;

    if (slot >= queue->ring.shape.slots || !request->in_flight) {
        queue->faults.duplicate++;
        note_fault(queue, "queue %u: completion of request %u, which is not in flight",
                   queue->index, slot);
        return;
    }
    status = *status_of(queue, slot);
    request->in_flight = false;
    if (status != VIRTIO_BLK_S_OK || length != 1) {
        check_status(queue, request, status, length);
    } else if (request->op == SYN_READ) {
        check_status(queue, request, status, length);
    }
    if (queue->log) {
        keep_in_log(queue, request, status);
    }
    if (queue->load->options->verify && request->op != SYN_FLUSH) {
        check_data(queue, slot, request, status);
    }
    syn_histogram_add(&queue->latency, now - request->submitted_ns);
    queue->bytes += request->op == SYN_FLUSH ? 0 : queue->load->block_size;
    queue->free[queue->free_count++] = (uint16_t)slot;
    /* Read by other threads, so written whole. */
    __atomic_store_n(&queue->done, queue->done + 1, __ATOMIC_RELAXED);
}

/* Plays a fault of the device once, when the load is under way; whether this completion is to be
 * passed over. Shows that the checks find what they are for. */
static bool
plant(SynQueue *queue, uint32_t slot, uint32_t length, uint64_t now)
{
    SynPlant what = queue->load->options->plant;

    if (queue->planted || queue->index != 0 || queue->done < 1000 ||
        __atomic_load_n(&queue->load->phase, __ATOMIC_RELAXED) == SYN_STAMPING) {
        return false;
    }
    switch (what) {
    case SYN_PLANT_CORRUPT:
        if (queue->requests[slot].op != SYN_READ) {
            return false;
        }
        data_of(queue, slot)[queue->load->block_size - 1] ^= 1;
        break;
    case SYN_PLANT_DUPLICATE:
        complete(queue, slot, length, now);
        break;
    case SYN_PLANT_DROP:
    case SYN_PLANT_NONE:
        break;
    }
    queue->planted = true;
    return what == SYN_PLANT_DROP;
}

unsigned
syn_queue_reap(SynQueue *queue)
{
    uint32_t slot, length;
    uint64_t now = 0;
    unsigned free_before = queue->free_count;

    if (queue->load->options->interrupts) {
        if (!__atomic_load_n(queue->interrupt, __ATOMIC_RELAXED)) {
            return 0;
        }
        __atomic_store_n(queue->interrupt, 0, __ATOMIC_SEQ_CST);
        queue->interrupts++;
    }
    for (;;) {
        while (syn_ring_reap(&queue->ring, &slot, &length)) {
            now = now ? now : syn_clock();
            if (G_UNLIKELY(queue->load->options->plant) && plant(queue, slot, length, now)) {
                continue;
            }
            complete(queue, slot, length, now);
        }
        if (!queue->load->options->interrupts) {
            break;
        }
        /* What came before the wish for an interrupt was seen is not announced. */
        syn_ring_interrupts(&queue->ring, true);
        if (!syn_ring_reap(&queue->ring, &slot, &length)) {
            break;
        }
        complete(queue, slot, length, now ? now : syn_clock());
    }
    if (now) {
        syn_histogram_add(&queue->gap, now - (queue->last_ns ? queue->last_ns : now));
        queue->last_ns = now;
    }
    return queue->free_count - free_before;
}
