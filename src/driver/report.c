/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "driver/report.h"

#include "base/error.h"
#include "driver/libvirt-private.h"

/* Texts come from XML and from the daemon: no more than this of them goes to users and log. */
#define TEXT_MAX 8192

static virLogSource source = {.name = "virtqueued.driver", .priority = VIR_LOG_ERROR};

/* The nearest of libvirt's codes: it decides the first words that virsh shows. */
static int
libvirt_code(const GError *error)
{
    if (error->domain != VQ_ERROR)
        return VIR_ERR_OPERATION_FAILED;
    switch ((VqErrorCode)error->code) {
    case VQ_ERROR_INVALID:
        return VIR_ERR_XML_ERROR;
    case VQ_ERROR_LIMIT:
    case VQ_ERROR_CONFLICT:
    case VQ_ERROR_UNSUPPORTED:
    case VQ_ERROR_NOT_FOUND:
        return VIR_ERR_CONFIG_UNSUPPORTED;
    case VQ_ERROR_REFUSED:
        return VIR_ERR_RESOURCE_BUSY;
    case VQ_ERROR_DENIED:
        return VIR_ERR_OPERATION_DENIED;
    case VQ_ERROR_TIMEOUT:
    case VQ_ERROR_UNAVAILABLE:
    case VQ_ERROR_FAILED:
        break;
    }
    return VIR_ERR_OPERATION_FAILED;
}

void
vq_report(const GError *error)
{
    virReportErrorHelper(VIR_FROM_QEMU, libvirt_code(error), __FILE__, __func__, __LINE__,
                         "virtqueued: %.*s", TEXT_MAX, error->message);
}

G_GNUC_PRINTF(2, 0)
static void
write_log(virLogPriority priority, const char *format, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(format, args);

    virLogMessage(&source, priority, __FILE__, __LINE__, __func__, NULL, "virtqueued: %.*s",
                  TEXT_MAX, text);
}

void
vq_warn(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_log(VIR_LOG_WARN, format, args);
    va_end(args);
}

void
vq_info(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_log(VIR_LOG_INFO, format, args);
    va_end(args);
}
