/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Set-up of rings and buffers, and the threads' loop. Partner: queue.c. */
#include "load.h"
#include "base/error.h"
#include "clock.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <sched.h>
#include <string.h>

/* With --verify each queue keeps this much of the disk, if not told otherwise. */
#define VERIFY_BYTES (16u << 20)

static SynRingShape
shape_of(const SynOptions *options)
{
    SynRingShape shape = {.packed = options->packed,
                          .event_idx = !options->no_event_idx,
                          .indirect = options->indirect,
                          .slots = (unsigned)options->depth,
                          .segments = (unsigned)options->segments};

    shape.size = syn_ring_size(&shape);
    return shape;
}

uint64_t
syn_load_memory(const SynOptions *options)
{
    SynRingShape shape = shape_of(options);
    uint64_t stride = (uint64_t)MAX(options->block_size, 4096);
    uint64_t each = syn_ring_bytes(&shape) + shape.slots * (stride + 64) + 3 * 4096;
    uint64_t bytes = SYN_MEMORY_LOW + 4096 + each * (unsigned)options->queues;

    bytes = MAX(bytes, 64u << 20);
    return (bytes + (1u << 20) - 1) & ~(uint64_t)((1u << 20) - 1);
}

/* What is written shall be of no kind that a back end treats in a way of its own, as zram does
 * pages of one value and such that compress. */
static void
fill_randomly(SynLoad *load, uint64_t address, uint64_t bytes)
{
    uint64_t *words = syn_memory_at(load->memory, address);
    uint64_t x = (uint64_t)load->options->seed * 2 + 1;

    for (uint64_t i = 0; i < bytes / 8; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        words[i] = x;
    }
}

static void
init_queue(SynLoad *load, SynQueue *queue, SynMemory *memory)
{
    SynRingShape shape = shape_of(load->options);
    uint64_t stride = MAX(load->block_size, 4096u);
    g_autofree SynChain *chains = g_new0(SynChain, shape.slots);

    queue->load = load;
    queue->random = (uint64_t)load->options->seed * 0x9e3779b97f4a7c15u + queue->index + 1;
    queue->meta = syn_memory_take(memory, 64u * shape.slots, 4096);
    queue->data = syn_memory_take(memory, stride * shape.slots, 4096);
    fill_randomly(load, queue->data, stride * shape.slots);
    queue->requests = g_new0(SynRequest, shape.slots);
    queue->free = g_new0(uint16_t, shape.slots);
    queue->free_count = shape.slots;
    for (unsigned i = 0; i < shape.slots; i++) {
        queue->free[i] = (uint16_t)(shape.slots - 1 - i);
        chains[i] = (SynChain){.header = queue->meta + 64u * i,
                               .status = queue->meta + 64u * i + 63,
                               .data = queue->data + stride * i,
                               .data_bytes = load->block_size};
    }
    syn_ring_init(&queue->ring, memory, &shape, chains);
    if (load->options->write_log) {
        queue->log = g_array_new(FALSE, FALSE, sizeof(SynLogRecord));
    }
}

/* Verified load: parts that do not overlap; else all queues have all of the area. */
static bool
divide(SynLoad *load, GError **error)
{
    const SynOptions *options = load->options;
    uint64_t blocks = load->area / load->block_size;
    uint64_t parts = options->verify ? (uint64_t)options->queues : 1;
    uint64_t need = options->verify ? 2 * (uint64_t)options->depth : 1;

    if (blocks / parts < need) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                    "an area of %" G_GUINT64_FORMAT
                    " bytes is too small: each queue needs %" G_GUINT64_FORMAT " blocks",
                    (guint64)load->area, (guint64)need);
        return false;
    }
    for (int i = 0; i < options->queues; i++) {
        SynRegion *region = &load->queues[i].region;

        region->blocks = blocks / parts;
        if (options->verify) {
            region->first = region->blocks * (uint64_t)i;
            region->generation = g_new0(uint32_t, region->blocks);
            region->busy = g_new0(uint8_t, region->blocks);
        }
    }
    return true;
}

