/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The synthetic guest: this process takes the place of a guest's driver, so that QEMU's device
 * model, block layer and I/O threads run at full speed where KVM is missing
 * (docs/datapath-bench.md).
 *
 * Exit status: 0 all requests right, 1 faults were found, 2 it could not run.
 */
#include "clock.h"
#include "garbage.h"
#include "report.h"
#include "writelog.h"

#include <stdio.h>

static int
fail(const GError *error)
{
    fprintf(stderr, "synthetic-guest: %s\n", error->message);
    return 2;
}

static int
check_log(const SynOptions *options)
{
    g_autoptr(GError) error = NULL;
    SynReplay replay = {0};
    bool bad;

    if (!syn_writelog_check(options->check_log, options->image, &replay, &error)) {
        return fail(error);
    }
    bad = replay.lost || replay.strange;
    printf("%s: %" G_GUINT64_FORMAT " blocks written, %" G_GUINT64_FORMAT
           " promised by a flush; lost %" G_GUINT64_FORMAT ", strange %" G_GUINT64_FORMAT
           ", torn %" G_GUINT64_FORMAT "\n",
           bad ? "FAULTS" : "right", (guint64)replay.blocks, (guint64)replay.promised,
           (guint64)replay.lost, (guint64)replay.strange, (guint64)replay.torn);
    if (replay.first) {
        printf("%s\n", replay.first);
    }
    g_free(replay.first);
    return bad;
}

/* What a run says by its exit status. */
static int
verdict(const SynRun *run, const SynOptions *options, const SynQemu *qemu, const SynLoad *load)
{
    SynFaults faults = syn_load_faults(load);

    if (run->died) {
        g_autofree char *words = syn_qemu_words(qemu);

        fprintf(stderr, "synthetic-guest: QEMU ended or hangs, status 0x%x: %s\n", qemu->status,
                words);
        return 1;
    }
    if (options->kill) {
        faults.lost = 0; /* as asked for */
    }
    return faults.lost || faults.duplicate || faults.wrong || faults.errors;
}

static int
measure(const SynOptions *options, SynQemu *qemu, SynDevice *device)
{
    g_autoptr(GError) error = NULL;
    SynLoad load = {.options = options};
    SynRun run = {0};
    int status;

    if (!syn_load_init(&load, options, device, &qemu->memory, &error) ||
        !syn_run(&run, options, qemu, &load, &error) ||
        (options->write_log && !syn_writelog_save(&load, options->write_log, &error))) {
        status = fail(error);
    } else {
        syn_report(&run, qemu, &load);
        status = verdict(&run, options, qemu, &load);
    }
    syn_run_clear(&run);
    syn_load_clear(&load);
    return status;
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SynOptions) options = syn_options_parse(&argc, &argv, &error);
    g_autoptr(SynQemu) qemu = NULL;
    SynDevice device;

    if (!options) {
        return fail(error);
    }
    if (options->check_log) {
        return check_log(options);
    }
    syn_clock_init();
    qemu = syn_qemu_start(options, syn_load_memory(options), &error);
    if (!qemu || !syn_device_find(&device, qemu->qtest, &error)) {
        return fail(error);
    }
    return options->garbage ? syn_garbage(options, qemu, &device) : measure(options, qemu, &device);
}
