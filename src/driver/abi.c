/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ABI of libvirt 11.3 (the empty slots are the same up to 12.8; the table grew by one there).
 * VQ_LIBVIRT_NUMBER and VQ_LIBVIRT_RELEASE are the release of -Dlibvirt_source.
 */
#include "driver/abi.h"
#include "driver/libvirt-private.h"

static const char *const SYMBOLS[] = {
    "virIdentityElevateCurrent",
    "virIdentitySetCurrent",
    "virLogMessage",
    "virRegisterConnectDriver",
    "virRegisterStateDriver",
    "virReportErrorHelper",
    NULL,
};

/* Read from the table of Debian's binaries, the name counting as slot 0. */
#if VQ_LIBVIRT_NUMBER >= 11002000
static const guint16 NULL_SLOTS[] = {4, 8, 18, 78, 84, 104, 106, 173, 196, 211, 212, 231, 232};
#else
#error "the empty slots of this libvirt's QEMU driver are not known: read them and add them here"
#endif

const VqAbi vq_abi = {
    .version = VQ_LIBVIRT_NUMBER,
    .symbol_version = "LIBVIRT_PRIVATE_" VQ_LIBVIRT_RELEASE,
    .symbols = SYMBOLS,
    .slots = sizeof(virHypervisorDriver) / sizeof(void *),
    .null_slots = NULL_SLOTS,
    .n_null_slots = G_N_ELEMENTS(NULL_SLOTS),
};
