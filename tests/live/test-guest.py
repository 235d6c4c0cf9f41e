#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest of tools/make-guest under plain QEMU: every CPU works, on a queue of its own."""

import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import bed  # noqa: E402
import tap  # noqa: E402

QUEUES = 4


def boot(guest, cmdline, disk_bytes=64 << 20):
    """Boots it on a disk with an IOThread per queue till it switches off: its lines."""
    kernel, initrd = guest
    mapping = ",".join(f'{{"iothread":"t{i}","vqs":[{i}]}}' for i in range(QUEUES))
    with tempfile.NamedTemporaryFile() as disk:
        disk.truncate(disk_bytes)
        command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-machine", "q35",
                   "-smp", str(QUEUES), "-m", "160", "-nodefaults", "-display", "none", "-no-reboot",
                   "-serial", "stdio", "-kernel", kernel, "-initrd", initrd,
                   "-append", f"console=ttyS0 quiet panic=-1 {cmdline}",
                   "-drive", f"if=none,id=d,format=raw,file={disk.name}"]
        for i in range(QUEUES):
            command += ["-object", f"iothread,id=t{i}"]
        command += ["-device", '{"driver":"virtio-blk-pci","drive":"d","num-queues":%d,'
                               '"iothread-vq-mapping":[%s]}' % (QUEUES, mapping)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=90)
        if done.returncode:
            raise AssertionError(f"QEMU failed: {done.stderr}")
        return done.stdout


def counts(output, what, unit):
    """The last count of each: {0: 96, 1: 80, ...} of lines "guest: WHAT 0: 96 UNIT"."""
    found = re.findall(rf"^guest: {what} (\d+): (\d+) {unit}\s*$", output, re.MULTILINE)
    return {int(number): int(count) for number, count in found}


def expect_own_queues(output):
    """With one request at a time each has its interrupt, and no queue has another CPU's."""
    requests = counts(output, "cpu", "reads")
    interrupts = counts(output, "vda: queue", "interrupts")
    tap.equal(sorted(requests), list(range(QUEUES)), "CPUs")
    tap.equal(sorted(interrupts), list(range(QUEUES)), "queues")
    for i in range(QUEUES):
        if not 0 < requests[i] <= interrupts[i]:
            raise AssertionError(f"cpu {i}: reads {requests}, interrupts {interrupts}")


@tap.test
def every_cpu_loads_its_own_queue(guest):
    output = boot(guest, "virtq.seconds=4 virtq.pause_ms=200")
    tap.contains(output, f"guest: vda: {QUEUES} hardware queues")
    tap.contains(output, "guest: done")
    tap.lacks(output, "failed")
    expect_own_queues(output)


@tap.test
def no_pause_reads_more(guest):
    paused = sum(counts(boot(guest, "virtq.seconds=4 virtq.pause_ms=500"), "cpu", "reads").values())
    busy = sum(counts(boot(guest, "virtq.seconds=4"), "cpu", "reads").values())
    tap.diag(f"reads in 4 s: with pauses {paused}, without {busy}")
    if busy < 2 * paused:
        raise AssertionError(f"without pauses {busy} reads, with pauses {paused}")


@tap.test
def a_tiny_disk_counts_what_was_read(guest):
    output = boot(guest, "virtq.seconds=3 virtq.pause_ms=200", disk_bytes=3 * 4096)
    tap.lacks(output, "failed")
    expect_own_queues(output)


class Guest:
    def __enter__(self):
        return bed.guest()

    def __exit__(self, *exc):
        return False


tap.main(Guest)
