/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Machines and threads for tests of placement, regular or drawn by a seed. */
#pragma once

#include "core/placement.h"

/*
 * @packages of @nodes NUMA nodes each of @cores cores of @pus PUs. OS numbers: first PUs of all
 * cores first, as Linux on x86 counts. Distances 10, 12 within the package, 21 beyond. A last
 * level cache for each node.
 */
VqTopology *test_machine(guint packages, guint nodes, guint cores, guint pus);

/* @cpus go offline: they stay known, and without a core. */
void test_machine_take_away(VqTopology *topology, const VqCpuset *cpus);

/* A thread of @domain that serves queue @queue of @disk, whose device hangs on @node (-1: not
 * known). Appended to @threads. */
VqThread *test_thread(GPtrArray *threads, const char *domain, const char *disk, unsigned iothread,
                      VqPlacement class, int node);

/* What an input of a property test is made of; free with test_case_free(). */
typedef struct {
    VqTopology *topology;
    VqCpuset *pool;
    GPtrArray *threads;
    VqPlacementInput input;
} TestCase;

TestCase *test_case_random(GRand *random);
void test_case_free(TestCase *test);

/* The world after @plan was followed: threads run where it says, refused ones are gone. */
void test_case_follow(TestCase *test, const VqPlan *plan);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(TestCase, test_case_free)
