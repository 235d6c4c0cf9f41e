/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt. Calls are made by the worker thread; libvirt's callbacks (events, close) run in the
 * main thread's loop and only say that something changed, and of which domain (`touched`).
 * `connection` and `known` belong to the worker; `lost` is set by the main thread and read by the
 * worker, atomically.
 */
#include "host/libvirt.h"

#include "base/error.h"
#include "host/known.h"
#include "host/proc.h"
#include "host/topology.h"

#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEEPALIVE_COUNT 3

typedef struct {
    VqHypervisor port; /* first: a VqHypervisor * is a VqLibvirt * */
    char *uri;
    char *run_dir;
    unsigned keepalive_seconds;
    int root_fd;
    virConnectPtr connection; /* worker only */
    gint lost;                /* atomic */
    VqKnown *known;           /* worker only */
    GAsyncQueue *touched;     /* of char *: UUIDs that had an event, from the main thread */
} VqLibvirt;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomain, virDomainFree)

/* libvirt prints each error on stderr unless it is given a function; we return them all. */
static void
quiet(void *data, virErrorPtr error)
{
}

static void
set_libvirt_error(GError **error, const char *what)
{
    virErrorPtr last = virGetLastError();
    int code = VQ_ERROR_FAILED;

    if (last && (last->code == VIR_ERR_NO_DOMAIN || last->code == VIR_ERR_OPERATION_INVALID))
        code = VQ_ERROR_NOT_FOUND;
    else if (!last || last->domain == VIR_FROM_RPC || last->code == VIR_ERR_NO_CONNECT)
        code = VQ_ERROR_UNAVAILABLE;
    g_set_error(error, VQ_ERROR, code, "%s: %s", what,
                last && last->message ? last->message : "unknown error");
    virResetLastError();
}

/* Main thread, from libvirt's event loop: every event says no more than "look again", at @dom or,
 * with NULL, at everything. */
static void
changed(VqLibvirt *self, virDomainPtr dom)
{
    char uuid[VIR_UUID_STRING_BUFLEN] = "";

    if (dom && virDomainGetUUIDString(dom, uuid) == 0)
        g_async_queue_push(self->touched, g_strdup(uuid));
    if (self->port.changed)
        self->port.changed(self->port.changed_data);
}

static int
on_lifecycle(virConnectPtr conn, virDomainPtr dom, int event, int detail, void *data)
{
    if (event != VIR_DOMAIN_EVENT_DEFINED && event != VIR_DOMAIN_EVENT_UNDEFINED)
        changed(data, dom);
    return 0;
}

static void
on_device(virConnectPtr conn, virDomainPtr dom, const char *alias, void *data)
{
    changed(data, dom);
}

static void
on_metadata(virConnectPtr conn, virDomainPtr dom, int type, const char *uri, void *data)
{
    changed(data, dom);
}

static void
on_tunable(virConnectPtr conn, virDomainPtr dom, virTypedParameterPtr params, int n, void *data)
{
    changed(data, dom);
}

static void
on_close(virConnectPtr conn, int reason, void *data)
{
    VqLibvirt *self = data;

    g_atomic_int_set(&self->lost, 1);
    changed(self, NULL);
}

static const struct {
    int id;
    virConnectDomainEventGenericCallback callback;
} events[] = {
    {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)},
    {VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
    {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
    {VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata)},
    {VIR_DOMAIN_EVENT_ID_TUNABLE, VIR_DOMAIN_EVENT_CALLBACK(on_tunable)},
};

static void
disconnect(VqLibvirt *self)
{
    if (!self->connection)
        return;
    virConnectUnregisterCloseCallback(self->connection, on_close);
    virConnectClose(self->connection);
    virResetLastError();
    self->connection = NULL;
}

