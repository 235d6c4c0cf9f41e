/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The methods of org.virtqueued.Daemon1, one function each. */
#include "daemon/server.h"

#include "base/error.h"
#include "config.h"

#include <string.h>
#include <sys/resource.h>

static void
answer_error(GDBusMethodInvocation *invocation, GError *error)
{
    g_dbus_method_invocation_take_error(invocation, error);
}

/*
 * Where the devices of a domain hang is read in a thread: the file system of an image may not
 * answer, and whoever asks for admission waits for some 200 ms only. After this time the domain is
 * admitted without that knowledge.
 */
#define DEVICES_TIMEOUT_MS 100

/* One admission: owned by the lookup's task and, while it waits, by the timer. */
typedef struct {
    VqManager *manager;
    VqReconcile *reconcile;
    GDBusMethodInvocation *invocation; /* NULL once answered */
    char *xml;
    guint timer; /* 0 once it fired or is not needed any more */
} Admission;

static void
admission_free(gpointer data)
{
    Admission *admission = data;

    g_free(admission->xml);
    g_free(admission);
}

static void
answer_admission(Admission *admission, GHashTable *device_nodes)
{
    GDBusMethodInvocation *invocation = g_steal_pointer(&admission->invocation);
    g_autoptr(GVariant) pins = NULL, notes = NULL;
    GError *error = NULL;

    if (!vq_manager_admit(admission->manager, admission->xml, device_nodes, g_get_monotonic_time(),
                          &pins, &notes, &error)) {
        g_message("not admitted: %s", error->message);
        answer_error(invocation, error);
        return;
    }
    vq_reconcile_save(admission->reconcile, false);
    g_dbus_method_invocation_return_value(invocation, g_variant_new("(@a(us)@as)", pins, notes));
}

static gboolean
on_devices_timeout(gpointer data)
{
    Admission *admission = data;
    g_autoptr(GHashTable) unknown = vq_device_nodes_new();

    admission->timer = 0;
    answer_admission(admission, unknown);
    return G_SOURCE_REMOVE;
}

/* Runs in a thread of GLib's pool; has the XML and nothing else of ours. */
static void
look_up_devices(GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
    g_autoptr(GHashTable) device_nodes = vq_device_nodes_new();
    g_autoptr(VqProblems) problems = vq_problems_new();
    const Admission *admission = task_data;
    g_autoptr(VqDomain) domain =
        vq_domain_read(admission->xml, strlen(admission->xml), problems, NULL);

    if (domain)
        vq_device_nodes_look_up(device_nodes, domain);
    g_task_return_pointer(task, g_steal_pointer(&device_nodes), (GDestroyNotify)g_hash_table_unref);
}

static void
on_devices(GObject *source, GAsyncResult *result, gpointer data)
{
    Admission *admission = g_task_get_task_data(G_TASK(result));
    g_autoptr(GHashTable) device_nodes = g_task_propagate_pointer(G_TASK(result), NULL);

    if (!admission->invocation)
        return;
    g_clear_handle_id(&admission->timer, g_source_remove);
    answer_admission(admission, device_nodes);
}

static void
admit(const VqMethods *m, GVariant *args, GDBusMethodInvocation *invocation)
{
    g_autoptr(GTask) task = g_task_new(NULL, NULL, on_devices, NULL);
    Admission *admission = g_new0(Admission, 1);

    *admission =
        (Admission){.manager = m->manager, .reconcile = m->reconcile, .invocation = invocation};
    g_variant_get(args, "(s)", &admission->xml);
    admission->timer = g_timeout_add(DEVICES_TIMEOUT_MS, on_devices_timeout, admission);
    g_task_set_task_data(task, admission, admission_free);
    g_task_run_in_thread(task, look_up_devices);
}

static void
withdraw(const VqMethods *m, GVariant *args, GDBusMethodInvocation *invocation)
{
    const char *domain;

    g_variant_get(args, "(&s)", &domain);
    vq_manager_withdraw(m->manager, domain);
    vq_reconcile_save(m->reconcile, false);
    g_dbus_method_invocation_return_value(invocation, NULL);
}

