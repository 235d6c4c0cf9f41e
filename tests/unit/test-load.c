/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support/machine.h"

#include "core/load.h"

#include <string.h>

static void
test_applied(void)
{
    g_autoptr(GPtrArray) threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    VqThread *both = test_thread(threads, "a/b", "vda", 1, VQ_PLACEMENT_SHARED, -1);
    VqThread *half = test_thread(threads, "a/b", "vda", 3, VQ_PLACEMENT_SHARED, -1);
    unsigned queue = 1;
    g_autoptr(GHashTable) loads =
        vq_load_from_json("{\"a/b/vda/0\": 0.25, \"a/b/vda/1\": 1, \"a/b/vda/2\": 0.5}", -1, NULL);

    g_assert_nonnull(loads);
    g_array_append_val(((VqServed *)both->serves->pdata[0])->queues, queue);
    queue = 9; /* not measured: so the sum would be wrong */
    g_array_append_val(((VqServed *)half->serves->pdata[0])->queues, queue);
    vq_load_apply(threads, loads);
    g_assert_cmpfloat(both->load, ==, 1.25);
    g_assert_cmpstr(both->load_source, ==, "given");
    g_assert_cmpfloat(half->load, <, 0);
}

static void
test_bad(void)
{
    static const struct {
        const char *json, *error;
    } cases[] = {
        {"{\"vm1/vda\": 0.5}", "key 'vm1/vda' is not \"domain/disk/queue\""},
        {"{\"vm1/vda/x\": 0.5}", "key 'vm1/vda/x'"},
        {"{\"vm1/vda/1024\": 0.5}", "within 0..1023"},
        {"{\"/vda/0\": 0.5}", "key '/vda/0'"},
        {"{\"vm1//0\": 0.5}", "key 'vm1//0'"},
        {"{\"vm1/vda/0\": 1.5}", "'vm1/vda/0' is 1.5, not a share of one core"},
        {"{\"vm1/vda/0\": \"high\"}", "'vm1/vda/0' is not a number"},
        {"{\"vm1/vda/0\": null}", "'vm1/vda/0' is not a number"},
        {"3", "not a JSON object"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GHashTable) loads = vq_load_from_json(cases[i].json, -1, &error);

        g_assert_null(loads);
        if (!strstr(error->message, cases[i].error))
            g_error("%s: wanted \"%s\", got \"%s\"", cases[i].json, cases[i].error, error->message);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/load/applied", test_applied);
    g_test_add_func("/load/bad", test_bad);
    return g_test_run();
}
