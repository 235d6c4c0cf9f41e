#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtio-blk's direct path: what it must not change, and when it must step aside.

Moves, drains, errors and the like under load are tests of test-move.py, to be run with
VQ_QEMU_DEVICE='{"direct-path": true}'.
"""

import os
import random
import shutil
import subprocess
import time

import machine
import tap
import vring

# The blocks of tmpfs are that large; with smaller ones of the guest the path steps aside.
DIRECT = {"direct-path": True, "logical_block_size": 4096, "physical_block_size": 4096}
BACKEND = "/machine/peripheral/vda/virtio-backend"
COUNTER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
int fdatasync(int fd)
{
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    int log = open(getenv("VQ_FDATASYNC"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (write(log, "x", 1) != 1)
        abort();
    close(log);
    return real(fd);
}
"""


class NoFlushes(random.Random):
    def random(self):
        return super().random() * 0.99


def node_of(path, **more):
    """Open for direct I/O: so there is an engine for the path whatever the file system."""
    return {"driver": "file", "filename": path, "cache": {"direct": True}, **more}


def disk(bench):
    return node_of(bench.image(), **{"node-name": "disk"})


def run(qemu, requests, queue=0):
    """Each (block, write) or (None, flush) by itself; what was wrong with them."""
    q = qemu.queues[queue]
    before = len(q.problems)
    for block, write in requests:
        if block is None:
            q.submit(0, kind=4)
        else:
            q.submit(block, write)
        q.kick()
        deadline = time.monotonic() + 20
        while q.outstanding:
            q.reap()
            assert time.monotonic() < deadline, f"block {block} does not come back"
    return q.problems[before:]


def direct(qemu):
    return sum(info["direct"] for info in qemu.info())


def reason(qemu):
    return qemu.info()[0]["direct-path"]


def expect_aside(qemu, why):
    """The requests are served, but not by the direct path, which says why."""
    before = direct(qemu)
    tap.equal(run(qemu, [(3, False), (4, True), (4, False)]), [])
    tap.equal(direct(qemu), before, "requests of the direct path")
    tap.contains(reason(qemu), why)


@tap.test
def nearly_all_goes_the_direct_way(bench):
    with bench.machine(blockdev=disk(bench), device=DIRECT) as qemu:
        load = vring.Load(qemu, machine.BLOCKS)
        load.start()
        time.sleep(2)
        machine.expect_sound(qemu, load.finish())
        done = sum(info["completed"] - info["flushes"] for info in qemu.info())
        tap.diag(f"{direct(qemu)} of {done} reads and writes; {reason(qemu)}")
        assert direct(qemu) > 0.95 * done, f"{direct(qemu)} of {done}: {reason(qemu)}"
        stats = qemu.qmp("query-blockstats")[0]["stats"]
        for key, kind in (("rd_operations", "reads"), ("wr_operations", "writes")):
            tap.equal(stats[key], sum(info[kind] for info in qemu.info()), key)
        tap.equal(stats["rd_bytes"], vring.BLOCK * stats["rd_operations"], "bytes read")
        tap.equal(stats["failed_rd_operations"], 0, "failed reads")
        assert stats["rd_total_time_ns"] > 0, stats


@tap.test
def it_is_off_unless_asked_for(bench):
    with bench.machine() as qemu:
        expect_aside(qemu, "off")


@tap.test
def it_needs_an_iothread(bench):
    with bench.machine(blockdev=disk(bench), mapping=False, device=DIRECT) as qemu:
        expect_aside(qemu, "IOThread")


