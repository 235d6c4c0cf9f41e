/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine as far as placement needs it: a plain tree in arrays. Filled by src/host/topology-*
 * from the live host, an hwloc XML file or a synthetic string; a value without locks afterwards.
 *
 * References between arrays are indexes; -1 where there is none. PUs and nodes are sorted by OS
 * number. Only cores with a usable PU are here; PUs that are offline or outside our cpuset are,
 * without a core, so that a message can tell them from numbers that do not exist.
 */
#pragma once

#include "base/cpuset.h"

typedef struct {
    unsigned os;   /* OS number: what stands in a cpuset */
    int core;      /* index into cores, -1 if not usable */
    bool usable;   /* online, in our cpuset, in the host's allowed set */
    bool isolated; /* taken from the scheduler by the kernel's command line */
} VqPu;

typedef struct {
    unsigned logical;  /* hwloc's logical index: "core" in JSON */
    int package;       /* index into packages */
    int node;          /* index into nodes: its own; of several (HBM beside DRAM) the one with
                        * memory and the lowest number; -1 if none is known */
    int llc;           /* index into caches: last level cache, -1 if none is known */
    VqCpuset *pus;     /* OS numbers of its usable PUs */
    unsigned capacity; /* relative speed, 1024 = the fastest kind of this machine */
} VqCore;

typedef struct {
    unsigned os;    /* OS number, as in numatune */
    int package;    /* index into packages, -1 if it spans several */
    VqCpuset *cpus; /* OS numbers of the PUs whose cores call it theirs; empty: memory only */
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
    char *serial;       /* or NULL */
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
    GPtrArray *notes; /* of char *: what the source did not tell and what was assumed, for people */
} VqTopology;

/* Empty; the arrays own their elements, which are made with g_new0(). */
VqTopology *vq_topology_new(void);
void vq_topology_free(VqTopology *topology);

VqBlock *vq_block_new(const char *name);
void vq_block_free(VqBlock *block);
void vq_block_add_node(VqBlock *block, unsigned node_os); /* once */

const VqPu *vq_topology_pu(const VqTopology *topology, unsigned os);           /* or NULL */
const VqCore *vq_topology_core_of(const VqTopology *topology, unsigned pu_os); /* or NULL */
const VqNode *vq_topology_node(const VqTopology *topology, unsigned os);       /* or NULL */
int vq_topology_node_of(const VqTopology *topology, unsigned pu_os); /* OS number, -1 unknown */
unsigned vq_topology_distance(const VqTopology *topology, unsigned node_a_os, unsigned node_b_os);

/*
 * The block device called @name, or NULL: "sda", "/dev/nvme0n1", a partition of one ("sda1",
 * "nvme0n1p2"), or "/dev/disk/by-id/..." where it ends in a known serial number.
 */
const VqBlock *vq_topology_block(const VqTopology *topology, const char *name);

/*
 * NVMe multipath: the kernel hides the paths ("nvme2c3n1"), which are all that hwloc sees, behind
 * a head ("nvme2n1"), which is what /dev and domain XML name. Adds a head for each group of paths,
 * stacked on them, with the nodes of all.
 */
void vq_topology_add_multipath_heads(VqTopology *topology);

/*
 * Consistency of the whole tree (indexes in range, sets disjoint and covering, distances sane),
 * for tests and after reading a file. Error VQ_ERROR_INVALID naming the object.
 */
bool vq_topology_check(const VqTopology *topology, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqTopology, vq_topology_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqBlock, vq_block_free)
