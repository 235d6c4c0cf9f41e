/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine as far as placement needs it: a plain tree in arrays. Filled by src/host/topology-*
 * from the live host, an hwloc XML file or a synthetic string; a value without locks afterwards.
 *
 * References between arrays are indexes; -1 where there is none.
 */
#pragma once

#include "base/cpuset.h"

typedef struct {
    unsigned os;   /* OS number: what stands in a cpuset */
    int core;      /* index into cores */
    bool usable;   /* online, in our cpuset, in the host's allowed set */
    bool isolated; /* taken from the scheduler by the kernel's command line */
} VqPu;

typedef struct {
    unsigned logical;  /* hwloc's logical index: "core" in JSON */
    int package;       /* index into packages */
    int node;          /* index into nodes: the nearest one with memory */
    int llc;           /* index into caches: last level cache, -1 if none is known */
    VqCpuset *pus;     /* OS numbers of its usable PUs */
    unsigned capacity; /* relative speed, 1024 = the fastest kind of this machine */
} VqCore;

typedef struct {
    unsigned os;    /* OS number, as in numatune */
    int package;    /* index into packages, -1 if it spans several */
    VqCpuset *cpus; /* OS numbers of its usable PUs; empty for memory-only nodes */
    guint64 memory; /* bytes */
} VqNode;

typedef struct {
    unsigned os;
    VqCpuset *cpus;
} VqPackage;

typedef struct {
    unsigned level; /* 2, 3, ... */
    guint64 size;   /* bytes */
    VqCpuset *cpus;
} VqCache;

typedef struct {
    char *name;         /* kernel name: "nvme0n1" */
    char *model;        /* or NULL */
    GArray *nodes;      /* of unsigned: OS numbers of the NUMA nodes it hangs on; several for
                         * multipath or stacked devices, empty if unknown */
    GPtrArray *parents; /* of char *: names of the devices it is stacked on, empty for a leaf */
} VqBlock;

typedef struct {
    char *origin; /* "this host", the file's name, or the synthetic string */
    GPtrArray *packages, *nodes, *caches, *cores, *pus, *blocks; /* of the structs above */
    unsigned *distance; /* nodes->len x nodes->len, row-major, by index; 10 = local (ACPI SLIT) */
    VqCpuset *usable;   /* OS numbers of all usable PUs */
    VqCpuset *isolated; /* of them, those isolated by the kernel */
} VqTopology;

VqTopology *vq_topology_new(void);
void vq_topology_free(VqTopology *topology);

const VqPu *vq_topology_pu(const VqTopology *topology, unsigned os);           /* or NULL */
const VqCore *vq_topology_core_of(const VqTopology *topology, unsigned pu_os); /* or NULL */
const VqNode *vq_topology_node(const VqTopology *topology, unsigned os);       /* or NULL */
int vq_topology_node_of(const VqTopology *topology, unsigned pu_os); /* OS number, -1 unknown */
unsigned vq_topology_distance(const VqTopology *topology, unsigned node_a_os, unsigned node_b_os);

/* The block device called @name ("sda", "nvme0n1", "/dev/disk/by-id/..." as far as known), or NULL.
 */
const VqBlock *vq_topology_block(const VqTopology *topology, const char *name);

/*
 * Consistency of the whole tree (indexes in range, sets disjoint and covering, distances sane),
 * for tests and after reading a file. Error VQ_ERROR_INVALID naming the object.
 */
bool vq_topology_check(const VqTopology *topology, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqTopology, vq_topology_free)
