/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The counters of all disks, IOThreads and queues of all domains, as last read, and their rates.
 * A value stands with the object that it was counted for: what exists for a disk or a thread as a
 * whole only is not divided among queues.
 */
#pragma once

#include "core/counters.h"

typedef enum {
    VQ_METERED_DISK,
    VQ_METERED_IOTHREAD,
    VQ_METERED_QUEUE,
} VqMeteredKind;

/* Who is metered, and within a domain the key. */
typedef struct {
    VqMeteredKind kind;
    char disk[64];   /* target ("vda"); of a queue its device ("vda", "scsi0"); "" for IOThreads */
    unsigned number; /* IOThread id, or queue */
} VqMeteredKey;

/* What a source said of one object at one time. */
typedef struct {
    VqMeteredKey key;
    VqCounterSource source;
    guint64 incarnation; /* see vq_meter_take() */
    int iothread;        /* that serves the queue now; -1: not known, or no queue */
    VqCounters counters;
} VqReading;

typedef struct {
    VqMeteredKey key;
    int iothread;
    VqMeter *meters[VQ_SOURCES]; /* NULL: nothing read */
} VqMetered;

/* One start of a domain. */
typedef struct {
    int id;             /* libvirt's */
    GPtrArray *objects; /* of VqMetered: disks, IOThreads, queues, each by name and number */
} VqDomainMeters;

typedef struct {
    GHashTable *domains; /* uuid -> VqDomainMeters */
} VqMeters;

VqMeters *vq_meters_new(void);
void vq_meters_free(VqMeters *meters);

/*
 * Takes what was read of the domain @uuid, started as @id; an earlier start is forgotten.
 * @sources: bits 1 << VqCounterSource of the sources that were asked and answered; what they do not
 * have any more (a disk was unplugged) is forgotten. @readings: of VqReading.
 */
void vq_meters_take(VqMeters *meters, const char *uuid, int id, const GArray *readings,
                    unsigned sources);

/* The daemon moved the IOThread to another core. */
void vq_meters_count_move(VqMeters *meters, const char *uuid, int id, unsigned iothread,
                          gint64 now_us);

/* Forgets all domains that are not in the set @uuids. */
void vq_meters_retain(VqMeters *meters, GHashTable *uuids);

/* NULL: nothing was read of this start of the domain. */
const VqDomainMeters *vq_meters_find(const VqMeters *meters, const char *uuid, int id);
/* NULL: nothing was read of it. */
const VqMetered *vq_meters_object(const VqDomainMeters *domain, VqMeteredKind kind,
                                  const char *disk, unsigned number);

/* NULL: not known by this source. */
const VqMeter *vq_metered_by(const VqMetered *object, VqCounterSource source);

/*
 * What is known of @object as data, a list (aa{sv}) of one dictionary for each source: "source",
 * "age_ms", each counter by its name, and where rates are known "rates" (a{sd}, per second; of
 * times the share of real time) and "over_ms". Floating.
 */
GVariant *vq_metered_counters(const VqMetered *object, gint64 now_us);

/* The disks or the queues, each a dictionary with its keys and "counters" (aa{sv}). Floating. */
GVariant *vq_meters_list(const VqDomainMeters *domain, VqMeteredKind kind, gint64 now_us);

void vq_metered_key_init(VqMeteredKey *key, VqMeteredKind kind, const char *disk, unsigned number);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqMeters, vq_meters_free)
