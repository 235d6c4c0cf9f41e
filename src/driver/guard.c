/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "driver/guard.h"

#include "base/error.h"
#include "driver/abi.h"

#include <dlfcn.h>
#include <libvirt/libvirt.h>

G_STATIC_ASSERT(sizeof(void *) == sizeof(void (*)(void)));

static bool unsupported(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static bool
unsupported(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_clear_error(error);
    if (error)
        *error = g_error_new_valist(VQ_ERROR, VQ_ERROR_UNSUPPORTED, format, args);
    va_end(args);
    return false;
}

bool
vq_guard_library(GError **error)
{
    unsigned long version = 0;

    if (virGetVersion(&version, NULL, NULL) < 0)
        return unsupported(error, "libvirt does not tell its version");
    if (version != vq_abi.version)
        return unsupported(error, "built for libvirt %lu, running in libvirt %lu", vq_abi.version,
                           version);
    for (const char *const *symbol = vq_abi.symbols; *symbol; symbol++) {
        if (!dlvsym(RTLD_DEFAULT, *symbol, vq_abi.symbol_version))
            return unsupported(error, "libvirt has no symbol %s@%s", *symbol,
                               vq_abi.symbol_version);
    }
    return true;
}

static const void *
module_of(void *address)
{
    Dl_info info;

    return dladdr(address, &info) ? info.dli_fbase : NULL;
}

static bool
is_null_slot(gsize slot)
{
    for (gsize i = 0; i < vq_abi.n_null_slots; i++) {
        if (vq_abi.null_slots[i] == slot)
            return true;
    }
    return false;
}

bool
vq_guard_table(void *const *table, void *inside, GError **error)
{
    const void *module = module_of(inside);

    if (!module || module_of((void *)table) != module)
        return unsupported(error, "the driver in use is not the stock QEMU driver");
    if (!table[0] || module_of(table[0]) != module || !g_str_equal(table[0], "QEMU"))
        return unsupported(error, "the driver in use is not called QEMU");
    for (gsize slot = 1; slot < vq_abi.slots; slot++) {
        if (is_null_slot(slot) != (table[slot] == NULL))
            return unsupported(error, "slot %" G_GSIZE_FORMAT " of libvirt's driver table is %s",
                               slot, table[slot] ? "not empty as expected" : "unexpectedly empty");
        if (table[slot] && module_of(table[slot]) != module)
            return unsupported(error,
                               "slot %" G_GSIZE_FORMAT " of libvirt's driver table leads outside "
                               "the stock QEMU driver",
                               slot);
    }
    return true;
}
