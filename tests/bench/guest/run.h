/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One measured run of a load: phases, times of QEMU's threads, commands sent meanwhile. */
#pragma once

#include "load.h"
#include "qemu.h"

typedef struct {
    SynIothread *thread; /* the QEMU's */
    SynTimes used;       /* within the window */
    double idle;         /* share of a CPU it takes without load, polling included */
} SynThreadUse;

typedef struct {
    double seconds;
    uint64_t requests;
    GArray *threads;      /* of SynThreadUse */
    SynTimes main;        /* QEMU's main thread */
    uint64_t process_cpu; /* all of QEMU, helpers of the kernel in its name too */
    uint64_t stolen_ns;   /* the load's threads were not on a CPU; the mean of them */
    double empty_share;   /* of the window nothing was in flight; 0 with several threads */
    double idle_turns;    /* share of the load's turns that found no completion */
    double clean_share;   /* of the window: slices without disturbance (SynWorker) */
    double clean_iops;    /* in them; 0 if there were none */
    bool died;            /* QEMU ended without being told to */
    unsigned commands, refused;
    char *first_refusal;
    SynHistogram command_ns;
} SynRun;

bool syn_run(SynRun *run, const SynOptions *options, SynQemu *qemu, SynLoad *load, GError **error);
void syn_run_clear(SynRun *run);
