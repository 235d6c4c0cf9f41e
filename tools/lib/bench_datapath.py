# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMU's virtio-blk datapath under the synthetic guest, in alternation: the distribution's QEMU,
others given with --server, and fio on the bare device. docs/datapath-bench.md tells how to read the
table."""

import contextlib
import fnmatch
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile

import benchlib
import datapath_cases
import zram

SUMMARY = "CPU time and rate of QEMU's virtio-blk (datapath.json, .svg, .png)"

FILE_BYTES = 256 << 20
FIO_ENGINES = ("psync", "libaio", "io_uring")
CLEAN_LEAST = 0.02  # of a run's time must be undisturbed slices for their rate to be used


def add_arguments(parser):
    parser.add_argument("--server", action="append", default=[], metavar="NAME=PROGRAM[,...]",
                        help="another QEMU, may be repeated; more: ,device=JSON ,iothread=JSON "
                        "(properties) ,aio=native|io_uring|threads")
    parser.add_argument("--stock", default="qemu-system-x86_64", metavar="PROGRAM",
                        help="what the others are compared with (default: the distribution's)")
    parser.add_argument("--case", action="append", metavar="PATTERN",
                        help="only these cases, such as 'null*'; may be repeated (--list)")
    parser.add_argument("--list", action="store_true", help="list the cases")
    parser.add_argument("--repeat", type=int, default=5, help="alternations (default: 5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each run (default: 1)")
    parser.add_argument("--load-cpus", default="0", metavar="SET", help="of the load (default: 0)")
    parser.add_argument("--io-cpus", default="1", metavar="SET",
                        help="of the IOThreads, and of fio (default: 1)")
    parser.add_argument("--realtime", action="store_true",
                        help="all runs under SCHED_FIFO (root): short ones, on a machine with "
                        "other work, which stands still meanwhile")
    parser.add_argument("--no-fio", action="store_true", help="leave out the bare device")


def realtime():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


class Bench:
    def __init__(self, options, program, servers):
        self.options = options
        self.program = program
        self.servers = servers
        self.stack = contextlib.ExitStack()
        self.backs = {}

    def back(self, name):
        """Path of a back end, made when it is first asked for; None with a word if it cannot be."""
        if name not in self.backs:
            self.backs[name] = self.make_back(name)
        return self.backs[name]

    def make_back(self, name):
        if name == "null":
            return "null"
        if name in ("filled", "unwritten"):
            reason = zram.missing()
            if reason:
                print(f"left out: zram {name}: {reason}")
                return None
            return self.stack.enter_context(zram.Device(FILE_BYTES, filled=name == "filled"))
        parent = "/dev/shm" if name == "memory" else self.options.output
        directory = self.stack.enter_context(
            tempfile.TemporaryDirectory(prefix="bench-datapath-", dir=parent))
        path = os.path.join(directory, "disk")
        with open(path, "wb") as f:
            for _ in range(FILE_BYTES >> 20):
                f.write(os.urandom(1 << 20))
            os.fsync(f.fileno())
        return path

    def guest(self, server, case, path):
        options = self.options
        argv = [self.program, *server.options(), "--backend", path, "--json", "--ramp", "0.1",
                "--seconds", options.seconds,
                *case.guest_options(options.load_cpus, options.io_cpus)]
        return json.loads(benchlib.run(argv + ["--realtime"] * options.realtime, 120))

    def fio(self, engine, case, path):
        """fio's result in the words of ours: nanoseconds of CPU for a request, and the rate."""
        out = benchlib.run(
            ["fio", "--name=bare", "--filename=" + path, "--direct=1", "--ioengine=" + engine,
             "--cpus_allowed=" + self.options.io_cpus, "--time_based", "--ramp_time=100ms",
             f"--runtime={round(1000 * self.options.seconds)}ms", "--output-format=json",
             "--norandommap", "--randrepeat=0", *case.fio_options()], 120,
            preexec_fn=realtime if self.options.realtime else None)
        job = json.loads(out[out.index("{"):])["jobs"][0]
        done = job["read"]["total_ios"] + job["write"]["total_ios"]
        iops = job["read"]["iops"] + job["write"]["iops"]
        runtime = max(job["read"]["runtime"], job["write"]["runtime"]) * 1e6  # ms
        cpu = (job["usr_cpu"] + job["sys_cpu"]) / 100 * runtime / max(done, 1)
        # Under SCHED_FIFO nothing else takes its core: what it waits for is work of helpers.
        return {"iops": iops, "cpu_ns_per_io": cpu,
                "clean_share": float(self.options.realtime), "clean_iops": iops}

    def run_case(self, case):
        """name of the server -> list of runs, in the order of alternation."""
        path = self.back(case.back)
        if path is None:
            return None
        runs = {}
        for _ in range(self.options.repeat):
            for server in self.servers:
                runs.setdefault(server.name, []).append(self.guest(server, case, path))
            if case.bare and not self.options.no_fio:
                for engine in FIO_ENGINES:
                    if self.fio_works(engine, case, path):
                        runs.setdefault("fio " + engine, []).append(self.fio(engine, case, path))
        return runs

    def fio_works(self, engine, case, path):
        """A file in memory has no O_DIRECT on older kernels; io_uring may be switched off."""
        key = (engine, case.back)
        if key not in self.backs:
            try:
                self.fio(engine, case, path)
                self.backs[key] = True
            except benchlib.Failure as failure:
                print(f"left out: fio {engine} on {case.back}: {str(failure).splitlines()[-1]}")
                self.backs[key] = False
        return self.backs[key]