static void
answer_dictionary(GDBusMethodInvocation *invocation, GVariant *dictionary, GError *error)
{
    if (dictionary)
        g_dbus_method_invocation_return_value(invocation, g_variant_new("(@a{sv})", dictionary));
    else
        answer_error(invocation, error);
}

static void
list(const VqMethods *m, GVariant *args, GDBusMethodInvocation *invocation)
{
    GError *error = NULL;
    const char *domain;

    g_variant_get(args, "(&s)", &domain);

    GVariant *report = vq_manager_report(m->manager, domain, g_get_monotonic_time(), &error);

    answer_dictionary(invocation, report, error);
}

static void
why(const VqMethods *m, GVariant *args, GDBusMethodInvocation *invocation)
{
    GError *error = NULL;
    const char *domain, *disk;
    gint32 queue;

    g_variant_get(args, "(&s&si)", &domain, &disk, &queue);

    GVariant *answer =
        vq_manager_why(m->manager, domain, disk, queue, g_get_monotonic_time(), &error);

    answer_dictionary(invocation, answer, error);
}

/* An answer that waits for a round. */
typedef struct {
    VqManager *manager;
    GDBusMethodInvocation *invocation;
    bool plan; /* answer with the plan */
} Pending;

static void
on_round(const GError *error, gpointer data)
{
    g_autofree Pending *pending = data;

    if (error)
        answer_error(pending->invocation, g_error_copy(error));
    else if (pending->plan)
        answer_dictionary(pending->invocation, vq_plan_to_variant(pending->manager->plan), NULL);
    else
        g_dbus_method_invocation_return_value(pending->invocation, NULL);
}

static void
answer_after_round(const VqMethods *m, GDBusMethodInvocation *invocation, bool plan)
{
    Pending *pending = g_new0(Pending, 1);

    *pending = (Pending){m->manager, invocation, plan};
    vq_reconcile_request(m->reconcile, on_round, pending);
}

static void
rebalance(const VqMethods *m, GVariant *args, GDBusMethodInvocation *invocation)
{
    gboolean dry_run;

    g_variant_get(args, "(b)", &dry_run);
    if (!dry_run) {
        vq_rebalance_event(m->manager->rebalance);
        answer_after_round(m, invocation, true);
        return;
    }

    g_autoptr(VqPlan) plan = vq_manager_preview(m->manager);

    answer_dictionary(invocation, vq_plan_to_variant(plan), NULL);
}

static void
set_managed(const VqMethods *m, GVariant *args, GDBusMethodInvocation *invocation)
{
    GError *error = NULL;
    const char *domain;
    gboolean managed;

    g_variant_get(args, "(&sb)", &domain, &managed);
    if (!vq_manager_set_managed(m->manager, domain, managed, &error)) {
        answer_error(invocation, error);
        return;
    }
    g_message("%s: %s", domain, managed ? "taken again" : "handed back to plain libvirt");
    vq_reconcile_save(m->reconcile, true);
    answer_after_round(m, invocation, false);
}

static void
drain(const VqMethods *m, GVariant *args, GDBusMethodInvocation *invocation)
{
    GError *error = NULL;
    const char *text;
    gboolean on;

    g_variant_get(args, "(&sb)", &text, &on);

    g_autoptr(VqCpuset) cpus = vq_cpuset_parse(text, &error);

    if (!cpus || !vq_manager_drain(m->manager, on ? cpus : NULL, &error)) {
        answer_error(invocation, error);
        return;
    }
    g_message("pool: %s %s", on ? "drained of CPUs" : "whole again", on ? text : "");
    vq_reconcile_save(m->reconcile, true);
    answer_after_round(m, invocation, false);
}

/* How promptly rounds do their work, libvirt's part apart. */
static void
add_times(GVariantDict *dict, const VqRoundStats *stats)
{
    const VqRoundTimes *e = &stats->events, *s = &stats->steps;

    g_variant_dict_insert(dict, "changes", "t", e->count);
    g_variant_dict_insert(dict, "change_own_us", "x", e->own);
    g_variant_dict_insert(dict, "change_own_max_us", "x", e->own_max);
    g_variant_dict_insert(dict, "change_libvirt_us", "x", e->libvirt);
    g_variant_dict_insert(dict, "change_libvirt_max_us", "x", e->libvirt_max);
    g_variant_dict_insert(dict, "steps", "t", s->count);
    g_variant_dict_insert(dict, "step_own_us", "x", s->own);
    g_variant_dict_insert(dict, "step_own_max_us", "x", s->own_max);
    g_variant_dict_insert(dict, "step_libvirt_us", "x", s->libvirt);
    g_variant_dict_insert(dict, "step_libvirt_max_us", "x", s->libvirt_max);
    g_variant_dict_insert(dict, "moved_for_load", "t", stats->moved);
    if (stats->why)
        g_variant_dict_insert(dict, "last_step", "s", stats->why);
}

