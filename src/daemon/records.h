/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the daemon must be able to undo, and what an administrator told it (off, drain): the only
 * thing it keeps on disk. Where threads are is not in here but in libvirt's live XML.
 *
 * Invariant: an intended change is recorded before it is made, so that after kill -9 at any moment
 * a pin in the live XML that equals pinned, pending or promised is known to be ours, and any other
 * one to be somebody's hand.
 */
#pragma once

#include "host/hypervisor.h"

typedef struct {
    VqTarget target;
    unsigned number;
    char *original; /* what to give back, cpuset; never NULL */
    char *pinned;   /* what we set and saw confirmed, or "" */
    char *pending;  /* what we are setting, or ""; of several one after the other: "4;6" */
    char *promised; /* what Admit told the driver extension to set, or "" */
} VqPinRecord;

typedef struct {
    unsigned iothread;
    VqPollValues original, set;
} VqPollRecord;

typedef struct {
    char *uuid, *name;
    int id;           /* libvirt's id of the start that this is about; -1: admitted, not yet seen */
    GPtrArray *pins;  /* of VqPinRecord */
    GPtrArray *polls; /* of VqPollRecord */
} VqRecord;

typedef struct {
    GHashTable *records; /* uuid -> VqRecord */
    GHashTable *off;     /* uuid -> name: handed back by `virtq off` */
    VqCpuset *drained;   /* CPUs out of the pool */
} VqRecords;

VqRecords *vq_records_new(void);
void vq_records_free(VqRecords *all);

/* The record for this start of the domain; one of another start is replaced. */
VqRecord *vq_records_get(VqRecords *all, const char *uuid, const char *name, int id);
/* or NULL */
VqRecord *vq_records_find(const VqRecords *all, const char *uuid, int id);

VqPinRecord *vq_record_pin(const VqRecord *record, VqTarget target, unsigned number); /* or NULL */
VqPinRecord *vq_record_add_pin(VqRecord *record, VqTarget target, unsigned number,
                               const char *original);
void vq_record_remove_pin(VqRecord *record, VqTarget target, unsigned number);
VqPollRecord *vq_record_poll(const VqRecord *record, unsigned iothread); /* or NULL */
VqPollRecord *vq_record_add_poll(VqRecord *record, unsigned iothread, VqPollValues original);
void vq_record_remove_poll(VqRecord *record, unsigned iothread);

/* Adds to what is being set; takes away what was confirmed or refused. */
void vq_pin_record_add_pending(VqPinRecord *pin, const char *cpus);
void vq_pin_record_remove_pending(VqPinRecord *pin, const char *cpus);

/* Whether @cpus is what we set, are setting or had set. */
bool vq_pin_record_is_ours(const VqPinRecord *pin, const VqCpuset *cpus);

/*
 * @boot_id: the kernel's; records of an earlier boot are dropped when read, since all domains have
 * ended with it. A missing file is an empty state. Error VQ_ERROR_INVALID if it is damaged.
 */
VqRecords *vq_records_parse(const char *text, const char *boot_id, GError **error);
char *vq_records_format(const VqRecords *all, const char *boot_id);
VqRecords *vq_records_load(const char *path, const char *boot_id, GError **error);

/*
 * Replaces the file in one step by @text, of vq_records_format(). Records need not outlive a power
 * cut (no domain does), an administrator's word does: @durable waits for the disk.
 */
bool vq_records_save(const char *text, const char *path, bool durable, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqRecords, vq_records_free)
