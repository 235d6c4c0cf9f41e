/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Measuring on a real host. Everything here is of the statistics thread, the connection too: a
 * QEMU process that does not answer its monitor holds up this thread and nothing else.
 */
#include "host/measure.h"

#include "base/error.h"
#include "host/proc.h"

#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <string.h>
#include <unistd.h>

#define KEEPALIVE_COUNT 3
#define BLOCK_PREFIX    "block."

typedef struct {
    VqMeasure port; /* first: a VqMeasure * is a LibvirtMeasure * */
    char *uri;
    unsigned keepalive_seconds;
    int root_fd;
    virConnectPtr connection;
} LibvirtMeasure;

static void
disconnect(LibvirtMeasure *self)
{
    if (self->connection)
        virConnectClose(self->connection);
    virResetLastError();
    self->connection = NULL;
}

static bool
ensure_connected(LibvirtMeasure *self, GError **error)
{
    if (self->connection && virConnectIsAlive(self->connection) == 1)
        return true;
    disconnect(self);
    self->connection = virConnectOpen(self->uri);
    if (!self->connection) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_UNAVAILABLE, "block statistics: libvirt at %s: %s",
                    self->uri, virGetLastErrorMessage());
        virResetLastError();
        return false;
    }
    /* -1: the transport has none, and needs none */
    if (virConnectSetKeepAlive(self->connection, (int)self->keepalive_seconds, KEEPALIVE_COUNT) < 0)
        virResetLastError();
    return true;
}

static void
read_threads(const LibvirtMeasure *self, VqMeasurement *measurement)
{
    for (guint i = 0; i < measurement->threads->len; i++) {
        const VqThreadTime *thread = &g_array_index(measurement->threads, VqThreadTime, i);
        guint64 cpu_ns, wait_ns;

        if (!vq_proc_thread_schedule(self->root_fd, thread, &cpu_ns, &wait_ns))
            continue;

        VqReading *reading =
            vq_measurement_add(measurement, VQ_METERED_IOTHREAD, NULL, thread->iothread,
                               VQ_SOURCE_THREAD, g_get_monotonic_time());

        reading->incarnation = thread->tid;
        vq_counters_set(&reading->counters, VQ_COUNT_CPU_NS, cpu_ns);
        vq_counters_set(&reading->counters, VQ_COUNT_WAIT_NS, wait_ns);
    }
    measurement->sources |= 1u << VQ_SOURCE_THREAD;
}

/* The counter that libvirt's "block.<number>.<field>" is, VQ_COUNTERS: none of ours. */
static VqCounter
counter_of(const char *field)
{
    static const struct {
        const char *field;
        VqCounter counter;
    } fields[] = {
        {"rd.reqs", VQ_COUNT_READS},          {"rd.bytes", VQ_COUNT_BYTES_READ},
        {"rd.times", VQ_COUNT_READ_NS},       {"wr.reqs", VQ_COUNT_WRITES},
        {"wr.bytes", VQ_COUNT_BYTES_WRITTEN}, {"wr.times", VQ_COUNT_WRITE_NS},
        {"fl.reqs", VQ_COUNT_FLUSHES},        {"fl.times", VQ_COUNT_FLUSH_NS},
    };

    for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
        if (g_str_equal(fields[i].field, field))
            return fields[i].counter;
    }
    return VQ_COUNTERS;
}

/* libvirt lists the values of a disk after its name, and of one disk after those of another. */
static void
take_blocks(VqMeasurement *measurement, const virDomainStatsRecordPtr record, gint64 now_us)
{
    VqReading *reading = NULL;

    for (int i = 0; i < record->nparams; i++) {
        const virTypedParameter *param = &record->params[i];
        const char *number = param->field + strlen(BLOCK_PREFIX);
        const char *dot = g_str_has_prefix(param->field, BLOCK_PREFIX) ? strchr(number, '.') : NULL;

        if (!dot)
            continue;
        if (param->type == VIR_TYPED_PARAM_STRING && g_str_equal(dot, ".name"))
            reading = vq_measurement_add(measurement, VQ_METERED_DISK, param->value.s, 0,
                                         VQ_SOURCE_BLOCK, now_us);
        else if (reading && param->type == VIR_TYPED_PARAM_ULLONG &&
                 counter_of(dot + 1) != VQ_COUNTERS)
            vq_counters_set(&reading->counters, counter_of(dot + 1), param->value.ul);
    }
}

