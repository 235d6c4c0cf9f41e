# SPDX-License-Identifier: LGPL-2.1-or-later
"""CPU time and memory of one placement against the size of machine and load: from nothing, again
with nothing changed, after 5% of the loads changed, and after one VM left and another came. 16 to
1024 CPUs, up to 4096 threads, with 0, 20 and 100% of the pool's cores dedicated."""

import json

import benchlib

SUMMARY = "cost of placement against size (placement.json, .svg, .png)"

CORES = (8, 16, 32, 64, 128, 256, 512)  # of two CPUs each
PER_CORE = (1, 4, 8)                    # threads
DEDICATED = (0, 20, 100)                # per cent of the pool's cores
STEPS = ("scratch", "again", "shift", "exchange")
TITLES = {"scratch": "from nothing", "again": "nothing changed", "shift": "5% of loads changed",
          "exchange": "one VM for another"}


def add_arguments(parser):
    parser.add_argument("--runs", type=int, default=7, help="of each size (default: 7)")
    parser.add_argument("--fill", type=int, default=60,
                        help="load in per cent of the shared cores (default: 60)")
    parser.add_argument("--quick", action="store_true", help="three runs of up to 256 CPUs")


def sizes(options):
    """(cores, CPUs a core, threads, dedicated)"""
    for cores in CORES:
        if options.quick and cores > 128:
            break
        for per_core in PER_CORE:
            for dedicated in DEDICATED:
                if dedicated < 100 or per_core == 1:
                    yield cores, 2, cores * per_core, dedicated
    if not options.quick:
        yield 256, 1, 1024, 0
        yield 256, 1, 1024, 20


def measure(program, size, options):
    cores, pus, threads, dedicated = size
    runs = 3 if options.quick else options.runs
    out = benchlib.run([program, cores, pus, threads, dedicated, options.fill, runs], 600)
    return json.loads(out)


def row(result):
    cells = [f"{result['cores']} x {result['pus'] // result['cores']}", result["threads"],
             f"{result['dedicated']}%"]
    for step in STEPS:
        r = result[step]
        cells.append(f"{r['min_ms']:.2f} {r['median_ms']:.2f} {r['max_ms']:.2f}")
    cells += [f"{result['scratch']['heap_bytes'] / 1024:.0f}",
              f"{result['max_rss_bytes'] / 1048576:.1f}"]
    return cells


def growth(results, dedicated, per_core):
    """By how much the heap grows from the largest size but one to the largest, which has twice the
    cores and threads; None if they were not measured."""
    big = [r["scratch"]["heap_bytes"] for r in results if r["dedicated"] == dedicated
           and r["pus"] == 2 * r["cores"] and r["threads"] == per_core * r["cores"]]
    return big[-1] / big[-2] if len(big) > 1 else None


def plot(options, results):
    series, curves = {}, []
    for step in STEPS:
        for dedicated in DEDICATED if step in ("scratch", "shift") else (0,):
            per_core = 1 if dedicated == 100 else 4
            rows = [(r["threads"], r[step]["median_ms"], r[step]["min_ms"], r[step]["max_ms"])
                    for r in results if r["dedicated"] == dedicated
                    and r["pus"] == 2 * r["cores"] and r["threads"] == per_core * r["cores"]]
            name = f"{step}{dedicated}"
            series[name] = rows
            curves.append(f"${name} using 1:2:3:4 with yerrorlines title "
                          f"'{TITLES[step]}, {dedicated}% dedicated'")
    script = f"""
set logscale xy 2
set logscale y 10
set grid
set key left top
set xlabel 'I/O threads (4 for each core; 100% dedicated: 1)'
set ylabel 'CPU time of one placement, ms (median; bars: least and most)'
set title 'Cost of placement against size'
plot {', '.join(curves)}
"""
    written = benchlib.plot(options, "placement", script, series)
    memory = {"heap": [(r["threads"], r["scratch"]["heap_bytes"] / 1048576) for r in results
                       if r["dedicated"] == 0 and r["pus"] == 2 * r["cores"]
                       and r["threads"] == 8 * r["cores"]]}
    script = """
set logscale xy 2
set grid
set key left top
set xlabel 'I/O threads (8 for each core)'
set ylabel 'heap at the peak of one placement, MiB'
set title 'Memory of placement against size'
plot $heap using 1:2 with linespoints title 'measured', x*$PER title 'linear' dashtype 2
"""
    per = memory["heap"][-1][1] / memory["heap"][-1][0]
    return written + benchlib.plot(options, "placement-memory", script.replace("$PER", str(per)),
                                   memory)


def run(options):
    build = benchlib.build(options.source, options.work, "tests/bench/bench-placement-sweep")
    program = f"{build}/tests/bench/bench-placement-sweep"
    results = []
    for size in sizes(options):
        results.append(measure(program, size, options))
        print("  ".join(map(str, row(results[-1]))), flush=True)
    print()
    print(benchlib.table(["cores", "threads", "dedicated", *(f"{TITLES[s]}, ms" for s in STEPS),
                          "heap KiB", "RSS MiB"], map(row, results)))
    print("times: least, median, most of CPU time")
    for dedicated, per_core in ((0, 8), (100, 1)):
        factor = growth(results, dedicated, per_core)
        if factor:
            print(f"twice the threads and cores, {dedicated}% dedicated: {factor:.2f} times the heap")
    path = benchlib.write_json(options, "placement", {"results": results})
    for written in [path, *plot(options, results)]:
        print(written)
    return 0