static bool
subscribe(VqLibvirt *self)
{
    virConnectPtr conn = self->connection;

    if (virConnectRegisterCloseCallback(conn, on_close, self, NULL) < 0)
        return false;
    /* -1: the transport (test:///, embed) has none, and needs none */
    if (virConnectSetKeepAlive(conn, self->keepalive_seconds, KEEPALIVE_COUNT) < 0)
        virResetLastError();
    for (guint i = 0; i < G_N_ELEMENTS(events); i++) {
        if (virConnectDomainEventRegisterAny(conn, NULL, events[i].id, events[i].callback, self,
                                             NULL) < 0)
            return false;
    }
    return true;
}

/* The time since @begin was libvirt's. */
static void
libvirts_time(VqLibvirt *self, gint64 begin)
{
    self->port.partner_us += g_get_monotonic_time() - begin;
}

static bool
ensure_connected(VqLibvirt *self, GError **error)
{
    if (self->connection &&
        (g_atomic_int_get(&self->lost) || virConnectIsAlive(self->connection) != 1))
        disconnect(self);
    if (self->connection)
        return true;
    g_atomic_int_set(&self->lost, 0);
    vq_known_forget(self->known, NULL); /* events were missed */

    gint64 begin = g_get_monotonic_time();
    bool connected = (self->connection = virConnectOpen(self->uri)) && subscribe(self);

    libvirts_time(self, begin);
    if (connected)
        return true;

    g_autofree char *what = g_strdup_printf("connection to libvirt at %s", self->uri);

    set_libvirt_error(error, what);
    if (error && *error)
        (*error)->code = VQ_ERROR_UNAVAILABLE;
    disconnect(self);
    return false;
}

static void
read_times(VqLibvirt *self, VqKnownDomain *domain, GArray *times)
{
    if (!domain->pid)
        domain->pid = vq_proc_qemu_pid(self->root_fd, self->run_dir, domain->name, domain->uuid);
    if (domain->pid)
        vq_proc_thread_times(self->root_fd, domain->pid, times);
}

/* A busy domain must not look stopped: whoever is not gone for certain is noted as it was. */
static void
note_unread(VqLibvirt *self, VqObservation *observation, const char *uuid)
{
    VqKnownDomain *known = g_hash_table_lookup(self->known->domains, uuid);

    if (virGetLastErrorCode() != VIR_ERR_NO_DOMAIN) {
        VqKept *kept = vq_kept_new(uuid, -1);

        if (known && known->pid)
            read_times(self, known, kept->times);
        g_ptr_array_add(observation->kept, kept);
    }
    virResetLastError();
    vq_known_forget(self->known, uuid);
}

/* NULL: not ours, or not readable. */
static VqSeen *
read_domain(VqLibvirt *self, VqObservation *observation, virDomainPtr dom, const char *uuid,
            bool wanted)
{
    gint64 begin = g_get_monotonic_time();
    char *xml = virDomainGetXMLDesc(dom, 0);
    g_autoptr(VqProblems) problems = vq_problems_new();
    g_autoptr(VqDomain) domain = NULL;
    g_autoptr(VqLive) live = NULL;
    g_autoptr(GError) text = NULL;
    int id = (int)virDomainGetID(dom);
    gint64 now = g_get_monotonic_time();

    libvirts_time(self, begin);
    if (!xml) {
        note_unread(self, observation, uuid);
        return NULL;
    }
    /* most domains of a host may have no policy: pass them without parsing */
    if (wanted || strstr(xml, VQ_NS_POLICY) || strstr(xml, "virtqueue:")) {
        domain = vq_domain_read(xml, strlen(xml), problems, NULL);
        live = domain ? vq_live_read(xml, strlen(xml), NULL) : NULL;
    }
    free(xml);
    if (!live || !domain->uuid || domain->id < 0) {
        vq_known_note(self->known, uuid, virDomainGetName(dom), id, false, now);
        return NULL;
    }

    VqKnownDomain *known =
        vq_known_note(self->known, uuid, domain->name, domain->id, domain->id == id, now);
    VqSeen *seen = vq_seen_new(g_steal_pointer(&domain), g_steal_pointer(&live));

    if (!vq_problems_to_error(problems, &text))
        seen->problems = g_strdup(text->message);
    vq_device_nodes_look_up(seen->device_nodes, seen->domain);
    read_times(self, known, seen->times);
    return seen;
}

