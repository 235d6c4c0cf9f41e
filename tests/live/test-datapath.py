#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The synthetic guest (tests/bench/guest) against QEMU's virtio-blk: every request accounted for and
every block checked, faults that are planted are found, and malformed rings are survived.

VQ_QEMU: another QEMU than the distribution's."""

import json
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "tools",
                                "lib"))
import bench_datapath  # noqa: E402
import datapath_cases  # noqa: E402
import tap  # noqa: E402

BUILDDIR = os.environ.get("VQ_BUILDDIR") or os.path.join(os.getcwd(), "build")
PROGRAM = os.path.join(BUILDDIR, "tests", "bench", "guest", "synthetic-guest")
QEMU = os.environ.get("VQ_QEMU", "qemu-system-x86_64")


class Disk:
    """A file of 64 MiB in memory, where there is a file system in memory."""

    def __enter__(self):
        directory = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.directory = tempfile.TemporaryDirectory(prefix="vq-datapath-", dir=directory)
        self.path = os.path.join(self.directory.name, "disk")
        self.log = os.path.join(self.directory.name, "log")
        with open(self.path, "wb") as f:
            f.truncate(64 << 20)
        return self

    def __exit__(self, *_):
        self.directory.cleanup()

    def guest(self, *options, status=0):
        """Runs the synthetic guest on the disk, checking all data: the standard output."""
        return run("--backend", self.path, "--aio", "threads", "--verify", "--area", "4M",
                   "--ramp", "0", "--seconds", "0.4", *options, status=status)


def run(*options, status=0):
    done = subprocess.run([PROGRAM, "--qemu", QEMU, *options], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120)
    if done.returncode != status:
        raise AssertionError(f"status {done.returncode}, expected {status}, of {options}:\n"
                             f"{done.stdout}{done.stderr}")
    return done.stdout if status < 2 else done.stderr


def expect_load(text, least=100):
    """No fault, and work was done."""
    result = json.loads(text)
    faults = result["faults"]
    tap.equal({name: faults[name] for name in ("lost", "duplicate", "wrong", "errors")},
              {"lost": 0, "duplicate": 0, "wrong": 0, "errors": 0}, "faults")
    for number, queue in enumerate(result["queues"]):
        if queue["requests"] < least:
            raise AssertionError(f"queue {number}: only {queue['requests']} requests")
    tap.equal(result["latency_ns"]["count"] > 0, True, "latencies counted")
    return result


@tap.test
def one_queue_reads_writes_and_flushes(disk):
    result = expect_load(disk.guest("--mix", "50/40/10", "--depth", "16", "--json"))
    tap.equal(len(result["iothreads"]), 1)
    tap.equal(result["cpu_ns_per_io"] > 0, True, "CPU time counted")


@tap.test
def four_queues_on_two_iothreads(disk):
    result = expect_load(disk.guest("--queues", "4", "--iothreads", "2", "--map", "0,1,1,0",
                                    "--mix", "60/40", "--json"))
    busy = [thread for thread in result["iothreads"] if thread["cpu_ns"] > 0]
    tap.equal(len(busy), 2, "IOThreads that worked")


@tap.test
def four_queues_of_four_threads(disk):
    expect_load(disk.guest("--queues", "4", "--threads", "0", "--mix", "50/50", "--depth", "8",
                           "--json"))


@tap.test
def rings_of_all_kinds(disk):
    for options in (["--indirect"], ["--packed"], ["--packed", "--indirect"], ["--no-event-idx"],
                    ["--segments", "16", "--block-size", "64K"], ["--block-size", "512"]):
        expect_load(disk.guest("--mix", "50/40/10", "--depth", "20", "--json", *options))


@tap.test
def interrupts_are_seen(disk):
    result = expect_load(disk.guest("--interrupts", "--depth", "4", "--json"))
    if not 0 < result["interrupts"] <= sum(q["requests"] for q in result["queues"]):
        raise AssertionError(f"{result['interrupts']} interrupts")
    polled = expect_load(disk.guest("--json"))
    tap.equal(polled["interrupts"], 0, "interrupts of a polled ring")


