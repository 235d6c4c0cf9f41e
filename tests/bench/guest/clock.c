/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clock.h"

#include <glib.h>
#include <string.h>
#include <time.h>

double syn_clock_ns_per_tick;

uint64_t
syn_clock_slow(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void
syn_clock_init(void)
{
#if defined(__x86_64__)
    g_autofree char *cpu = NULL;
    uint64_t ns, ticks;

    g_file_get_contents("/proc/cpuinfo", &cpu, NULL, NULL);
    if (!cpu || !strstr(cpu, " nonstop_tsc") || !strstr(cpu, " constant_tsc")) {
        return;
    }
    ns = syn_clock_slow();
    ticks = __builtin_ia32_rdtsc();
    g_usleep(20000);
    ns = syn_clock_slow() - ns;
    ticks = __builtin_ia32_rdtsc() - ticks;
    syn_clock_ns_per_tick = (double)ns / (double)ticks;
#endif
}
