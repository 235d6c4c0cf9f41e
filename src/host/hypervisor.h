/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's port to libvirt and the host: what a round sees, and what it then has done.
 * Observations and actions are plain data, made in one thread and handed to the other whole.
 *
 * Implemented by libvirt.c; by a fake in the tests.
 */
#pragma once

#include "core/domain.h"
#include "core/live.h"

typedef struct {
    unsigned iothread;
    int pid, tid;
    guint64 cpu_ns; /* since the thread's start */
} VqThreadTime;

/* One running domain with declared queues. */
typedef struct {
    VqDomain *domain;
    VqLive *live;
    GArray *times;            /* of VqThreadTime; empty where they cannot be read */
    GHashTable *device_nodes; /* source path -> GArray of unsigned: NUMA nodes, empty = unknown */
    char *problems;           /* of its policy, or NULL */
} VqSeen;

/* A domain that runs on, of which the last observation still holds: nothing happened to it, or it
 * was too busy to be read. */
typedef struct {
    char *uuid;
    int id;        /* libvirt's; -1: not known, it may have been started anew */
    GArray *times; /* as in VqSeen; empty: as before */
} VqKept;

typedef struct {
    gint64 time_us;     /* monotonic */
    GPtrArray *domains; /* of VqSeen, by libvirt id: the order of their start */
    GPtrArray *kept;    /* of VqKept: of them, those whose XML was not read this time */
    char *online;       /* the host's online CPUs as the kernel writes them */
} VqObservation;

typedef enum {
    VQ_TARGET_IOTHREAD,
    VQ_TARGET_VCPU,
    VQ_TARGET_EMULATOR, /* number 0 */
} VqTarget;

/* A change to be made to one running domain: a pin, or with @set_poll the polling of an IOThread.
 */
typedef struct {
    char *uuid;
    char *domain;
    int id; /* libvirt's: this start of the domain and no other */
    VqTarget target;
    unsigned number;
    VqCpuset *cpus; /* pin to, or NULL */
    bool set_poll;
    VqPollValues poll;
    bool undo;     /* gives back what was there before us */
    char *reason;  /* for the log */
    GError *error; /* set by apply(); NOT_FOUND: the domain is gone */
} VqAction;

typedef struct _VqHypervisor VqHypervisor;

struct _VqHypervisor {
    /* Both are called in the worker thread only, may block, and touch no state of the daemon. */
    /* @wanted: UUIDs of domains to be read even if they declare no queues (any more). */
    VqObservation *(*observe)(VqHypervisor *self, GHashTable *wanted, GError **error);
    /* Does all of @actions (of VqAction) in order; a failure is in its action and stops none. */
    void (*apply)(VqHypervisor *self, GPtrArray *actions);
    void (*free)(VqHypervisor *self);
    gint64 partner_us; /* worker thread: time spent in the partner's calls; whoever reads resets */

    /* Main thread: something happened that calls for a round. Set before the first observe(). */
    void (*changed)(gpointer data);
    gpointer changed_data;
};

VqObservation *vq_observation_new(void);
void vq_observation_free(VqObservation *observation);
VqKept *vq_kept_new(const char *uuid, int id);
void vq_kept_free(VqKept *kept);
VqSeen *vq_seen_new(VqDomain *domain, VqLive *live); /* both taken */
void vq_seen_free(VqSeen *seen);

/* A table as in VqSeen; and what is behind the sources of @domain's declared disks put into it,
 * which may wait for a slow file system. */
GHashTable *vq_device_nodes_new(void);
void vq_device_nodes_look_up(GHashTable *device_nodes, const VqDomain *domain);
VqAction *vq_action_new(const VqDomain *domain, VqTarget target, unsigned number);
void vq_action_free(VqAction *action);

/* "vm1: IOThread 3", for messages. g_free(). */
char *vq_action_object(const VqAction *action);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqObservation, vq_observation_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqAction, vq_action_free)