@tap.test
def it_steps_aside_for_filters_formats_limits_and_other_users(bench):
    image = bench.image()
    file = node_of(image)
    filters = [
        ({"driver": "copy-on-read", "node-name": "disk", "file": file}, "block driver"),
        ({"driver": "blkdebug", "node-name": "disk", "image": file}, "block driver"),
        ({"driver": "null-co", "node-name": "disk", "size": 1 << 30, "read-zeroes": False,
          "latency-ns": 1000}, "does not serve"),
    ]
    for node, why in filters:
        with bench.machine(blockdev=node, device=DIRECT) as qemu:
            before = direct(qemu)
            run(qemu, [(3, False)])
            tap.equal(direct(qemu), before, f"{node['driver']}: requests of the direct path")
            tap.contains(reason(qemu), why)
    with bench.machine(blockdev=disk(bench), device=DIRECT) as qemu:
        run(qemu, [(3, False)])
        tap.equal(direct(qemu), 1, "requests of the direct path")
        qemu.qmp("blockdev-add", {"driver": "raw", "node-name": "above", "file": "disk"})
        expect_aside(qemu, "other users")
        qemu.qmp("blockdev-del", {"node-name": "above"})
        run(qemu, [(3, False)])
        tap.equal(direct(qemu), 2, "requests of the direct path")
        limits = dict.fromkeys(("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"), 0)
        qemu.qmp("block_set_io_throttle", {**limits, "id": BACKEND, "iops": 5000})
        expect_aside(qemu, "I/O limits")
        qemu.qmp("block_set_io_throttle", {**limits, "id": BACKEND})
        qemu.qmp("block-latency-histogram-set", {"id": BACKEND, "boundaries": [1000, 100000]})
        expect_aside(qemu, "histograms")


@tap.test
def a_raw_image_in_the_middle_of_a_file_is_served(bench):
    path = os.path.join(bench.directory, "offset")
    with open(path, "wb") as f, open(bench.image(), "rb") as image:
        f.write(bytes(1 << 20))
        shutil.copyfileobj(image, f)
        f.write(b"\xee" * 8192)
    node = {"driver": "raw", "node-name": "disk", "offset": 1 << 20,
            "size": machine.BLOCKS * vring.BLOCK, "file": node_of(path)}
    with bench.machine(blockdev=node, device=DIRECT) as qemu:
        last = machine.BLOCKS - 1
        tap.equal(run(qemu, [(0, False), (last, False), (0, True), (last, True), (last, False)]), [])
        tap.equal(direct(qemu), 5, "requests of the direct path")
        q = qemu.queues[0]
        run(qemu, [(last + 1, False)])
        tap.equal(q.errors, 1, "reads beyond the end that failed")
        tap.equal(qemu.qmp("query-blockstats")[0]["stats"]["wr_highest_offset"],
                  machine.BLOCKS * vring.BLOCK, "highest offset written")
    with open(path, "rb") as f:
        f.seek((1 << 20) + machine.BLOCKS * vring.BLOCK)
        tap.equal(f.read(), b"\xee" * 8192, "what is behind the image")


@tap.test
def short_reads_and_errors_are_left_to_the_block_layer(bench):
    image = bench.image()
    node = node_of(image, **{"node-name": "disk"})
    with bench.machine(blockdev=node, device={**DIRECT, "werror": "report"}) as qemu:
        tap.equal(run(qemu, [(5, False)]), [])
        os.truncate(image, 100 * vring.BLOCK)
        # Beyond the end of the file there are zeroes, as ever.
        problems = run(qemu, [(200, False)])
        tap.equal(len(problems), 1, "reads that brought something else")
        tap.contains(problems[0], "block 200 read as 0x0")
        tap.equal(qemu.queues[0].errors, 0, "errors")
        tap.equal(direct(qemu), 1, "requests of the direct path")
        tap.equal(run(qemu, [(200, True), (200, False)]), [])
        tap.equal(direct(qemu), 3, "requests of the direct path")


@tap.test
def a_write_through_cache_gets_no_direct_writes(bench):
    node = disk(bench)
    with bench.machine(blockdev=node, device=DIRECT,
                       features=vring.EVENT_IDX) as qemu:
        tap.equal(run(qemu, [(1, True), (1, False), (2, True), (2, False)]), [])
        tap.equal(direct(qemu), 2, "requests of the direct path")


