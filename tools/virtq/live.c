/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands that ask the daemon: what runs where, why, and changes to it. */
#include "counts.h"
#include "output.h"

#include "base/cpuset.h"
#include "base/error.h"
#include "core/lookup.h"
#include "core/plan.h"
#include "protocol/client.h"

#include <stdlib.h>

/* A round may have to wait for a busy libvirt. */
#define CHANGE_TIMEOUT_MS 60000
#define ASK_TIMEOUT_MS    5000
/* Counters need not be younger than this to be shown. */
#define AGE_MAX_MS 1000

/* Calls a method that answers with one dictionary. */
static GVariant *
ask(const VqTool *tool, const char *method, GVariant *args, int timeout_ms, GError **error)
{
    g_autoptr(GVariant) reply =
        vq_client_call(tool->socket, method, args, G_VARIANT_TYPE("(a{sv})"), timeout_ms, error);

    return reply ? g_variant_get_child_value(reply, 0) : NULL;
}

/* Has the daemon read the counters that the next answer shows. One that is older than the tool has
 * none, and whatever else is wrong the next call says too. */
static void
refresh_counters(const VqTool *tool)
{
    g_autoptr(GVariant) counters = vq_counters_ask(tool, AGE_MAX_MS, ASK_TIMEOUT_MS, NULL);
}

static void
print_counts(GVariant *answer)
{
    g_autoptr(GPtrArray) domains = vq_lookup_list(answer, "domains");
    g_autofree char *text = vq_counts_text(domains);

    if (text)
        printf("\n%s", text);
}

static bool
order(const VqTool *tool, const char *method, GVariant *args, GError **error)
{
    g_autoptr(GVariant) reply =
        vq_client_call(tool->socket, method, args, G_VARIANT_TYPE_UNIT, CHANGE_TIMEOUT_MS, error);

    return reply != NULL;
}

static void
add_row(VqTable *table, const VqPlaced *p)
{
    g_autofree char *queues = vq_queues_text(p->queues);
    g_autofree char *thread = g_strdup_printf("%u", p->iothread);
    g_autofree char *load = g_str_equal(p->load_source ? p->load_source : "default", "default")
                                ? NULL
                                : g_strdup_printf("%.0f%%", p->load * 100);
    g_autofree char *class =
        g_strdup_printf("%s%s%s", vq_enum_name(vq_placement_names, p->class),
                        p->degraded ? " (degraded)" : "", p->held ? " (pinned by hand)" : "");

    vq_table_row(table, p->domain, p->disk, queues, thread, p->cpus, class, load);
}

static void
print_plan(const VqPlan *plan)
{
    g_autoptr(VqTable) table =
        vq_table_new("Domain", "Disk", "Queues", "IOThread", "CPU", "Class", "Load", NULL);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < plan->placements->len; i++)
        add_row(table, g_ptr_array_index(plan->placements, i));
    vq_table_print(table);
    for (guint i = 0; i < plan->placements->len; i++) {
        const VqPlaced *p = g_ptr_array_index(plan->placements, i);

        /* once for each text: all threads of a device are degraded together */
        if (p->degraded && g_hash_table_add(seen, p->degraded))
            printf("\n%s/%s: %s\n", p->domain, p->disk, p->degraded);
    }
}

static void
print_moves(const VqPlan *plan)
{
    for (guint i = 0; i < plan->moves->len; i++) {
        const VqMove *m = g_ptr_array_index(plan->moves, i);
        g_autofree char *from = m->from < 0 ? g_strdup("-") : g_strdup_printf("%d", m->from);
        g_autofree char *to =
            m->to < 0 ? g_strdup("the CPUs outside the pool") : g_strdup_printf("CPU %d", m->to);

        printf("%s/%s IOThread %u: from %s to %s: %s\n", m->domain, m->disk, m->iothread, from, to,
               m->reason);
    }
}

