/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line of the synthetic guest, checked. */
#pragma once

#include "base/cpuset.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum { SYN_PLANT_NONE, SYN_PLANT_CORRUPT, SYN_PLANT_DROP, SYN_PLANT_DUPLICATE } SynPlant;

typedef struct {
    /* QEMU to start */
    char *qemu, *accel, *backend, *aio, *format, *device, *iothread;
    char **blockdevs, **qemu_args;
    int iothreads;
    char *map; /* IOThread of each queue, "0,0,1" */
    /* or to attach to */
    char *qtest_path, *qmp_path, *memory_path;

    /* ring */
    int queues, depth, segments;
    char *block_size_text;
    gint64 block_size;
    gboolean no_event_idx, indirect, packed, interrupts;

    /* load */
    char *mix_text;
    unsigned mix[3]; /* per cent of SynOp */
    gboolean sequential;
    double ramp, seconds;
    gint64 requests;
    char *area_text;
    gint64 area; /* bytes; 0: all of the disk */
    int threads;
    gboolean realtime;
    gint64 seed;
    char *cpus_text, *iothread_cpus_text;
    VqCpuset *cpus, *iothread_cpus;

    /* checks and company */
    gboolean verify;
    char *plant_text;
    SynPlant plant;
    char *qmp_command;
    double qmp_every;
    double patience;
    gboolean kill;
    char *write_log, *check_log, *image;
    gboolean garbage, reset_at_once, own_registers;
    gint64 garbage_seed;
    int rounds;

    gboolean json;
} SynOptions;

/* Errors: VQ_ERROR_INVALID or _LIMIT, naming the option. --help prints and exits. */
SynOptions *syn_options_parse(int *argc, char ***argv, GError **error);
void syn_options_free(SynOptions *options);

/* "512", "4K", "1M", "2G" */
bool syn_parse_size(const char *text, gint64 *value);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SynOptions, syn_options_free)
