/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Completion. Options are those that commands parse; arguments go by the names in their usage. */
#include "complete.h"

#include "top.h"

#include "core/plan.h"
#include "protocol/client.h"

#include <string.h>

/* Somebody waits with a finger on the key. */
#define COMPLETE_TIMEOUT_MS 300

typedef struct {
    const char *socket;
    const char *current; /* the word to complete */
    GPtrArray *found;
} Completion;

static void
offer(Completion *c, const char *word)
{
    if (!g_str_has_prefix(word, c->current))
        return;
    for (guint i = 0; i < c->found->len; i++) {
        if (g_str_equal(g_ptr_array_index(c->found, i), word))
            return;
    }
    g_ptr_array_add(c->found, g_strdup(word));
}

static void
offer_commands(Completion *c)
{
    for (const VqCommand *command = vq_commands; command->name; command++) {
        if (command->group)
            offer(c, command->name);
    }
}

static void
offer_formats(Completion *c)
{
    for (const VqEnumEntry *e = vq_format_names; e->name; e++)
        offer(c, e->name);
}

static void
offer_options(Completion *c, const GArray *options)
{
    for (guint i = 0; i < options->len; i++) {
        g_autofree char *name =
            g_strconcat("--", g_array_index(options, VqOptionName, i).long_name, NULL);

        offer(c, name);
    }
}

/* @domain: offer its disks; NULL: offer domains, those that were handed back too. */
static void
offer_from_daemon(Completion *c, const char *domain)
{
    g_autoptr(GVariant) reply =
        vq_client_call(c->socket, "List", g_variant_new("(s)", domain ? domain : ""),
                       G_VARIANT_TYPE("(a{sv})"), COMPLETE_TIMEOUT_MS, NULL);
    g_autoptr(GVariant) answer = reply ? g_variant_get_child_value(reply, 0) : NULL;
    g_autoptr(VqPlan) plan = answer ? vq_plan_from_variant(answer, NULL) : NULL;
    g_autoptr(GVariant) list = NULL;

    if (!plan)
        return;
    for (guint i = 0; i < plan->placements->len; i++) {
        const VqPlaced *p = g_ptr_array_index(plan->placements, i);

        offer(c, domain ? p->disk : p->domain);
    }
    if (!domain)
        list = g_variant_lookup_value(answer, "domains", G_VARIANT_TYPE("aa{sv}"));
    for (gsize i = 0; list && i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) entry = g_variant_get_child_value(list, i);
        const char *name;

        if (g_variant_lookup(entry, "name", "&s", &name))
            offer(c, name);
    }
}

/* The option that @word is, and is not "--name=value", if it takes a value; else NULL. */
static const VqOptionName *
option_with_value(const GArray *options, const char *word)
{
    for (guint i = 0; i < options->len; i++) {
        const VqOptionName *o = &g_array_index(options, VqOptionName, i);
        const char short_name[] = {'-', o->short_name, '\0'};
        bool is_long = g_str_has_prefix(word, "--") && g_str_equal(word + 2, o->long_name);

        if (o->has_value && (is_long || (o->short_name && g_str_equal(word, short_name))))
            return o;
    }
    return NULL;
}

static void
complete_argument(Completion *c, const VqCommand *command, const GPtrArray *before)
{
    g_auto(GStrv) names = g_strsplit(command->args, " ", -1);
    const char *name = before->len < g_strv_length(names) ? names[before->len] : "";

    if (g_str_equal(name, "DOMAIN"))
        offer_from_daemon(c, NULL);
    else if (g_str_equal(name, "DISK"))
        offer_from_daemon(c, g_ptr_array_index(before, before->len - 1));
    else if (g_str_equal(name, "[COMMAND]"))
        offer_commands(c);
}

static void
offer_sorts(Completion *c)
{
    for (const VqEnumEntry *e = vq_top_sort_names; e->name; e++)
        offer(c, e->name);
}

static void
complete_value(Completion *c, const VqOptionName *option)
{
    if (g_str_equal(option->long_name, "format"))
        offer_formats(c);
    else if (g_str_equal(option->long_name, "sort"))
        offer_sorts(c);
}

/* @words: those behind the command's name. */
static void
complete_command(Completion *c, const VqCommand *command, const char *const *words)
{
    g_autoptr(GArray) options = vq_command_options(command);
    g_autoptr(GPtrArray) before = g_ptr_array_new();

    for (; words[0] && words[1]; words++) {
        if (option_with_value(options, words[0])) {
            if (!words[2]) {
                complete_value(c, option_with_value(options, words[0]));
                return;
            }
            words++;
        } else if (words[0][0] != '-') {
            g_ptr_array_add(before, (char *)words[0]);
        }
    }
    if (c->current[0] == '-')
        offer_options(c, options);
    else
        complete_argument(c, command, before);
}

GPtrArray *
vq_complete(const VqTool *tool, const char *const *words)
{
    g_autoptr(GArray) options = vq_main_options();
    guint count = g_strv_length((char **)words);
    Completion c = {.socket = tool->socket,
                    .current = count ? words[count - 1] : "",
                    .found = g_ptr_array_new_with_free_func(g_free)};

    for (; words[0] && words[1]; words++) {
        const VqOptionName *option = option_with_value(options, words[0]);
        const VqCommand *command = vq_command_find(words[0]);

        if (option && !words[2]) {
            complete_value(&c, option);
            return c.found;
        }
        if (option) {
            if (g_str_equal(option->long_name, "socket"))
                c.socket = words[1];
            words++;
        } else if (words[0][0] != '-') {
            if (command)
                complete_command(&c, command, words + 1);
            return c.found;
        }
    }
    if (c.current[0] == '-')
        offer_options(&c, options);
    else
        offer_commands(&c);
    return c.found;
}

/* Reads its words behind "--" itself: options among them are not its own. */
bool
vq_cmd_complete(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    if (argc < 2 || !g_str_equal(argv[1], "--")) {
        bool done;

        return vq_command_parse(command, NULL, &argc, &argv, &done, error);
    }

    g_autoptr(GPtrArray) found = vq_complete(tool, (const char *const *)argv + 2);

    for (guint i = 0; i < found->len; i++)
        puts(g_ptr_array_index(found, i));
    return true;
}