static void
see_domain(VqLibvirt *self, VqObservation *observation, GHashTable *wanted, virDomainPtr dom)
{
    char uuid[VIR_UUID_STRING_BUFLEN];
    VqKnownDomain *known;
    VqSeen *seen;

    if (virDomainGetUUIDString(dom, uuid) < 0)
        return;
    known = vq_known_fresh(self->known, uuid, (int)virDomainGetID(dom),
                           g_hash_table_contains(wanted, uuid), g_get_monotonic_time());
    if (known && known->ours) {
        VqKept *kept = vq_kept_new(uuid, known->id);

        if (!known->pid) /* QEMU was not there yet; later the daemon's sampler reads */
            read_times(self, known, kept->times);
        g_ptr_array_add(observation->kept, kept);
    }
    if (known)
        return;
    seen = read_domain(self, observation, dom, uuid, g_hash_table_contains(wanted, uuid));
    if (seen)
        g_ptr_array_add(observation->domains, seen);
}

static int
compare_ids(gconstpointer a, gconstpointer b)
{
    const VqSeen *left = *(VqSeen *const *)a, *right = *(VqSeen *const *)b;

    return left->domain->id - right->domain->id;
}

static VqObservation *
observe(VqHypervisor *port, GHashTable *wanted, GError **error)
{
    VqLibvirt *self = (VqLibvirt *)port;
    virDomainPtr *domains = NULL;
    g_autoptr(VqObservation) observation = vq_observation_new();

    if (!ensure_connected(self, error))
        return NULL;
    /* before the list: what happens from here on makes another round */
    for (char *uuid; (uuid = g_async_queue_try_pop(self->touched)); g_free(uuid))
        vq_known_forget(self->known, uuid);

    gint64 begin = g_get_monotonic_time();
    int n = virConnectListAllDomains(self->connection, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);

    libvirts_time(self, begin);
    if (n < 0) {
        set_libvirt_error(error, "list of running domains");
        return NULL;
    }
    vq_known_begin(self->known, n);
    for (int i = 0; i < n; i++) {
        see_domain(self, observation, wanted, domains[i]);
        virDomainFree(domains[i]);
    }
    vq_known_end(self->known);
    free(domains);
    /* a domain that could not be read because the connection broke must not look stopped */
    if (g_atomic_int_get(&self->lost) || virConnectIsAlive(self->connection) != 1) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_UNAVAILABLE, "connection to libvirt at %s: lost",
                    self->uri);
        return NULL;
    }
    g_ptr_array_sort(observation->domains, compare_ids);
    observation->online = vq_proc_read(self->root_fd, "/sys/devices/system/cpu/online", NULL);
    observation->time_us = g_get_monotonic_time();
    return g_steal_pointer(&observation);
}

static int
set_polling(virDomainPtr dom, const VqAction *action)
{
    virTypedParameterPtr params = NULL;
    int n = 0, max = 0, rc = -1;

    if (virTypedParamsAddULLong(&params, &n, &max, VIR_DOMAIN_IOTHREAD_POLL_MAX_NS,
                                action->poll.max_ns) == 0 &&
        virTypedParamsAddUInt(&params, &n, &max, VIR_DOMAIN_IOTHREAD_POLL_GROW,
                              action->poll.grow) == 0 &&
        virTypedParamsAddUInt(&params, &n, &max, VIR_DOMAIN_IOTHREAD_POLL_SHRINK,
                              action->poll.shrink) == 0)
        rc = virDomainSetIOThreadParams(dom, action->number, params, n, VIR_DOMAIN_AFFECT_LIVE);
    virTypedParamsFree(params, n);
    return rc;
}