@tap.test
def kicks_are_what_the_device_asks_for(disk):
    """Without polling QEMU wants a kick whenever it has fallen asleep; depth 1 kicks each time."""
    result = expect_load(disk.guest("--depth", "1", "--iothread", '{"poll-max-ns": 0}', "--json"))
    done = sum(queue["requests"] for queue in result["queues"])
    if result["kicks"] < done * 0.9:
        raise AssertionError(f"{result['kicks']} kicks of {done} requests")
    spinning = expect_load(disk.guest("--depth", "64", "--iothread",
                                      '{"poll-max-ns": 1000000000}', "--json"))
    done = sum(queue["requests"] for queue in spinning["queues"])
    if spinning["kicks"] > done / 4:
        raise AssertionError(f"{spinning['kicks']} kicks of {done} requests in spite of polling")


@tap.test
def planted_faults_are_found(disk):
    for plant, what in (("corrupt", "wrong"), ("drop", "lost"), ("duplicate", "duplicate")):
        text = disk.guest("--plant", plant, "--mix", "70/30", "--patience", "0.5", "--json",
                          status=1)
        faults = json.loads(text)["faults"]
        tap.equal(faults[what], 1, f"faults of kind {what}")
        tap.equal(bool(faults["first"]), True, "its text")


@tap.test
def changed_and_stale_blocks_are_found(disk):
    """What lies on the disk is what is checked: a log, a block zeroed, a block of the day before."""
    disk.guest("--mix", "0/90/10", "--write-log", disk.log)
    tap.contains(run("--check-log", disk.log, "--image", disk.path), "right")
    with open(disk.log, encoding="utf-8") as f:
        writes = [line.split() for line in f if line.startswith("write ")]
        f.seek(0)
        flush = max(int(line.split()[1]) for line in f
                    if line.startswith("flush ") and line.split()[2] != "0")
    promised = {}
    for _, _, completed, offset, generation, _, _ in writes:
        if 0 < int(completed) < flush:
            promised[int(offset)] = max(int(generation), promised.get(int(offset), 0))
    offset, generation = next(item for item in promised.items() if item[1] > 1)
    with open(disk.path, "r+b") as f:
        f.seek(offset)
        block = f.read(4096)
        f.seek(offset)
        f.write(bytes(4096))
    tap.contains(run("--check-log", disk.log, "--image", disk.path, status=1), "FAULTS")
    with open(disk.path, "r+b") as f:
        f.seek(offset)
        f.write(block)
    run("--check-log", disk.log, "--image", disk.path)


def logged_writes(path):
    """(sector, data, flushes) of each write and flush in the log of QEMU's blklogwrites driver."""
    with open(path, "rb") as f:
        _magic, _version, entries, sector = struct.unpack("<QQQI", f.read(28))
        at = sector
        for _ in range(entries):
            f.seek(at)
            first, count, flags, _length = struct.unpack("<QQQQ", f.read(32))
            f.seek(at + sector)
            data = b"" if flags & 4 else f.read(count * sector)  # 4: discard, without data
            at += sector + len(data)
            yield first * sector, data, bool(flags & 1)


def replay(entries, path):
    with open(path, "wb") as f:
        f.truncate(64 << 20)
        for offset, data, _ in entries:
            f.seek(offset)
            f.write(data)


@tap.test
def a_cut_of_power_loses_no_flushed_write(disk):
    """QEMU is killed under load; of what it passed on, all after the last flush is lost."""
    host = disk.log + "-host"
    with open(host, "wb") as f:
        f.truncate(1 << 30)
    nodes = {"driver": "blklogwrites", "node-name": "disk", "log-super-update-interval": 1,
             "file": {"driver": "file", "filename": disk.path},
             "log": {"driver": "file", "filename": host}}
    disk.guest("--mix", "0/95/5", "--depth", "16", "--write-log", disk.log, "--kill",
               "--blockdev", json.dumps(nodes))
    entries = list(logged_writes(host))
    last = max(i for i, (_, _, flush) in enumerate(entries) if flush)
    tap.diag(f"{len(entries)} entries on the host, the last flush is number {last}")
    replay(entries[:last + 1], disk.path)
    tap.contains(run("--check-log", disk.log, "--image", disk.path), "right")
    # A host that loses what it was to flush is found: nothing of the last thousand writes.
    replay(entries[:max(0, last - 1000)], disk.path)
    tap.contains(run("--check-log", disk.log, "--image", disk.path, status=1), "FAULTS")


