/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Is the libvirt that we are in the one that we were built for? Anything unexpected is an error,
 * and the error means: leave the stock driver alone.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* The running libvirt's release and private symbols. Changes nothing. */
bool vq_guard_library(GError **error);

/*
 * @table (a virHypervisorDriver, seen as an array of pointers) is the stock QEMU driver's: it and
 * everything it points to lies in the module that @inside is part of, it is called "QEMU", and
 * exactly the known slots are empty.
 */
bool vq_guard_table(void *const *table, void *inside, GError **error);
