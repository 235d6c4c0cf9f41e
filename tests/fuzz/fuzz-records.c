/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"

#include "daemon/records.h"

/* What is read can be written and read again, to the same text. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autoptr(VqRecords) records = vq_records_parse(text, "boot", NULL);

    if (!records)
        return 0;

    g_autofree char *once = vq_records_format(records, "boot");
    g_autoptr(VqRecords) again = vq_records_parse(once, "boot", NULL);

    g_assert_nonnull(again);
    g_assert_cmpuint(g_hash_table_size(again->records), ==, g_hash_table_size(records->records));
    g_assert_cmpuint(g_hash_table_size(again->off), ==, g_hash_table_size(records->off));
    return 0;
}
