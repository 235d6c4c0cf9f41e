/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "options.h"
#include "base/enum.h"
#include "base/error.h"
#include "device.h"
#include "ring.h"

#include <string.h>

static const VqEnumEntry plants[] = {
    {SYN_PLANT_CORRUPT, "corrupt"},
    {SYN_PLANT_DROP, "drop"},
    {SYN_PLANT_DUPLICATE, "duplicate"},
    {0, NULL},
};

static const VqEnumEntry mixes[] = {
    {SYN_READ, "read"},
    {SYN_WRITE, "write"},
    {SYN_FLUSH, "flush"},
    {0, NULL},
};

static void
add_qemu_options(GOptionContext *context, SynOptions *o)
{
    GOptionEntry entries[] = {
        {"qemu", 0, 0, G_OPTION_ARG_FILENAME, &o->qemu, "(default: qemu-system-x86_64)", "PROGRAM"},
        {"accel", 0, 0, G_OPTION_ARG_STRING, &o->accel,
         "qtest or tcg (default: qtest where QEMU has it)", "NAME"},
        {"backend", 0, 0, G_OPTION_ARG_STRING, &o->backend,
         "null, or a file or block device (default: null)", "PATH"},
        {"aio", 0, 0, G_OPTION_ARG_STRING, &o->aio,
         "native, io_uring or threads (default: native, with O_DIRECT)", "ENGINE"},
        {"format", 0, 0, G_OPTION_ARG_STRING, &o->format,
         "a format node above the file, such as raw (default: none)", "DRIVER"},
        {"blockdev", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->blockdevs,
         "instead of --backend, may be repeated; the last has \"node-name\":\"disk\"", "JSON"},
        {"device", 0, 0, G_OPTION_ARG_STRING, &o->device, "more properties of virtio-blk-pci",
         "JSON"},
        {"iothread", 0, 0, G_OPTION_ARG_STRING, &o->iothread, "more properties of each IOThread",
         "JSON"},
        {"iothreads", 0, 0, G_OPTION_ARG_INT, &o->iothreads, "(default: 1)", "N"},
        {"map", 0, 0, G_OPTION_ARG_STRING, &o->map,
         "IOThread of each queue (default: one after the other)", "0,1,..."},
        {"qemu-arg", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->qemu_args,
         "an argument more for QEMU, may be repeated", "ARG"},
        {"attach-qtest", 0, 0, G_OPTION_ARG_FILENAME, &o->qtest_path,
         "start no QEMU; its qtest socket", "SOCKET"},
        {"attach-qmp", 0, 0, G_OPTION_ARG_FILENAME, &o->qmp_path, "its QMP socket", "SOCKET"},
        {"attach-memory", 0, 0, G_OPTION_ARG_FILENAME, &o->memory_path,
         "the file of its memory backend (share=on)", "FILE"},
        {NULL},
    };

    g_option_context_add_main_entries(context, entries, NULL);
}