@tap.test
def dirty_bitmaps_know_of_direct_writes(bench):
    with bench.machine(blockdev=disk(bench), device=DIRECT) as qemu:
        run(qemu, [(9, True)])
        qemu.qmp("block-dirty-bitmap-add", {"node": "disk", "name": "b", "granularity": 4096})
        blocks = range(0, 600, 7)
        tap.equal(run(qemu, [(block, True) for block in blocks]), [])
        tap.equal(direct(qemu), 1 + len(blocks), "requests of the direct path")
        bitmap, = qemu.qmp("query-block")[0]["inserted"]["dirty-bitmaps"]
        tap.equal(bitmap["count"], len(blocks) * vring.BLOCK, "bytes that are dirty")


@tap.test
def a_flush_after_a_direct_write_reaches_the_disk(bench):
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not compiler:
        raise tap.Skip("no C compiler to count fdatasync() with")
    shim, log = (os.path.join(bench.directory, name) for name in ("count.so", "count"))
    subprocess.run([compiler, "-shared", "-fPIC", "-o", shim, "-x", "c", "-", "-ldl"],
                   input=COUNTER, text=True, check=True)
    with bench.machine(blockdev=disk(bench), device=DIRECT, env={"LD_PRELOAD": shim, "VQ_FDATASYNC": log}) as qemu:
        def flushes(requests):
            before = os.path.getsize(log) if os.path.exists(log) else 0
            tap.equal(run(qemu, requests), [])
            return (os.path.getsize(log) if os.path.exists(log) else 0) - before

        tap.equal(flushes([(1, True), (None, True)]), 1, "fdatasync() after a write")
        tap.equal(flushes([(None, True)]), 0, "fdatasync() without a write")
        tap.equal(flushes([(1, False), (None, True)]), 0, "fdatasync() after a read")
        tap.equal(flushes([(2, True), (3, True), (None, True)]), 1, "fdatasync() after two")
        tap.equal(direct(qemu), 4, "requests of the direct path")


@tap.test
def what_direct_reads_write_to_memory_migrates(bench):
    stream = os.path.join(bench.directory, "stream")
    other = os.path.join(bench.directory, "other")
    os.mkdir(other)
    node = disk(bench)
    with bench.machine(blockdev=node, device=DIRECT) as qemu:
        load = vring.Load(qemu, machine.BLOCKS, writes=0)
        load.random = NoFlushes(1)  # only they leave in memory what the test has put there
        load.start()
        qemu.qmp("migrate-set-parameters", {"max-bandwidth": 1 << 20, "downtime-limit": 1})
        qemu.qmp("migrate", {"uri": f"file:{stream}"})
        while qemu.qmp("query-migrate").get("ram", {}).get("dirty-sync-count", 0) < 4:
            time.sleep(0.02)
        tap.equal(load.finish(), [], "problems")
        tap.equal(qemu.qmp("query-migrate")["status"], "active", "migration under load")
        qemu.qmp("migrate-set-parameters", {"max-bandwidth": 4 << 30, "downtime-limit": 300})
        deadline = time.monotonic() + 60
        while qemu.qmp("query-migrate")["status"] != "completed":
            assert time.monotonic() < deadline, qemu.qmp("query-migrate")
            time.sleep(0.05)
        tap.diag(f"{direct(qemu)} direct reads; "
                 f"{qemu.qmp('query-migrate')['ram']['dirty-sync-count']} passes over memory")
        names = machine.IOTHREADS
        there = vring.Qemu(bench.binary, other, 4, names, node, device=DIRECT,
                           mapping=[{"iothread": name} for name in names],
                           extra=["-incoming", "defer"])
        try:
            there.qmp("migrate-incoming", {"uri": f"file:{stream}"})
            while there.qmp("query-migrate").get("status") != "completed":
                assert time.monotonic() < deadline, there.qmp("query-migrate")
                time.sleep(0.05)
            for queue in qemu.queues:
                for begin, end in ((queue.data, queue.data + 64 * vring.BLOCK),
                                   (queue.used + 2, queue.used + 4 + 8 * vring.RING_SIZE)):
                    assert qemu.memory[begin:end] == there.memory[begin:end], \
                        f"queue {queue.index}: memory at {begin:#x} has not come across"
        finally:
            there.kill()


tap.main(machine.Bench)
