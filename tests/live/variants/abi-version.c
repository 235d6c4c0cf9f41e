/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An extension built for the next libvirt. */
#define vq_abi real_abi
#include "../../../src/driver/abi.c"
#undef vq_abi

const VqAbi vq_abi = {
    .version = VQ_LIBVIRT_NUMBER + 1000,
    .symbol_version = "LIBVIRT_PRIVATE_" VQ_LIBVIRT_RELEASE,
    .symbols = SYMBOLS,
    .slots = sizeof(virHypervisorDriver) / sizeof(void *),
    .null_slots = NULL_SLOTS,
    .n_null_slots = G_N_ELEMENTS(NULL_SLOTS),
};
