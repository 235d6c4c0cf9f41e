/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's settings, typed: virtqueued.conf (core/settings.c) with the command line on top. */
#pragma once

#include "core/live.h"
#include "core/placement.h"
#include "core/rebalance.h"

typedef struct {
    VqCpuset *pool_cpus; /* NULL: not configured */
    unsigned pool_share; /* per cent */
    bool shield;
    VqPlacementParams placement;
    VqRebalanceParams rebalance;
    char *uri;
    char *run_dir;
    unsigned keepalive_seconds;
    unsigned reconnect_seconds;
    char *socket;
    char *state_dir;
    unsigned reconcile_seconds;
    unsigned reservation_seconds;
    VqPollValues poll; /* of an IOThread with polling='dedicated' on a core of its own */
    unsigned connections;
} VqConfig;

/* What the command line says; NULL members leave the file's value. */
typedef struct {
    const char *path; /* NULL: the built-in path, and its absence is no error */
    const char *socket;
    const char *state_dir;
    const char *uri;
} VqConfigOptions;

VqConfig *vq_config_load(const VqConfigOptions *options, GError **error);
void vq_config_free(VqConfig *config);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqConfig, vq_config_free)
