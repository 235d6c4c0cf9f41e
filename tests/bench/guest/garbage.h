/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A malicious driver: rings, descriptors and requests that break every rule, a seed a round. QEMU
 * may mark the device as broken; it must not end, hang, or fail to work again after a reset.
 */
#pragma once

#include "device.h"
#include "options.h"
#include "qemu.h"

/* Runs options->rounds from options->garbage_seed on; the exit status. The first seed that QEMU
 * does not survive is printed. */
int syn_garbage(const SynOptions *options, SynQemu *qemu, SynDevice *device);
