/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"

#include "core/live.h"

/* Live XML of anybody's making: each IOThread once, in order. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(VqLive) live = vq_live_read((const char *)data, size, NULL);

    for (guint i = 1; live && i < live->threads->len; i++) {
        const VqLiveThread *a = g_ptr_array_index(live->threads, i - 1);
        const VqLiveThread *b = g_ptr_array_index(live->threads, i);

        g_assert_cmpuint(a->iothread, <, b->iothread);
    }
    return 0;
}
