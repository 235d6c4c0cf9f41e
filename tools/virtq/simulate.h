/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtq simulate: options, what they make of files and machine, and the forms of the report. The
 * simulation itself is src/core/simulate.h.
 */
#pragma once

#include "command.h"

#include "core/pool.h"
#include "core/simulate.h"

/* As given; NULL or 0: not given. Texts are checked by vq_simulation_read(). */
typedef struct {
    char *topology, *pool, *trace, *flavors, *write_trace, *policies;
    char *duration, *lifetime, *step, *noise_period, *plan_at, *memory, *schedule, *plot;
    char *pool_share;
    gint64 seed;
    int hosts;
    double vms, vcpu_ratio, sigma, day, peak, noise, refused_max, over_max, degraded_max;
    gboolean timing, counters;
} VqSimulateOptions;

/* Shares of cores for I/O, per cent: from first to last. */
typedef struct {
    unsigned first, last, step;
} VqSimulateShares;

typedef struct {
    VqTopology *topology;
    VqPool *pool;
    VqSimTrace *trace;
    VqSimInput input;
    bool generated; /* the trace is out of the seed */
    double vms;     /* mean of a host, if generated */
    bool policies[VQ_SIM_POLICIES];
    VqSimulateShares shares; /* with --pool-share */
    GPtrArray *results;      /* of VqSimResult */
} VqSimulation;

void vq_simulate_options_init(VqSimulateOptions *options);
void vq_simulate_options_clear(VqSimulateOptions *options);

/* Reads and checks all. Errors name option or file. */
VqSimulation *vq_simulation_read(const VqSimulateOptions *options, GError **error);
void vq_simulation_free(VqSimulation *simulation);

bool vq_simulate_read_shares(const char *text, VqSimulateShares *shares, GError **error);

/* What every report says of machine and input, as data and as text. */
void vq_simulate_put_head(GVariantDict *dict, const VqSimulation *simulation);
void vq_simulate_print_head(const VqSimulation *simulation);

/* Plays the VMs under the first policy for each share, and prints what each gives. */
bool vq_simulate_sweep(const VqTool *tool, VqSimulation *simulation,
                       const VqSimulateOptions *options, GError **error);

/* Prints the results in the tool's format. */
void vq_simulate_report(const VqTool *tool, const VqSimulation *simulation);

/* Data, script and pictures of the results, which have samples, into @directory; and of the rows
 * of a sweep. Error: gnuplot is not there, after data and script were written. */
bool vq_simulate_plot(const char *directory, const VqSimulation *simulation, GError **error);
bool vq_simulate_plot_shares(const char *directory, const char *rows, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqSimulation, vq_simulation_free)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VqSimulateOptions, vq_simulate_options_clear)
