/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The record of an expansion: exactly what was added to a domain, so that it can be taken out
 * again. An element <expansion> in VQ_NS_STATE beside the policy; docs/policy.md describes it.
 * Internal to src/core.
 */
#pragma once

#include "core/policy.h"
#include "core/xml-edit.h"

#define VQ_STATE_VERSION 1

typedef struct {
    VqDeviceKind kind;
    char *target;    /* of a disk */
    unsigned index;  /* of a controller */
    unsigned queues; /* the device has: those a map was made for */
    GArray *ids; /* of unsigned: IOThreads made for it, in order; queue q is served by ids[q % n];
                  * empty if the owner's own mapping stayed */
    bool wrote_driver; /* <driver> was not there */
    bool wrote_queues; /* queues= was not there, or said something else: see was */
    char *was;         /* the text of queues= before, or NULL */
    bool poll_off;     /* <poll max='0'/> was written for each of ids */
    bool spaced;       /* the element that got <driver>, or <iothreads>, held only white space */
} VqStateDevice;

typedef struct {
    char *iothreads;    /* text of <iothreads> before, or NULL: it was not there */
    bool wrote_ids;     /* <iothreadids> was not there */
    bool spaced;        /* <iothreadids> held only white space */
    GArray *implied;    /* of unsigned: ids that <iothreads> implied, now written out */
    GPtrArray *devices; /* of VqStateDevice */
    unsigned line;
} VqState;

VqState *vq_state_new(void);
void vq_state_free(VqState *state);
VqStateDevice *vq_state_device_new(VqDeviceKind kind);
void vq_state_device_free(VqStateDevice *device);

/*
 * Reads the record. NULL, with a problem, if it is not one that this version could have written:
 * what it says cannot be relied on then.
 */
VqState *vq_state_read(const xmlNode *node, VqProblems *problems);

/* The element, without white space and not in the tree. */
xmlNode *vq_state_write(const VqState *state, xmlDoc *doc);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqState, vq_state_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqStateDevice, vq_state_device_free)
