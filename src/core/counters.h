/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counts of one object (queue, IOThread or disk) from one source, and the rates that follow from
 * two readings of them. What a source does not say is unknown, which is not 0.
 *
 * Partner: meters.h, all objects of all domains.
 */
#pragma once

#include "base/enum.h"

#include <glib.h>
#include <stdbool.h>

/* Who counted. */
typedef enum {
    VQ_SOURCE_THREAD, /* the kernel: /proc/PID/task/TID/schedstat; of an IOThread */
    VQ_SOURCE_BLOCK,  /* libvirt's block statistics; of a disk */
    VQ_SOURCE_QUEUE,  /* the patched QEMU; of a queue or an IOThread */
    VQ_SOURCE_DAEMON, /* virtqueued itself; of an IOThread */
    VQ_SOURCES,
} VqCounterSource;

extern const VqEnumEntry vq_counter_source_names[];

typedef enum {
    VQ_COUNT_READS, /* requests */
    VQ_COUNT_WRITES,
    VQ_COUNT_FLUSHES,
    VQ_COUNT_OTHERS,
    VQ_COUNT_BYTES_READ,
    VQ_COUNT_BYTES_WRITTEN,
    VQ_COUNT_READ_NS, /* from submission to completion, summed over requests */
    VQ_COUNT_WRITE_NS,
    VQ_COUNT_FLUSH_NS,
    VQ_COUNT_IN_FLIGHT, /* now */
    VQ_COUNT_PARKED,    /* now */
    VQ_COUNT_DIRECT,
    VQ_COUNT_BATCHES,
    VQ_COUNT_KICKS,
    VQ_COUNT_INTERRUPTS,
    VQ_COUNT_MOVES,
    VQ_COUNT_MOVE_GAP_NS,
    VQ_COUNT_MOVE_GAP_MAX_NS, /* the longest so far */
    VQ_COUNT_CPU_NS,
    VQ_COUNT_WAIT_NS, /* runnable, on no CPU */
    VQ_COUNT_WORK_NS,
    VQ_COUNT_POLL_NS,
    VQ_COUNT_SLEEP_NS,
    VQ_COUNT_TURNS,
    VQ_COUNT_SLEEPS,
    VQ_COUNTERS,
} VqCounter;

typedef struct {
    const char *name; /* key in dictionaries */
    bool gauge;       /* goes up and down: has no rate */
} VqCounterInfo;

extern const VqCounterInfo vq_counter_infos[VQ_COUNTERS];

/* One reading. */
typedef struct {
    gint64 time_us; /* monotonic */
    guint32 known;  /* bit 1 << VqCounter */
    guint64 value[VQ_COUNTERS];
} VqCounters;

void vq_counters_set(VqCounters *counters, VqCounter counter, guint64 value);
/* False, *@value untouched: unknown. */
bool vq_counters_get(const VqCounters *counters, VqCounter counter, guint64 *value);

/* Two readings closer than this say nothing of a rate: a thread's CPU time comes in steps of 4 ms.
 */
#define VQ_METER_SPAN_MIN_US (200 * 1000)
/* Two readings farther apart than this have a mean that is not the present: no rate. */
#define VQ_METER_SPAN_MAX_US (60 * G_USEC_PER_SEC)

/* The readings of one object by one source that its rates need. All zero: none yet. */
typedef struct {
    guint64 incarnation;
    /* from the oldest; base has no known value at first. Three, because readings may be closer to
     * each other than a rate needs, and it must follow all the same */
    VqCounters base, middle, last;
} VqMeter;

/*
 * Takes a reading. @incarnation: another one than before (a thread's id, a slot's generation) means
 * that this is another object under the same name. Then, and when a counter went down (reset,
 * restart, wrap), rates start anew: never a negative or an absurd one.
 */
void vq_meter_take(VqMeter *meter, const VqCounters *counters, guint64 incarnation);

/* Per second, between the last two readings that are far enough apart; false: not known. */
bool vq_meter_rate(const VqMeter *meter, VqCounter counter, double *rate);

/* Of a time in nanoseconds: the share of real time, 0 to 1 for one thread; false: not known. */
bool vq_meter_share(const VqMeter *meter, VqCounter counter, double *share);

/* Microseconds that rates are the mean of; 0: there are none. */
gint64 vq_meter_span_us(const VqMeter *meter);