def cost(run, iothreads=1):
    """Nanoseconds of an I/O core for a request: from undisturbed slices where there were enough,
    else CPU time, which includes polling in vain."""
    if run.get("clean_share", 0) >= CLEAN_LEAST and run["clean_iops"] > 0:
        return iothreads * 1e9 / run["clean_iops"]
    return run["cpu_ns_per_io"]


def spread(values):
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def bare_best(runs):
    """fio's engine of the highest rate: CPU time alone says nothing of one that leaves the work to
    helper threads of the kernel."""
    rates = {name: statistics.median(run["iops"] for run in list_)
             for name, list_ in runs.items() if name.startswith("fio ")}
    return max(rates, key=rates.get) if rates else None


def evaluate(case, runs, stock):
    """A line of the table for each server. Ratios are of pairs of one alternation; above 1 is less
    time than the other."""
    costs = {name: [cost(run, case.iothreads) for run in list_] for name, list_ in runs.items()}
    bare = bare_best(runs)
    lines = []
    for name, list_ in runs.items():
        line = {"case": case.name, "server": name, "cost_ns": spread(costs[name]),
                "iops": spread([run["iops"] for run in list_]),
                "cpu_ns": spread([run["cpu_ns_per_io"] for run in list_]),
                "clean_share": statistics.median(run.get("clean_share", 0) for run in list_),
                "best_bare": name == bare, "runs": list_}
        if "latency_ns" in list_[0]:
            line["p50_ns"] = statistics.median(run["latency_ns"]["p50"] for run in list_)
            line["p99_ns"] = statistics.median(run["latency_ns"]["p99"] for run in list_)
            faults = [sum(run["faults"][k] for k in ("lost", "duplicate", "wrong", "errors"))
                      for run in list_]
            line["faults"] = sum(faults)
        for other, key in ((stock, "to_stock"), (bare, "to_bare")):
            if other and other != name:
                line[key] = spread([b / a for a, b in zip(costs[name], costs[other])])
        lines.append(line)
    return lines


def ratio_text(ratio):
    return f"{ratio['min']:.2f} {ratio['median']:.2f} {ratio['max']:.2f}" if ratio else "-"


