# SPDX-License-Identifier: LGPL-2.1-or-later
"""The driver extension in a real libvirtd: define, create, start; the daemon absent, stopped,
talking garbage. A scripted peer stands in for the daemon only where a real one would not do."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import bed as beds
import tap

POLICY = "<vq:disk target='vda' queues='2' placement='dedicated'/>"
REQUIRED = "<vq:disk target='vda' queues='2' placement='dedicated' required='yes'/>"
TIMEOUT_S = 0.2  # [driver] timeout_ms


class Peer:
    """Listens on the daemon's socket; after the first bytes of a client it sends `answer`, or, if
    that is None, does not even accept, as a stopped daemon."""

    def __init__(self, bed, answer):
        self.path, self.answer = bed.path("run/virtqueued/virtqueued-sock"), answer

    def __enter__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen(1)
        if self.answer is not None:
            threading.Thread(target=self.serve, daemon=True).start()
        return self

    def serve(self):
        held = []
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            held.append(client)
            client.recv(4096)
            client.sendall(self.answer)

    def __exit__(self, *_exception):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        os.unlink(self.path)


def log(bed):
    return bed.read("log-libvirt/libvirtd.log")


def start_timed(bed, name):
    started = time.monotonic()
    bed.virsh("start", name, "--paused")
    return time.monotonic() - started


@tap.test
def define_expands_and_is_idempotent(bed):
    for options in ((), ("--validate",)):
        bed.define(bed.domain("vm1", policy=POLICY), *options)
        first = bed.dumpxml("vm1", "--inactive")
        tap.contains(first, "<iothreads>2</iothreads>")
        tap.contains(first, "<queue id='1'/>")
        bed.define(first, *options)
        tap.equal(bed.dumpxml("vm1", "--inactive"), first, "the same XML defined again")
        bed.destroy_all()


@tap.test
def define_refuses_with_every_problem(bed):
    bad = "<vq:disk target='vda' queues='1025'/><vq:disk target='vdz' queues='1'/>"
    error = tap.fails(beds.CommandError, bed.define, bed.domain("vm1", policy=bad)).stderr
    tap.contains(error, "virtqueued: line 4: disk 'vda': queues='1025' is above the limit of 1024")
    tap.contains(error, "disk 'vdz'")
    tap.equal(bed.virsh("list", "--all", "--name").strip(), "")


@tap.test
def domxml_to_native_shows_the_queues(bed):
    path = bed.write("n.xml", bed.domain("vm1", policy=POLICY))
    native = bed.virsh("domxml-to-native", "qemu-argv", "--xml", path)
    tap.contains(native, '"num-queues":2')
    tap.contains(native, "iothread-vq-mapping")


@tap.test
def stock_errors_keep_their_text(bed):
    error = tap.fails(beds.CommandError, bed.virsh, "start", "nobody").stderr
    tap.contains(error, "failed to get domain 'nobody'")
    xml = bed.domain("vm1", policy=POLICY).replace("disks/vm1-vda.img", "disks/none.img")
    bed.define(xml)
    error = tap.fails(beds.CommandError, bed.virsh, "start", "vm1").stderr
    tap.contains(error, "No such file or directory")
    bed.destroy_all()


@tap.test
def daemon_absent(bed):
    bed.define(bed.domain("vm1", policy=POLICY))
    start_timed(bed, "vm1")
    tap.contains(log(bed), "domain 'vm1' starts without placement of its I/O threads")
    path = bed.write("t.xml", bed.domain("vm2", policy=POLICY))
    bed.virsh("create", path, "--paused")
    tap.contains(bed.dumpxml("vm2"), "<iothread id='2'/>")
    bed.define(bed.domain("vm3", policy=REQUIRED))
    error = tap.fails(beds.CommandError, bed.virsh, "start", "vm3").stderr
    tap.contains(error, "domain 'vm3' is not started: disk 'vda' has required='yes'")
    tap.equal(bed.virsh("domstate", "vm3").strip(), "shut off")
    bed.destroy_all()


@tap.test
def daemon_hostile(bed):
    greeting = b"OK 0123456789abcdef0123456789abcdef\r\n"
    bed.define(bed.domain("plain"))
    plain = start_timed(bed, "plain")
    tap.diag(f"start without policy: {plain:.3f} s")
    for number, answer in enumerate((None, b"", b"\0" * 4096, greeting, greeting + b"z" * 4096)):
        bed.restart_libvirtd()  # a closed circuit breaker
        name = f"vm{number}"
        bed.define(bed.domain(name, policy=POLICY))
        with Peer(bed, answer):
            took = start_timed(bed, name)
        tap.diag(f"peer {number}: start took {took:.3f} s")
        if took > plain + TIMEOUT_S + 1.0:
            raise AssertionError(f"start took {took:.3f} s")
        tap.contains(log(bed), f"domain '{name}' starts without placement")
    bed.destroy_all()


@tap.test
def many_starts_while_the_daemon_hangs(bed):
    names = [f"vm{n}" for n in range(12)]
    for name in names:
        bed.define(bed.domain(name, policy=REQUIRED))  # never skipped by the breaker
    with Peer(bed, None):
        runs = [subprocess.Popen(["virsh", "-c", bed.uri, "start", n, "--paused"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                for n in names]
        worst = 0.0
        while any(r.poll() is None for r in runs):
            began = time.monotonic()
            bed.virsh("list")
            worst = max(worst, time.monotonic() - began)
        errors = [r.communicate()[1] for r in runs]
    tap.diag(f"slowest virsh list meanwhile: {worst:.3f} s")
    if worst > 2.0:
        raise AssertionError(f"virsh list took {worst:.3f} s")
    for error in errors:
        tap.contains(error, "required='yes'")
    bed.destroy_all()


def our_lines(xml):
    """Those that the expansion writes; stock libvirt changes an alias or two over a restart."""
    return [l for l in xml.splitlines() if any(w in l for w in ("iothread", "queue", "vq"))]


@tap.test
def daemon_admits_and_pins(bed):
    bed.start_daemon()
    bed.define(bed.domain("vm1", policy=POLICY))
    bed.virsh("start", "vm1", "--paused")
    pins = bed.iothread_affinities("vm1")  # no waiting: they hold when virsh start returns
    placed = {p["iothread"]: str(p["cpu"]) for p in bed.virtq_json("list")["placements"]}
    tap.equal(pins, placed, "CPUs of the I/O threads")
    bed.define(bed.domain("vm2", policy=REQUIRED, targets=("vda",)).replace(
        "queues='2'", "queues='1024'"))
    error = tap.fails(beds.CommandError, bed.virsh, "start", "vm2").stderr
    tap.contains(error, "resource busy: virtqueued: domain 'vm2' is not started")
    tap.equal(bed.virsh("domstate", "vm2").strip(), "shut off")


@tap.test
def failed_start_gives_the_cores_back(bed):
    bed.define(bed.domain("vm3", policy=POLICY).replace("vm3-vda.img", "none.img"))
    error = tap.fails(beds.CommandError, bed.virsh, "start", "vm3").stderr
    tap.contains(error, "none.img': No such file or directory")
    tap.lacks(bed.virtq("list"), "vm3", "the plan")


@tap.test
def daemon_stopped(bed):
    bed.define(bed.domain("vm4", policy=POLICY))
    bed.daemon.send_signal(signal.SIGSTOP)
    try:
        took = start_timed(bed, "vm4")
    finally:
        bed.daemon.send_signal(signal.SIGCONT)
    tap.diag(f"start beside a stopped daemon: {took:.3f} s")
    if took > 2:
        raise AssertionError(f"start took {took:.3f} s")
    bed.stop_daemon()
    bed.destroy_all()


@tap.test
def restart_keeps(bed):
    bed.define(bed.domain("vm1", policy=POLICY))
    bed.virsh("start", "vm1", "--paused")
    before = our_lines(bed.dumpxml("vm1"))
    tap.equal(len(before) > 10, True, "lines of ours in the live XML")
    bed.restart_libvirtd()
    tap.equal(our_lines(bed.dumpxml("vm1")), before, "live XML after a restart of libvirtd")
    bed.restart_libvirtd(kill=True)
    tap.equal(bed.virsh("domstate", "vm1").strip(), "paused")
    bed.destroy_all()


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return int(next(line.split()[1] for line in f if line.startswith("VmRSS")))


def leaks_by_sanitizer(runtime):
    """What LeakSanitizer finds of ours when a libvirtd ends that expanded, refused and started."""
    with beds.Bed(driver_dir=beds.module_dir()) as b:
        b.stop_libvirtd()
        b.libvirtd_env = {"LD_PRELOAD": runtime,
                          "ASAN_OPTIONS": f"detect_leaks=1:log_path={b.path('asan')}"}
        b.start_libvirtd()
        b.start_daemon()
        good = b.write("good.xml", b.domain("vm1", policy=POLICY))
        bad = b.write("bad.xml", b.domain("vm2", policy=POLICY.replace("vda", "nosuch")))
        batch = b.write("batch", f"define {good}\ndefine {bad}\n" * 20)
        b.run(["bash", "-c", f"virsh -q < {batch}"], check=False)
        for _ in range(2):
            b.virsh("start", "vm1", "--paused")
            b.virsh("destroy", "vm1")
        b.stop_libvirtd()
        logs = [name for name in os.listdir(os.path.dirname(b.path("asan"))) if name.startswith("asan.")]
        text = "".join(b.read(name) for name in logs)
    ours = re.compile(r"src/(base|core|driver|protocol)/")
    return [block for block in text.split("\n\n") if ours.search(block)]


@tap.test
def defines_do_not_leak(bed):
    runtime = beds.sanitizer_env(bed.driver_dir).get("LD_PRELOAD", "")
    if "asan" in runtime:
        # its quarantine keeps what was freed: the resident size says nothing
        tap.equal(leaks_by_sanitizer(runtime), [], "leaks")
        return
    path = bed.write("leak.xml", bed.domain("vm1", policy=POLICY))
    batch = bed.write("batch", f"define {path}\n" * 100)
    figures = []
    for _ in range(5):
        bed.run(["bash", "-c", f"virsh -q < {batch}"])
        figures.append(resident_kib(bed.libvirtd.pid))
    tap.diag(f"RSS after each 100 defines, KiB: {figures}")
    if figures[-1] - figures[1] > 1024:
        raise AssertionError(f"RSS grows: {figures}")
    bed.destroy_all()


tap.main(lambda: beds.Bed(driver_dir=beds.module_dir()))
