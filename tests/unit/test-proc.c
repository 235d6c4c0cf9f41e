/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/host/proc.c on a /proc made for the purpose. */
#include "host/cpu-watch.h"
#include "host/proc.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>

#define UUID  "6f1e1a10-0000-4000-8000-00000000000a"
#define OTHER "6f1e1a10-0000-4000-8000-00000000000b"

typedef struct {
    char *root;
    int fd;
} Tree;

static void
put(const Tree *tree, const char *path, const char *text, gssize length)
{
    g_autofree char *full = g_build_filename(tree->root, path, NULL);
    g_autofree char *dir = g_path_get_dirname(full);

    g_assert_cmpint(g_mkdir_with_parents(dir, 0700), ==, 0);
    g_assert_true(g_file_set_contents(full, text, length, NULL));
}

static void
put_process(const Tree *tree, int pid, const char *uuid)
{
    g_autofree char *path = g_strdup_printf("proc/%d/cmdline", pid);
    g_autoptr(GString) line = g_string_new("/usr/bin/qemu-system-x86_64");

    g_string_append_len(line, "\0-name\0-uuid\0-uuid\0", 19);
    g_string_append(line, uuid);
    g_string_append_len(line, "\0-m\0", 4);
    g_string_append_c(line, '1');
    put(tree, path, line->str, line->len);
}

static void
put_thread(const Tree *tree, int tid, const char *comm, const char *schedstat)
{
    g_autofree char *name = g_strdup_printf("proc/70/task/%d/comm", tid);
    g_autofree char *stat = g_strdup_printf("proc/70/task/%d/schedstat", tid);

    put(tree, name, comm, -1);
    if (schedstat)
        put(tree, stat, schedstat, -1);
}

static void
set_up(Tree *tree, gconstpointer data)
{
    tree->root = g_dir_make_tmp("vq-proc-XXXXXX", NULL);
    g_assert_nonnull(tree->root);
    put(tree, "proc/stat", "cpu 0\n", -1);
    put_process(tree, 70, UUID);
    put_process(tree, 71, OTHER);
    tree->fd = open(tree->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_assert_cmpint(tree->fd, >=, 0);
}

static void
tear_down(Tree *tree, gconstpointer data)
{
    const char *argv[] = {"rm", "-rf", tree->root, NULL};

    close(tree->fd);
    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
                               NULL, NULL, NULL));
    g_free(tree->root);
}

static void
test_pid_file(Tree *tree, gconstpointer data)
{
    put(tree, "run/vm.pid", "70\n", -1);
    g_assert_cmpint(vq_proc_qemu_pid(tree->fd, "/run", "vm", UUID), ==, 70);

    /* a stale file names a process that is somebody else by now */
    put(tree, "run/vm.pid", "71", -1);
    g_assert_cmpint(vq_proc_qemu_pid(tree->fd, "/run", "vm", UUID), ==, 70);
    put(tree, "run/vm.pid", "-3 nonsense", -1);
    g_assert_cmpint(vq_proc_qemu_pid(tree->fd, "/run", "vm", UUID), ==, 70);
}

static void
test_pid_search(Tree *tree, gconstpointer data)
{
    g_autofree char *upper = g_ascii_strup(OTHER, -1);

    g_assert_cmpint(vq_proc_qemu_pid(tree->fd, "/run", "no-file", upper), ==, 71);
    g_assert_cmpint(vq_proc_qemu_pid(tree->fd, "/run", "../vm", OTHER), ==, 71);
    g_assert_cmpint(vq_proc_qemu_pid(tree->fd, "/run", "vm", NULL), ==, 0);
    g_assert_cmpint(
        vq_proc_qemu_pid(tree->fd, "/run", "vm", "6f1e1a10-0000-4000-8000-00000000000c"), ==, 0);
}

