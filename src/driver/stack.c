/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Puts our table in front of the stock QEMU driver's. Loaded and called by loader.c.
 *
 * libvirt asks registered drivers in order. Ours comes first and declines every connection until
 * it has the stock table; it gets that by a connection of its own, which it declines and stock
 * takes, made when the state drivers are initialised and no client can have come yet. From then on
 * ours takes all connections, with a copy of the stock table in which slots.c overrides a few.
 * Whatever goes wrong here, ours goes on declining, and that is stock libvirt.
 */
#include "driver/stack.h"

#include "base/error.h"
#include "core/settings.h"
#include "driver/guard.h"
#include "driver/report.h"

#include "config.h"

#include <libvirt/virterror.h>
#include <string.h>

const virHypervisorDriver *vq_stock;
VqAdmitSettings vq_admit_settings;

static int (*stock_register)(void);
static char *embed_uri; /* of an embedded driver that is to be stacked at its first connection */

static virDrvOpenStatus connect_open(virConnectPtr conn, virConnectAuthPtr auth, virConf *conf,
                                     unsigned int flags);

static virHypervisorDriver table = {.name = "QEMU", .connectOpen = connect_open};
static const char *schemes[] = {"qemu", NULL};
static virConnectDriver connect_driver = {
    .localOnly = true,
    .embeddable = true,
    .uriSchemes = schemes,
    .hypervisorDriver = &table,
};

static void
stack_on(virConnectPtr conn)
{
    virHypervisorDriver *stock = conn->driver;
    g_autoptr(GError) error = NULL;

    if (!vq_guard_table((void *const *)stock, (void *)stock_register, &error)) {
        vq_warn("extension not active, the stock QEMU driver serves alone: %s", error->message);
        return;
    }
    table = *stock;
    table.connectOpen = connect_open;
    vq_slots_install(&table);
    g_atomic_pointer_set(&vq_stock, stock);
    vq_info("extension %s active", VQ_VERSION);
}

static void
find_stock(const char *uri)
{
    virConnectPtr conn = virConnectOpen(uri);

    if (!conn) {
        vq_warn("extension not active, the stock QEMU driver serves alone: %s: %s", uri,
                virGetLastErrorMessage());
        virResetLastError();
        return;
    }
    stack_on(conn);
    virConnectClose(conn);
}

static virDrvOpenStatus
connect_open(virConnectPtr conn, virConnectAuthPtr auth, virConf *conf, unsigned int flags)
{
    static int tried;
    const virHypervisorDriver *stock = g_atomic_pointer_get(&vq_stock);

    /* The connection that find_stock() makes comes through here and is declined. */
    if (!stock && embed_uri && g_atomic_int_compare_and_exchange(&tried, 0, 1)) {
        find_stock(embed_uri);
        stock = g_atomic_pointer_get(&vq_stock);
    }
    return stock ? stock->connectOpen(conn, auth, conf, flags) : VIR_DRV_OPEN_DECLINED;
}

/* Never anything but COMPLETE: virtqemud does not start with less, and libvirtd not with ERROR. */
static virDrvStateInitResult
state_initialize(bool privileged, const char *root, bool monolithic,
                 virStateInhibitCallback callback, void *opaque)
{
    g_autofree char *escaped = NULL;

    if (vq_stock || embed_uri)
        return VIR_DRV_STATE_INIT_COMPLETE;
    if (!root) {
        find_stock(privileged ? "qemu:///system" : "qemu:///session");
        return VIR_DRV_STATE_INIT_COMPLETE;
    }
    /* Embedded in a client we are inside virConnectOpen() here; it must not recurse. */
    escaped = g_uri_escape_string(root, "/", FALSE);
    embed_uri = g_strdup_printf("qemu:///embed?root=%s", escaped);
    return VIR_DRV_STATE_INIT_COMPLETE;
}

/* The name sorts nothing; it is what libvirt's debug log shows. */
static virStateDriver state_driver = {.name = "virtqueued", .stateInitialize = state_initialize};

static bool
read_settings(const char *file, GError **error)
{
    /* Kept for the life of the process: vq_admit_settings points into it. */
    static VqKeyFile *settings;

    settings = vq_key_file_load(vq_settings, file, VQ_GROUP_DRIVER, error);

    if (!settings && error && g_error_matches(*error, VQ_ERROR, VQ_ERROR_NOT_FOUND)) {
        g_clear_error(error);
        settings = vq_key_file_defaults(vq_settings);
    }
    if (!settings)
        return false;
    vq_admit_settings = (VqAdmitSettings){
        .socket = vq_key_file_string(settings, VQ_GROUP_DAEMON, "socket"),
        .timeout_ms = vq_key_file_int(settings, VQ_GROUP_DRIVER, "timeout_ms"),
        .breaker_seconds = vq_key_file_int(settings, VQ_GROUP_DRIVER, "breaker_seconds"),
    };
    if (vq_key_file_bool(settings, VQ_GROUP_DRIVER, "enabled"))
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_UNSUPPORTED, "[driver] enabled = false in %s", file);
    return false;
}

/*
 * The loader's entry. @stock: the stock module's qemuRegister. 0: stacked, everything is
 * registered. 1: nothing was registered, @reason says why; the caller goes on with stock. -1:
 * libvirt refused a registration, and its error is set.
 */
__attribute__((visibility("default"))) int virtqueued_stack_register(int (*stock)(void),
                                                                     char *reason, gsize size);

int
virtqueued_stack_register(int (*stock)(void), char *reason, gsize size)
{
    g_autoptr(GError) error = NULL;

    if (!vq_guard_library(&error) || !read_settings(VQ_CONFIG_FILE, &error)) {
        g_strlcpy(reason, error->message, size);
        return 1;
    }
    stock_register = stock;
    if (virRegisterConnectDriver(&connect_driver, true) < 0 || stock() < 0 ||
        virRegisterStateDriver(&state_driver) < 0)
        return -1;
    return 0;
}
