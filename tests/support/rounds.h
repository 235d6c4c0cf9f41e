/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rounds of the daemon against a fake of libvirt, on a machine of 16 cores with two threads each:
 * the same manager, actions and records as in the daemon, without threads and files.
 */
#pragma once

#include "daemon/manager.h"

#define MACHINE "pack:2 numa:1 core:8 pu:2"
#define ALL     "0-31"
/* on this synthetic machine core N has the CPUs 2N and 2N+1 */
#define POOL "16-31"

typedef struct {
    const char *name;
    int id;
    unsigned queues;
    const char *policy; /* attributes after target and queues */
    GHashTable *pins;   /* "iothread 1", "vcpu 0", "emulator 0" -> cpus */
    GHashTable *polls;  /* "1" -> "<poll .../>" */
    double busy;        /* share of a core that each IOThread takes; 0: its times are not read */
    guint64 cpu_ns;     /* what each has taken so far */
} RoundsGuest;

typedef struct {
    GPtrArray *guests;
    int fail_after; /* actions that still work; then the connection is lost; -1: all work */
    unsigned applied;
} RoundsFake;

typedef struct {
    VqConfig config;
    VqManager *manager;
    RoundsFake fake;
    VqCpuset *offline; /* CPUs of the machine that are away */
    gint64 now;
} Rounds;

/* A running domain with one disk and an IOThread for each of its queues. */
RoundsGuest *rounds_start(Rounds *bed, const char *name, int id, unsigned queues,
                          const char *policy);
void rounds_destroy(Rounds *bed, RoundsGuest *guest);
const char *rounds_pin(const RoundsGuest *guest, const char *kind, unsigned number);
void rounds_set_pin(RoundsGuest *guest, const char *kind, unsigned number, const char *cpus);
char *rounds_xml(const RoundsGuest *guest);
VqObservation *rounds_observe(const RoundsFake *fake, gint64 now);
void rounds_apply(RoundsFake *fake, GPtrArray *actions);
unsigned rounds_one(Rounds *bed);
void rounds_settle(Rounds *bed);
void rounds_init(Rounds *bed);
void rounds_clear(Rounds *bed);
/* The CPUs that are offline from now on; the daemon sees it as after a change of the host's. */
void rounds_offline(Rounds *bed, const char *cpus);
void rounds_restart(Rounds *bed, bool lose_records);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Rounds, rounds_clear)