static void
test_thread_times(Tree *tree, gconstpointer data)
{
    g_autoptr(GArray) times = g_array_new(FALSE, TRUE, sizeof(VqThreadTime));

    put_thread(tree, 70, "qemu-system-x86\n", "999 1 1\n");
    put_thread(tree, 81, "IO iothread1\n", "1234567890123 5 6\n");
    put_thread(tree, 82, "IO iothread25\n", "7 0 0\n");
    put_thread(tree, 83, "IO mon_iothread\n", "8 0 0\n");
    put_thread(tree, 84, "IO iothread3\n", "not a number\n");
    put_thread(tree, 85, "IO iothread4\n", NULL);
    put_thread(tree, 86, "IO iothreadX\n", "9 0 0\n");
    /* two whose numbers the kernel cut to the same 15 characters: whose is whose is not known */
    put_thread(tree, 87, "IO iothread1234\n", "10 0 0\n");
    put_thread(tree, 88, "IO iothread1234\n", "11 0 0\n");
    vq_proc_thread_times(tree->fd, 70, times);
    g_assert_cmpuint(times->len, ==, 2);
    for (guint i = 0; i < times->len; i++) {
        const VqThreadTime *time = &g_array_index(times, VqThreadTime, i);
        bool first = time->iothread == 1;

        g_assert_cmpuint(time->iothread, ==, first ? 1 : 25);
        g_assert_cmpint(time->tid, ==, first ? 81 : 82);
        g_assert_cmpuint(time->cpu_ns, ==, first ? G_GUINT64_CONSTANT(1234567890123) : 7);
    }
    vq_proc_thread_times(tree->fd, 4711, times);
    g_assert_cmpuint(times->len, ==, 2);
}

/* Every thread has its place in /proc, and another one may have its number by now. */
static void
test_thread_schedule(Tree *tree, gconstpointer data)
{
    const VqThreadTime thread = {.iothread = 3, .tid = 91}, other = {.iothread = 4, .tid = 91},
                       gone = {.iothread = 3, .tid = 92};
    guint64 cpu_ns = 0, wait_ns = 0;

    put(tree, "proc/91/task/91/comm", "IO iothread3\n", -1);
    put(tree, "proc/91/schedstat", "1234567890123 456 7\n", -1);
    g_assert_true(vq_proc_thread_schedule(tree->fd, &thread, &cpu_ns, &wait_ns));
    g_assert_cmpuint(cpu_ns, ==, G_GUINT64_CONSTANT(1234567890123));
    g_assert_cmpuint(wait_ns, ==, 456);
    g_assert_false(vq_proc_thread_schedule(tree->fd, &other, &cpu_ns, &wait_ns));
    g_assert_false(vq_proc_thread_schedule(tree->fd, &gone, &cpu_ns, &wait_ns));
    put(tree, "proc/91/schedstat", "\n", -1);
    g_assert_false(vq_proc_thread_schedule(tree->fd, &thread, &cpu_ns, &wait_ns));
}

static void
test_read_is_bounded(Tree *tree, gconstpointer data)
{
    g_autofree char *large = g_strnfill(100000, 'x');
    gsize length = 0;

    put(tree, "large", large, -1);

    g_autofree char *text = vq_proc_read(tree->fd, "/large", &length);

    g_assert_cmpuint(length, ==, 65536);
    g_assert_null(vq_proc_read(tree->fd, "/nothing", &length));
    g_assert_null(vq_proc_read(tree->fd, "/proc", &length));
}

#define CONCERNS(text) vq_cpu_watch_concerns(text, sizeof(text))

static void
test_cpu_watch(void)
{
    g_assert_true(CONCERNS("offline@/devices/system/cpu/cpu3\0ACTION=offline\0SUBSYSTEM=cpu"));
    g_assert_true(CONCERNS("online@/devices/system/cpu/cpu3\0SUBSYSTEM=cpu\0SEQNUM=1"));
    g_assert_false(CONCERNS("add@/devices/cpu\0SUBSYSTEM=cpufreq"));
    g_assert_false(CONCERNS("add@/devices/x\0DRIVER=SUBSYSTEM=cpu"));
    g_assert_false(vq_cpu_watch_concerns("x\0SUBSYSTEM=cpu", 15)); /* cut off */
    g_assert_false(vq_cpu_watch_concerns("", 0));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/proc/pid-file", Tree, NULL, set_up, test_pid_file, tear_down);
    g_test_add("/proc/pid-search", Tree, NULL, set_up, test_pid_search, tear_down);
    g_test_add("/proc/thread-times", Tree, NULL, set_up, test_thread_times, tear_down);
    g_test_add("/proc/thread-schedule", Tree, NULL, set_up, test_thread_schedule, tear_down);
    g_test_add("/proc/read-is-bounded", Tree, NULL, set_up, test_read_is_bounded, tear_down);
    g_test_add_func("/proc/cpu-watch", test_cpu_watch);
    return g_test_run();
}
