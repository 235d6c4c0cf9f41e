/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
fail(SynMemory *memory, const char *what, GError **error)
{
    g_set_error(error, VQ_ERROR, VQ_ERROR_FAILED, "guest memory: %s: %s", what, g_strerror(errno));
    syn_memory_clear(memory);
    return false;
}

bool
syn_memory_init(SynMemory *memory, const char *path, uint64_t size, GError **error)
{
    struct stat status;

    *memory = (SynMemory){.fd = -1, .used = SYN_MEMORY_LOW};
    /* Inherited by QEMU, which opens it as /proc/self/fd/N: no MFD_CLOEXEC. */
    memory->fd = path ? open(path, O_RDWR | O_CLOEXEC) : memfd_create("guest-ram", 0);
    if (memory->fd < 0) {
        return fail(memory, path ? path : "memfd_create", error);
    }
    if (!path && ftruncate(memory->fd, (off_t)size) != 0) {
        return fail(memory, "cannot set its size", error);
    }
    if (fstat(memory->fd, &status) != 0) {
        return fail(memory, "cannot read its size", error);
    }
    if ((uint64_t)status.st_size < size) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                    "guest memory: %s has %" G_GINT64_FORMAT
                    " MiB, the load needs %" G_GUINT64_FORMAT,
                    path, (gint64)status.st_size >> 20, (guint64)size >> 20);
        syn_memory_clear(memory);
        return false;
    }
    memory->size = size;
    memory->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, 0);
    if (memory->base == MAP_FAILED) {
        memory->base = NULL;
        return fail(memory, "mmap", error);
    }
    return true;
}

void
syn_memory_clear(SynMemory *memory)
{
    if (memory->base) {
        munmap(memory->base, memory->size);
        memory->base = NULL;
    }
    if (memory->fd >= 0) {
        close(memory->fd);
        memory->fd = -1;
    }
}

uint64_t
syn_memory_take(SynMemory *memory, uint64_t size, uint64_t align)
{
    uint64_t address = (memory->used + align - 1) & ~(align - 1);

    if (address + size > memory->size) {
        g_error("guest memory: %" G_GUINT64_FORMAT " bytes are too few", (guint64)memory->size);
    }
    memory->used = address + size;
    memset(memory->base + address, 0, size);
    return address;
}