static void
status(const VqMethods *m, GVariant *args, GDBusMethodInvocation *invocation)
{
    g_autoptr(GVariant) known = g_variant_ref_sink(vq_manager_status(m->manager));
    GVariantDict dict;

    g_variant_dict_init(&dict, known);
    g_variant_dict_insert(&dict, "libvirt_connected", "b", vq_reconcile_connected(m->reconcile));
    g_variant_dict_insert(&dict, "rounds", "t", vq_reconcile_rounds(m->reconcile));
    add_times(&dict, vq_reconcile_stats(m->reconcile));
    answer_dictionary(invocation, g_variant_dict_end(&dict), NULL);
}

static double
seconds(struct timeval time)
{
    return (double)time.tv_sec + time.tv_usec / 1e6;
}

/* An answer that waits for a reading of the counters. */
typedef struct {
    VqMethods methods;
    GDBusMethodInvocation *invocation;
} Asked;

static void
on_counters(gpointer data)
{
    g_autofree Asked *asked = data;
    const VqMethods *m = &asked->methods;
    g_autoptr(GVariant) known =
        g_variant_ref_sink(vq_manager_counters(m->manager, g_get_monotonic_time()));
    const char *problem = vq_statistics_problem(m->statistics);
    struct rusage usage = {0};
    GVariantDict dict;

    getrusage(RUSAGE_SELF, &usage);
    g_variant_dict_init(&dict, known);
    g_variant_dict_insert(&dict, "daemon_version", "s", VQ_VERSION);
    g_variant_dict_insert(&dict, "libvirt_connected", "b", vq_reconcile_connected(m->reconcile));
    g_variant_dict_insert(&dict, "rounds", "t", vq_reconcile_rounds(m->reconcile));
    g_variant_dict_insert(&dict, "daemon_cpu_seconds", "d",
                          seconds(usage.ru_utime) + seconds(usage.ru_stime));
    g_variant_dict_insert(&dict, "readings", "t", vq_statistics_readings(m->statistics));
    g_variant_dict_insert(&dict, "reading_us", "t", (guint64)vq_statistics_cost_us(m->statistics));
    if (problem)
        g_variant_dict_insert(&dict, "reading_problem", "s", problem);
    answer_dictionary(asked->invocation, g_variant_dict_end(&dict), NULL);
}

static void
counters(const VqMethods *m, GVariant *args, GDBusMethodInvocation *invocation)
{
    Asked *asked = g_new0(Asked, 1);
    guint32 max_age_ms;

    *asked = (Asked){*m, invocation};
    g_variant_get(args, "(u)", &max_age_ms);
    vq_statistics_request(m->statistics, max_age_ms, on_counters, asked);
}

static const struct {
    const char *name;
    void (*call)(const VqMethods *, GVariant *, GDBusMethodInvocation *);
} methods_table[] = {
    {"Admit", admit}, {"Withdraw", withdraw},   {"List", list},
    {"Why", why},     {"Rebalance", rebalance}, {"SetManaged", set_managed},
    {"Drain", drain}, {"Status", status},       {"Counters", counters},
};

void
vq_methods_call(const VqMethods *methods, const char *method, GVariant *args,
                GDBusMethodInvocation *invocation)
{
    for (guint i = 0; i < G_N_ELEMENTS(methods_table); i++) {
        if (g_str_equal(methods_table[i].name, method)) {
            methods_table[i].call(methods, args, invocation);
            return;
        }
    }
    g_dbus_method_invocation_return_error(invocation, VQ_ERROR, VQ_ERROR_UNSUPPORTED,
                                          "method '%s' is not known", method);
}
