#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Dedicated polling of the patched QEMU: the thread never sleeps while a queue is on it, and only then."""

import contextlib
import time

import machine
import tap
import counters
import vring


def thread_of(qemu, name):
    return next(t["thread-id"] for t in qemu.qmp("query-iothreads") if t["id"] == name)


def cpu_and_sleeps(qemu, tid):
    """CPU seconds of a thread, and how often it gave up its CPU by itself"""
    task = f"/proc/{qemu.process.pid}/task/{tid}"
    with open(task + "/schedstat", encoding="utf-8") as f:
        run, wait, _ = (int(word) / 1e9 for word in f.read().split())
    with open(task + "/status", encoding="utf-8") as f:
        switches = next(int(line.split()[1]) for line in f
                        if line.startswith("voluntary_ctxt_switches"))
    return run + wait, switches


@contextlib.contextmanager
def polling(bench, **kwargs):
    with bench.machine(queues=2, iothreads=["io1", "io2"],
                       mapping=False, device={"iothread": "io1"}, **kwargs) as qemu:
        qemu.qmp("qom-set", {"path": "/objects/io1", "property": "poll-dedicated", "value": True})
        yield qemu, thread_of(qemu, "io1")


def busy_share(qemu, tid, seconds=0.5):
    """Share of the time in which the thread ran or wanted to run; and its sleeps

    The kernel counts a wait when it ends, so a busy thread may seem to lack up to one of them."""
    start, (cpu, sleeps) = time.monotonic(), cpu_and_sleeps(qemu, tid)
    time.sleep(seconds)
    now_cpu, now_sleeps = cpu_and_sleeps(qemu, tid)
    return (now_cpu - cpu) / (time.monotonic() - start), now_sleeps - sleeps


@tap.test
def it_never_sleeps_while_a_queue_is_attached(bench):
    with polling(bench) as (qemu, tid):
        share, sleeps = busy_share(qemu, tid)
        assert share > 0.6, f"it was busy {share:.2f} of the time"
        assert sleeps <= 2, f"it slept {sleeps} times"
        tap.equal(qemu.qmp("query-iothreads")[0]["poll-dedicated"], True)


@tap.test
def it_sleeps_when_told(bench):
    with polling(bench) as (qemu, tid):
        qemu.qmp("qom-set", {"path": "/objects/io1", "property": "poll-dedicated", "value": False})
        time.sleep(0.1)
        share, _ = busy_share(qemu, tid)
        assert share < 0.3, f"it was busy {share:.2f} of the time"


@tap.test
def it_sleeps_when_no_queue_is_left(bench):
    with polling(bench) as (qemu, tid):
        for queue in range(2):
            qemu.move(queue, "io2")
            qemu.qmp.event("X_VIRTIO_BLK_QUEUE_MOVED")
        time.sleep(0.1)
        share, _ = busy_share(qemu, tid)
        assert share < 0.3, f"it was busy {share:.2f} of the time"
        qemu.move(0, "io1")
        qemu.qmp.event("X_VIRTIO_BLK_QUEUE_MOVED")
        time.sleep(0.1)
        share, _ = busy_share(qemu, tid)
        assert share > 0.6, f"it was busy {share:.2f} of the time"


@tap.test
def kicks_and_interrupts_are_rare(bench):
    with polling(bench) as (qemu, _):
        load = vring.Load(qemu, machine.BLOCKS)
        load.start()
        time.sleep(0.3)
        before = qemu.info()
        time.sleep(1.5)
        after = qemu.info()
        machine.expect_sound(qemu, load.finish())
        for old, new in zip(before, after):
            requests = new["completed"] - old["completed"]
            kicks = new["kicks"] - old["kicks"]
            tap.diag(f"{requests} requests, {kicks} kicks")
            # a 16-bit avail_event that stands still is passed once in 65536 requests
            assert requests > 1000 and kicks <= 1 + requests / 65536, (requests, kicks)
            assert new["interrupts"] - old["interrupts"] <= new["batches"] - old["batches"]


@tap.test
def moves_and_stops_are_seen(bench):
    """Nothing wakes a thread that polls but what it looks at: bottom halves, new queues, timers."""
    with polling(bench) as (qemu, _):
        qemu.qmp("qom-set", {"path": "/objects/io2", "property": "poll-dedicated", "value": True})
        load = vring.Load(qemu, machine.BLOCKS)
        load.start()
        for i in range(60):
            qemu.move(i % 2, ("io1", "io2")[i // 2 % 2])
            qemu.qmp.event("X_VIRTIO_BLK_QUEUE_MOVED")
            if i % 10 == 0:
                qemu.qmp("stop")
                qemu.qmp("cont")
        machine.expect_sound(qemu, load.finish())
        gap = max(queue.max_gap for queue in qemu.queues)
        tap.diag(f"longest gap as the guest saw it: {gap * 1000:.1f} ms")


@tap.test
def idle_queues_are_dropped_and_come_back(bench):
    with polling(bench) as (qemu, _):
        busy, idle = qemu.queues
        idle.submit(1)
        idle.kick()
        deadline, last = time.monotonic() + 9, idle.kicks
        while time.monotonic() < deadline:
            if not busy.outstanding:
                busy.submit(2)
                busy.kick()
            busy.reap()
        idle.reap()
        idle.submit(3)
        idle.kick()
        tap.equal(idle.kicks, last + 1, "kicks of the idle queue, which asks for them again")
        deadline = time.monotonic() + 5
        while idle.outstanding and time.monotonic() < deadline:
            idle.reap()
        busy.reap()
        machine.expect_sound(qemu, busy.problems + idle.problems)


@tap.test
def time_is_told_apart(bench):
    """Idle, a thread that never sleeps has polled only; under load it has worked."""
    with polling(bench) as (qemu, _):
        page = counters.Page(8)
        page.hand_in(qemu)
        time.sleep(0.2)

        def sample():
            return page.slots()["io1"]["counters"]

        def shares(seconds):
            # The thread writes what it polled only at the end: a move makes it look up.
            old = sample()
            time.sleep(seconds)
            qemu.move(0, "io1")
            qemu.qmp.event("X_VIRTIO_BLK_QUEUE_MOVED")
            new = sample()
            return [(b - a) / 1e9 for a, b in zip(old, new)][2:5] + [new[1] - old[1]]

        work, poll, sleep, sleeps = shares(0.5)
        assert poll > 0.4 and work < 0.1 and sleep == 0 and sleeps == 0, (work, poll, sleep)
        load = vring.Load(qemu, machine.BLOCKS)
        load.start()
        work, poll, sleep, sleeps = shares(0.5)
        machine.expect_sound(qemu, load.finish())
        assert work > 0.02 and sleep == 0 and sleeps == 0, (work, poll, sleep)
        tap.equal(page.slots()["io1"]["flags"], 1, "flags")


tap.main(machine.Bench)
