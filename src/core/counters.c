/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/counters.h"

const VqEnumEntry vq_counter_source_names[] = {
    {VQ_SOURCE_THREAD, "thread CPU time"},
    {VQ_SOURCE_BLOCK, "libvirt block statistics"},
    {VQ_SOURCE_QUEUE, "QEMU queue counters"},
    {VQ_SOURCE_DAEMON, "virtqueued"},
    {0, NULL},
};

const VqCounterInfo vq_counter_infos[VQ_COUNTERS] = {
    [VQ_COUNT_READS] = {"reads"},
    [VQ_COUNT_WRITES] = {"writes"},
    [VQ_COUNT_FLUSHES] = {"flushes"},
    [VQ_COUNT_OTHERS] = {"others"},
    [VQ_COUNT_BYTES_READ] = {"bytes_read"},
    [VQ_COUNT_BYTES_WRITTEN] = {"bytes_written"},
    [VQ_COUNT_READ_NS] = {"read_ns"},
    [VQ_COUNT_WRITE_NS] = {"write_ns"},
    [VQ_COUNT_FLUSH_NS] = {"flush_ns"},
    [VQ_COUNT_IN_FLIGHT] = {"in_flight", .gauge = true},
    [VQ_COUNT_PARKED] = {"parked", .gauge = true},
    [VQ_COUNT_DIRECT] = {"direct"},
    [VQ_COUNT_BATCHES] = {"batches"},
    [VQ_COUNT_KICKS] = {"kicks"},
    [VQ_COUNT_INTERRUPTS] = {"interrupts"},
    [VQ_COUNT_MOVES] = {"moves"},
    [VQ_COUNT_MOVE_GAP_NS] = {"move_gap_ns"},
    [VQ_COUNT_MOVE_GAP_MAX_NS] = {"move_gap_max_ns", .gauge = true},
    [VQ_COUNT_CPU_NS] = {"cpu_ns"},
    [VQ_COUNT_WAIT_NS] = {"wait_ns"},
    [VQ_COUNT_WORK_NS] = {"work_ns"},
    [VQ_COUNT_POLL_NS] = {"poll_ns"},
    [VQ_COUNT_SLEEP_NS] = {"sleep_ns"},
    [VQ_COUNT_TURNS] = {"turns"},
    [VQ_COUNT_SLEEPS] = {"sleeps"},
};

G_STATIC_ASSERT(VQ_COUNTERS <= 32); /* bits of VqCounters.known */

void
vq_counters_set(VqCounters *counters, VqCounter counter, guint64 value)
{
    counters->known |= 1u << counter;
    counters->value[counter] = value;
}

bool
vq_counters_get(const VqCounters *counters, VqCounter counter, guint64 *value)
{
    if (!(counters->known & 1u << counter))
        return false;
    *value = counters->value[counter];
    return true;
}

/* Whether any counter that both know went down. */
static bool
went_back(const VqCounters *before, const VqCounters *now)
{
    for (guint i = 0; i < VQ_COUNTERS; i++) {
        if (!vq_counter_infos[i].gauge && before->known & now->known & 1u << i &&
            now->value[i] < before->value[i])
            return true;
    }
    return false;
}

void
vq_meter_take(VqMeter *meter, const VqCounters *counters, guint64 incarnation)
{
    if (meter->incarnation != incarnation || counters->time_us < meter->last.time_us ||
        went_back(&meter->last, counters))
        *meter = (VqMeter){.incarnation = incarnation};
    if (!meter->middle.known) {
        meter->middle = *counters;
    } else if (counters->time_us - meter->middle.time_us >= VQ_METER_SPAN_MIN_US) {
        meter->base = meter->middle;
        meter->middle = *counters;
    }
    meter->last = *counters;
}

gint64
vq_meter_span_us(const VqMeter *meter)
{
    gint64 span = meter->last.time_us - meter->base.time_us;

    if (!meter->base.known || span < VQ_METER_SPAN_MIN_US || span > VQ_METER_SPAN_MAX_US)
        return 0;
    return span;
}

bool
vq_meter_rate(const VqMeter *meter, VqCounter counter, double *rate)
{
    gint64 span = vq_meter_span_us(meter);

    if (!span || vq_counter_infos[counter].gauge ||
        !(meter->base.known & meter->last.known & 1u << counter))
        return false;
    *rate = (double)(meter->last.value[counter] - meter->base.value[counter]) * G_USEC_PER_SEC /
            (double)span;
    return true;
}

bool
vq_meter_share(const VqMeter *meter, VqCounter counter, double *share)
{
    double rate;

    if (!vq_meter_rate(meter, counter, &rate))
        return false;
    *share = rate / 1e9;
    return true;
}