static void
add_load_options(GOptionContext *context, SynOptions *o)
{
    GOptionEntry entries[] = {
        {"queues", 0, 0, G_OPTION_ARG_INT, &o->queues, "1 to 64 (default: 1)", "N"},
        {"depth", 0, 0, G_OPTION_ARG_INT, &o->depth,
         "requests in flight on each queue (default: 64)", "N"},
        {"block-size", 0, 0, G_OPTION_ARG_STRING, &o->block_size_text, "512 to 1M (default: 4K)",
         "SIZE"},
        {"segments", 0, 0, G_OPTION_ARG_INT, &o->segments,
         "data descriptors of a request (default: 1)", "N"},
        {"no-event-idx", 0, 0, G_OPTION_ARG_NONE, &o->no_event_idx,
         "without VIRTIO_RING_F_EVENT_IDX", NULL},
        {"indirect", 0, 0, G_OPTION_ARG_NONE, &o->indirect, "with VIRTIO_RING_F_INDIRECT_DESC",
         NULL},
        {"packed", 0, 0, G_OPTION_ARG_NONE, &o->packed, "packed rings", NULL},
        {"interrupts", 0, 0, G_OPTION_ARG_NONE, &o->interrupts,
         "look at a ring only after its interrupt (default: poll)", NULL},
        {"mix", 0, 0, G_OPTION_ARG_STRING, &o->mix_text,
         "read, write, flush, or per cent of reads/writes[/flushes] (default: read)", "MIX"},
        {"sequential", 0, 0, G_OPTION_ARG_NONE, &o->sequential, "(default: random)", NULL},
        {"area", 0, 0, G_OPTION_ARG_STRING, &o->area_text,
         "of the disk (default: all; with --verify 16M a queue)", "SIZE"},
        {"ramp", 0, 0, G_OPTION_ARG_DOUBLE, &o->ramp, "load before measuring (default: 0.2)",
         "SECONDS"},
        {"seconds", 0, 0, G_OPTION_ARG_DOUBLE, &o->seconds, "measure so long (default: 2)",
         "SECONDS"},
        {"requests", 0, 0, G_OPTION_ARG_INT64, &o->requests, "end after so many", "N"},
        {"threads", 0, 0, G_OPTION_ARG_INT, &o->threads,
         "that drive the queues (default: 1; 0: one a queue)", "N"},
        {"cpus", 0, 0, G_OPTION_ARG_STRING, &o->cpus_text, "CPUs of these threads, in turn", "SET"},
        {"iothread-cpus", 0, 0, G_OPTION_ARG_STRING, &o->iothread_cpus_text,
         "CPUs of QEMU's IOThreads, in turn", "SET"},
        {"realtime", 0, 0, G_OPTION_ARG_NONE, &o->realtime,
         "load and IOThreads under SCHED_FIFO: for short runs on a machine with other work", NULL},
        {"seed", 0, 0, G_OPTION_ARG_INT64, &o->seed, "(default: 1)", "N"},
        {NULL},
    };

    g_option_context_add_main_entries(context, entries, NULL);
}

static void
add_check_options(GOptionContext *context, SynOptions *o)
{
    GOptionEntry entries[] = {
        {"verify", 0, 0, G_OPTION_ARG_NONE, &o->verify,
         "OVERWRITE the area with stamps, and check all that is read", NULL},
        {"plant", 0, 0, G_OPTION_ARG_STRING, &o->plant_text,
         "a fault: corrupt, drop or duplicate one completion", "FAULT"},
        {"qmp-every", 0, 0, G_OPTION_ARG_DOUBLE, &o->qmp_every, "send --qmp so often", "MS"},
        {"qmp", 0, 0, G_OPTION_ARG_STRING, &o->qmp_command,
         "command; %q: queue, %t: IOThread (ioN), %n: running number", "JSON"},
        {"write-log", 0, 0, G_OPTION_ARG_FILENAME, &o->write_log,
         "order of writes and flushes, for --check-log", "FILE"},
        {"kill", 0, 0, G_OPTION_ARG_NONE, &o->kill,
         "kill QEMU in the middle of the load, when --seconds are over", NULL},
        {"patience", 0, 0, G_OPTION_ARG_DOUBLE, &o->patience,
         "requests not completed so long after the end are lost (default: 10)", "SECONDS"},
        {"check-log", 0, 0, G_OPTION_ARG_FILENAME, &o->check_log,
         "start nothing: check --image against a write log", "FILE"},
        {"image", 0, 0, G_OPTION_ARG_FILENAME, &o->image, "raw image for --check-log", "FILE"},
        {"garbage", 0, 0, G_OPTION_ARG_INT64, &o->garbage_seed,
         "instead of load: malformed rings from this seed on", "SEED"},
        {"rounds", 0, 0, G_OPTION_ARG_INT, &o->rounds, "of --garbage, a seed each (default: 100)",
         "N"},
        {"reset-at-once", 0, 0, G_OPTION_ARG_NONE, &o->reset_at_once,
         "of --garbage: do not wait for IOThreads to come to rest before the reset", NULL},
        {"own-registers", 0, 0, G_OPTION_ARG_NONE, &o->own_registers,
         "of --garbage: let the device read and write its own registers too", NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &o->json, "print JSON", NULL},
        {NULL},
    };

    g_option_context_add_main_entries(context, entries, NULL);
}

