/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When the XML of a running domain is read again. */
#include "host/known.h"

#define A "00000000-0000-4000-8000-00000000000a"
#define B "00000000-0000-4000-8000-00000000000b"

static void
test_events(void)
{
    g_autoptr(VqKnown) known = vq_known_new(100);

    vq_known_begin(known, 2);
    g_assert_null(vq_known_fresh(known, A, 1, false, 0));
    vq_known_note(known, A, "a", 1, true, 0)->pid = 77;
    vq_known_note(known, B, "b", 2, false, 0);
    vq_known_end(known);

    vq_known_begin(known, 2);
    g_assert_cmpint(vq_known_fresh(known, A, 1, true, 50)->pid, ==, 77);
    g_assert_cmpstr(vq_known_fresh(known, B, 2, false, 50)->name, ==, "b");
    /* not ours, but to be seen; another start; an event */
    g_assert_null(vq_known_fresh(known, B, 2, true, 50));
    g_assert_null(vq_known_fresh(known, A, 3, false, 50));
    vq_known_forget(known, A);
    g_assert_null(vq_known_fresh(known, A, 1, false, 50));
    g_assert_cmpint(vq_known_note(known, A, "a", 4, true, 50)->pid, ==, 0);
    vq_known_forget(known, NULL);
    g_assert_null(vq_known_fresh(known, A, 4, false, 50));
}

static void
test_age(void)
{
    g_autoptr(VqKnown) known = vq_known_new(100);
    unsigned again = 0, rounds = 0;

    vq_known_begin(known, 20);
    for (int i = 0; i < 20; i++) {
        g_autofree char *uuid = g_strdup_printf("%d", i);

        vq_known_note(known, uuid, uuid, i, true, 0);
    }
    /* a part of them in each round, all of them in a few */
    for (; again < 20; rounds++) {
        unsigned before = again;

        vq_known_begin(known, 20);
        for (int i = 0; i < 20; i++) {
            g_autofree char *uuid = g_strdup_printf("%d", i);

            if (vq_known_fresh(known, uuid, i, false, 150))
                continue;
            vq_known_note(known, uuid, uuid, i, true, 150);
            again++;
        }
        vq_known_end(known);
        g_assert_cmpuint(again - before, <=, 6);
        g_assert_cmpuint(rounds, <, 5);
    }
}

static void
test_gone(void)
{
    g_autoptr(VqKnown) known = vq_known_new(100);

    vq_known_begin(known, 2);
    vq_known_note(known, A, "a", 1, true, 0);
    vq_known_note(known, B, "b", 2, true, 0);
    vq_known_end(known);
    vq_known_begin(known, 1);
    g_assert_nonnull(vq_known_fresh(known, A, 1, false, 0));
    vq_known_end(known);
    g_assert_cmpuint(g_hash_table_size(known->domains), ==, 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/known/events", test_events);
    g_test_add_func("/known/age", test_age);
    g_test_add_func("/known/gone", test_gone);
    return g_test_run();
}
