#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Domains arrive, load their disks and leave while virtqueued is killed, stopped and restarted and
libvirtd killed once, at random moments of a seed: at the end everything is as after the same
arrivals and departures without trouble, and nothing is left over. VQ_CHAOS_SEED gives another seed.

The same over a machine of 16 cores, in thousands of steps, is tests/unit/test-chaos.c."""

import os
import random
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import bed  # noqa: E402
import domains  # noqa: E402
import tap  # noqa: E402

CPUS = sorted(os.sched_getaffinity(0))
POOL = CPUS[-1]
CONFIG = (f"[host]\npool_cpus = {POOL}\n[daemon]\nreconcile_seconds = 1\n"
          "[libvirt]\nreconnect_seconds = 1\n")
SEED = int(os.environ.get("VQ_CHAOS_SEED", "4"))
EVENTS = 14
POLLING = 1000000000  # poll-max-ns of a thread on a core of its own

DEDICATED = "<vq:disk target='vda' queues='{}' placement='dedicated' polling='dedicated'/>"
SHARED = "<vq:disk target='vda' queues='{}' placement='shared'/>"
# name: policy, what it runs
GUESTS = {
    "alone": (DEDICATED.format(1), "reader"),
    "second": (DEDICATED.format(1), "nothing"),
    "pair": (SHARED.format(2), "reader"),
    "quad": (SHARED.format(4), "nothing"),
    "linux": (SHARED.format(2), "linux"),
    "late": (DEDICATED.format(1), "nothing"),
}

# A boot sector that reads 4 KiB from the start of its disk again and again (int 13h, AH=42h).
READER = bytes.fromhex("31c0 8ed8 b442 b280 be0f7c cd13 ebf5"
                       "1000 0800 0080 0000 0000000000000000").ljust(510, b"\0") + b"\x55\xaa"


class Chaos(bed.Bed):
    """A bed with all domains defined, none running; with the driver extension where it was built."""

    def __enter__(self):
        if os.environ.get("VQ_QUICK"):
            raise tap.Skip("long: left out of tools/check --quick")
        super().__enter__()
        try:
            guest = bed.guest(self.builddir)
        except tap.Skip as skip:
            tap.diag(f"{skip}: 'linux' runs a boot sector instead")
            guest = None
        self.start_daemon("-v")
        for name in GUESTS:
            self.make(name, guest)
        self.stop_daemon()
        return self

    def make(self, name, guest):
        policy, runs = GUESTS[name]
        path = self.disk(f"{name}-vda")
        linux = runs == "linux" and guest
        if runs != "nothing" and not linux:
            with open(path, "r+b") as f:
                f.write(READER)
        text = domains.xml(name, vcpus=2, policy=policy, disks=[domains.disk("vda", path)],
                           memory_mib=160 if linux else 64, guest=guest if linux else None,
                           cmdline="virtq.seconds=600 virtq.pause_ms=50")
        file = self.write("define.xml", text)
        if not self.driver_dir:
            text = self.virtq("expand", file)
        self.define(text)

    def arguments(self, name):
        return ["virsh", "-q", "start", name] + \
            (["--paused"] if GUESTS[name][1] == "nothing" else [])

    def running(self):
        return sorted(self.virsh("list", "--name").split())

    def destroy_running(self):
        for name in self.running():
            self.virsh("destroy", name)

    # What is checked

    def look(self):
        """name -> all that the daemon may have changed, as libvirt and the kernel say."""
        return {name: (self.iothread_pins(name), self.iothread_affinities(name),
                       self.virsh("vcpupin", name, "--live").split(),
                       self.virsh("emulatorpin", name, "--live").split(),
                       re.findall(r"<poll max='(\d+)'", self.dumpxml(name)))
                for name in self.running()}

    def settled(self):
        """look(), once the daemon has nothing more to do and it stays so."""
        tap.wait_until(lambda: self.virtq_json("status")["libvirt_connected"], 20, "libvirt")
        self.virtq("rebalance")
        last = [None]

        def same():
            before, last[0] = last[0], self.look()
            plan = self.virtq_json("list")["placements"]
            return before == last[0] and \
                {p["domain"] for p in plan} == set(last[0]) and \
                all(last[0][p["domain"]][0][p["iothread"]] == p["cpus"] for p in plan)
        tap.wait_until(same, 30, "pins as planned", 1.2)
        return last[0]

    def check(self):
        """At any moment: pins are such as the daemon makes, and who polls without end is alone."""
        alone, others = [], []
        rest = {str(c) for c in CPUS} - {str(POOL)}
        for name in self.running():
            try:
                polls = re.findall(r"<iothread id='(\d+)'(?:/>|[^>]*>\s*<poll max='(\d+)')",
                                   self.dumpxml(name))
                affinities = self.iothread_affinities(name)
            except bed.CommandError:
                continue  # it has just ended by itself
            for thread, cpus in affinities.items():
                if cpus == str(POOL):
                    (alone if (str(thread), str(POLLING)) in polls else others).append(name)
                elif str(POOL) in cpus.split(","):
                    raise AssertionError(f"{name} IOThread {thread} on CPUs {cpus}")
                elif "-" not in cpus and not set(cpus.split(",")) <= rest:
                    raise AssertionError(f"{name} IOThread {thread} on CPUs {cpus}")
        if alone and len(alone + others) > 1:
            raise AssertionError(f"on CPU {POOL}: {alone} poll without end beside {others}")


def script(seed):
    """Arrivals and departures: the same for the same seed."""
    draw = random.Random(seed)
    inside, events = [], []
    while len(events) < EVENTS:
        outside = [n for n in GUESTS if n not in inside]
        if outside and (len(inside) < 2 or draw.random() < 0.55):
            inside.append(draw.choice(outside))
            events.append(("start", inside[-1]))
        else:
            events.append(("destroy", inside.pop(draw.randrange(len(inside)))))
    return events


def happen(b, what, name):
    return b.ns.popen(b.arguments(name) if what == "start" else ["virsh", "-q", what, name],
                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process):
    _out, error = process.communicate(timeout=60)
    if process.returncode:
        raise AssertionError(f"{process.args[6:]}: {error}")


def quiet_down(b):
    """Loads are no part of what is compared."""
    for name in b.running():
        b.virsh("suspend", name, check=False)


@tap.test
def an_undisturbed_run(b):
    b.start_daemon("-v")
    for what, name in script(SEED):
        finish(happen(b, what, name))
        time.sleep(0.2)
        b.check()
    quiet_down(b)
    b.expected = b.settled()
    tap.diag(f"seed {SEED}; at the end: " +
             "; ".join(f"{name} {look[0]}" for name, look in b.expected.items()))
    b.destroy_running()


def trouble(b, draw, kill_libvirtd):
    """Strikes while something happens; what has to be done when that is over, or None."""
    time.sleep(draw.random() * 0.4)
    if kill_libvirtd:
        return lambda: b.restart_libvirtd(kill=True)
    kind = draw.choice(("none", "kill", "kill", "stop", "down"))
    if kind == "none":
        return None
    b.strikes[kind] = b.strikes.get(kind, 0) + 1
    b.stop_daemon(kill=kind != "stop")
    if kind == "down":
        return b.start_daemon
    b.start_daemon("-v", wait=False)
    return None


@tap.test
def the_same_with_trouble_ends_the_same(b):
    draw = random.Random(SEED + 1)
    kill_libvirtd_at = draw.randrange(3, EVENTS - 2)
    b.strikes = {}
    for number, (what, name) in enumerate(script(SEED)):
        process = happen(b, what, name)
        after = None
        try:
            after = trouble(b, draw, number == kill_libvirtd_at)
        finally:
            finish(process)
        if after:
            time.sleep(draw.random() * 0.4)
            after()
        b.check()
    b.wait_daemon()
    quiet_down(b)
    tap.diag(f"daemon struck: {b.strikes}")
    tap.equal(b.settled(), b.expected, "pins, affinities and polling at the end")


@tap.test
def nothing_is_left_over(b):
    plan = b.virtq_json("list")
    tap.equal([p["domain"] for p in plan["placements"] if p["held"]], [], "taken for a hand's pin")
    state = b.read("lib-virtqueued/state")
    for name in GUESTS:
        tap.equal(f"'{name}'" in state, name in b.expected, f"a record of {name}")
    b.destroy_running()
    tap.wait_until(lambda: b.virtq_json("status")["domains"] == 0, 10, "no domain")
    tap.wait_until(lambda: not any(f"'{name}'" in b.read("lib-virtqueued/state")
                                   for name in GUESTS), 10, "no record")
    b.stop_daemon()
    tap.lacks(b.read("virtqueued.log"), "CRITICAL", "the log")
    tap.equal(sorted(os.listdir(b.path("lib-virtqueued"))), ["lock", "state"], "files")
    left = sorted(os.listdir(b.path("run/virtqueued")))
    tap.equal([name for name in left if "arming" in name], [], "files of the driver extension")


def chaos():
    try:
        driver_dir = bed.module_dir()
    except tap.Skip as skip:
        tap.diag(skip)
        driver_dir = None
    return Chaos(driver_dir=driver_dir, config=CONFIG)


if len(CPUS) < 2:
    print("1..0 # SKIP needs two CPUs")
else:
    tap.main(chaos)
