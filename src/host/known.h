/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of the running domains from one round to the next, so that a round reads the XML
 * of those that had an event, and of the others only now and then (some changes have no event).
 *
 * Worker thread only. Partner: libvirt.c.
 */
#pragma once

#include "host/hypervisor.h"

typedef struct {
    char *uuid, *name;
    int id;         /* libvirt's: this start of the domain */
    int pid;        /* of its QEMU, 0 unknown */
    bool ours;      /* it was in the last observation */
    gint64 read_us; /* when its XML was read, monotonic */
    guint64 round;  /* when it was last seen running */
} VqKnownDomain;

typedef struct {
    GHashTable *domains; /* uuid -> VqKnownDomain */
    gint64 recheck_us;   /* read anew when this old */
    guint64 round;
    unsigned budget; /* of such readings in this round, so that they do not come all at once */
} VqKnown;

VqKnown *vq_known_new(gint64 recheck_us);
void vq_known_free(VqKnown *known);

/* A round begins, in which @running domains are to be looked at. */
void vq_known_begin(VqKnown *known, unsigned running);
/* Domains that were not asked for since vq_known_begin() do not run any more. */
void vq_known_end(VqKnown *known);

/*
 * The entry of this start of the domain if its XML need not be read now, else NULL. @wanted: it is
 * to be in the observation even if it declares no queues.
 */
VqKnownDomain *vq_known_fresh(VqKnown *known, const char *uuid, int id, bool wanted, gint64 now_us);
/* Its XML was read: a new entry. */
VqKnownDomain *vq_known_note(VqKnown *known, const char *uuid, const char *name, int id, bool ours,
                             gint64 now_us);
/* Something happened to it, or with NULL to any: what was read counts no more. */
void vq_known_forget(VqKnown *known, const char *uuid);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqKnown, vq_known_free)
