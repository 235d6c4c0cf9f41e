# SPDX-License-Identifier: LGPL-2.1-or-later
"""What virtqueued costs beside a private libvirtd with many real QEMU processes (paused, TCG): CPU
time of all its threads over minutes, idle and while domains come and go, the CPU time that libvirtd
spends more because of it, memory, and the time from a domain's event until its threads are
pinned, apart for libvirt's calls and the rest. Needs root."""

import os
import statistics
import sys
import time

import benchlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..",
                                "tests", "lib"))
import bed as beds  # noqa: E402
import tap  # noqa: E402

SUMMARY = "CPU time, memory and latency of the daemon with many domains (daemon.json)"


def add_arguments(parser):
    parser.add_argument("--vms", type=int, default=64, help="domains (default: 64)")
    parser.add_argument("--iothreads", type=int, default=8, help="of each domain (default: 8)")
    parser.add_argument("--seconds", type=int, default=120, help="of each phase (default: 120)")
    parser.add_argument("--pause", type=float, default=5,
                        help="seconds between two changes of domains (default: 5)")
    parser.add_argument("--starts", type=int, default=20, help="starts timed (default: 20)")
    parser.add_argument("--build", metavar="DIR", help="measure this finished build")


def cpu_seconds(pid):
    """On a CPU so far, all threads; threads of these daemons seldom end."""
    total = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
        except OSError:
            pass
    return total / 1e9


def memory_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        lines = dict(line.split(":", 1) for line in f)
    return {key: round(int(lines[name].split()[0]) / 1024, 1)
            for key, name in (("rss", "VmRSS"), ("peak", "VmHWM"))}


class Host:
    def __init__(self, bed, options):
        self.bed = bed
        self.options = options
        self.names = [f"vm{i}" for i in range(options.vms)]

    def start(self):
        queues = self.options.iothreads
        policy = f"<vq:disk target='vda' queues='{queues}' placement='shared'/>"
        for name in self.names:
            path = self.bed.write(f"{name}.xml", self.bed.domain(name, vcpus=1, policy=policy,
                                                                 memory_mib=16))
            self.bed.define(self.bed.virtq("expand", path))
            self.bed.virsh("start", name, "--paused")

    def begin(self, number):
        self.bed.virsh("start", self.names[number % len(self.names)], "--paused")

    def end(self, number):
        self.bed.virsh("destroy", self.names[number % len(self.names)])

    def phase(self, seconds, churn):
        """Shares of one core over that time: {"virtqueued": ..., "libvirtd": ...}."""
        pids = {"libvirtd": self.bed.libvirtd.pid}
        if self.bed.daemon:
            pids["virtqueued"] = self.bed.daemon.pid
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        start = time.monotonic()
        changes = 0
        while time.monotonic() - start < seconds:
            if churn:
                self.end(changes)
                self.begin(changes)
                changes += 1
            time.sleep(self.options.pause)
        taken = time.monotonic() - start
        result = {name: (cpu_seconds(pid) - before[name]) / taken for name, pid in pids.items()}
        return {**result, "seconds": round(taken, 1), "changes": changes}

    def time_start(self, number):
        """Milliseconds from the end of virsh start until all threads are pinned, and what the
        daemon says of its last change."""
        name = self.names[number]
        self.bed.virsh("destroy", name)
        time.sleep(0.3)
        self.bed.virsh("start", name, "--paused")
        began = time.monotonic()
        everywhere = f"0-{os.cpu_count() - 1}"
        tap.wait_until(lambda: everywhere not in self.bed.iothread_pins(name).values(), 20,
                       f"pins of {name}", 0.002)
        waited = time.monotonic() - began
        time.sleep(0.5)
        return {"after_start": waited * 1000, **self.change()}

    def change(self):
        status = self.bed.virtq_json("status")
        return {key: status[f"change_{key}_us"] / 1000 for key in ("own", "libvirt")}


def latencies(host, options):
    rows = [host.time_start(i % options.vms) for i in range(options.starts)]
    return {key: {"median": round(statistics.median(r[key] for r in rows), 2),
                  "max": round(max(r[key] for r in rows), 2)} for key in rows[0]}


def show(result):
    header = ["", "virtqueued", "libvirtd"]
    rows = []
    for name, phase in result["phases"].items():
        own = phase.get("virtqueued")
        rows.append([name, "-" if own is None else f"{100 * own:.3f} %",
                     f"{100 * phase['libvirtd']:.3f} %"])
    print("share of one core")
    print(benchlib.table(header, rows))
    print(f"memory: {result['memory_mib']} MiB, {result['files']} open files")
    print("milliseconds from event to pins, and from the end of virsh start until they are seen")
    print(benchlib.table(["", "median", "max"],
                         [[key, row["median"], row["max"]]
                          for key, row in result["latency_ms"].items()]))


def measure(bed, options):
    host = Host(bed, options)
    host.start()
    time.sleep(5)
    phases = {"idle, without the daemon": host.phase(options.seconds, False),
              "changes, without the daemon": host.phase(options.seconds, True)}
    bed.start_daemon()
    time.sleep(5)
    phases["idle"] = host.phase(options.seconds, False)
    phases["changes"] = host.phase(options.seconds, True)
    memory = memory_mib(bed.daemon.pid)
    files = len(os.listdir(f"/proc/{bed.daemon.pid}/fd"))
    return {"vms": options.vms, "iothreads": options.iothreads, "phases": phases,
            "memory_mib": memory, "files": files, "latency_ms": latencies(host, options)}


def run(options):
    build = options.build or benchlib.build(options.source, options.work,
                                            "src/daemon/virtqueued", "tools/virtq/virtq")
    try:
        with beds.Bed(builddir=os.path.realpath(build)) as bed:
            result = measure(bed, options)
    except tap.Skip as skip:
        raise benchlib.Failure(str(skip)) from skip
    show(result)
    print(benchlib.write_json(options, "daemon", result))
    return 0