static bool
set_area(SynLoad *load, GError **error)
{
    const SynOptions *options = load->options;

    load->area = load->device->capacity;
    if (options->area > 0) {
        if ((uint64_t)options->area > load->area) {
            g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                        "--area is larger than the disk of %" G_GUINT64_FORMAT " bytes",
                        (guint64)load->area);
            return false;
        }
        load->area = (uint64_t)options->area;
    } else if (options->verify) {
        load->area = MIN(load->area, (uint64_t)VERIFY_BYTES * (unsigned)options->queues);
    }
    return divide(load, error);
}

static bool
negotiate(SynLoad *load, GError **error)
{
    const SynOptions *options = load->options;
    uint64_t needed = 1ull << VIRTIO_F_VERSION_1;
    bool flushes = options->mix[SYN_FLUSH] > 0;

    needed |= options->packed ? 1ull << VIRTIO_F_RING_PACKED : 0;
    needed |= options->no_event_idx ? 0 : 1ull << VIRTIO_RING_F_EVENT_IDX;
    needed |= options->indirect ? 1ull << VIRTIO_RING_F_INDIRECT_DESC : 0;
    needed |= flushes ? 1ull << VIRTIO_BLK_F_FLUSH : 0;
    if (!syn_device_start(load->device, 1ull << VIRTIO_BLK_F_MQ | 1ull << VIRTIO_BLK_F_FLUSH,
                          needed, error)) {
        return false;
    }
    if (load->device->num_queues < (unsigned)options->queues) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT, "the device has %u queues, not %d",
                    load->device->num_queues, options->queues);
        return false;
    }
    return true;
}

bool
syn_load_init(SynLoad *load, const SynOptions *options, SynDevice *device, SynMemory *memory,
              GError **error)
{
    uint64_t words = syn_memory_take(memory, 64 * SYN_MAX_QUEUES, 4096);

    *load = (SynLoad){.options = options,
                      .device = device,
                      .memory = memory,
                      .block_size = (uint32_t)options->block_size};
    load->queues = g_new0(SynQueue, options->queues);
    if (!negotiate(load, error) || !set_area(load, error)) {
        return false;
    }
    for (int i = 0; i < options->queues; i++) {
        SynQueue *queue = &load->queues[i];
        bool vector = device->msix != 0;

        queue->index = (unsigned)i;
        queue->interrupt = syn_memory_at(memory, words + 64u * (unsigned)i);
        init_queue(load, queue, memory);
        if (vector) {
            syn_device_vector(device, (unsigned)i, words + 64u * (unsigned)i, 1);
        }
        if (!syn_device_queue(device, (unsigned)i, queue->ring.shape.size, queue->ring.desc_address,
                              queue->ring.driver_address, queue->ring.device_address,
                              vector ? i : -1, error)) {
            return false;
        }
    }
    if (options->interrupts && !device->msix) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_UNSUPPORTED, "--interrupts: the device has no MSI-X");
        return false;
    }
    syn_device_run(device);
    return true;
}

void
syn_load_clear(SynLoad *load)
{
    for (int i = 0; load->queues && i < load->options->queues; i++) {
        SynQueue *queue = &load->queues[i];

        syn_ring_clear(&queue->ring);
        g_free(queue->requests);
        g_free(queue->free);
        g_free(queue->region.generation);
        g_free(queue->region.busy);
        g_free(queue->first_fault);
        g_clear_pointer(&queue->log, g_array_unref);
    }
    for (int i = 0; load->workers && i < load->options->threads; i++) {
        g_ptr_array_unref(load->workers[i].queues);
        g_free(load->workers[i].affinity_error);
    }
    g_clear_pointer(&load->queues, g_free);
    g_clear_pointer(&load->workers, g_free);
}

