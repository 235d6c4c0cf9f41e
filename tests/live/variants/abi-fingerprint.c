/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One empty slot of the driver table is somewhere else, as after an insertion. */
#define vq_abi real_abi
#include "../../../src/driver/abi.c"
#undef vq_abi

static const guint16 MOVED_SLOTS[] = {4, 8, 18, 78, 84, 104, 106, 174, 196, 211, 212, 231, 232};

const VqAbi vq_abi = {
    .version = VQ_LIBVIRT_NUMBER,
    .symbol_version = "LIBVIRT_PRIVATE_" VQ_LIBVIRT_RELEASE,
    .symbols = SYMBOLS,
    .slots = sizeof(virHypervisorDriver) / sizeof(void *),
    .null_slots = MOVED_SLOTS,
    .n_null_slots = G_N_ELEMENTS(NULL_SLOTS),
};
