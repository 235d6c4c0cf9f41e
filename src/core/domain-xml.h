/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the domain reader and of the expansion share: the domain as a parsed
 * document. Internal to src/core.
 *
 * Documents are read as libvirt reads them: an element of a wrong form or namespace counts for
 * what libvirt makes of it, and errors in parts that are not ours are left for libvirt to report.
 */
#pragma once

#include "core/domain.h"

/* Bytes of a policy element: many times what any device count needs. */
#define VQ_POLICY_SIZE_MAX (64 * 1024)

/*
 * Whether @xml can hold a policy, a record or a flavor's extra specs of ours at all: a cheap test
 * so that other people's domains need not be parsed, and pass whatever their size. True for text
 * that could spell it in a roundabout way (character references, entities).
 */
bool vq_domain_may_concern(const char *xml, gsize length);

/* The elements under the first <metadata> of @root (<domain>), each or NULL. */
typedef struct {
    xmlNode *metadata;
    xmlNode *policy; /* the first element in VQ_NS_POLICY */
    xmlNode *state;  /* the first element in VQ_NS_STATE */
    xmlNode *nova;   /* <nova:instance> */
} VqMetadata;

VqMetadata vq_metadata_find(const xmlNode *root);

/*
 * Whether a policy of ours may be followed in @doc at all: one policy element, where it belongs, of
 * bounded size, no DOCTYPE. Adds to @problems.
 */
void vq_metadata_check(const xmlDoc *doc, const VqMetadata *metadata, VqProblems *problems);

/* That <iothreadids> has each id once, as libvirt demands too: all our counting rests on it. */
void vq_iothreads_check(const xmlNode *root, VqProblems *problems);

/* The device elements that are in VqDomain.devices, in the same order. Free with unref. */
GPtrArray *vq_domain_device_nodes(const xmlNode *root);

/* How the bus of a <disk> is called; libvirt's guess if it is not written. Free with g_free(). */
char *vq_disk_bus(const xmlNode *disk);

/* Indexes of the scsi controllers in document order, libvirt's choice where none is written. */
GArray *vq_scsi_indexes(const xmlNode *root);

/* Fills @domain->devices; domain-device.c. */
void vq_domain_read_devices(VqDomain *domain, const xmlNode *root);

/* Everything but policies. */
VqDomain *vq_domain_from_root(const xmlNode *root);

/* The policy of @metadata, our element's before Nova's; NULL if there is none. */
VqPolicy *vq_policy_from_metadata(const VqMetadata *metadata, VqProblems *problems);

/*
 * Sets the policy in force for each device of @domain, which is as its owner wrote it (expansion
 * taken out), and reports what contradicts. @domain->policy is set.
 */
void vq_domain_join(VqDomain *domain, const xmlNode *root, VqProblems *problems);

/* What a policy comes to for a device without expansion. */
typedef struct {
    unsigned queues;
    unsigned iothreads; /* to be created for it; 0: the owner's own mapping stays */
} VqDevicePlan;

VqDevicePlan vq_device_plan(const VqDevice *device, unsigned vcpus);

/*
 * IOThread ids as libvirt numbers them: those in @ids (of unsigned) first, then, if @count is
 * larger than their number, the lowest ones of 1..@count that are free. At most VQ_IOTHREADS_MAX.
 */
GArray *vq_iothread_ids(const GArray *ids, unsigned count);