static void
pin(SynWorker *worker)
{
    const VqCpuset *cpus = worker->load->options->cpus;
    cpu_set_t set;
    int cpu = -1;

    if (worker->load->options->realtime) {
        sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
    }
    if (!cpus) {
        return;
    }
    for (unsigned i = 0; i <= worker->index; i++) {
        cpu = vq_cpuset_next(cpus, (unsigned)(cpu + 1));
        cpu = cpu < 0 ? vq_cpuset_next(cpus, 0) : cpu;
    }
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
        worker->affinity_error = g_strdup_printf("--cpus: CPU %d: %s", cpu, g_strerror(errno));
    }
}

/* The measured window begins: what was counted before is forgotten. */
static void
begin_window(SynWorker *worker)
{
    for (guint i = 0; i < worker->queues->len; i++) {
        SynQueue *queue = g_ptr_array_index(worker->queues, i);

        syn_histogram_clear(&queue->latency);
        syn_histogram_clear(&queue->gap);
        queue->last_ns = 0;
    }
    worker->empty_ns = worker->stolen_ns = worker->idle_turns = worker->turns = 0;
    worker->clean_ns = worker->clean_done = 0;
    worker->slice_spoilt = true;
}

/* @reaped in the turn that began at @now, the one before at @last. */
static void
account_slice(SynWorker *worker, uint64_t last, uint64_t now, unsigned reaped)
{
    if (now - last > SYN_TURN_NS) {
        worker->stolen_ns += now - last;
        worker->slice_spoilt = true;
    }
    if (reaped) {
        worker->slice_spoilt |= now - worker->last_done_ns > SYN_PAUSE_NS;
        worker->last_done_ns = now;
        worker->slice_done += reaped;
    }
    if (now - worker->slice_start >= SYN_SLICE_NS) {
        if (!worker->slice_spoilt && now - worker->last_done_ns < SYN_PAUSE_NS) {
            worker->clean_ns += now - worker->slice_start;
            worker->clean_done += worker->slice_done;
        }
        worker->slice_start = now;
        worker->slice_done = 0;
        worker->slice_spoilt = false;
    }
}

static unsigned
turn(SynWorker *worker, SynPhase phase)
{
    unsigned reaped = 0;

    for (guint i = 0; i < worker->queues->len; i++) {
        SynQueue *queue = g_ptr_array_index(worker->queues, i);
        unsigned n = syn_queue_reap(queue);

        reaped += n;
        worker->in_flight -= n;
        if (n && worker->in_flight == 0) {
            worker->empty_since = syn_clock();
        }
        if (phase != SYN_STOP && queue->free_count > 0) {
            n = syn_queue_fill(queue, phase);
            if (n && worker->in_flight == 0 && worker->empty_since) {
                worker->empty_ns += syn_clock() - worker->empty_since;
            }
            worker->in_flight += n;
        }
    }
    worker->turns++;
    worker->idle_turns += reaped == 0;
    return reaped;
}

static bool
all_stamped(const SynWorker *worker)
{
    for (guint i = 0; i < worker->queues->len; i++) {
        const SynQueue *queue = g_ptr_array_index(worker->queues, i);

        if (queue->position < queue->region.blocks) {
            return false;
        }
    }
    return worker->in_flight == 0;
}

static gpointer
work(gpointer data)
{
    SynWorker *worker = data;
    SynLoad *load = worker->load;
    SynPhase phase = SYN_RAMP;
    uint64_t last = syn_clock();
    unsigned reaped = 0;

    pin(worker);
    for (;;) {
        SynPhase now = __atomic_load_n(&load->phase, __ATOMIC_ACQUIRE);
        uint64_t time = syn_clock();

        account_slice(worker, last, time, reaped);
        last = time;
        if (now != phase && now == SYN_MEASURE) {
            begin_window(worker);
        }
        phase = now;
        reaped = turn(worker, phase);
        if (phase == SYN_STAMPING && !worker->stamped && all_stamped(worker)) {
            worker->stamped = true;
            __atomic_add_fetch(&load->workers_stamped, 1, __ATOMIC_RELEASE);
        }
        if (phase == SYN_STOP && (worker->in_flight == 0 || time >= load->stop_by)) {
            return NULL;
        }
    }
}

