/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"

#include "core/simulate.h"

#include <string.h>

/* A trace or an error, never both; what is written of a trace reads back as the same. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VqSimTrace) known =
        vq_sim_trace_read(vq_sim_flavors_text, strlen(vq_sim_flavors_text), NULL, NULL);
    g_autoptr(VqSimTrace) trace = vq_sim_trace_read((const char *)data, size, known, &error);

    g_assert_true(!trace == (error != NULL));
    if (!trace)
        return 0;

    g_autofree char *text = vq_sim_trace_write(trace);
    g_autoptr(VqSimTrace) again = vq_sim_trace_read(text, strlen(text), NULL, &error);

    g_assert_no_error(error);

    g_autofree char *twice = vq_sim_trace_write(again);

    g_assert_cmpstr(text, ==, twice);
    return 0;
}