static int
set_pin(virDomainPtr dom, const VqAction *action)
{
    unsigned char map[VQ_CPUSET_MAX / 8] = {0};
    int length = 0;

    VQ_CPUSET_FOREACH (cpu, action->cpus) {
        map[cpu / 8] |= 1 << (cpu % 8);
        length = cpu / 8 + 1;
    }
    switch (action->target) {
    case VQ_TARGET_IOTHREAD:
        return virDomainPinIOThread(dom, action->number, map, length, VIR_DOMAIN_AFFECT_LIVE);
    case VQ_TARGET_VCPU:
        return virDomainPinVcpuFlags(dom, action->number, map, length, VIR_DOMAIN_AFFECT_LIVE);
    case VQ_TARGET_EMULATOR:
        break;
    }
    return virDomainPinEmulator(dom, map, length, VIR_DOMAIN_AFFECT_LIVE);
}

/* By id, so that a domain that was stopped and started since is not touched. */
static virDomainPtr
look_up(VqLibvirt *self, VqAction *action)
{
    g_autoptr(virDomain) dom = virDomainLookupByID(self->connection, action->id);
    char uuid[VIR_UUID_STRING_BUFLEN] = "";
    g_autofree char *what = vq_action_object(action);

    if (!dom) {
        set_libvirt_error(&action->error, what);
        return NULL;
    }
    if (virDomainGetUUIDString(dom, uuid) < 0 || g_ascii_strcasecmp(uuid, action->uuid) != 0) {
        g_set_error(&action->error, VQ_ERROR, VQ_ERROR_NOT_FOUND, "%s: the domain is gone", what);
        return NULL;
    }
    return g_steal_pointer(&dom);
}

static void
apply_one(virDomainPtr dom, VqAction *action)
{
    if ((action->cpus && set_pin(dom, action) < 0) ||
        (action->set_poll && set_polling(dom, action) < 0)) {
        g_autofree char *what = vq_action_object(action);

        set_libvirt_error(&action->error, what);
    }
}

/* Actions of one domain in a row ask for it once: each question is a call. */
static void
apply(VqHypervisor *port, GPtrArray *actions)
{
    VqLibvirt *self = (VqLibvirt *)port;
    g_autoptr(virDomain) dom = NULL;
    const VqAction *last = NULL;
    gint64 begin = g_get_monotonic_time();

    for (guint i = 0; i < actions->len; i++) {
        VqAction *action = g_ptr_array_index(actions, i);

        if (!self->connection || g_atomic_int_get(&self->lost)) {
            g_set_error(&action->error, VQ_ERROR, VQ_ERROR_UNAVAILABLE,
                        "connection to libvirt at %s: lost", self->uri);
            continue;
        }
        if (!dom || last->id != action->id || !g_str_equal(last->uuid, action->uuid)) {
            g_clear_pointer(&dom, virDomainFree);
            dom = look_up(self, action);
            last = action;
        }
        if (dom)
            apply_one(dom, action);
    }
    libvirts_time(self, begin);
}

static void
libvirt_free(VqHypervisor *port)
{
    VqLibvirt *self = (VqLibvirt *)port;

    disconnect(self);
    close(self->root_fd);
    vq_known_free(self->known);
    g_async_queue_unref(self->touched);
    g_free(self->uri);
    g_free(self->run_dir);
    g_free(self);
}

VqHypervisor *
vq_libvirt_new(const VqLibvirtParams *params)
{
    VqLibvirt *self = g_new0(VqLibvirt, 1);

    virInitialize();
    virSetErrorFunc(NULL, quiet);
    self->port = (VqHypervisor){.observe = observe, .apply = apply, .free = libvirt_free};
    self->uri = g_strdup(params->uri);
    self->run_dir = g_strdup(params->run_dir);
    self->keepalive_seconds = params->keepalive_seconds;
    self->root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    self->known = vq_known_new((gint64)params->recheck_seconds * G_USEC_PER_SEC);
    self->touched = g_async_queue_new_full(g_free);
    return &self->port;
}
