/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's RAM, mapped here and in QEMU. Guest-physical address = offset, since all of it lies
 * below 4 GiB; the first MiB is left alone (video memory and ROM lie over it).
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Above this, machine types split RAM around the PCI hole. */
#define SYN_MEMORY_MAX (G_GUINT64_CONSTANT(2) << 30)
#define SYN_MEMORY_LOW (1u << 20)

typedef struct {
    int fd;
    uint8_t *base;
    uint64_t size, used;
} SynMemory;

/* New anonymous memory of @size bytes, or with @path the file that QEMU's backend maps. */
bool syn_memory_init(SynMemory *memory, const char *path, uint64_t size, GError **error);
void syn_memory_clear(SynMemory *memory);

/* @size zeroed bytes at a multiple of @align; their guest-physical address. The caller has reserved
 * enough: running out ends the program. */
uint64_t syn_memory_take(SynMemory *memory, uint64_t size, uint64_t align);

static inline void *
syn_memory_at(const SynMemory *memory, uint64_t address)
{
    return memory->base + address;
}
