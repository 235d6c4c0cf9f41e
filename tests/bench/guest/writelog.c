/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "writelog.h"
#include "base/error.h"
#include "stamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const op_names[] = {"read", "write", "flush"};

static gint
by_number(gconstpointer a, gconstpointer b)
{
    const SynLogRecord *x = a, *y = b;

    return x->submitted < y->submitted ? -1 : x->submitted > y->submitted;
}

bool
syn_writelog_save(const SynLoad *load, const char *path, GError **error)
{
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(SynLogRecord));
    g_autoptr(GString) text = g_string_new(NULL);

    for (int i = 0; i < load->options->queues; i++) {
        GArray *log = load->queues[i].log;

        g_array_append_vals(all, log->data, log->len);
    }
    g_array_sort(all, by_number);
    g_string_printf(text, "write-log 1 %u %" G_GINT64_FORMAT "\n", load->block_size,
                    load->options->seed);
    for (guint i = 0; i < all->len; i++) {
        const SynLogRecord *r = &g_array_index(all, SynLogRecord, i);

        g_string_append_printf(
            text, "%s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %u %u %u\n",
            op_names[r->op], (guint64)r->submitted, (guint64)r->completed, (guint64)r->offset,
            r->generation, r->status, r->queue);
    }
    return g_file_set_contents(path, text->str, (gssize)text->len, error);
}

/* One block's writes: those that a flush covers up to `promised`, all up to `newest`. */
typedef struct {
    guint64 offset;
    guint promised, newest;
} Block;

typedef struct {
    uint32_t block_size;
    uint64_t seed;
    GArray *records; /* of SynLogRecord */
} Log;

static bool
parse_record(const char *line, SynLogRecord *r)
{
    char op[8];
    guint64 submitted, completed, offset;
    unsigned status, queue;

    if (sscanf(line,
               "%7s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %u %u %u", op,
               &submitted, &completed, &offset, &r->generation, &status, &queue) != 7) {
        return false;
    }
    r->op = op[0] == 'w' ? SYN_WRITE : SYN_FLUSH;
    r->submitted = submitted;
    r->completed = completed;
    r->offset = offset;
    r->status = (uint8_t)status;
    r->queue = (uint16_t)queue;
    return true;
}

static bool
load_log(const char *path, Log *log, GError **error)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    gint64 seed;

    if (!g_file_get_contents(path, &text, NULL, error)) {
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    if (!lines[0] ||
        sscanf(lines[0], "write-log 1 %u %" G_GINT64_FORMAT, &log->block_size, &seed) != 2 ||
        log->block_size < 512 || log->block_size > 1 << 20) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s is no write log", path);
        return false;
    }
    log->seed = (uint64_t)seed;
    for (guint i = 1; lines[i]; i++) {
        SynLogRecord record = {0};

        if (parse_record(lines[i], &record)) {
            g_array_append_val(log->records, record);
        } else if (*lines[i]) {
            g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s:%u: not understood", path, i + 1);
            return false;
        }
    }
    return true;
}

/* The number of the last flush submitted that completed well: writes completed before it are
 * promised. */
static uint64_t
last_flush(const Log *log)
{
    uint64_t last = 0;

    for (guint i = 0; i < log->records->len; i++) {
        const SynLogRecord *r = &g_array_index(log->records, SynLogRecord, i);

        if (r->op == SYN_FLUSH && r->completed && r->status == VIRTIO_BLK_S_OK) {
            last = MAX(last, r->submitted);
        }
    }
    return last;
}

static GHashTable *
blocks_of(const Log *log)
{
    GHashTable *blocks = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    uint64_t flush = last_flush(log);

    for (guint i = 0; i < log->records->len; i++) {
        const SynLogRecord *r = &g_array_index(log->records, SynLogRecord, i);
        gint64 key = (gint64)r->offset;
        Block *block;

        if (r->op != SYN_WRITE) {
            continue;
        }
        block = g_hash_table_lookup(blocks, &key);
        if (!block) {
            block = g_new0(Block, 1);
            block->offset = r->offset;
            g_hash_table_insert(blocks, &block->offset, block);
        }
        block->newest = MAX(block->newest, r->generation);
        if (r->completed && r->completed < flush && r->status == VIRTIO_BLK_S_OK) {
            block->promised = MAX(block->promised, r->generation);
        }
    }
    return blocks;
}

static void
fault(SynReplay *replay, uint64_t *counter, const Block *block, const char *what)
{
    (*counter)++;
    if (!replay->first) {
        replay->first = g_strdup_printf("offset %" G_GUINT64_FORMAT ": %s; promised %u, newest %u",
                                        block->offset, what, block->promised, block->newest);
    }
}

/* One step of a block, as stamps cover it. */
static void
check_step(const Log *log, const Block *block, const uint8_t *data, uint32_t at, SynReplay *replay)
{
    uint32_t generation;

    if (!syn_stamp_check(data + at, SYN_STAMP_STEP(log->block_size), block->offset + at, log->seed,
                         &generation)) {
        if (block->newest > block->promised) {
            replay->torn++;
        } else {
            fault(replay, &replay->lost, block, "no stamp of this place");
        }
    } else if (generation < block->promised) {
        fault(replay, &replay->lost, block, "a promised write is not there");
    } else if (generation > block->newest) {
        fault(replay, &replay->strange, block, "newer than what was written");
    }
}

bool
syn_writelog_check(const char *path, const char *image, SynReplay *replay, GError **error)
{
    g_autoptr(GArray) records = g_array_new(FALSE, FALSE, sizeof(SynLogRecord));
    Log log = {.records = records};
    g_autoptr(GHashTable) blocks = NULL;
    g_autofree uint8_t *data = NULL;
    GHashTableIter iter;
    gpointer value;
    int fd;

    if (!load_log(path, &log, error)) {
        return false;
    }
    fd = open(image, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_NOT_FOUND, "%s: %s", image, g_strerror(errno));
        return false;
    }
    blocks = blocks_of(&log);
    data = g_malloc0(log.block_size);
    g_hash_table_iter_init(&iter, blocks);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const Block *block = value;

        replay->blocks++;
        replay->promised += block->promised > 0;
        memset(data, 0, log.block_size);
        if (block->promised == 0) {
            continue;
        }
        if (pread(fd, data, log.block_size, (off_t)block->offset) < 0) {
            fault(replay, &replay->lost, block, g_strerror(errno));
            continue;
        }
        for (uint32_t at = 0; at < log.block_size; at += SYN_STAMP_STEP(log.block_size)) {
            check_step(&log, block, data, at, replay);
        }
    }
    close(fd);
    return true;
}
