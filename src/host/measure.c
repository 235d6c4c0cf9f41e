/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/measure.h"

VqMeasurement *
vq_measurement_new(const VqSeen *seen)
{
    VqMeasurement *measurement = g_new0(VqMeasurement, 1);

    measurement->uuid = g_strdup(seen->domain->uuid);
    measurement->id = seen->domain->id;
    measurement->threads = g_array_copy(seen->times);
    measurement->readings = g_array_new(FALSE, TRUE, sizeof(VqReading));
    return measurement;
}

void
vq_measurement_free(VqMeasurement *measurement)
{
    if (!measurement)
        return;
    g_free(measurement->uuid);
    g_array_unref(measurement->threads);
    g_array_unref(measurement->readings);
    g_free(measurement);
}

VqReading *
vq_measurement_add(VqMeasurement *measurement, VqMeteredKind kind, const char *disk,
                   unsigned number, VqCounterSource source, gint64 time_us)
{
    VqReading reading = {.source = source, .iothread = -1, .counters.time_us = time_us};

    vq_metered_key_init(&reading.key, kind, disk, number);
    g_array_append_val(measurement->readings, reading);
    return &g_array_index(measurement->readings, VqReading, measurement->readings->len - 1);
}
