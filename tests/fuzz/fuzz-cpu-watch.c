/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"

#include "host/cpu-watch.h"

#include <string.h>

/* Only whole lines count: what follows the last NUL changes nothing. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *message = g_memdup2(data, size);
    size_t whole = size;

    while (whole > 0 && message[whole - 1] != '\0')
        whole--;

    bool concerns = vq_cpu_watch_concerns(message, size);

    g_assert_true(concerns == vq_cpu_watch_concerns(message, whole));
    g_assert_true(!concerns || memmem(message, whole, "SUBSYSTEM=cpu", 14));
    return 0;
}
