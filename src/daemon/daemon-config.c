/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon-config.h"

#include "base/error.h"
#include "config.h"
#include "core/settings.h"

/*
 * QEMU doubles an IOThread's polling time from 4 microseconds and drops it to nothing after one
 * longer pause. On a core of its own neither is wanted: a factor of 1000 reaches a second in two
 * steps, and a divisor of 1 never shrinks it (adjust of poll_ns in util/aio-posix.c).
 */
#define POLL_GROW   1000
#define POLL_SHRINK 1

static VqKeyFile *
load_file(const VqConfigOptions *options, GError **error)
{
    const char *path = options->path ? options->path : VQ_CONFIG_FILE;
    g_autoptr(GError) local = NULL;
    VqKeyFile *file = vq_key_file_load(vq_settings, path, NULL, &local);

    if (file)
        return file;
    if (!options->path && g_error_matches(local, VQ_ERROR, VQ_ERROR_NOT_FOUND))
        return vq_key_file_defaults(vq_settings);
    g_propagate_error(error, g_steal_pointer(&local));
    return NULL;
}

static char *
choose(const char *option, const char *value)
{
    return g_strdup(option ? option : value);
}

static double
share(const VqKeyFile *file, const char *key)
{
    return vq_key_file_int(file, VQ_GROUP_PLACEMENT, key) / 100.0;
}

VqConfig *
vq_config_load(const VqConfigOptions *options, GError **error)
{
    g_autoptr(VqKeyFile) file = load_file(options, error);

    if (!file)
        return NULL;

    VqConfig *config = g_new0(VqConfig, 1);
    const VqCpuset *cpus = vq_key_file_cpuset(file, VQ_GROUP_HOST, "pool_cpus");

    config->pool_cpus = vq_cpuset_empty(cpus) ? NULL : vq_cpuset_copy(cpus);
    config->pool_share = vq_key_file_int(file, VQ_GROUP_HOST, "pool_share");
    config->shield = vq_key_file_bool(file, VQ_GROUP_HOST, "shield");
    config->placement = vq_placement_defaults;
    config->placement.load_limit = share(file, "load_limit");
    config->placement.default_load = share(file, "default_load");
    config->placement.move_gain = share(file, "move_gain");
    config->rebalance = vq_rebalance_params(file);
    config->uri = choose(options->uri, vq_key_file_string(file, VQ_GROUP_LIBVIRT, "uri"));
    config->run_dir = g_strdup(vq_key_file_string(file, VQ_GROUP_LIBVIRT, "run_dir"));
    config->keepalive_seconds = vq_key_file_int(file, VQ_GROUP_LIBVIRT, "keepalive_seconds");
    config->reconnect_seconds = vq_key_file_int(file, VQ_GROUP_LIBVIRT, "reconnect_seconds");
    config->socket = choose(options->socket, vq_key_file_string(file, VQ_GROUP_DAEMON, "socket"));
    config->state_dir = choose(options->state_dir, VQ_STATEDIR);
    config->reconcile_seconds = vq_key_file_int(file, VQ_GROUP_DAEMON, "reconcile_seconds");
    config->reservation_seconds = vq_key_file_int(file, VQ_GROUP_DAEMON, "reservation_seconds");
    config->poll = (VqPollValues){
        .max_ns = 1000 * (guint64)vq_key_file_int(file, VQ_GROUP_DAEMON, "poll_max_us"),
        .grow = POLL_GROW,
        .shrink = POLL_SHRINK};
    config->connections = vq_key_file_int(file, VQ_GROUP_DAEMON, "connections");
    return config;
}

void
vq_config_free(VqConfig *config)
{
    if (!config)
        return;
    vq_cpuset_free(config->pool_cpus);
    g_free(config->uri);
    g_free(config->run_dir);
    g_free(config->socket);
    g_free(config->state_dir);
    g_free(config);
}
