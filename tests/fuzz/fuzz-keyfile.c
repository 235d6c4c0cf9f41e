/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"

#include "core/settings.h"

/* Any text is either refused or leaves every number within its limits. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VqKeyFile) file =
        vq_key_file_parse(vq_settings, (const char *)data, size, "input", NULL, &error);

    g_assert_true((file == NULL) == (error != NULL));
    for (const VqKeySpec *s = vq_settings; file && s->group; s++) {
        if (s->type != VQ_KEY_INT)
            continue;
        g_assert_cmpuint(vq_key_file_int(file, s->group, s->key), >=, s->min);
        g_assert_cmpuint(vq_key_file_int(file, s->group, s->key), <=, s->max);
    }
    return 0;
}
