/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "driver/sentinel.h"

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[512];     /* empty: not in use */
static volatile int armed; /* by this process */
static pid_t owner;        /* a forked child must not disarm when it exits */

static void
choose_path(char *dir, size_t size)
{
    const char *user_dir = getenv("XDG_RUNTIME_DIR");

    if (geteuid() == 0)
        snprintf(dir, size, "%s", VQ_DRIVER_RUNDIR);
    else if (user_dir && user_dir[0] == '/')
        snprintf(dir, size, "%s/virtqueued-driver", user_dir);
    else
        dir[0] = '\0';
}

static void *
disarm_later(void *unused)
{
    sleep(VQ_SENTINEL_SECONDS);
    vq_sentinel_disarm();
    return NULL;
}

/* All signals blocked: the libvirt daemon's handlers are for its own threads. */
static void
start_timer(void)
{
    pthread_t thread;
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, disarm_later, NULL) == 0)
        pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool
vq_sentinel_arm(char *reason, size_t size)
{
    char dir[400];
    int fd;

    if (strcmp(program_invocation_short_name, "libvirtd") != 0 &&
        strcmp(program_invocation_short_name, "virtqemud") != 0)
        return true;
    choose_path(dir, sizeof dir);
    if (dir[0] == '\0')
        return true;
    mkdir(dir, 0755);
    snprintf(path, sizeof path, "%s/arming", dir);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0 && errno == EEXIST) {
        snprintf(reason, size,
                 "the last start did not stay up for %d seconds; remove %s and restart to try "
                 "again",
                 VQ_SENTINEL_SECONDS, path);
        return false;
    }
    if (fd < 0) {
        snprintf(reason, size, "cannot create %s: %s", path, strerror(errno));
        return false;
    }
    dprintf(fd, "%ld\n", (long)getpid());
    close(fd);
    owner = getpid();
    armed = 1;
    start_timer();
    return true;
}

void
vq_sentinel_disarm(void)
{
    if (__sync_bool_compare_and_swap(&armed, 1, 0) && owner == getpid())
        unlink(path);
}

/* Also runs at exit() of a daemon that was told to stop, not when it crashes. */
__attribute__((destructor)) static void
disarm_at_exit(void)
{
    vq_sentinel_disarm();
}