/* Domains that have declared queues and are handed back. */
static void
print_off(GVariant *answer)
{
    g_autoptr(GVariant) list = g_variant_lookup_value(answer, "domains", G_VARIANT_TYPE("aa{sv}"));

    for (gsize i = 0; list && i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) domain = g_variant_get_child_value(list, i);
        const char *name = "?";
        gboolean managed = TRUE;

        g_variant_lookup(domain, "name", "&s", &name);
        if (g_variant_lookup(domain, "managed", "b", &managed) && !managed)
            printf("\n%s: handed back to plain libvirt ('virtq on %s' takes it again)\n", name,
                   name);
    }
}

/* The text form of @answer; its dictionary is printed for the other formats. */
static bool
print_answer(const VqTool *tool, GVariant *answer, GError **error)
{
    if (vq_output_data(tool, answer))
        return true;

    g_autoptr(VqPlan) plan = vq_plan_from_variant(answer, error);

    if (!plan)
        return false;
    print_plan(plan);
    return true;
}

bool
vq_cmd_list(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    bool done;

    if (!vq_command_parse(command, NULL, &argc, &argv, &done, error))
        return false;
    if (done)
        return true;

    refresh_counters(tool);

    g_autoptr(GVariant) answer = ask(tool, "List", g_variant_new("(s)", ""), ASK_TIMEOUT_MS, error);

    if (!answer || !print_answer(tool, answer, error))
        return false;
    if (tool->format == VQ_FORMAT_TABLE) {
        print_counts(answer);
        print_off(answer);
    }
    return true;
}

static void
print_threads(GVariant *domain)
{
    g_autoptr(GVariant) list =
        g_variant_lookup_value(domain, "iothreads", G_VARIANT_TYPE("aa{sv}"));
    g_autoptr(VqTable) table = vq_table_new("IOThread", "Pin", "Pinned by", "poll-max-ns",
                                            "CPU seconds", "CPU", "Work", "Poll", "Moves", NULL);

    for (gsize i = 0; list && i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) thread = g_variant_get_child_value(list, i);
        const char *pin = NULL, *by = NULL;
        guint64 poll = 0, time = 0;
        guint32 id = 0;

        g_variant_lookup(thread, "iothread", "u", &id);
        g_variant_lookup(thread, "pin", "&s", &pin);
        g_variant_lookup(thread, "pinned_by", "&s", &by);
        g_variant_lookup(thread, "poll_max_ns", "t", &poll);

        bool has_time = g_variant_lookup(thread, "cpu_time_ns", "t", &time);
        g_autofree char *id_text = g_strdup_printf("%u", id);
        g_autofree char *poll_text = g_strdup_printf("%" G_GUINT64_FORMAT, poll);
        g_autofree char *time_text = has_time ? g_strdup_printf("%.2f", time / 1e9) : NULL;
        g_autofree char *cpu = vq_counts_share(thread, "cpu_ns");
        g_autofree char *work = vq_counts_share(thread, "work_ns");
        g_autofree char *polled = vq_counts_share(thread, "poll_ns");
        g_autofree char *moves =
            vq_counts_sum(thread, NULL, (const char *const[]){"moves", NULL}, 1);

        vq_table_row(table, id_text, pin, by, poll_text, time_text, cpu, work, polled, moves);
    }
    putchar('\n');
    vq_table_print(table);
}

static void
print_domain(GVariant *answer)
{
    g_autoptr(GVariant) list = g_variant_lookup_value(answer, "domains", G_VARIANT_TYPE("aa{sv}"));

    if (!list || g_variant_n_children(list) == 0)
        return;

    g_autoptr(GVariant) domain = g_variant_get_child_value(list, 0);
    const char *uuid = "", *problems = NULL;
    gboolean managed = FALSE;
    gint32 id = -1;

    g_variant_lookup(domain, "uuid", "&s", &uuid);
    g_variant_lookup(domain, "id", "i", &id);
    g_variant_lookup(domain, "managed", "b", &managed);
    printf("UUID: %s\nId: %d\nManaged: %s\n", uuid, id, managed ? "yes" : "no");
    if (g_variant_lookup(domain, "problems", "&s", &problems))
        printf("Problems of the policy: %s\n", problems);
    print_threads(domain);
    putchar('\n');
}