@tap.test
def commands_are_sent_under_load(disk):
    result = expect_load(disk.guest("--qmp-every", "5", "--qmp", '{"execute":"query-status"}',
                                    "--json"))
    tap.equal(result["qmp"]["refused"], 0, "commands refused")
    if result["qmp"]["commands"] < 5:
        raise AssertionError(f"only {result['qmp']['commands']} commands")
    unknown = disk.guest("--qmp-every", "50", "--qmp", '{"execute":"x-none"}', "--json")
    tap.contains(json.loads(unknown)["qmp"]["first_refusal"], "x-none")


@tap.test
def malformed_rings_are_survived(_disk):
    out = run("--garbage", "1", "--rounds", "300", "--queues", "2",
              "--iothread", '{"poll-max-ns": 0}')
    tap.contains(out, "300 rounds survived")


@tap.test
def an_end_of_qemu_is_reported(disk):
    text = disk.guest("--qmp-every", "100", "--qmp", '{"execute":"quit"}', "--patience", "0.2",
                      "--json", status=1)
    tap.equal(json.loads(text)["faults"]["qemu_died"], 1)


@tap.test
def servers_are_read(_disk):
    server = datapath_cases.parse_server(
        'a=/q,device={"x-a":true,"b":[1,2]},aio=io_uring,iothread={"poll-max-ns":0}')
    tap.equal((server.name, server.program, server.aio), ("a", "/q", "io_uring"))
    tap.equal((server.device, server.iothread), ({"x-a": True, "b": [1, 2]}, {"poll-max-ns": 0}))
    for text in ("a", "=q", "a=q,x=1", "a=q,device=[1]", "a=q,device={"):
        tap.fails(ValueError, datapath_cases.parse_server, text)


@tap.test
def ratios_are_of_pairs(_disk):
    """Undisturbed slices count where there are enough of them; fio's best is the fastest."""
    case = datapath_cases.Case("c", "filled")
    runs = {
        "stock": [{"iops": 9, "cpu_ns_per_io": 900, "clean_share": 0.5, "clean_iops": 1e6},
                  {"iops": 9, "cpu_ns_per_io": 3000, "clean_share": 0.01, "clean_iops": 1e6}],
        "new": [{"iops": 9, "cpu_ns_per_io": 500}, {"iops": 9, "cpu_ns_per_io": 1000}],
        "fio a": [{"iops": 10, "cpu_ns_per_io": 250}, {"iops": 10, "cpu_ns_per_io": 500}],
        "fio b": [{"iops": 5, "cpu_ns_per_io": 1}, {"iops": 5, "cpu_ns_per_io": 1}],
    }
    lines = {line["server"]: line for line in bench_datapath.evaluate(case, runs, "stock")}
    tap.equal(lines["stock"]["cost_ns"], {"min": 1000, "median": 2000, "max": 3000})
    tap.equal(lines["new"]["to_stock"], {"min": 2, "median": 2.5, "max": 3})
    tap.equal(lines["new"]["to_bare"], {"min": 0.5, "median": 0.5, "max": 0.5})
    tap.equal([name for name, line in lines.items() if line["best_bare"]], ["fio a"])


@tap.test
def wrong_options_are_refused(disk):
    for options, message in (
            (["--depth", "0"], "--depth 0 is not in 1..1024"),
            (["--mix", "70/40"], "make 100"),
            (["--block-size", "3K"], "power of two"),
            (["--map", "0,1"], "has not 1 numbers"),
            (["--device", "{x"], "not a JSON object"),
            (["--device", '{"x": 1}'], "Property 'virtio-blk-pci.x' not found"),
            (["--backend", disk.log + "-none"], "neither 'null' nor"),
            (["--area", "1G", "--backend", disk.path], "larger than the disk"),
            (["--check-log", disk.path], "go together"),
            (["--check-log", disk.path, "--image", disk.path], "is no write log"),
            (["--qemu-arg", "-nonsense"], "did not start"),
            (["surplus"], "unexpected argument")):
        tap.contains(run(*options, status=2), message)


tap.main(Disk)
