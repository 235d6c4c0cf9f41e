/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plays a corpus through a fuzz target without libFuzzer: each file as it is, then plain mutations
 * of it (cut short, bytes changed, doubled, cut out), the same ones in every run. One TAP line a
 * file. It finds regressions; to find new things use the libFuzzer build.
 */
#include "target.h"

#include <stdio.h>

#define MUTATIONS 300

/* For the sanitizers' sake an exact copy on the heap, without a terminating zero. */
static void
play_bytes(const guint8 *data, gsize size)
{
    g_autofree guint8 *copy = g_memdup2(data, size);

    LLVMFuzzerTestOneInput(copy ? copy : (const guint8 *)"", size);
}

static void
mutate(GRand *rand, GByteArray *bytes)
{
    guint32 at, count;

    if (bytes->len == 0)
        return;
    at = g_rand_int_range(rand, 0, bytes->len);
    count = g_rand_int_range(rand, 1, 32);
    count = MIN(count, bytes->len - at);
    switch (g_rand_int_range(rand, 0, 5)) {
    case 0:
        g_byte_array_set_size(bytes, at);
        break;
    case 1:
        g_byte_array_remove_range(bytes, at, count);
        break;
    case 2: {
        g_autofree guint8 *copy = g_memdup2(bytes->data + at, count);

        g_byte_array_append(bytes, copy, count);
        break;
    }
    case 3:
        bytes->data[at] = "<>&'\"/=0-9,^ \n\0"[g_rand_int_range(rand, 0, 15)];
        break;
    default:
        bytes->data[at] ^= 1 << g_rand_int_range(rand, 0, 8);
    }
}

static void
play_file(gconstpointer user_data)
{
    const char *path = user_data;
    g_autofree char *text = NULL;
    gsize length;
    g_autoptr(GError) error = NULL;
    GRand *rand = g_rand_new_with_seed(1);

    g_file_get_contents(path, &text, &length, &error);
    g_assert_no_error(error);
    play_bytes((const guint8 *)text, length);
    for (int i = 0; i < MUTATIONS; i++) {
        g_autoptr(GByteArray) bytes = g_byte_array_new();

        g_byte_array_append(bytes, (const guint8 *)text, length);
        for (int k = g_rand_int_range(rand, 1, 5); k > 0; k--)
            mutate(rand, bytes);
        play_bytes(bytes->data, bytes->len);
    }
    g_rand_free(rand);
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    char *test_argv[] = {argv[0], (char *)"--tap", NULL};
    char **test_args = test_argv;
    int test_argc = 2;
    const char *name;

    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return 2;
    }

    g_autoptr(GDir) dir = g_dir_open(argv[1], 0, &error);

    if (!dir) {
        fprintf(stderr, "%s\n", error->message);
        return 1;
    }
    g_test_init(&test_argc, &test_args, NULL);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *test = g_strdup_printf("/%s", name);

        g_test_add_data_func_full(test, g_build_filename(argv[1], name, NULL), play_file, g_free);
    }
    return g_test_run();
}