bool
vq_cmd_info(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    bool done;

    if (!vq_command_parse(command, NULL, &argc, &argv, &done, error))
        return false;
    if (done)
        return true;

    refresh_counters(tool);

    g_autoptr(GVariant) answer =
        ask(tool, "List", g_variant_new("(s)", argv[1]), ASK_TIMEOUT_MS, error);

    if (!answer)
        return false;
    if (tool->format == VQ_FORMAT_TABLE)
        print_domain(answer);
    if (!print_answer(tool, answer, error))
        return false;
    if (tool->format == VQ_FORMAT_TABLE)
        print_counts(answer);
    return true;
}

static void
print_text(GVariant *answer, const char *key, const char *label)
{
    const char *text;

    if (g_variant_lookup(answer, key, "&s", &text) && *text)
        printf("%-13s %s\n", label, text);
}

/* Each number with who says so. */
static void
print_load(GVariant *answer)
{
    static const struct {
        const char *key, *label;
    } shares[] = {{"cpu_ns", "CPU time:"}, {"work_ns", "work:"}, {"poll_ns", "polling:"}};
    const char *source = NULL;
    double load;

    if (vq_lookup_double(answer, "load", &load) &&
        g_variant_lookup(answer, "load_source", "&s", &source))
        printf("%-13s %.0f%% of a core (%s)\n", "load:", load * 100, source);
    for (guint i = 0; i < G_N_ELEMENTS(shares); i++) {
        g_autofree char *share = vq_counts_share(answer, shares[i].key);
        g_autofree char *by = vq_counts_source(answer, (const char *const[]){shares[i].key, NULL});

        if (share)
            printf("%-13s %s (%s)\n", shares[i].label, share, by);
    }
    for (guint i = 0; i < 2; i++) {
        g_autofree char *requests = i == 0 ? vq_counts_sum(answer, NULL, vq_counts_requests, 1)
                                           : vq_counts_sum(answer, "rates", vq_counts_requests, 1);
        g_autofree char *by = vq_counts_source(answer, vq_counts_requests);

        if (requests)
            printf("%-13s %s of the disk%s (%s)\n", i == 0 ? "requests:" : "", requests,
                   i == 0 ? "" : " a second", by);
    }
}

static void
print_why(GVariant *answer)
{
    g_autofree const char **others = NULL;
    guint32 iothread = 0;

    g_variant_lookup(answer, "iothread", "u", &iothread);
    printf("%-13s %u\n", "IOThread:", iothread);
    print_text(answer, "cpus", "CPU:");
    print_text(answer, "wanted", "asked for:");
    print_text(answer, "class", "granted:");
    print_text(answer, "reason", "reason:");
    print_text(answer, "degraded", "degraded:");
    print_text(answer, "alternative", "next best:");
    print_load(answer);
    if (g_variant_lookup(answer, "shares_core_with", "^a&s", &others)) {
        for (guint i = 0; others[i]; i++)
            printf("%-13s %s\n", i == 0 ? "shares with:" : "", others[i]);
    }
}

bool
vq_cmd_why(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    unsigned queue = 0;
    bool done;

    if (!vq_command_parse(command, NULL, &argc, &argv, &done, error))
        return false;
    if (done)
        return true;
    if (argc > 3 && !vq_parse_uint(argv[3], VQ_QUEUES_MAX - 1, &queue)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "queue '%s' is not a number of 0 to %d",
                    argv[3], VQ_QUEUES_MAX - 1);
        return false;
    }

    refresh_counters(tool);

    g_autoptr(GVariant) answer =
        ask(tool, "Why", g_variant_new("(ssi)", argv[1], argv[2], argc > 3 ? (int)queue : -1),
            ASK_TIMEOUT_MS, error);

    if (!answer)
        return false;
    if (!vq_output_data(tool, answer))
        print_why(answer);
    return true;
}

