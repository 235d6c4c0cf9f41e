/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/errors.h"

#include <gio/gio.h>

#define NAME(suffix) "org.virtqueued.Error." suffix

const VqEnumEntry vq_error_dbus_names[] = {
    {VQ_ERROR_FAILED, NAME("Failed")},
    {VQ_ERROR_INVALID, NAME("Invalid")},
    {VQ_ERROR_LIMIT, NAME("Limit")},
    {VQ_ERROR_CONFLICT, NAME("Conflict")},
    {VQ_ERROR_REFUSED, NAME("Refused")},
    {VQ_ERROR_NOT_FOUND, NAME("NotFound")},
    {VQ_ERROR_UNSUPPORTED, NAME("Unsupported")},
    {VQ_ERROR_DENIED, NAME("Denied")},
    {VQ_ERROR_TIMEOUT, NAME("Timeout")},
    {VQ_ERROR_UNAVAILABLE, NAME("Unavailable")},
    {0, NULL},
};

void
vq_errors_register(void)
{
    for (const VqEnumEntry *entry = vq_error_dbus_names; entry->name; entry++)
        g_dbus_error_register_error(VQ_ERROR, entry->value, entry->name);
}

int
vq_error_from_dbus_name(const char *dbus_name)
{
    int code = VQ_ERROR_FAILED;

    vq_enum_from_name(vq_error_dbus_names, dbus_name, &code);
    return code;
}
