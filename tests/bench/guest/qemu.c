/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Life of the QEMU process. Partner: qemu-args.c, which makes its command line. */
#include "qemu-args.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Of its standard error, at the end. */
#define WORDS_SHOWN 2000

/* In the child: what is inherited stays open, and it dies with us. */
static void
in_child(gpointer data)
{
    dup2(GPOINTER_TO_INT(data), STDERR_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* A firmware of one instruction: a CPU that is let run (stop and cont) halts at once, and leaves
 * the device to us. */
static int
make_firmware(void)
{
    static const uint8_t halt[] = {0xfa, 0xf4, 0xeb, 0xfd}; /* cli; 1: hlt; jmp 1b */
    int fd = memfd_create("firmware", 0);

    if (fd >= 0 && (ftruncate(fd, 65536) != 0 ||
                    pwrite(fd, halt, sizeof(halt), 65536 - 16) != (gssize)sizeof(halt))) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool
spawn(SynQemu *qemu, const SynOptions *options, int qtest_fd, int qmp_fd, GError **error)
{
    int firmware = make_firmware();
    SynQemuFds fds = {.memory = qemu->memory.fd,
                      .memory_bytes = qemu->memory.size,
                      .firmware = firmware,
                      .qtest = qtest_fd,
                      .qmp = qmp_fd};
    g_autoptr(GPtrArray) argv =
        firmware >= 0 ? syn_qemu_args(options, qemu->accel, &fds, error) : NULL;
    bool ok;

    if (firmware < 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_FAILED, "memfd_create: %s", g_strerror(errno));
    }
    ok = argv && g_spawn_async(NULL, (char **)argv->pdata, NULL,
                               G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_SEARCH_PATH |
                                   G_SPAWN_LEAVE_DESCRIPTORS_OPEN,
                               in_child, GINT_TO_POINTER(qemu->words), &qemu->pid, error);
    qemu->ours = ok;
    if (firmware >= 0) {
        close(firmware);
    }
    return ok;
}

static char *
first_line(const char *program, const char *arg, GError **error)
{
    const char *argv[] = {program, arg, arg[1] == 'a' ? "help" : NULL, NULL};
    char *out = NULL;
    int status = 0;

    if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL,
                      NULL, NULL, &out, NULL, &status, error)) {
        return NULL;
    }
    if (!g_spawn_check_wait_status(status, error)) {
        g_prefix_error(error, "%s %s: ", program, arg);
        g_clear_pointer(&out, g_free);
    }
    return out;
}

/* Version and accelerator: qtest starts no CPU thread; Debian's QEMU has only tcg. */
static bool
probe(SynQemu *qemu, const SynOptions *options, GError **error)
{
    g_autofree char *accels = NULL;

    qemu->version = first_line(options->qemu, "--version", error);
    if (!qemu->version) {
        return false;
    }
    *strchrnul(qemu->version, '\n') = 0;
    accels = options->accel ? g_strdup("") : first_line(options->qemu, "-accel", error);
    if (!accels) {
        return false;
    }
    qemu->accel = options->accel ? g_strdup(options->accel)
                                 : g_strdup(strstr(accels, "\nqtest") ? "qtest" : "tcg");
    return true;
}

static bool
launch(SynQemu *qemu, const SynOptions *options, GError **error)
{
    int qtest[2], qmp[2];
    bool ok;

    if (!probe(qemu, options, error)) {
        return false;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, qtest) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, qmp) != 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_FAILED, "socketpair: %s", g_strerror(errno));
        return false;
    }
    /* Our ends are not QEMU's: it would not see us go. */
    fcntl(qtest[0], F_SETFD, FD_CLOEXEC);
    fcntl(qmp[0], F_SETFD, FD_CLOEXEC);
    ok = spawn(qemu, options, qtest[1], qmp[1], error);
    close(qtest[1]);
    close(qmp[1]);
    qemu->qtest = syn_qtest_new(qtest[0]);
    if (!ok) {
        close(qmp[0]);
        return false;
    }
    qemu->qmp = syn_qmp_new(qmp[0], error);
    if (!qemu->qmp) {
        g_autofree char *words = syn_qemu_words(qemu);

        g_prefix_error(error, "%s did not start: %s", options->qemu, words);
        return false;
    }
    return true;
}