def row(line):
    mark = " (best)" if line["best_bare"] else ""
    ns = line["cost_ns"]
    latency = f"{line['p50_ns'] / 1e3:.1f} {line['p99_ns'] / 1e3:.1f}" if "p50_ns" in line else "-"
    return [line["case"], line["server"] + mark,
            f"{ns['min']:.0f} {ns['median']:.0f} {ns['max']:.0f}", f"{line['cpu_ns']['median']:.0f}",
            f"{line['iops']['median'] / 1e3:.0f}", f"{100 * line['clean_share']:.0f}%", latency,
            ratio_text(line.get("to_stock")), ratio_text(line.get("to_bare"))]


HEADER = ["case", "server", "core ns/IO: min med max", "CPU ns", "kIOPS", "clean", "us: p50 p99",
          "times stock", "times bare"]


def plot(options, lines):
    """Bars of the medians, a group for each case."""
    names = list(dict.fromkeys(line["server"] for line in lines))
    rows = []
    for case in dict.fromkeys(line["case"] for line in lines):
        medians = {line["server"]: line["cost_ns"]["median"] for line in lines
                   if line["case"] == case}
        rows.append([f'"{case}"', *(f"{medians[n]:.0f}" if n in medians else "NaN"
                                    for n in names)])
    bars = ", ".join(f"$costs using {i + 2}:xtic(1) title '{n}'" for i, n in enumerate(names))
    script = f"""
set termoption noenhanced
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.8 border -1
set logscale y
set grid ytics
set xtics rotate by -35 font ',9'
set key outside top center horizontal
set rmargin 12
set ylabel 'ns of the I/O core for a request'
set title 'virtio-blk datapath'
plot {bars}
"""
    return benchlib.plot(options, "datapath", script, {"costs": rows})


def servers_of(options):
    servers = [datapath_cases.Server("stock", options.stock)]
    try:
        servers += [datapath_cases.parse_server(text) for text in options.server]
    except ValueError as e:
        raise benchlib.Failure(f"--server: {e}") from e
    for server in servers:
        if not shutil.which(server.program):
            raise benchlib.Failure(f"{server.name}: {server.program} is no program")
    return servers


def versions(servers):
    found = {}
    for server in servers:
        out = subprocess.run([server.program, "--version"], capture_output=True, text=True,
                             check=False).stdout
        found[server.name] = re.sub(r"^QEMU emulator version ", "", out.splitlines()[0])
    return found


def run(options):
    chosen = [case for case in datapath_cases.cases()
              if not options.case or any(fnmatch.fnmatch(case.name, p) for p in options.case)]
    if options.list or not chosen:
        print("\n".join(case.name for case in datapath_cases.cases()))
        return 0 if options.list else 2
    servers = servers_of(options)
    if not options.no_fio and not shutil.which("fio"):
        raise benchlib.Failure("fio is not installed (tools/install-deps --for bench, or --no-fio)")
    target = "tests/bench/guest/synthetic-guest"
    bench = Bench(options, f"{benchlib.build(options.source, options.work, target)}/{target}",
                  servers)
    found = versions(servers)
    for name, version in found.items():
        print(f"{name}: {version}")
    lines = []
    with bench.stack:
        for case in chosen:
            if case.needs > (os.cpu_count() or 1):
                print(f"left out: '{case.name}' needs {case.needs} CPUs")
                continue
            runs = bench.run_case(case)
            if runs is None:
                continue
            new = evaluate(case, runs, "stock")
            lines += new
            print("\n".join("  ".join(row(line)) for line in new), flush=True)
    print("\n" + benchlib.table(HEADER, map(row, lines)))
    print("times: how many times less time of the core a request takes; pairs of one alternation")
    path = benchlib.write_json(options, "datapath", {
        "versions": found, "seconds": options.seconds, "repeat": options.repeat,
        "realtime": options.realtime, "lines": lines})
    for written in [path, *plot(options, lines)]:
        print(written)
    return 1 if any(line.get("faults") for line in lines) else 0
