/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stamps in data, to tell lost, stale, torn and misplaced blocks: each step of a block starts and
 * ends with a word made of seed, place on the disk and generation (how often the block was
 * written).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Bytes that a stamp covers: no more than a page, no less than a sector. */
#define SYN_STAMP_STEP(block_size) ((block_size) < 4096 ? 512u : 4096u)

void syn_stamp_write(uint8_t *data, uint32_t bytes, uint64_t offset, uint32_t generation,
                     uint64_t seed);
/* Makes sure that data which was not transferred is found. */
void syn_stamp_spoil(uint8_t *data, uint32_t bytes);
/* The generation that all steps have into *@generation; false if one is not of this place, is torn
 * or differs from the first. */
bool syn_stamp_check(const uint8_t *data, uint32_t bytes, uint64_t offset, uint64_t seed,
                     uint32_t *generation);
