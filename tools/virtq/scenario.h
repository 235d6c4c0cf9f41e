/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What placement is asked offline, from files: a machine, a pool, domains in arrival order, loads,
 * and where they run now. For every command that plans without the daemon.
 */
#pragma once

#include "core/placement.h"
#include "core/pool.h"

typedef struct {
    char *topology; /* hwloc XML file or synthetic description; NULL: this host */
    char *pool;     /* cpuset; NULL: as the daemon chooses without configuration */
    char *load;     /* file of loads, or NULL */
    char *current;  /* file of a plan that is in force, or NULL */
    guint count;    /* of each file so many domains alike; 0: one */
} VqScenarioOptions;

/* The command line options for them; @options must outlive the parse. Ends with {NULL}. */
#define VQ_SCENARIO_ENTRIES(o)                                                                     \
    {"topology",                                                                                   \
     't',                                                                                          \
     0,                                                                                            \
     G_OPTION_ARG_STRING,                                                                          \
     &(o).topology,                                                                                \
     "machine: hwloc XML file or synthetic description (this host)",                               \
     "MACHINE"},                                                                                   \
        {"pool",   'p', 0, G_OPTION_ARG_STRING, &(o).pool, "CPUs for I/O (isolated ones, or 25%)", \
         "CPULIST"},                                                                               \
        {"load", 'l', 0, G_OPTION_ARG_FILENAME, &(o).load, "loads of queues, JSON", "FILE"},       \
    {                                                                                              \
        "current", 'C', 0, G_OPTION_ARG_FILENAME, &(o).current, "plan in force, JSON", "FILE"      \
    }

typedef struct {
    VqTopology *topology;
    VqPool *pool;
    GPtrArray *threads; /* of VqThread */
    GPtrArray *notes;   /* of char *: what a reader should know, "vm1: nothing to place: ..." */
    GHashTable *copies; /* name -> char *, of the domain that it is like */
    VqPlacementInput input;
} VqScenario;

/* Reads all; @files: domain XML, NULL-terminated. A domain that is not expanded is expanded in
 * memory. A file that is given again, or counts more than once, means another domain like it:
 * "vm1-2", with the loads of vm1 if it has none. Errors name the file. */
VqScenario *vq_scenario_read(const VqScenarioOptions *options, char **files, GError **error);
void vq_scenario_free(VqScenario *scenario);
void vq_scenario_options_clear(VqScenarioOptions *options);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqScenario, vq_scenario_free)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VqScenarioOptions, vq_scenario_options_clear)
