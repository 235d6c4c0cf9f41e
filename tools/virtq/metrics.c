/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtq metrics: the counters for monitoring systems. */
#include "output.h"

#include "core/json.h"
#include "core/metrics.h"
#include "protocol/client.h"

#include <string.h>

/* Younger than what a monitoring system asks for, and many of them cost one reading. */
#define AGE_MAX_MS 1000
/* The daemon itself answers within a second whatever happens to libvirt. */
#define ASK_TIMEOUT_MS 5000

GVariant *
vq_counters_ask(const VqTool *tool, unsigned max_age_ms, int timeout_ms, GError **error)
{
    g_autoptr(GVariant) reply =
        vq_client_call(tool->socket, "Counters", g_variant_new("(u)", max_age_ms),
                       G_VARIANT_TYPE("(a{sv})"), timeout_ms, error);

    return reply ? g_variant_get_child_value(reply, 0) : NULL;
}

GVariant *
vq_counters_read(const char *path, GError **error)
{
    g_autofree char *text = NULL;
    gsize length = 0;

    if (!vq_tool_read(path, VQ_JSON_SIZE_MAX, &text, &length, error))
        return NULL;

    g_autoptr(JsonNode) node = vq_json_parse(text, (gssize)length, path, error);
    GVariant *counters = node ? json_gvariant_deserialize(node, "a{sv}", error) : NULL;

    return counters ? g_variant_ref_sink(counters) : NULL;
}

bool
vq_cmd_metrics(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    g_autofree char *input = NULL, *output = NULL;
    bool done;
    const GOptionEntry entries[] = {
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &output, "write FILE as a whole, or not at all",
         "FILE"},
        {"input", 'i', 0, G_OPTION_ARG_FILENAME, &input,
         "what 'virtq --format json metrics' printed, instead of asking the daemon", "FILE"},
        {NULL},
    };

    if (!vq_command_parse(command, entries, &argc, &argv, &done, error))
        return false;
    if (done)
        return true;

    g_autoptr(GVariant) counters = input ? vq_counters_read(input, error)
                                         : vq_counters_ask(tool, AGE_MAX_MS, ASK_TIMEOUT_MS, error);

    if (!counters)
        return false;
    if (!output && vq_output_data(tool, counters))
        return true;

    g_autofree char *text = vq_metrics_text(counters);

    /* by renaming: who reads the file meanwhile sees the old one */
    if (output)
        return g_file_set_contents(output, text, -1, error);
    fputs(text, stdout);
    return true;
}
