#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What virtq top, metrics, list and info show of a real guest that reads its disks: the same as the
kernel and libvirt say, marked with who says it, and on while daemon, QEMU and guest come and go."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import bed  # noqa: E402
import exposition  # noqa: E402
import tap  # noqa: E402

CPUS = os.sched_getaffinity(0)
POOL = max(CPUS)
CONFIG = f"[host]\npool_cpus = {POOL}\n[daemon]\nreconcile_seconds = 1\n"
POLICY = ("<vq:disk target='vda' queues='2' placement='shared'/>"
          "<vq:disk target='vdb' queues='1' placement='dedicated'/>")
BLOCK = "libvirt block statistics"


class ObserveBed(bed.Bed):
    """A guest that reads both disks for as long as the test runs."""

    def __enter__(self):
        super().__enter__()
        try:
            guest = bed.guest(self.builddir)
            path = self.write("vm.xml", self.domain(
                "vm", vcpus=2, targets=("vda", "vdb"), memory_mib=192, guest=guest, policy=POLICY,
                cmdline="virtq.seconds=600 virtq.pause_ms=20"))
            self.define(self.virtq("expand", path))
            self.virsh("start", "vm")
            self.start_daemon("-v")
            tap.wait_until(lambda: self.reads("vda") > 200, 120, "the guest reading")
        except BaseException:
            self.__exit__()
            raise
        return self

    def reads(self, disk):
        """Read requests as libvirt says."""
        out = self.virsh("domstats", "--block", "vm")
        number = re.search(rf"block\.(\d+)\.name={disk}$", out, re.M).group(1)
        return int(re.search(rf"block\.{number}\.rd\.reqs=(\d+)", out).group(1))

    def top(self, *args):
        out = self.path("top.out")
        with open(out, "w", encoding="utf-8") as f:
            return self.ns.popen([self.virtq_path, "top", *args], stdout=f, stdin=subprocess.DEVNULL,
                                 stderr=subprocess.STDOUT)

    def metrics(self):
        return exposition.parse(self.virtq("metrics"))


def counted(objects, key, value):
    """source -> counters of the object whose key has this value."""
    return {c["source"]: c for o in objects if o[key] == value for c in o["counters"]}


@tap.test
def requests_are_those_of_libvirt(b):
    for disk in ("vda", "vdb"):
        before = b.reads(disk)
        time.sleep(1.1)
        told = exposition.value(b.metrics(), "virtqueued_disk_requests_total", domain="vm",
                                disk=disk, operation="read", source=BLOCK)
        after = b.reads(disk)
        assert before <= told <= after and before < after, (disk, before, told, after)
        time.sleep(1.1)
        info = b.virtq_json("info", "vm")["domains"][0]
        assert counted(info["disks"], "disk", disk)[BLOCK]["reads"] >= after
        tap.equal(info["queues"], [], "queues that stock QEMU does not count")


@tap.test
def cpu_time_is_that_of_the_kernel(b):
    for iothread, tid in b.iothread_tids("vm").items():
        def cpu_ns(path=f"/proc/{tid}/task/{tid}/schedstat"):
            with open(path, encoding="utf-8") as f:
                return int(f.read().split()[0])
        before = cpu_ns()
        time.sleep(1.1)
        domain = b.virtq_json("list")["domains"][0]
        told = counted(domain["iothreads"], "iothread", iothread)["thread CPU time"]["cpu_ns"]
        assert before <= told <= cpu_ns(), (iothread, before, told)


@tap.test
def list_info_and_why_name_the_source(b):
    for args in (["list"], ["info", "vm"], ["why", "vm", "vda", "1"]):
        tap.contains(b.virtq(*args), BLOCK, f"virtq {args}")
    time.sleep(1.1)
    why = b.virtq_json("why", "vm", "vda", "1")
    tap.equal(sorted(c["source"] for c in why["counters"]), [BLOCK, "thread CPU time"])
    tap.contains(b.virtq("why", "vm", "vda"), "a second")


@tap.test
def top_shows_rates_once(b):
    frame = b.virtq("top", "--once")
    rows = {line.split()[1]: line for line in frame.splitlines() if BLOCK in line}
    tap.equal(sorted(rows), ["vda", "vdb"])
    for row in rows.values():
        assert float(row.split()[2]) > 0, row
    tap.contains(frame, "vm/vda IOThread 1")
    data = json.loads(b.virtq("--format", "json", "top", "--once"))
    disk = counted(data["domains"][0]["disks"], "disk", "vda")[BLOCK]
    assert disk["rates"]["reads"] > 0 and disk["age_ms"] < 2000, disk


@tap.test
def what_is_degraded_is_said_everywhere(b):
    """One pool core, and a dedicated thread beside shared ones."""
    plan = b.virtq_json("list")
    degraded = [p for p in plan["placements"] if "degraded" in p]
    assert degraded, plan["placements"]
    samples = b.metrics()
    for p in plan["placements"]:
        tap.equal(exposition.value(samples, "virtqueued_iothread_degraded", domain="vm",
                                   iothread=str(p["iothread"])), int("degraded" in p))
    text = degraded[0]["degraded"]
    for args in (["list"], ["info", "vm"], ["top", "--once"],
                 ["why", "vm", degraded[0]["disk"]]):
        tap.contains(b.virtq(*args), text, f"virtq {args}")