static int
connect_to(const char *path, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_UNAVAILABLE, "%s: %s", path, g_strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static bool
attach(SynQemu *qemu, const SynOptions *options, GError **error)
{
    int qtest = connect_to(options->qtest_path, error);
    int qmp = qtest >= 0 ? connect_to(options->qmp_path, error) : -1;
    struct ucred peer = {0};
    socklen_t length = sizeof(peer);

    if (qtest >= 0) {
        qemu->qtest = syn_qtest_new(qtest);
    }
    if (qmp < 0) {
        return false;
    }
    getsockopt(qmp, SOL_SOCKET, SO_PEERCRED, &peer, &length);
    qemu->pid = peer.pid;
    qemu->version = g_strdup("attached");
    qemu->qmp = syn_qmp_new(qmp, error);
    return qemu->qmp != NULL;
}

static void
iothread_free(gpointer data)
{
    SynIothread *thread = data;

    g_free(thread->id);
    g_free(thread);
}

SynQemu *
syn_qemu_start(const SynOptions *options, uint64_t memory_bytes, GError **error)
{
    g_autoptr(SynQemu) qemu = g_new0(SynQemu, 1);

    qemu->memory.fd = -1;
    qemu->words = memfd_create("stderr", MFD_CLOEXEC);
    qemu->iothreads = g_ptr_array_new_with_free_func(iothread_free);
    if (!syn_memory_init(&qemu->memory, options->memory_path, memory_bytes, error)) {
        return NULL;
    }
    if (!(options->qtest_path ? attach(qemu, options, error) : launch(qemu, options, error)) ||
        !syn_qemu_iothreads(qemu, options, error)) {
        return NULL;
    }
    return g_steal_pointer(&qemu);
}

bool
syn_qemu_iothreads(SynQemu *qemu, const SynOptions *options, GError **error)
{
    g_autoptr(JsonNode) answer =
        syn_qmp_execute(qemu->qmp, "{\"execute\":\"query-iothreads\"}", 20000, error);
    JsonArray *list;
    int cpu = -1;

    if (!answer) {
        return false;
    }
    list = json_node_get_array(answer);
    g_ptr_array_set_size(qemu->iothreads, 0);
    for (guint i = 0; i < json_array_get_length(list); i++) {
        JsonObject *object = json_array_get_object_element(list, i);
        SynIothread *thread = g_new0(SynIothread, 1);

        thread->id = g_strdup(json_object_get_string_member(object, "id"));
        thread->tid = (pid_t)json_object_get_int_member(object, "thread-id");
        g_ptr_array_add(qemu->iothreads, thread);
        if (options->iothread_cpus) {
            cpu_set_t set;

            cpu = vq_cpuset_next(options->iothread_cpus, (unsigned)(cpu + 1));
            cpu = cpu < 0 ? vq_cpuset_next(options->iothread_cpus, 0) : cpu;
            CPU_ZERO(&set);
            CPU_SET(cpu, &set);
            if (sched_setaffinity(thread->tid, sizeof(set), &set) != 0) {
                g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "--iothread-cpus: CPU %d: %s", cpu,
                            g_strerror(errno));
                return false;
            }
        }
    }
    return true;
}

static bool
set_fifo(pid_t tid, int priority, GError **error)
{
    struct sched_param param = {.sched_priority = priority};

    if (sched_setscheduler(tid, SCHED_FIFO, &param) != 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_DENIED, "--realtime: %s", g_strerror(errno));
        return false;
    }
    return true;
}

bool
syn_qemu_realtime(const SynQemu *qemu, GError **error)
{
    bool ok = set_fifo(0, 3, error) && set_fifo(qemu->pid, 2, error);

    for (guint i = 0; ok && i < qemu->iothreads->len; i++) {
        const SynIothread *thread = g_ptr_array_index(qemu->iothreads, i);

        ok = set_fifo(thread->tid, 1, error);
    }
    return ok;
}

bool
syn_qemu_alive(SynQemu *qemu)
{
    if (qemu->ended) {
        return false;
    }
    qemu->ended = qemu->ours ? waitpid(qemu->pid, &qemu->status, WNOHANG) == qemu->pid
                             : kill(qemu->pid, 0) != 0;
    return !qemu->ended;
}

void
syn_qemu_kill(SynQemu *qemu)
{
    if (qemu->ours && !qemu->ended) {
        kill(qemu->pid, SIGKILL);
        waitpid(qemu->pid, &qemu->status, 0);
        qemu->ended = true;
    }
}

void
syn_qemu_free(SynQemu *qemu)
{
    if (!qemu) {
        return;
    }
    syn_qemu_kill(qemu);
    g_clear_pointer(&qemu->qtest, syn_qtest_free);
    g_clear_pointer(&qemu->qmp, syn_qmp_free);
    syn_memory_clear(&qemu->memory);
    close(qemu->words);
    g_ptr_array_unref(qemu->iothreads);
    g_free(qemu->version);
    g_free(qemu->accel);
    g_free(qemu);
}

char *
syn_qemu_words(const SynQemu *qemu)
{
    off_t size = lseek(qemu->words, 0, SEEK_END);
    char *text = g_new0(char, WORDS_SHOWN + 1);

    if (pread(qemu->words, text, WORDS_SHOWN, MAX(0, size - WORDS_SHOWN)) < 0) {
        *text = 0;
    }
    return text;
}

SynTimes
syn_qemu_thread_times(const SynQemu *qemu, pid_t tid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/schedstat", qemu->pid, tid);
    g_autofree char *text = NULL;
    SynTimes times = {0};

    if (g_file_get_contents(path, &text, NULL, NULL)) {
        char *end = text;

        times.cpu = g_ascii_strtoull(text, &end, 10);
        times.wait = g_ascii_strtoull(end, NULL, 10);
    }
    return times;
}

bool
syn_qemu_thread_sleeps(const SynQemu *qemu, pid_t tid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/stat", qemu->pid, tid);
    g_autofree char *text = NULL;
    const char *name_end;

    g_file_get_contents(path, &text, NULL, NULL);
    name_end = text ? strrchr(text, ')') : NULL;
    return name_end && strncmp(name_end, ") S", 3) == 0;
}

uint64_t
syn_qemu_process_cpu(const SynQemu *qemu)
{
    struct timespec cpu;
    clockid_t clock;

    if (clock_getcpuclockid(qemu->pid, &clock) != 0 || clock_gettime(clock, &cpu) != 0) {
        return 0;
    }
    return (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
}
