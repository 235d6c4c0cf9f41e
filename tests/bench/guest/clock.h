/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nanoseconds for the load loop: the time stamp counter where it is invariant (8 ns a read), else
 * the kernel's clock (25 ns). */
#pragma once

#include <stdint.h>

/* Once, before threads start; takes 20 ms. */
void syn_clock_init(void);
uint64_t syn_clock_slow(void);

extern double syn_clock_ns_per_tick; /* 0: the kernel's clock is used */

static inline uint64_t
syn_clock(void)
{
#if defined(__x86_64__)
    if (syn_clock_ns_per_tick > 0) {
        return (uint64_t)((double)__builtin_ia32_rdtsc() * syn_clock_ns_per_tick);
    }
#endif
    return syn_clock_slow();
}
