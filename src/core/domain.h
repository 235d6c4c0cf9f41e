/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The part of a libvirt domain that concerns us, read from its XML: identity, vCPUs, IOThreads,
 * devices with virtqueues, and the policy for each of them.
 *
 * Read only. Written by no one but vq_domain_read(); expand.h changes the XML itself.
 */
#pragma once

#include "base/cpuset.h"
#include "core/policy.h"

typedef struct {
    unsigned iothread; /* libvirt's IOThread id */
    GArray *queues;    /* of unsigned, ascending */
} VqQueueMap;

#define VQ_DEVICES_MAX      1024 /* of one domain, as far as policies are concerned */
#define VQ_IOTHREADS_MAX    4096 /* of one domain */
#define VQ_QUEUES_TOTAL_MAX 8192 /* of all devices of a domain with a policy: bounds our output */

typedef struct {
    VqDeviceKind kind;
    char *name;         /* "vda"; "scsi0" for the controller with index 0 */
    unsigned index;     /* of a controller */
    char *source;       /* host path of a file or block device, or NULL (network, volume, none) */
    unsigned queues;    /* virtqueues as configured, else the default (the number of vCPUs) */
    bool queues_set;    /* <driver queues=> is there */
    GPtrArray *maps;    /* of VqQueueMap; empty if no IOThread serves the device. Queues without an
                         * explicit map are dealt out round robin, as QEMU does. */
    bool maps_explicit; /* <queue> elements say which queue goes where */
    char *unsuitable;   /* why no IOThread can serve the device ("is of type vhostuser: ..."), or
                         * NULL */
    const VqPolicyEntry
        *policy; /* in force for the device, or NULL; owned by the domain's policy */
    unsigned line;
} VqDevice;

typedef struct {
    char *name;
    char *uuid;             /* lower case with dashes, or NULL if the XML has none */
    int id;                 /* of the running domain, -1 if inactive */
    unsigned vcpus;         /* maximum */
    GArray *iothreads;      /* of unsigned: ids, ascending */
    VqCpuset *memory_nodes; /* host NUMA nodes of <numatune>, empty if unknown */
    VqCpuset *vcpu_cpus;    /* host CPUs vCPUs are pinned to by the owner, empty if none is */
    GPtrArray *devices;     /* of VqDevice: every virtio disk and virtio-scsi controller */
    VqPolicy *policy;       /* or NULL: nothing was declared */
    bool has_state;         /* our record of an expansion is there */
} VqDomain;

/*
 * Reads domain XML (@length bytes). Problems of the policy, alone and against the rest of the
 * domain, go to @problems with their lines; the domain is returned all the same. NULL and @error
 * only if the text is not domain XML at all. Any thread.
 */
VqDomain *vq_domain_read(const char *xml, gsize length, VqProblems *problems, GError **error);
void vq_domain_free(VqDomain *domain);

/* Whether any device has a policy in force. */
bool vq_domain_is_managed(const VqDomain *domain);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqDomain, vq_domain_free)
