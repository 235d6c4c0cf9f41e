#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Queues of the patched QEMU move between IOThreads under load, and whatever else goes on."""

import contextlib
import glob
import os
import random
import threading
import time

import machine
import tap
import vring

SECONDS = float(os.environ.get("VQ_QEMU_SECONDS", "2"))


class Mover(threading.Thread):
    """Moves queues at random, one after the other, until it is told to stop."""

    def __init__(self, qemu, iothreads=machine.IOTHREADS, seed=1):
        super().__init__()
        self.qemu, self.iothreads, self.random = qemu, iothreads, random.Random(seed)
        self.stopping = threading.Event()
        self.failure = None
        self.events = []

    def run(self):
        try:
            while not self.stopping.is_set():
                queue = self.random.randrange(self.qemu.queue_count)
                self.qemu.move(queue, self.random.choice(self.iothreads))
                event = self.qemu.qmp.event("X_VIRTIO_BLK_QUEUE_MOVED")
                tap.equal(event["data"]["queue"], queue, "queue that moved")
                self.events.append(event["data"])
        except Exception as e:  # noqa: BLE001  (reported by finish)
            self.failure = e

    def finish(self):
        self.stopping.set()
        self.join(90)
        if self.failure:
            raise self.failure
        gaps = sorted(event["gap-ns"] / 1000 for event in self.events)
        drains = sorted(event["drain-ns"] / 1000 for event in self.events)
        tap.diag(f"{len(gaps)} moves; gap in us: median {gaps[len(gaps) // 2]:.1f}, "
                 f"p99 {gaps[len(gaps) * 99 // 100]:.1f}; own requests waited for in us: "
                 f"median {drains[len(drains) // 2]:.0f}, p99 {drains[len(drains) * 99 // 100]:.0f}")


def moves_under_load(qemu, meanwhile=lambda: time.sleep(0.01), least=100):
    """Load and moves for some seconds, and meanwhile() again and again."""
    load, mover = vring.Load(qemu, machine.BLOCKS), Mover(qemu)
    load.start()
    mover.start()
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and not mover.failure:
        meanwhile()
    mover.finish()
    problems = load.finish()
    machine.expect_sound(qemu, problems)
    assert len(mover.events) >= least, f"only {len(mover.events)} moves"
    tap.equal(sum(info["moves"] for info in qemu.info()), len(mover.events), "moves counted")


def thread_names(qemu):
    names = []
    for task in glob.glob(f"/proc/{qemu.process.pid}/task/*/comm"):
        with contextlib.suppress(OSError):  # threads end
            with open(task, encoding="utf-8") as f:
                names.append(f.read().strip())
    return names


@tap.test
def queues_move_under_load(bench):
    with bench.machine() as qemu:
        moves_under_load(qemu)


@tap.test
def queues_move_with_io_uring(bench):
    node = {"driver": "file", "node-name": "disk", "filename": bench.image(), "aio": "io_uring"}
    with bench.machine(blockdev=node) as qemu:
        moves_under_load(qemu)


@tap.test
def queues_move_from_the_main_loop(bench):
    with bench.machine(mapping=False) as qemu:
        tap.lacks(str(qemu.info()[0]), "'iothread'")
        moves_under_load(qemu)


@tap.test
def queues_move_while_the_vm_is_stopped_and_continued(bench):
    with bench.machine() as qemu:
        def stop_and_continue():
            qemu.qmp("stop")
            time.sleep(random.random() * 0.01)
            qemu.qmp("cont")
            time.sleep(0.01)
        moves_under_load(qemu, stop_and_continue)


@tap.test
def queues_move_while_the_graph_changes(bench):
    with bench.machine() as qemu:
        def change():
            qemu.qmp("blockdev-add", {"driver": "raw", "node-name": "above", "file": "disk"})
            qemu.qmp("blockdev-del", {"node-name": "above"})
            time.sleep(0.005)
        moves_under_load(qemu, change)


@tap.test
def queues_move_during_block_jobs(bench):
    with bench.machine() as qemu:
        target = os.path.join(bench.directory, "mirror")
        vring.stamp_file(target, machine.BLOCKS)
        qemu.qmp("blockdev-add", {"driver": "file", "node-name": "target", "filename": target})

        def mirror():
            qemu.qmp("blockdev-mirror", {"job-id": "m", "device": "disk", "target": "target",
                                         "sync": "full", "speed": 64 << 20})
            time.sleep(0.1)
            qemu.qmp("block-job-cancel", {"device": "m", "force": True})
            qemu.qmp.event("BLOCK_JOB_CANCELLED")
        moves_under_load(qemu, mirror)


