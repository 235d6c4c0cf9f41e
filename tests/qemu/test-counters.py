#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Per-queue counters of the patched QEMU: they are what the guest did, by QMP and in the page."""

import time

import machine
import tap
import vring
from counters import Page



def wait_for(what, condition, timeout=10):
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(what + " did not come about")
        time.sleep(0.01)


@tap.test
def counters_are_the_requests(bench):
    with bench.machine() as qemu:
        load = vring.Load(qemu, machine.BLOCKS)
        load.start()
        time.sleep(1)
        machine.expect_sound(qemu, load.finish())
        for queue, info in zip(qemu.queues, qemu.info()):
            tap.equal(info["bytes-read"], info["reads"] * vring.BLOCK, "bytes read")
            tap.equal(info["bytes-written"], info["writes"] * vring.BLOCK, "bytes written")
            # QEMU kicks itself when it attaches the notifier, after a drained section too
            assert 0 < info["kicks"] <= queue.kicks + 10, (info["kicks"], queue.kicks)
            assert 0 < info["batches"] <= info["completed"]
            tap.equal(info["device"], "vda")
            tap.equal(info["work-ns"], 0, "time without a page")


@tap.test
def without_an_iothread_the_main_loop_counts(bench):
    with bench.machine(queues=2, iothreads=[]) as qemu:
        load = vring.Load(qemu, machine.BLOCKS, depth=4)
        load.start()
        time.sleep(0.5)
        machine.expect_sound(qemu, load.finish())
        tap.lacks(str(qemu.info()[0]), "'iothread'")


@tap.test
def a_page_follows_the_load(bench):
    with bench.machine() as qemu:
        load = vring.Load(qemu, machine.BLOCKS)
        load.start()
        first, second = Page(16), Page(32)
        tap.equal(first.hand_in(qemu), {"slots": 16, "slots-needed": 7})
        wait_for("a slot for each", lambda: len(first.slots()) == 7)
        time.sleep(0.3)
        tap.equal(second.hand_in(qemu)["slots"], 32)
        wait_for("a slot for each", lambda: len(second.slots()) == 7)
        time.sleep(0.3)
        tap.equal(first.map[:8], b"QVQCOUNT")
        qemu.move(0, "io3")
        qemu.qmp.event("X_VIRTIO_BLK_QUEUE_MOVED")
        machine.expect_sound(qemu, load.finish())
        slots, header = second.slots(), second.header()
        tap.equal((header["version"], header["header_size"], header["slot_size"]), (1, 128, 256))
        tap.equal(header["pid"], qemu.process.pid)
        threads = {t["id"]: t["thread-id"] for t in qemu.qmp("query-iothreads")}
        for info in qemu.info():
            slot = slots["vda", info["queue"]]
            names = ("reads", "writes", "flushes", "others", "completed", "bytes-read",
                     "bytes-written", "kicks", "interrupts", "batches", "work-ns", "moves")
            tap.equal(slot["counters"][:12], tuple(info[n] for n in names), "counters in the page")
            tap.equal(slot["iothread"], info["iothread"], "IOThread in the page")
            tap.equal(slot["tid"], threads[info["iothread"]], "thread in the page")
            assert info["work-ns"] > 0
        tap.equal(slots["vda", 0]["iothread"], "io3")
        for name, tid in threads.items():
            tap.equal(slots[name]["tid"], tid, "IOThread's slot")
            turns, _, work, poll, sleep = slots[name]["counters"][:5]
            assert turns > 0 and work > 0 and poll + sleep > 0, slots[name]


@tap.test
def a_page_can_be_given_back(bench):
    with bench.machine() as qemu:
        load = vring.Load(qemu, machine.BLOCKS)
        load.start()
        for _ in range(20):
            page = Page(16)
            page.hand_in(qemu)
            wait_for("a slot for each", lambda p=page: len(p.slots()) == 7)
            qemu.qmp("x-virtio-blk-export-counters")
            time.sleep(0.02)
        machine.expect_sound(qemu, load.finish())


@tap.test
def what_is_no_page_is_refused(bench):
    with bench.machine(queues=1, iothreads=["io1"]) as qemu:
        for page, text in ((Page(4, seals=0), "F_SEAL_SHRINK"), (Page(0, size=300), "300")):
            try:
                page.hand_in(qemu)
            except vring.QmpError as e:
                tap.contains(str(e), text)
            else:
                raise AssertionError(f"a page that lacks {text} was taken")
        small = Page(1)
        tap.equal(small.hand_in(qemu), {"slots": 1, "slots-needed": 2})


@tap.test
def plugged_devices_have_slots(bench):
    with bench.machine() as qemu:
        page = Page(16)
        page.hand_in(qemu)
        qemu.qmp("blockdev-add", {"driver": "null-co", "node-name": "more"})
        qemu.qmp("device_add", {"driver": "virtio-blk-pci", "id": "vdb", "drive": "more",
                                "num-queues": 2, "addr": "0x5", "romfile": "",
                                "iothread-vq-mapping": [{"iothread": "io2"}]})
        wait_for("its slots", lambda: ("vdb", 1) in page.slots())
        tap.equal(page.header()["slots_needed"], 9)
        qemu.qmp("device_del", {"id": "vdb"})
        qemu.qmp("system_reset")  # nobody answers the request: a reset takes it as granted
        wait_for("its slots to go", lambda: ("vdb", 1) not in page.slots())
        tap.equal(page.header()["slots_needed"], 7)


tap.main(machine.Bench)
