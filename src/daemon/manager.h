/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the daemon knows, and what follows from it: observation in, plan and actions out. No
 * libvirt, no file, no clock and no thread in here: `now` is an argument, reconcile.c does what is
 * to be done.
 *
 * Main thread only. Partners: actions.c (plan -> actions -> records), report.c (answers to people).
 */
#pragma once

#include "core/meters.h"
#include "core/placement.h"
#include "core/pool.h"
#include "daemon/daemon-config.h"
#include "daemon/records.h"
#include "host/hypervisor.h"

/* One running domain. */
typedef struct {
    VqSeen *seen;
    bool off; /* handed back by the administrator */
} VqGuest;

/* A domain that was admitted and has not been seen running. */
typedef struct {
    VqDomain *domain;
    GHashTable *pins;         /* IOThread id -> cpuset (char *): the promise */
    GHashTable *device_nodes; /* as in VqSeen */
    gint64 expires_us;
} VqReservation;

/* What was done since the daemon's start. */
typedef struct {
    guint64 admitted, refused; /* domains that asked whether they may start */
    guint64 changes, failures; /* pins and settings that were made, and that could not be made */
    guint64 moves;             /* of the pins: running IOThreads that changed place */
} VqTally;

typedef struct {
    const VqConfig *config;
    VqTopology *topology;
    VqPool *pool;
    VqRecords *records;
    GPtrArray *guests;       /* of VqGuest, in the order of their start */
    GPtrArray *reservations; /* of VqReservation, in the order of their admission */
    VqRebalance *rebalance;  /* loads, who rests, when to move */
    VqStep step;             /* what the next plan is made for */
    char *shape;             /* of what is to be placed, as last seen: a change is an event */
    gint64 now_us;           /* as last told */
    GHashTable *failures;    /* object -> text: what could not be done in the last round */
    VqMeters *meters;        /* filled by statistics.c */
    VqTally tally;
    VqPlan *plan;    /* as of the last round or admission; never NULL */
    bool releasing;  /* --undo-all: every domain counts as handed back */
    bool observed;   /* libvirt was seen at least once */
    gint64 round_us; /* monotonic time of the last whole round, 0 = none */
} VqManager;

/*
 * Takes @topology and @records; @config must live as long. Error: no pool can be had of this
 * machine with this configuration.
 */
VqManager *vq_manager_new(const VqConfig *config, VqTopology *topology, VqRecords *records,
                          GError **error);
void vq_manager_free(VqManager *manager);

/*
 * A new configuration, or topology (NULL: as before); takes @topology unless it fails. With the
 * configuration it has, CPUs of the pool that went away are no error. On error nothing has changed.
 */
bool vq_manager_configure(VqManager *manager, const VqConfig *config, VqTopology *topology,
                          GError **error);

/* Adds to the drained CPUs, or with NULL gives all back. On error nothing has changed. */
bool vq_manager_drain(VqManager *manager, const VqCpuset *cpus, GError **error);

/* UUIDs (owned by the set) that observe() must read even without declared queues. */
GHashTable *vq_manager_wanted(const VqManager *manager);

/* Takes @observation in. */
void vq_manager_see(VqManager *manager, VqObservation *observation, gint64 now_us);

/*
 * Whether threads should move now, and why (g_free(); NULL: no): begins a step, in which
 * vq_manager_compute() may move what else rests.
 */
VqStep vq_manager_tick(VqManager *manager, gint64 now_us, char **why);
/* Takes @plan: it is in force, or about to be. Ends the step. */
void vq_manager_follow(VqManager *manager, VqPlan *plan);

/* The plan for what is known now; nothing is changed by it. */
VqPlan *vq_manager_compute(const VqManager *manager);
/* The same as if threads had come or gone: what a request to rebalance would do. */
VqPlan *vq_manager_preview(VqManager *manager);

/*
 * Admission of a domain that is about to start. @device_nodes: source path -> GArray of unsigned,
 * the NUMA nodes of its devices as far as they are known. @pins (a(us)) and @notes (as) as in the
 * interface's description. Error VQ_ERROR_REFUSED, or UNAVAILABLE while libvirt was never seen.
 */
bool vq_manager_admit(VqManager *manager, const char *xml, GHashTable *device_nodes, gint64 now_us,
                      GVariant **pins, GVariant **notes, GError **error);
/* A VqDeviceNodesFunc over such a table. */
GArray *vq_manager_known_nodes(const VqDevice *device, gpointer device_nodes);
/* By name or UUID; unknown ones are no error. */
void vq_manager_withdraw(VqManager *manager, const char *domain);

/* Off or on; what follows happens in the next round. NOT_FOUND: no such running domain of ours. */
bool vq_manager_set_managed(VqManager *manager, const char *domain, bool managed, GError **error);

/* By name or UUID, or NULL. */
VqGuest *vq_manager_find(const VqManager *manager, const char *domain);

/* Whether the daemon places this domain's threads. */
bool vq_guest_is_managed(const VqGuest *guest);

/* Where a live pin came from. */
typedef enum {
    VQ_PIN_FREE, /* no pin, or one to all CPUs: ours to place */
    VQ_PIN_OURS,
    VQ_PIN_HAND, /* somebody else's */
} VqPinOrigin;

VqPinOrigin vq_manager_pin_origin(const VqManager *manager, const VqGuest *guest, VqTarget target,
                                  unsigned number, const VqCpuset *pin);

/* The domain's name or UUID is @name_or_uuid. */
bool vq_domain_is_called(const VqDomain *domain, const char *name_or_uuid);
/* All threads to be placed: domains in the order of their start, admitted ones after them. */
GPtrArray *vq_manager_threads(const VqManager *manager);
/* Fills in loads and who rests. */
VqPlan *vq_manager_place(const VqManager *manager, GPtrArray *threads);
/* Reservations and promises whose time is over. */
void vq_manager_expire(VqManager *manager, gint64 now_us);

/* shape.c: */

/* Tells the rebalance if what is to be placed is not what it was at the last call. */
void vq_manager_note_shape(VqManager *manager);

/* actions.c: */

/* What @plan needs done now, in order. The domains of reservations are left to their starters. */
GPtrArray *vq_manager_actions(const VqManager *manager, const VqPlan *plan);
/* Writes into the records what is about to be done; save them before doing it. */
void vq_manager_intend(VqManager *manager, const GPtrArray *actions);
/* Writes down what came of it. */
void vq_manager_applied(VqManager *manager, const GPtrArray *actions);

/* tally.c: */

/* Counts what was done; before vq_manager_applied(), which changes what is known of pins. */
void vq_manager_tally(VqManager *manager, const GPtrArray *actions, gint64 now_us);

/* report.c: */

/* VqPlan as a{sv} with "domains" (what the live XML says, settings, counters). Floating. */
GVariant *vq_manager_report(const VqManager *manager, const char *domain, gint64 now_us,
                            GError **error);
/* One of these domains. Floating. */
GVariant *vq_manager_report_guest(const VqManager *manager, const VqGuest *guest, gint64 now_us);
GVariant *vq_manager_why(const VqManager *manager, const char *domain, const char *disk, int queue,
                         gint64 now_us, GError **error);
GVariant *vq_manager_status(const VqManager *manager);

/* report-counters.c: */

/* The plan in force with "domains" as above, "cores" of the pool, and the tally. Floating. */
GVariant *vq_manager_counters(const VqManager *manager, gint64 now_us);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqManager, vq_manager_free)
