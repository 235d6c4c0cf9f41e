/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the owner of a VM asked for: the <vq:storage> element of a domain's metadata, or the
 * virtqueue:* extra specs that Nova writes there.
 *
 * The reader reports every problem of the element at once; it knows nothing of the rest of the
 * domain (domain.h joins the two).
 */
#pragma once

#include "base/enum.h"
#include "base/problems.h"
#include "base/xml.h"

#define VQ_NS_POLICY "urn:virtqueued:domain:1.0"
#define VQ_NS_STATE  "urn:virtqueued:state:1.0"
#define VQ_NS_NOVA   "http://openstack.org/xmlns/libvirt/nova/1.1"

#define VQ_QUEUES_MAX     1024 /* VIRTIO_QUEUE_MAX of QEMU; virtio-scsi has 2 of its own besides */
#define VQ_WEIGHT_MIN     1
#define VQ_WEIGHT_MAX     1000
#define VQ_WEIGHT_DEFAULT 100

typedef enum {
    VQ_PLACEMENT_SHARED,    /* a pool core, shared by load */
    VQ_PLACEMENT_DEDICATED, /* an isolated core of its own */
    VQ_PLACEMENT_NONE,      /* expand only: the daemon leaves the threads alone */
} VqPlacement;

typedef enum {
    VQ_POLLING_ADAPTIVE,  /* QEMU's own */
    VQ_POLLING_DEDICATED, /* never sleep, while on a core of its own */
    VQ_POLLING_OFF,       /* notifications only */
} VqPolling;

typedef enum {
    VQ_DEVICE_DISK,       /* <disk> on bus virtio */
    VQ_DEVICE_CONTROLLER, /* <controller type='scsi' model='virtio-scsi'> */
} VqDeviceKind;

typedef enum {
    VQ_ORIGIN_ELEMENT, /* our own metadata element */
    VQ_ORIGIN_NOVA,    /* flavor extra specs in <nova:instance> */
} VqPolicyOrigin;

extern const VqEnumEntry vq_placement_names[];
extern const VqEnumEntry vq_polling_names[];

typedef struct {
    VqDeviceKind kind;
    char *target;       /* disk: its <target dev>, or "*"; controller: NULL */
    unsigned index;     /* controller: its index */
    unsigned queues;    /* 1..VQ_QUEUES_MAX, 0 = auto */
    unsigned iothreads; /* 1..VQ_QUEUES_MAX, 0 = auto */
    VqPlacement placement;
    VqPolling polling;
    unsigned weight; /* VQ_WEIGHT_MIN..VQ_WEIGHT_MAX */
    bool required;
    VqPolicyOrigin origin;
    unsigned line; /* of the element, 0 = none */
} VqPolicyEntry;

typedef struct {
    GPtrArray *entries; /* of VqPolicyEntry, in document order; at most one a device, one "*" */
} VqPolicy;

/*
 * Reads <vq:storage>. Problems (each with line, value and limit) are added to @problems and the
 * entry they concern is left out; the rest is returned all the same. Never NULL.
 */
VqPolicy *vq_policy_read(const xmlNode *storage, VqProblems *problems);

/* The same from <nova:instance>; NULL if its flavor has no virtqueue:* extra spec. */
VqPolicy *vq_policy_read_nova(const xmlNode *instance, VqProblems *problems);

void vq_policy_free(VqPolicy *policy);

/* The entry for a disk by target name ("*" as the last resort) or a controller by index, or NULL.
 */
const VqPolicyEntry *vq_policy_for_disk(const VqPolicy *policy, const char *target);
const VqPolicyEntry *vq_policy_for_controller(const VqPolicy *policy, unsigned index);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqPolicy, vq_policy_free)