@tap.test
def queues_move_while_errors_stop_the_vm(bench):
    errors = [{"event": "none", "iotype": "read", "errno": 5, "once": True,
               "sector": 8 * random.randrange(machine.BLOCKS)} for _ in range(200)]
    node = {"driver": "blkdebug", "node-name": "disk", "inject-error": errors,
            "image": {"driver": "file", "node-name": "file", "filename": bench.image()}}
    with bench.machine(blockdev=node, device={"rerror": "stop", "werror": "stop"}) as qemu:
        def go_on():
            if qemu.qmp("query-status")["status"] == "io-error":
                qemu.qmp("cont")
            time.sleep(0.005)

        moves_under_load(qemu, go_on)
        assert sum(info["parked"] for info in qemu.info()) > 20, qemu.info()


@tap.test
def queues_move_while_throttled(bench):
    extra = ["-object", "throttle-group,id=tg,x-iops-total=3000",
             "-blockdev", f"driver=file,node-name=file,filename={bench.image()}"]
    node = {"driver": "throttle", "node-name": "disk", "throttle-group": "tg", "file": "file"}
    with bench.machine(blockdev=node, extra=extra) as qemu:
        moves_under_load(qemu, least=20)


@tap.test
def iothreads_come_and_go(bench):
    with bench.machine() as qemu:
        load = vring.Load(qemu, machine.BLOCKS)
        load.start()

        def threads():
            return sum(name.startswith("IO ") for name in thread_names(qemu))

        def move(queue, iothread):
            qemu.move(queue, iothread)
            qemu.qmp.event("X_VIRTIO_BLK_QUEUE_MOVED")

        before, count = threads(), 0
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            name = f"new{count}"
            qemu.qmp("object-add", {"qom-type": "iothread", "id": name})
            move(count % 4, name)
            try:
                qemu.qmp("object-del", {"id": name})
            except vring.QmpError as e:
                tap.contains(str(e), "in use")
            else:
                raise AssertionError("an IOThread that serves a queue was deleted")
            move(count % 4, "io1")
            qemu.qmp("object-del", {"id": name})
            count += 1
        tap.equal(threads(), before, "threads")
        tap.diag(f"{count} IOThreads")
        machine.expect_sound(qemu, load.finish())


@tap.test
def an_iothread_of_the_command_line_can_be_deleted(bench):
    """Also the one whose AioContext the node has: it ends with the next stop of the VM."""
    with bench.machine(mapping=False, device={"iothread": "io1"}) as qemu:
        load = vring.Load(qemu, machine.BLOCKS)
        load.start()
        for queue in range(4):
            qemu.move(queue, "io2")
            qemu.qmp.event("X_VIRTIO_BLK_QUEUE_MOVED")
        qemu.qmp("object-del", {"id": "io1"})
        time.sleep(0.2)
        qemu.qmp("stop")
        qemu.qmp("cont")
        tap.lacks(str(thread_names(qemu)), "IO io1", "threads")
        machine.expect_sound(qemu, load.finish())


@tap.test
def reset_and_quit_end_moves(bench):
    with bench.machine() as qemu:
        for _ in range(10):
            load = vring.Load(qemu, machine.BLOCKS)
            load.start()
            time.sleep(0.05)
            for queue in range(4):
                qemu.move(queue, random.choice(machine.IOTHREADS))
            qemu.qmp("system_reset")
            for queue in range(4):
                qemu.qmp.event("X_VIRTIO_BLK_QUEUE_MOVED")
            load.abandon()
            qemu.setup()
        for queue in range(4):
            qemu.move(queue, "io2")


@tap.test
def a_device_goes_while_its_queues_move(bench):
    with bench.machine() as qemu:
        for count in range(10):
            qemu.qmp("blockdev-add", {"driver": "null-co", "node-name": "more",
                                      "latency-ns": 1000000})
            qemu.qmp("device_add", {"driver": "virtio-blk-pci", "id": "vdb", "drive": "more",
                                    "num-queues": 3, "addr": "0x5", "romfile": "",
                                    "iothread-vq-mapping": [{"iothread": "io1"}]})
            for queue in range(3):
                qemu.qmp("x-virtio-blk-move-queue", {"device": "vdb", "queue": queue,
                                                     "iothread": machine.IOTHREADS[count % 3]})
            qemu.qmp("device_del", {"id": "vdb"})
            qemu.qmp("system_reset")
            qemu.qmp.event("DEVICE_DELETED", match=lambda data: data.get("device") == "vdb")
            qemu.qmp("blockdev-del", {"node-name": "more"})
            qemu.setup()


@tap.test
def wrong_moves_are_refused(bench):
    with bench.machine(queues=2) as qemu:
        for arguments, text in (({"device": "vdx", "queue": 0, "iothread": "io1"}, "vdx"),
                                ({"device": "vda", "queue": 2, "iothread": "io1"}, "2 queues"),
                                ({"device": "vda", "queue": 0, "iothread": "io9"}, "io9")):
            try:
                qemu.qmp("x-virtio-blk-move-queue", arguments)
            except vring.QmpError as e:
                tap.contains(str(e), text)
            else:
                raise AssertionError(f"{arguments} was taken")


tap.main(machine.Bench)
