/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/proc.h"

#include "base/xml.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_MAX      65536
#define TASKS_MAX     65536 /* threads looked at in one process */
#define IOTHREAD_COMM "IO iothread"

static int
open_below(int root_fd, const char *path, int flags)
{
    return openat(root_fd, path + strspn(path, "/"), flags | O_CLOEXEC);
}

char *
vq_proc_read(int root_fd, const char *path, gsize *length)
{
    int fd = open_below(root_fd, path, O_RDONLY | O_NONBLOCK);
    g_autofree char *text = NULL;
    gsize used = 0;
    ssize_t n = 0;

    if (fd < 0)
        return NULL;
    text = g_malloc(READ_MAX + 1);
    while (used < READ_MAX && (n = read(fd, text + used, READ_MAX - used)) > 0)
        used += n;
    close(fd);
    if (n < 0)
        return NULL;
    text[used] = '\0';
    if (length)
        *length = used;
    return g_steal_pointer(&text);
}

/* Whether process @pid was started with "-uuid @uuid". */
static bool
has_uuid(int root_fd, int pid, const char *uuid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", pid);
    gsize length = 0;
    g_autofree char *text = vq_proc_read(root_fd, path, &length);
    bool after_option = false;

    for (const char *arg = text; text && arg < text + length; arg += strlen(arg) + 1) {
        if (after_option && g_ascii_strcasecmp(arg, uuid) == 0)
            return true;
        after_option = g_str_equal(arg, "-uuid");
    }
    return false;
}

static DIR *
open_dir(int root_fd, const char *path)
{
    int fd = open_below(root_fd, path, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

static int
scan_for_uuid(int root_fd, const char *uuid)
{
    DIR *dir = open_dir(root_fd, "/proc");
    struct dirent *entry;
    unsigned pid, found = 0;

    while (dir && !found && (entry = readdir(dir))) {
        if (vq_parse_uint(entry->d_name, G_MAXINT, &pid) && has_uuid(root_fd, pid, uuid))
            found = pid;
    }
    if (dir)
        closedir(dir);
    return found;
}

int
vq_proc_qemu_pid(int root_fd, const char *run_dir, const char *name, const char *uuid)
{
    g_autofree char *path = g_strdup_printf("%s/%s.pid", run_dir, name);
    g_autofree char *text = strchr(name, '/') ? NULL : vq_proc_read(root_fd, path, NULL);
    unsigned pid = 0;

    if (!uuid)
        return 0;
    if (text && vq_parse_uint(g_strstrip(text), G_MAXINT, &pid) && has_uuid(root_fd, pid, uuid))
        return pid;
    return scan_for_uuid(root_fd, uuid);
}

/* "IO iothread7" -> 7 */
static bool
iothread_of(int root_fd, int pid, const char *tid, unsigned *iothread)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task/%s/comm", pid, tid);
    g_autofree char *comm = vq_proc_read(root_fd, path, NULL);

    return comm && g_str_has_prefix(g_strchomp(comm), IOTHREAD_COMM) &&
           vq_parse_uint(comm + strlen(IOTHREAD_COMM), G_MAXUINT, iothread);
}

/* The first number of schedstat is the time on a CPU in nanoseconds (sched-stats.rst). */
static bool
cpu_time(int root_fd, int pid, const char *tid, guint64 *ns)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task/%s/schedstat", pid, tid);
    g_autofree char *text = vq_proc_read(root_fd, path, NULL);

    if (!text || !g_ascii_isdigit(*text))
        return false;
    *ns = g_ascii_strtoull(text, NULL, 10);
    return true;
}

static void
drop_twins(GArray *times)
{
    for (guint i = 0; i < times->len;) {
        unsigned id = g_array_index(times, VqThreadTime, i).iothread;
        guint same = 0;

        for (guint k = 0; k < times->len; k++)
            same += g_array_index(times, VqThreadTime, k).iothread == id;
        if (same == 1) {
            i++;
            continue;
        }
        for (guint k = times->len; k-- > 0;) {
            if (g_array_index(times, VqThreadTime, k).iothread == id)
                g_array_remove_index(times, k);
        }
    }
}

void
vq_proc_thread_times(int root_fd, int pid, GArray *times)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task", pid);
    DIR *dir = open_dir(root_fd, path);
    struct dirent *entry;
    unsigned tid;

    for (unsigned n = 0; dir && n < TASKS_MAX && (entry = readdir(dir)); n++) {
        VqThreadTime time = {0};

        if (!vq_parse_uint(entry->d_name, G_MAXINT, &tid) ||
            !iothread_of(root_fd, pid, entry->d_name, &time.iothread) ||
            !cpu_time(root_fd, pid, entry->d_name, &time.cpu_ns))
            continue;
        time.pid = pid;
        time.tid = (int)tid;
        g_array_append_val(times, time);
    }
    if (dir)
        closedir(dir);
    drop_twins(times);
}

/* /proc/TID is there for every thread, though readdir() does not list it. */
bool
vq_proc_thread_schedule(int root_fd, const VqThreadTime *thread, guint64 *cpu_ns, guint64 *wait_ns)
{
    g_autofree char *tid = g_strdup_printf("%d", thread->tid);
    g_autofree char *path = g_strdup_printf("/proc/%d/schedstat", thread->tid);
    g_autofree char *text = NULL;
    char *end = NULL;
    unsigned iothread = 0;

    if (!iothread_of(root_fd, thread->tid, tid, &iothread) || iothread != thread->iothread)
        return false;
    text = vq_proc_read(root_fd, path, NULL);
    if (!text || !g_ascii_isdigit(*text))
        return false;
    *cpu_ns = g_ascii_strtoull(text, &end, 10);
    *wait_ns = g_ascii_strtoull(end, NULL, 10);
    return true;
}