bool
syn_parse_size(const char *text, gint64 *value)
{
    static const char units[] = "KMGT";
    char *end = NULL;
    guint64 n = g_ascii_strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;
    unsigned shift = unit ? 10u * (unsigned)(unit - units + 1) : 0;

    if (!g_ascii_isdigit(*text) || (*end && (!unit || end[1])) ||
        n > (guint64)G_MAXINT64 >> shift) {
        return false;
    }
    *value = (gint64)(n << shift);
    return true;
}

static bool G_GNUC_PRINTF(2, 3) refuse(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_clear_error(error);
    if (error) {
        *error = g_error_new_valist(VQ_ERROR, VQ_ERROR_INVALID, format, args);
    }
    va_end(args);
    return false;
}

static bool
check_range(const char *name, int value, int min, int max, GError **error)
{
    return (value >= min && value <= max) ||
           refuse(error, "--%s %d is not in %d..%d", name, value, min, max);
}

static bool
parse_mix(SynOptions *o, GError **error)
{
    int op = 0;
    unsigned sum = 0;
    g_auto(GStrv) parts = NULL;

    if (vq_enum_from_name(mixes, o->mix_text, &op)) {
        o->mix[op] = 100;
        return true;
    }
    parts = g_strsplit(o->mix_text, "/", 4);
    for (guint i = 0; i < g_strv_length(parts); i++) {
        guint64 value;

        if (i > 2 || !g_ascii_string_to_unsigned(parts[i], 10, 0, 100, &value, NULL)) {
            sum = 0;
            break;
        }
        o->mix[i] = (unsigned)value;
        sum += (unsigned)value;
    }
    return sum == 100 || refuse(error,
                                "--mix %s: read, write, flush, or per cent of each that make "
                                "100, such as 70/30 or 60/30/10",
                                o->mix_text);
}

static bool
parse_sizes(SynOptions *o, GError **error)
{
    if (!syn_parse_size(o->block_size_text, &o->block_size) || o->block_size < 512 ||
        o->block_size > 1 << 20 || (o->block_size & (o->block_size - 1))) {
        return refuse(error, "--block-size %s is not a power of two in 512..1M",
                      o->block_size_text);
    }
    if (o->area_text && (!syn_parse_size(o->area_text, &o->area) || o->area < o->block_size)) {
        return refuse(error, "--area %s is not a size of at least a block", o->area_text);
    }
    if (o->block_size / 512 % o->segments) {
        return refuse(error, "--segments %d does not divide a block of %s into whole sectors",
                      o->segments, o->block_size_text);
    }
    return true;
}

static bool
check_numbers(const SynOptions *o, GError **error)
{
    if (!check_range("queues", o->queues, 1, SYN_MAX_QUEUES, error) ||
        !check_range("depth", o->depth, 1, 1024, error) ||
        !check_range("segments", o->segments, 1, SYN_MAX_SEGMENTS, error) ||
        !check_range("iothreads", o->iothreads, 1, SYN_MAX_QUEUES, error) ||
        !check_range("threads", o->threads, 0, o->queues, error) ||
        !check_range("rounds", o->rounds, 1, 10000000, error)) {
        return false;
    }
    if (!(o->ramp >= 0) || !(o->seconds > 0 && o->seconds <= 86400) || !(o->patience > 0)) {
        return refuse(error, "--ramp, --seconds and --patience are seconds, above 0");
    }
    return true;
}

static bool
parse_cpus(const char *name, const char *text, VqCpuset **set, GError **error)
{
    if (!text) {
        return true;
    }
    *set = vq_cpuset_parse(text, error);
    if (!*set || vq_cpuset_empty(*set)) {
        return refuse(error, "--%s %s is no set of CPUs such as 0-3,8", name, text);
    }
    return true;
}