@tap.test
def a_stopped_qemu_holds_up_no_answer(b):
    pid = b.qemu_pid("vm")
    os.kill(pid, signal.SIGSTOP)
    try:
        before = b.virtq_json("status")["rounds"]
        start = time.monotonic()
        data = b.virtq_json("metrics")
        took = time.monotonic() - start
        assert took < 3, f"{took:.1f} s"
        disk = counted(data["domains"][0]["disks"], "disk", "vda")[BLOCK]
        assert disk["reads"] > 0, "what was known is forgotten"
        time.sleep(2.5)
        assert b.virtq_json("status")["rounds"] > before, "no rounds meanwhile"
        data = b.virtq_json("metrics")
        disk = counted(data["domains"][0]["disks"], "disk", "vda")[BLOCK]
        assert disk["age_ms"] > 2000, f"age {disk['age_ms']} ms of what cannot be read"
    finally:
        os.kill(pid, signal.SIGCONT)

    def fresh():
        now = b.virtq_json("metrics")["domains"][0]["disks"]
        return counted(now, "disk", "vda")[BLOCK]["age_ms"] < 1500
    tap.wait_until(fresh, 20, "numbers again")


@tap.test
def top_goes_on_over_a_restart_of_the_daemon(b):
    top = b.top("--batch", "--delay", "0.3")
    time.sleep(2)
    b.stop_daemon(kill=True)
    tap.wait_until(lambda: "no answer: " in b.read("top.out"), 10, "top says so")
    b.start_daemon("-v")
    tap.wait_until(lambda: "was restarted" in b.read("top.out"), 10, "top says so")
    length = len(b.read("top.out"))
    tap.wait_until(lambda: BLOCK in b.read("top.out")[length:], 10, "top goes on")
    tap.equal(top.poll(), None)
    top.terminate()
    tap.equal(top.wait(10), 0, "exit status after SIGTERM")


@tap.test
def top_on_a_terminal_is_driven_by_keys(b):
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 60, 0, 0))
    before = termios.tcgetattr(follower)
    top = b.ns.popen([b.virtq_path, "top", "-d", "0.5"], stdin=follower, stdout=follower,
                     stderr=follower)
    os.set_blocking(leader, False)
    seen = bytearray()

    def read():
        try:
            seen.extend(os.read(leader, 65536))
        except BlockingIOError:
            pass
        return seen
    tap.wait_until(lambda: read().count(b"\033[H") > 3, 20, "frames")
    tap.contains(seen.decode(), "\033[?1049h")
    widest = max(len(line.rstrip("\r")) for line in
                 re.sub(r"\033\[[?\d]*[A-Za-z]", "", seen.decode()).split("\n"))
    assert widest <= 60, f"{widest} characters on a screen of 60"
    os.write(leader, b"lq")
    tap.wait_until(lambda: (read(), top.poll() is not None)[1], 10, "the end after q")
    tap.equal(top.returncode, 0)
    assert read().endswith(b"\033[?1049l"), seen[-40:]
    tap.equal(termios.tcgetattr(follower), before, "settings of the terminal")
    os.close(leader)
    os.close(follower)


@tap.test
def reading_costs_little(b):
    first = b.virtq_json("metrics")
    for _ in range(20):
        time.sleep(0.12)
        b.virtq("--format", "json", "top", "-1", "-d", "0.2")
    last = b.virtq_json("metrics")
    n = last["readings"] - first["readings"]
    cpu = last["daemon_cpu_seconds"] - first["daemon_cpu_seconds"]
    tap.diag(f"{n} readings, {cpu / n * 1e3:.2f} ms CPU of the daemon each, rounds included; "
             f"the last took {last['reading_us']} us")
    assert n >= 20 and cpu / n < 0.1, (n, cpu)


@tap.test
def a_guest_that_vanishes_leaves_nothing_behind(b):
    top = b.top("--batch", "--delay", "0.3")
    time.sleep(1.5)
    b.virsh("destroy", "vm")
    tap.wait_until(lambda: ": 0 domains, 0 threads" in b.read("top.out"), 15, "an empty frame")
    tap.equal(top.poll(), None)
    top.terminate()
    top.wait(10)
    names = {value for _, labels in b.metrics() for label, value in labels if label == "domain"}
    tap.equal(names, set())


@tap.test
def without_a_daemon_it_says_so_and_fails(b):
    b.stop_daemon()
    for args in (["top", "--once"], ["metrics"]):
        tap.contains(tap.fails(bed.CommandError, b.virtq, *args).stderr, "virtqueued-sock")


if len(CPUS) < 2:
    print("1..0 # SKIP needs two CPUs")
else:
    tap.main(lambda: ObserveBed(config=CONFIG))