static void
take_record(GPtrArray *measurements, const virDomainStatsRecordPtr record, gint64 now_us)
{
    char uuid[VIR_UUID_STRING_BUFLEN];
    unsigned count;

    /* without a count the domain was busy or had just ended: what was known of it stands */
    if (virDomainGetUUIDString(record->dom, uuid) < 0 ||
        virTypedParamsGetUInt(record->params, record->nparams, "block.count", &count) != 1)
        return;
    for (guint i = 0; i < measurements->len; i++) {
        VqMeasurement *measurement = g_ptr_array_index(measurements, i);

        if (g_ascii_strcasecmp(measurement->uuid, uuid) != 0)
            continue;
        take_blocks(measurement, record, now_us);
        measurement->sources |= 1u << VQ_SOURCE_BLOCK;
        return;
    }
}

/* Only domains that are ours, by id: this start and no other. Ends with NULL. */
static GPtrArray *
look_up(const LibvirtMeasure *self, const GPtrArray *measurements)
{
    GPtrArray *domains = g_ptr_array_new();

    for (guint i = 0; i < measurements->len; i++) {
        const VqMeasurement *measurement = g_ptr_array_index(measurements, i);
        virDomainPtr domain = virDomainLookupByID(self->connection, measurement->id);

        if (domain)
            g_ptr_array_add(domains, domain);
        else
            virResetLastError();
    }
    g_ptr_array_add(domains, NULL);
    return domains;
}

static bool
read_blocks(LibvirtMeasure *self, GPtrArray *measurements, GError **error)
{
    virDomainStatsRecordPtr *records = NULL;
    int n = 0;

    if (!ensure_connected(self, error))
        return false;

    g_autoptr(GPtrArray) domains = look_up(self, measurements);

    /* NOWAIT: a domain that is being saved or migrated is passed by instead of waited for */
    if (domains->len > 1)
        n = virDomainListGetStats((virDomainPtr *)domains->pdata, VIR_DOMAIN_STATS_BLOCK, &records,
                                  VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
    if (n < 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_UNAVAILABLE, "block statistics: %s",
                    virGetLastErrorMessage());
        virResetLastError();
    }
    for (int i = 0; i < n; i++)
        take_record(measurements, records[i], g_get_monotonic_time());
    if (records)
        virDomainStatsRecordListFree(records);
    for (guint i = 0; i + 1 < domains->len; i++)
        virDomainFree(g_ptr_array_index(domains, i));
    return n >= 0;
}

static bool
measure(VqMeasure *port, GPtrArray *measurements, GError **error)
{
    LibvirtMeasure *self = (LibvirtMeasure *)port;

    for (guint i = 0; i < measurements->len; i++)
        read_threads(self, g_ptr_array_index(measurements, i));
    return measurements->len == 0 || read_blocks(self, measurements, error);
}

static void
measure_free(VqMeasure *port)
{
    LibvirtMeasure *self = (LibvirtMeasure *)port;

    disconnect(self);
    close(self->root_fd);
    g_free(self->uri);
    g_free(self);
}

VqMeasure *
vq_measure_new(const char *uri, unsigned keepalive_seconds)
{
    LibvirtMeasure *self = g_new0(LibvirtMeasure, 1);

    self->port = (VqMeasure){.read = measure, .free = measure_free};
    self->uri = g_strdup(uri);
    self->keepalive_seconds = keepalive_seconds;
    self->root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return &self->port;
}
