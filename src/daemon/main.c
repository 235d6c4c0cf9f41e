/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtqueued: options, start, signals, end. What it does between is reconcile.c. */
#include "base/error.h"
#include "config.h"
#include "core/settings.h"
#include "daemon/boot.h"
#include "daemon/server.h"
#include "host/cpu-watch.h"
#include "host/libvirt.h"
#include "host/topology.h"

#include <glib-unix.h>
#include <libvirt-glib/libvirt-glib.h>
#include <locale.h>
#include <sys/resource.h>
#include <unistd.h>

/* Each so many rounds what libvirt sends no event for (iothreadset, a mirrored disk) is looked at.
 */
#define RECHECK_ROUNDS 6

/* Open files wanted: 64 VMs with 64 I/O threads each, and clients. */
#define DESCRIPTORS 8192

typedef struct {
    VqConfigOptions options;
    VqConfig *config;
    VqManager *manager;
    VqHypervisor *hypervisor;
    VqSampler *sampler;
    VqReconcile *reconcile;
    VqMeasure *measure;
    VqStatistics *statistics;
    VqServer *server;
    VqCpuWatch *cpus; /* or NULL */
    GMainLoop *loop;
    GError *error; /* why the loop ended, or NULL */
} Daemon;

typedef struct {
    char *config, *socket, *state_dir, *uri;
    gboolean verbose, version, print_config, undo_all;
} Options;

static bool
parse_options(Options *o, int *argc, char ***argv, GError **error)
{
    const GOptionEntry entries[] = {
        {"config", 'f', 0, G_OPTION_ARG_FILENAME, &o->config,
         "configuration file (" VQ_CONFIG_FILE ")", "FILE"},
        {"socket", 's', 0, G_OPTION_ARG_FILENAME, &o->socket,
         "listen here; before [daemon] socket of the file", "PATH"},
        {"state-dir", 0, 0, G_OPTION_ARG_FILENAME, &o->state_dir,
         "directory for undo records (" VQ_STATEDIR ")", "DIR"},
        {"connect", 'c', 0, G_OPTION_ARG_STRING, &o->uri,
         "libvirt connection; before [libvirt] uri of the file", "URI"},
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &o->verbose, "log each change", NULL},
        {"print-config", 0, 0, G_OPTION_ARG_NONE, &o->print_config,
         "print a configuration file with all keys and defaults", NULL},
        {"undo-all", 0, 0, G_OPTION_ARG_NONE, &o->undo_all,
         "give back everything that was changed on running domains, and end", NULL},
        {"version", 'V', 0, G_OPTION_ARG_NONE, &o->version, "print the version", NULL},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- places I/O threads of VMs");

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, error))
        return false;
    if (*argc > 1) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "argument '%s': virtqueued takes none",
                    (*argv)[1]);
        return false;
    }
    return true;
}

static gboolean
on_terminate(gpointer data)
{
    g_main_loop_quit(((Daemon *)data)->loop);
    return G_SOURCE_CONTINUE;
}

/* A file that cannot be used leaves everything as it was. */
static gboolean
on_hangup(gpointer data)
{
    Daemon *daemon = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(VqConfig) config = vq_config_load(&daemon->options, &error);
    VqTopology *topology = config ? vq_host_topology_live("/", &error) : NULL;

    if (!topology || !vq_manager_configure(daemon->manager, config, topology, &error)) {
        vq_topology_free(topology);
        g_warning("configuration not changed: %s", error->message);
        return G_SOURCE_CONTINUE;
    }
    vq_config_free(daemon->config);
    daemon->config = g_steal_pointer(&config);
    g_message("configuration read again; pool: %s", daemon->manager->pool->reason);
    vq_reconcile_trigger(daemon->reconcile);
    return G_SOURCE_CONTINUE;
}

static VqManager *
make_manager(Daemon *daemon, const char *state_path, GError **error)
{
    g_autofree char *boot_id = vq_boot_id();
    g_autoptr(GError) damage = NULL;
    g_autoptr(VqTopology) topology = vq_host_topology_live("/", error);
    VqRecords *records = topology ? vq_records_load(state_path, boot_id, &damage) : NULL;

    if (!topology)
        return NULL;
    if (!records) {
        g_autofree char *aside = g_strconcat(state_path, ".damaged", NULL);

        g_warning("%s; it is kept as %s, pins found on domains count as set by hand",
                  damage->message, aside);
        if (rename(state_path, aside) < 0)
            g_warning("%s: cannot be renamed", state_path);
        records = vq_records_new();
    }
    return vq_manager_new(daemon->config, g_steal_pointer(&topology), records, error);
}

/* One descriptor for each I/O thread: more than the 1024 that a process has at first. */
static void
raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS)
        return;
    limit.rlim_cur = MIN(limit.rlim_max, DESCRIPTORS);
    setrlimit(RLIMIT_NOFILE, &limit);
}

static VqSampler *
make_sampler(VqManager *manager)
{
    GPtrArray *sources = g_ptr_array_new();

    raise_descriptors();
    g_ptr_array_add(sources, vq_schedstat_new("/"));
    return vq_sampler_new(manager, sources);
}

