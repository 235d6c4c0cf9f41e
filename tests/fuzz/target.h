/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A fuzz target: takes any bytes, must neither crash nor leak nor hang, and checks what holds for
 * every input with g_assert_*(). Called by libFuzzer or by player.c.
 */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