void
syn_load_start(SynLoad *load)
{
    unsigned threads = (unsigned)load->options->threads;

    load->phase = load->options->verify ? SYN_STAMPING : SYN_RAMP;
    load->workers = g_new0(SynWorker, threads);
    for (unsigned i = 0; i < threads; i++) {
        SynWorker *worker = &load->workers[i];

        worker->load = load;
        worker->index = i;
        worker->queues = g_ptr_array_new();
        for (unsigned q = i; q < (unsigned)load->options->queues; q += threads) {
            if (load->options->interrupts) {
                syn_ring_interrupts(&load->queues[q].ring, true);
            }
            g_ptr_array_add(worker->queues, &load->queues[q]);
        }
    }
    for (unsigned i = 0; i < threads; i++) {
        load->workers[i].thread = g_thread_new("load", work, &load->workers[i]);
    }
}

void
syn_load_phase(SynLoad *load, SynPhase phase)
{
    __atomic_store_n(&load->phase, phase, __ATOMIC_RELEASE);
}

bool
syn_load_stamped(SynLoad *load)
{
    return __atomic_load_n(&load->workers_stamped, __ATOMIC_ACQUIRE) ==
           (unsigned)load->options->threads;
}

uint64_t
syn_load_done(const SynLoad *load)
{
    uint64_t done = 0;

    for (int i = 0; i < load->options->queues; i++) {
        done += __atomic_load_n(&load->queues[i].done, __ATOMIC_RELAXED);
    }
    return done;
}

/* Requests that never came back. */
static void
count_lost(SynQueue *queue)
{
    for (unsigned i = 0; i < queue->ring.shape.slots; i++) {
        const SynRequest *request = &queue->requests[i];

        if (!request->in_flight) {
            continue;
        }
        queue->faults.lost++;
        if (queue->log && request->op != SYN_READ) {
            SynLogRecord record = {.submitted = request->submitted_number,
                                   .offset = (queue->region.first + request->block) *
                                             queue->load->block_size,
                                   .generation = request->generation,
                                   .op = (uint8_t)request->op,
                                   .status = 0xff,
                                   .queue = (uint16_t)queue->index};

            g_array_append_val(queue->log, record);
        }
        if (!queue->first_fault) {
            queue->first_fault =
                g_strdup_printf("queue %u: request %u was not completed within %g s", queue->index,
                                i, queue->load->options->patience);
        }
    }
}

void
syn_load_stop(SynLoad *load, bool gone)
{
    load->stop_by = syn_clock() + (gone ? 0 : (uint64_t)(load->options->patience * 1e9));
    syn_load_phase(load, SYN_STOP);
    for (int i = 0; i < load->options->threads; i++) {
        g_thread_join(load->workers[i].thread);
    }
    for (int i = 0; i < load->options->queues; i++) {
        count_lost(&load->queues[i]);
    }
}

SynFaults
syn_load_faults(const SynLoad *load)
{
    SynFaults sum = {0};

    for (int i = 0; i < load->options->queues; i++) {
        const SynFaults *faults = &load->queues[i].faults;

        sum.lost += faults->lost;
        sum.duplicate += faults->duplicate;
        sum.wrong += faults->wrong;
        sum.errors += faults->errors;
    }
    return sum;
}

const char *
syn_load_first_fault(const SynLoad *load)
{
    for (int i = 0; i < load->options->queues; i++) {
        if (load->queues[i].first_fault) {
            return load->queues[i].first_fault;
        }
    }
    return NULL;
}