static bool
start(Daemon *daemon, GError **error)
{
    const VqConfig *config = daemon->config;
    g_autofree char *state_path = g_build_filename(config->state_dir, "state", NULL);
    const VqLibvirtParams params = {.uri = config->uri,
                                    .run_dir = config->run_dir,
                                    .keepalive_seconds = config->keepalive_seconds,
                                    .recheck_seconds = RECHECK_ROUNDS * config->reconcile_seconds};

    if (!vq_lock_state(config->state_dir, error))
        return false;
    daemon->manager = make_manager(daemon, state_path, error);
    if (!daemon->manager)
        return false;
    gvir_event_register();
    daemon->hypervisor = vq_libvirt_new(&params);
    daemon->sampler = make_sampler(daemon->manager);
    daemon->reconcile =
        vq_reconcile_new(daemon->manager, daemon->hypervisor, daemon->sampler, state_path);
    return true;
}

static void
on_cpus(gpointer data)
{
    vq_reconcile_trigger(((Daemon *)data)->reconcile);
}

/* Without it each round looks at what is online, which is only later. */
static void
watch_cpus(Daemon *daemon)
{
    g_autoptr(GError) error = NULL;

    daemon->cpus = vq_cpu_watch_new(on_cpus, daemon, &error);
    if (!daemon->cpus)
        g_message("%s: a CPU that goes offline is noticed in the next round", error->message);
}

static bool
serve(Daemon *daemon, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autoptr(GSocket) socket = vq_activation_socket(&local);

    if (local) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    daemon->measure = vq_measure_new(daemon->config->uri, daemon->config->keepalive_seconds);
    daemon->statistics = vq_statistics_new(daemon->manager, daemon->measure);

    const VqMethods methods = {daemon->manager, daemon->reconcile, daemon->statistics};

    daemon->server =
        vq_server_new(daemon->config->socket, socket, daemon->config->connections, &methods, error);
    if (!daemon->server)
        return false;
    g_unix_signal_add(SIGTERM, on_terminate, daemon);
    g_unix_signal_add(SIGINT, on_terminate, daemon);
    g_unix_signal_add(SIGHUP, on_hangup, daemon);
    g_message("virtqueued " VQ_VERSION " on %s; pool: %s",
              socket ? "systemd's socket" : daemon->config->socket, daemon->manager->pool->reason);
    watch_cpus(daemon);
    vq_reconcile_trigger(daemon->reconcile);
    vq_notify("READY=1");
    g_main_loop_run(daemon->loop);
    vq_notify("STOPPING=1");
    return true;
}

static void
on_undone(const GError *error, gpointer data)
{
    Daemon *daemon = data;

    if (error)
        daemon->error = g_error_copy(error);
    g_main_loop_quit(daemon->loop);
}

/* Two rounds: the first sees what there is, the second gives it all back. */
static void
on_seen(const GError *error, gpointer data)
{
    Daemon *daemon = data;

    if (error) {
        on_undone(error, daemon);
        return;
    }
    vq_reconcile_request(daemon->reconcile, on_undone, daemon);
}

static bool
undo_all(Daemon *daemon, GError **error)
{
    daemon->manager->releasing = true;
    vq_reconcile_request(daemon->reconcile, on_seen, daemon);
    g_main_loop_run(daemon->loop);
    if (daemon->error) {
        g_propagate_error(error, g_steal_pointer(&daemon->error));
        return false;
    }
    if (g_hash_table_size(daemon->manager->failures) > 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_FAILED, "not everything could be given back");
        return false;
    }
    return true;
}

/* After a call that hangs in a thread all that it may still use is left to the process' end. */
static void
stop(Daemon *daemon)
{
    vq_server_free(daemon->server);
    vq_cpu_watch_free(daemon->cpus);
    g_main_loop_unref(daemon->loop);
    if (!vq_statistics_free(daemon->statistics))
        return;
    if (daemon->measure)
        daemon->measure->free(daemon->measure);
    if (!vq_reconcile_free(daemon->reconcile))
        return;
    vq_sampler_free(daemon->sampler);
    if (daemon->hypervisor)
        daemon->hypervisor->free(daemon->hypervisor);
    vq_manager_free(daemon->manager);
    vq_config_free(daemon->config);
}

static bool
run(int argc, char **argv, GError **error)
{
    Options o = {0};
    Daemon daemon = {0};

    if (!parse_options(&o, &argc, &argv, error))
        return false;
    if (o.version) {
        puts(VQ_VERSION);
        return true;
    }
    if (o.print_config) {
        g_autofree char *text = vq_key_file_template(vq_settings);

        fputs(text, stdout);
        return true;
    }
    /* of our own domain only: libvirt-glib tells of every timer it sets */
    if (o.verbose)
        g_setenv("G_MESSAGES_DEBUG", G_LOG_DOMAIN, TRUE);
    daemon.options = (VqConfigOptions){o.config, o.socket, o.state_dir, o.uri};
    daemon.config = vq_config_load(&daemon.options, error);
    if (!daemon.config)
        return false;
    daemon.loop = g_main_loop_new(NULL, FALSE);

    bool ok =
        start(&daemon, error) && (o.undo_all ? undo_all(&daemon, error) : serve(&daemon, error));

    stop(&daemon);
    g_free(o.config);
    g_free(o.socket);
    g_free(o.state_dir);
    g_free(o.uri);
    return ok;
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;

    setlocale(LC_ALL, "");
    g_set_prgname("virtqueued");
    if (run(argc, argv, &error))
        return 0;
    g_printerr("virtqueued: %s\n", error->message);
    return 1;
}
