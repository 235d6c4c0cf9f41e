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

#define VQ_QUEUES_MAX     1024 /* VIRTIO_QUEUE_MAX of QEMU */
#define VQ_SCSI_QUEUES    2    /* of them that virtio-scsi keeps for control and events */
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
    GPtrArray *entries; /* of VqPolicyEntry, in document order; at most one of an origin for each
                         * device, one "*" */
} VqPolicy;

/*
 * Reads <vq:storage>. Problems (each with line, value and limit) are added to @problems and the
 * entry they concern is left out; the rest is returned all the same. Never NULL.
 */
VqPolicy *vq_policy_read(const xmlNode *storage, VqProblems *problems);

/*
 * The same from the flavor's extra specs in <nova:instance>; NULL if it has no virtqueue:* one.
 * "virtqueue:queues" and the like make the "*" entry, "virtqueue:vdb.queues" one for the disk,
 * which takes what it does not say from the former.
 */
VqPolicy *vq_policy_read_nova(const xmlNode *instance, VqProblems *problems);

VqPolicy *vq_policy_new(void);
void vq_policy_free(VqPolicy *policy);

/* Moves the entries of @more behind those of @policy and frees @more. */
void vq_policy_append(VqPolicy *policy, VqPolicy *more);

VqPolicyEntry *vq_policy_entry_new(VqDeviceKind kind, VqPolicyOrigin origin, unsigned line);
void vq_policy_entry_free(VqPolicyEntry *entry);

/* "disk 'vda'", "every disk ('*')", "controller 0": how messages call it. Free with g_free(). */
char *vq_policy_entry_describe(const VqPolicyEntry *entry);

/* Whether it is the entry for every virtio disk not named. */
bool vq_policy_entry_is_any(const VqPolicyEntry *entry);

/* Names of the attributes that vq_policy_entry_set() knows, NULL at the end. */
extern const char *const vq_policy_attributes[];

/*
 * Sets attribute @name from its text. VQ_ERROR_INVALID or VQ_ERROR_LIMIT with the value and the
 * limit, the entry being untouched; VQ_ERROR_NOT_FOUND if there is no such attribute.
 */
bool vq_policy_entry_set(VqPolicyEntry *entry, const char *name, const char *value, GError **error);

/* That iothreads is not above queues, as far as both are numbers. VQ_ERROR_CONFLICT. */
bool vq_policy_entry_check(const VqPolicyEntry *entry, GError **error);

/* virtqueues that QEMU allows a device to have for requests */
unsigned vq_policy_queues_max(VqDeviceKind kind);

/*
 * The entry for a disk by target name ("*" as the last resort) or a controller by index, or NULL.
 * What our own element says, "*" included, wins over what Nova's flavor says.
 */
const VqPolicyEntry *vq_policy_for_disk(const VqPolicy *policy, const char *target);
const VqPolicyEntry *vq_policy_for_controller(const VqPolicy *policy, unsigned index);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqPolicy, vq_policy_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqPolicyEntry, vq_policy_entry_free)