static bool
check_company(SynOptions *o, GError **error)
{
    int plant = 0;
    guint attach = !!o->qtest_path + !!o->qmp_path + !!o->memory_path;

    if (o->plant_text && !vq_enum_from_name(plants, o->plant_text, &plant)) {
        g_autofree char *list = vq_enum_list(plants);

        return refuse(error, "--plant %s is not one of %s", o->plant_text, list);
    }
    o->plant = (SynPlant)plant;
    if (o->plant == SYN_PLANT_CORRUPT && !o->verify) {
        return refuse(error, "--plant corrupt needs --verify: without it data is not looked at");
    }
    if (!o->qmp_command != !(o->qmp_every > 0)) {
        return refuse(error, "--qmp and --qmp-every go together");
    }
    if (attach != 0 && attach != 3) {
        return refuse(error, "--attach-qtest, --attach-qmp and --attach-memory go together");
    }
    if (o->write_log && !o->verify) {
        return refuse(error, "--write-log needs --verify: the stamps are what is logged");
    }
    return !o->check_log == !o->image || refuse(error, "--check-log and --image go together");
}

/* After parsing: GOption does not free what was there before. */
static void
set_default(char **text, const char *value)
{
    if (*text == NULL) {
        *text = g_strdup(value);
    }
}

SynOptions *
syn_options_parse(int *argc, char ***argv, GError **error)
{
    g_autoptr(SynOptions) o = g_new0(SynOptions, 1);
    g_autoptr(GOptionContext) context = g_option_context_new("");

    *o = (SynOptions){
        .queues = 1,
        .depth = 64,
        .segments = 1,
        .iothreads = 1,
        .threads = 1,
        .ramp = 0.2,
        .seconds = 2,
        .seed = 1,
        .rounds = 100,
        .patience = 10,
        .garbage_seed = -1,
    };
    g_option_context_set_summary(context,
                                 "Plays the guest of a virtio-blk device: drives its rings "
                                 "in shared memory, and measures.");
    add_qemu_options(context, o);
    add_load_options(context, o);
    add_check_options(context, o);
    if (!g_option_context_parse(context, argc, argv, error)) {
        return NULL;
    }
    set_default(&o->block_size_text, "4K");
    set_default(&o->mix_text, "read");
    set_default(&o->qemu, "qemu-system-x86_64");
    set_default(&o->backend, "null");
    set_default(&o->aio, "native");
    if (*argc > 1) {
        refuse(error, "unexpected argument '%s'", (*argv)[1]);
        return NULL;
    }
    if (!check_numbers(o, error) || !parse_mix(o, error) || !parse_sizes(o, error) ||
        !parse_cpus("cpus", o->cpus_text, &o->cpus, error) ||
        !parse_cpus("iothread-cpus", o->iothread_cpus_text, &o->iothread_cpus, error) ||
        !check_company(o, error)) {
        return NULL;
    }
    o->garbage = o->garbage_seed >= 0;
    if (o->threads == 0) {
        o->threads = o->queues;
    }
    return g_steal_pointer(&o);
}

void
syn_options_free(SynOptions *o)
{
    char *texts[] = {o->qemu,       o->accel,     o->backend,     o->aio,
                     o->format,     o->device,    o->iothread,    o->map,
                     o->qtest_path, o->qmp_path,  o->memory_path, o->block_size_text,
                     o->mix_text,   o->area_text, o->cpus_text,   o->iothread_cpus_text,
                     o->plant_text, o->write_log, o->qmp_command, o->check_log,
                     o->image};

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_free(texts[i]);
    }
    g_strfreev(o->blockdevs);
    g_strfreev(o->qemu_args);
    g_clear_pointer(&o->cpus, vq_cpuset_free);
    g_clear_pointer(&o->iothread_cpus, vq_cpuset_free);
    g_free(o);
}
