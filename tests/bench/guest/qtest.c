/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qtest.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A main loop that does not answer for so long hangs. */
#define ANSWER_SECONDS 30

struct _SynQtest {
    int fd;
    GMutex lock;
    bool broken;
    unsigned unanswered; /* kicks whose "OK" was not read yet */
    char buffer[4096];
    gsize have;
};

SynQtest *
syn_qtest_new(int fd)
{
    SynQtest *qtest = g_new0(SynQtest, 1);
    struct timeval limit = {.tv_sec = ANSWER_SECONDS};

    qtest->fd = fd;
    g_mutex_init(&qtest->lock);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    return qtest;
}

void
syn_qtest_free(SynQtest *qtest)
{
    if (qtest) {
        close(qtest->fd);
        g_mutex_clear(&qtest->lock);
        g_free(qtest);
    }
}

bool
syn_qtest_broken(SynQtest *qtest)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&qtest->lock);

    return qtest->broken;
}

static void
send_all(SynQtest *qtest, const char *text, gsize length)
{
    while (length > 0 && !qtest->broken) {
        gssize n = send(qtest->fd, text, length, MSG_NOSIGNAL);

        if (n > 0) {
            text += n;
            length -= (gsize)n;
        } else if (errno != EINTR) {
            qtest->broken = true;
        }
    }
}

/* Appends what has come; waits for something unless @flags says MSG_DONTWAIT. */
static void
receive(SynQtest *qtest, int flags)
{
    gssize n =
        recv(qtest->fd, qtest->buffer + qtest->have, sizeof(qtest->buffer) - qtest->have, flags);

    if (n > 0) {
        qtest->have += (gsize)n;
    } else if (n == 0 || (errno != EINTR && !((flags & MSG_DONTWAIT) && errno == EAGAIN))) {
        qtest->broken = true;
    }
}

/* Takes the first line out of the buffer; NULL if there is no whole line. */
static char *
take_line(SynQtest *qtest)
{
    char *end = memchr(qtest->buffer, '\n', qtest->have);
    char *line;

    if (!end) {
        return NULL;
    }
    line = g_strndup(qtest->buffer, (gsize)(end - qtest->buffer));
    qtest->have -= (gsize)(end + 1 - qtest->buffer);
    memmove(qtest->buffer, end + 1, qtest->have);
    return line;
}

/* The answers of kicks that have come by now. */
static void
drop_answers(SynQtest *qtest)
{
    receive(qtest, MSG_DONTWAIT);
    for (;;) {
        g_autofree char *line = qtest->unanswered ? take_line(qtest) : NULL;

        if (!line) {
            return;
        }
        qtest->unanswered--;
    }
}

/* Sends a line and returns the value of its answer "OK VALUE". */
static uint64_t G_GNUC_PRINTF(2, 3) transact(SynQtest *qtest, const char *format, ...)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&qtest->lock);
    g_autofree char *line = NULL;
    va_list args;

    va_start(args, format);
    line = g_strdup_vprintf(format, args);
    va_end(args);
    send_all(qtest, line, strlen(line));
    while (!qtest->broken) {
        g_autofree char *answer = take_line(qtest);

        if (!answer) {
            receive(qtest, 0);
        } else if (qtest->unanswered > 0) {
            qtest->unanswered--;
        } else if (g_str_has_prefix(answer, "OK")) {
            return answer[2] ? g_ascii_strtoull(answer + 3, NULL, 0) : 0;
        } else {
            qtest->broken = true;
        }
    }
    return UINT64_MAX;
}

static char
letter(unsigned bits)
{
    return bits == 8 ? 'b' : bits == 16 ? 'w' : bits == 32 ? 'l' : 'q';
}

void
syn_qtest_out(SynQtest *qtest, unsigned bits, uint16_t port, uint32_t value)
{
    transact(qtest, "out%c 0x%x 0x%x\n", letter(bits), port, value);
}

uint32_t
syn_qtest_in(SynQtest *qtest, unsigned bits, uint16_t port)
{
    return (uint32_t)transact(qtest, "in%c 0x%x\n", letter(bits), port);
}

void
syn_qtest_write(SynQtest *qtest, unsigned bits, uint64_t address, uint64_t value)
{
    transact(qtest, "write%c 0x%" G_GINT64_MODIFIER "x 0x%" G_GINT64_MODIFIER "x\n", letter(bits),
             address, value);
}

uint64_t
syn_qtest_read(SynQtest *qtest, unsigned bits, uint64_t address)
{
    return transact(qtest, "read%c 0x%" G_GINT64_MODIFIER "x\n", letter(bits), address);
}

void
syn_qtest_kick(SynQtest *qtest, uint64_t address, uint16_t value)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&qtest->lock);
    char line[64];
    int length =
        g_snprintf(line, sizeof(line), "writew 0x%" G_GINT64_MODIFIER "x 0x%x\n", address, value);

    send_all(qtest, line, (gsize)length);
    qtest->unanswered++;
    drop_answers(qtest);
}
