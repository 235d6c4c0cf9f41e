/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stamp.h"

#include <stddef.h>
#include <string.h>

typedef struct {
    uint64_t place; /* offset on the disk, mixed with the seed */
    uint32_t generation, check;
} Stamp;

static uint64_t
mix(uint64_t x)
{
    x ^= x >> 31;
    x *= 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    return x ^ x >> 32;
}

static Stamp
make(uint64_t offset, uint32_t generation, uint64_t seed)
{
    Stamp stamp = {.place = mix(offset + seed), .generation = generation};

    stamp.check = (uint32_t)mix(stamp.place ^ generation);
    return stamp;
}

void
syn_stamp_write(uint8_t *data, uint32_t bytes, uint64_t offset, uint32_t generation, uint64_t seed)
{
    uint32_t step = SYN_STAMP_STEP(bytes);

    for (uint32_t at = 0; at < bytes; at += step) {
        Stamp stamp = make(offset + at, generation, seed);

        memcpy(data + at, &stamp, sizeof(stamp));
        memcpy(data + at + step - sizeof(stamp), &stamp, sizeof(stamp));
    }
}

void
syn_stamp_spoil(uint8_t *data, uint32_t bytes)
{
    uint32_t step = SYN_STAMP_STEP(bytes);

    for (uint32_t at = 0; at < bytes; at += step) {
        memset(data + at, 0xe5, sizeof(Stamp));
        memset(data + at + step - sizeof(Stamp), 0xe5, sizeof(Stamp));
    }
}

bool
syn_stamp_check(const uint8_t *data, uint32_t bytes, uint64_t offset, uint64_t seed,
                uint32_t *generation)
{
    uint32_t step = SYN_STAMP_STEP(bytes);

    memcpy(generation, data + offsetof(Stamp, generation), sizeof(*generation));
    for (uint32_t at = 0; at < bytes; at += step) {
        Stamp stamp = make(offset + at, *generation, seed);

        if (memcmp(data + at, &stamp, sizeof(stamp)) != 0 ||
            memcmp(data + at + step - sizeof(stamp), &stamp, sizeof(stamp)) != 0) {
            return false;
        }
    }
    return true;
}
