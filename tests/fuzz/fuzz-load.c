/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"

#include "core/load.h"

/* Loads or an error, never both; every load is a share. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GHashTable) loads = vq_load_from_json((const char *)data, (gssize)size, &error);
    GHashTableIter iter;
    gpointer load;

    g_assert_true(!loads == (error != NULL));
    if (!loads)
        return 0;
    g_hash_table_iter_init(&iter, loads);
    while (g_hash_table_iter_next(&iter, NULL, &load)) {
        g_assert_cmpfloat(*(double *)load, >=, 0);
        g_assert_cmpfloat(*(double *)load, <=, 1);
    }
    return 0;
}