bool
vq_cmd_rebalance(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    gboolean dry_run = FALSE;
    bool done;
    const GOptionEntry entries[] = {
        {"dry-run", 'n', 0, G_OPTION_ARG_NONE, &dry_run, "only say what would be moved", NULL},
        {NULL},
    };

    if (!vq_command_parse(command, entries, &argc, &argv, &done, error))
        return false;
    if (done)
        return true;

    g_autoptr(GVariant) answer =
        ask(tool, "Rebalance", g_variant_new("(b)", dry_run), CHANGE_TIMEOUT_MS, error);

    if (!answer)
        return false;
    if (vq_output_data(tool, answer))
        return true;

    g_autoptr(VqPlan) plan = vq_plan_from_variant(answer, error);

    if (!plan)
        return false;
    print_moves(plan);
    if (plan->moves->len == 0 && !tool->quiet)
        puts("nothing to move");
    return true;
}

static bool
set_managed(VqTool *tool, const VqCommand *command, int argc, char **argv, gboolean on,
            GError **error)
{
    bool done;

    if (!vq_command_parse(command, NULL, &argc, &argv, &done, error))
        return false;
    return done || order(tool, "SetManaged", g_variant_new("(sb)", argv[1], on), error);
}

bool
vq_cmd_off(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    return set_managed(tool, command, argc, argv, FALSE, error);
}

bool
vq_cmd_on(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    return set_managed(tool, command, argc, argv, TRUE, error);
}

bool
vq_cmd_drain(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    bool done;

    if (!vq_command_parse(command, NULL, &argc, &argv, &done, error))
        return false;
    return done || order(tool, "Drain", g_variant_new("(sb)", argv[1], TRUE), error);
}

bool
vq_cmd_undrain(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    bool done;

    if (!vq_command_parse(command, NULL, &argc, &argv, &done, error))
        return false;
    return done || order(tool, "Drain", g_variant_new("(sb)", "", FALSE), error);
}

/* "yes", "8-15", "3": one value of the status as a person reads it. */
static char *
status_text(GVariant *value)
{
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN))
        return g_strdup(g_variant_get_boolean(value) ? "yes" : "no");
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
        return g_variant_dup_string(value, NULL);
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING_ARRAY)) {
        g_autofree const char **lines = g_variant_get_strv(value, NULL);

        return g_strjoinv("\n                    ", (char **)lines);
    }
    return g_variant_print(value, FALSE);
}

static void
print_status(GVariant *status)
{
    static const struct {
        const char *key, *title;
    } rows[] = {
        {"daemon_version", "Version"},
        {"libvirt_uri", "libvirt"},
        {"libvirt_connected", "Connected"},
        {"pool", "Pool"},
        {"pool_reason", "Pool chosen as"},
        {"drained", "Drained"},
        {"domains", "Domains served"},
        {"reservations", "Reservations"},
        {"rounds", "Rounds"},
        {"failures", "Failures"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GVariant) value = g_variant_lookup_value(status, rows[i].key, NULL);
        g_autofree char *text = value ? status_text(value) : NULL;

        if (text)
            printf(" %-18s %s\n", rows[i].title, *text ? text : "none");
    }
}

bool
vq_cmd_status(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    bool done;

    if (!vq_command_parse(command, NULL, &argc, &argv, &done, error))
        return false;
    if (done)
        return true;

    g_autoptr(GVariant) answer = ask(tool, "Status", g_variant_new("()"), ASK_TIMEOUT_MS, error);

    if (!answer)
        return false;
    if (!vq_output_data(tool, answer))
        print_status(answer);
    return true;
}
