/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The load: threads that keep the rings of a device full, and account for every request.
 *
 * A queue belongs to one thread. Another thread may read `done` (it is written whole), and all else
 * when the threads have ended.
 */
#pragma once

#include "device.h"
#include "histogram.h"
#include "options.h"
#include "ring.h"

#include <glib.h>
#include <linux/virtio_blk.h>

/* What the guest knows of its requests' order, for replay after a cut of power. Numbers of one
 * counter; completed 0: never. */
typedef struct {
    uint64_t submitted, completed;
    uint64_t offset;
    uint32_t generation;
    uint8_t op, status;
    uint16_t queue;
} SynLogRecord;

typedef struct {
    uint64_t submitted_ns, submitted_number;
    uint64_t block;
    uint32_t generation;
    bool in_flight;
    SynOp op;
} SynRequest;

typedef struct {
    uint64_t lost;      /* never completed */
    uint64_t duplicate; /* completed when not in flight, or under an unknown number */
    uint64_t wrong;     /* data of another place or time, torn or not transferred; wrong length */
    uint64_t errors;    /* status other than OK */
} SynFaults;

/* One queue's part of the disk, for which it keeps count of what was written. Blocks with a request
 * in flight that would make another's outcome uncertain are left out. */
typedef struct {
    uint64_t first, blocks;
    uint32_t *generation; /* what was written last; 0: nothing by us */
    uint8_t *busy;        /* readers in flight, or SYN_WRITER */
} SynRegion;
#define SYN_WRITER 255

typedef struct _SynLoad SynLoad;

typedef struct {
    SynLoad *load;
    unsigned index;
    SynRing ring;
    uint64_t meta; /* a cache line a request: header at its start, status at its end */
    uint64_t data;
    SynRequest *requests;
    uint16_t *free;
    unsigned free_count;
    uint64_t random, position; /* position: of sequential load, and of the stamping before */
    SynRegion region;
    uint32_t *interrupt; /* where its vector's message is stored */

    uint64_t done, bytes, kicks, interrupts;
    uint64_t last_ns;
    SynHistogram latency, gap;
    SynFaults faults;
    char *first_fault;
    bool planted;
    GArray *log; /* of SynLogRecord; NULL: none kept */
} SynQueue;

typedef enum { SYN_STAMPING, SYN_RAMP, SYN_MEASURE, SYN_STOP } SynPhase;

#define SYN_SLICE_NS 2000000
#define SYN_TURN_NS  40000
/* QEMU completes a batch of Linux AIO at once: 64 requests of zram after 200 µs. */
#define SYN_PAUSE_NS 500000

typedef struct {
    SynLoad *load;
    unsigned index;
    GThread *thread;
    GPtrArray *queues; /* of SynQueue */
    unsigned in_flight;
    uint64_t empty_since;
    /* within the measured window: nothing in flight; not on a CPU; turns without a completion */
    uint64_t empty_ns, stolen_ns, idle_turns, turns;
    /* Slices of SYN_SLICE_NS in which neither this thread nor QEMU's was kept off its CPU, as far
     * as can be seen from here: no turn above SYN_TURN_NS, no pause between completions above
     * SYN_PAUSE_NS.
     * On a machine with other work they alone show the speed of the path. */
    uint64_t slice_start, slice_done, last_done_ns;
    bool slice_spoilt;
    uint64_t clean_ns, clean_done;
    bool stamped;
    char *affinity_error;
} SynWorker;

struct _SynLoad {
    const SynOptions *options;
    SynDevice *device;
    const SynMemory *memory;
    uint64_t area; /* bytes */
    uint32_t block_size;
    SynQueue *queues;
    SynWorker *workers;
    unsigned workers_stamped; /* atomic */
    SynPhase phase;           /* atomic */
    uint64_t log_number;      /* atomic */
    uint64_t stop_by;         /* clock; after it what is in flight is lost */
};

/* Guest memory that a load of these options needs. */
uint64_t syn_load_memory(const SynOptions *options);

/* Negotiates, lays out rings and buffers, starts the device. */
bool syn_load_init(SynLoad *load, const SynOptions *options, SynDevice *device, SynMemory *memory,
                   GError **error);
void syn_load_clear(SynLoad *load);

/* Starts the threads, which begin with stamping if --verify is given. */
void syn_load_start(SynLoad *load);
void syn_load_phase(SynLoad *load, SynPhase phase);
bool syn_load_stamped(SynLoad *load);
uint64_t syn_load_done(const SynLoad *load);

/* Ends and joins; requests that stay in flight for options->patience are lost (none is waited for
 * with @gone). */
void syn_load_stop(SynLoad *load, bool gone);

SynFaults syn_load_faults(const SynLoad *load);
/* The first fault's text, or NULL. */
const char *syn_load_first_fault(const SynLoad *load);

/* One queue's work, for load.c: returns completions. */
unsigned syn_queue_reap(SynQueue *queue);
/* Posts what fits and shows it; returns how many. */
unsigned syn_queue_fill(SynQueue *queue, SynPhase phase);
