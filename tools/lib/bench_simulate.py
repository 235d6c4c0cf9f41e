# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our placement against first fit, round robin, no pins and solving anew, over virtual days of VMs
that come, do I/O and go (virtq simulate), on several machines and with several seeds; and how many
cores a fleet needs for I/O. The figures but for the times are the same on every machine."""

import json
import statistics
import time

import benchlib

SUMMARY = "policies compared over virtual days, and a fleet's I/O cores (simulate.json, .svg, .png)"

# name -> machine, VMs in the mean, share of cores for I/O in per cent
MACHINES = {
    "2 sockets x 16 cores, 12 for I/O": ("pack:2 numa:1 l3:1 core:16 pu:2", 30, 40),
    "2 sockets x 16 cores, 8 for I/O, which is too few": ("pack:2 numa:1 l3:1 core:16 pu:2", 30, 25),
    "2 x 4 nodes, 64 cores, 25 for I/O": ("pack:2 numa:4 l3:2 core:4 pu:2", 60, 40),
    "1 socket x 8 cores, 3 for I/O": ("pack:1 numa:1 l3:1 core:8 pu:2", 6, 40),
}
POLICIES = ("ours", "first-fit", "round-robin", "none", "oracle")
# key -> title, factor
MEASURES = {
    "over_limit": ("over the limit %", 100), "lost": ("work lost %", 100),
    "remote": ("remote %", 100), "fragmented": ("fragmented %", 100),
    "degraded": ("degraded %", 100), "cores_mean": ("cores in use", 1),
    "load_p99": ("load p99 %", 100), "moves_per_hour": ("moves/h", 1),
}


def add_arguments(parser):
    parser.add_argument("--seeds", type=int, default=10, help="days played (default: 10)")
    parser.add_argument("--hosts", type=int, default=200, help="of the fleet (default: 200)")
    parser.add_argument("--quick", action="store_true", help="two days of 6 hours, 20 hosts")


def play(virtq, *args):
    return json.loads(benchlib.run([virtq, "--format", "json", "simulate", *args], 1800))


def days(virtq, options):
    """machine -> policy -> results by seed"""
    out = {}
    for name, (machine, vms, share) in MACHINES.items():
        out[name] = {policy: [] for policy in POLICIES}
        for seed in range(1, (2 if options.quick else options.seeds) + 1):
            report = play(virtq, "--topology", machine, "--vms", vms, "--seed", seed,
                          "--pool-share", share,
                          "--duration", "6h" if options.quick else "24h")
            for result in report["policies"]:
                out[name][result["policy"]].append(result)
    return out


def day_row(policy, results):
    cells = [policy]
    for key, (_title, factor) in MEASURES.items():
        values = [r[key] * factor for r in results]
        cells.append(f"{statistics.mean(values):.2f} ({max(values):.2f})")
    return cells


def print_days(found):
    for name, policies in found.items():
        print(f"\n{name}: mean (highest) of {len(policies['ours'])} days")
        print(benchlib.table(["policy", *(title for title, _f in MEASURES.values())],
                             [day_row(p, results) for p, results in policies.items()]))


def fleet(virtq, options):
    machine, vms, _share = next(iter(MACHINES.values()))
    start = time.monotonic()
    report = play(virtq, "--topology", machine, "--vms", vms, "--duration", "6h",
                  "--fleet", 20 if options.quick else options.hosts, "--pool-share", "5..50/5")
    report["wall_seconds"] = round(time.monotonic() - start, 2)
    return report


def print_fleet(report):
    rows = []
    for share in report["shares"]:
        r = share["result"]
        rows.append([f"{share['share']} %", share["cores"],
                     f"{100 * (1 - r['admitted'] / r['arrived']):.2f}",
                     *(f"{100 * r[k]:.2f}" for k in ("over_limit", "degraded", "lost", "idle",
                                                     "vcpus_used"))])
    print(f"\nfleet of {report['hosts']} hosts, {report['hours']:g} h, "
          f"{report['wall_seconds']} s for all shares; smallest share that meets the targets: "
          f"{report.get('smallest_share', 'none')}")
    print(benchlib.table(["share", "cores", "refused %", "over the limit %", "degraded %", "lost %",
                          "idle %", "vCPUs used %"], rows))


def plot(options, found, report):
    bars = {f"m{i}": [(f'"{p}"', *(statistics.mean(r[k] for r in results) * 100
                                   for k in ("over_limit", "remote", "degraded")))
                      for p, results in policies.items()]
            for i, policies in enumerate(found.values())}
    parts = [f"set title '{name}'\nplot $m{i} using 2:xtic(1) title 'threads over the limit', "
             "'' using 3 title 'work on remote nodes', '' using 4 title 'dedicated degraded'"
             for i, name in enumerate(found)]
    script = ("set style data histograms\nset style fill solid 0.7\nset grid ytics\n"
              "set ylabel 'per cent'\nset key outside right\n"
              f"set multiplot layout {len(parts)},1\n" + "\n".join(parts) + "\nunset multiplot\n")
    written = benchlib.plot(options, "simulate", script, bars)
    rows = [(s["share"], 100 * (1 - s["result"]["admitted"] / s["result"]["arrived"]),
             *(100 * s["result"][k] for k in ("over_limit", "degraded", "idle")))
            for s in report["shares"]]
    script = ("set grid\nset xlabel 'cores for I/O, per cent'\nset ylabel 'per cent'\n"
              f"set title 'Fleet of {report['hosts']} hosts'\nset style data linespoints\n"
              "plot $fleet using 1:2 title 'VMs refused', '' using 1:3 title 'over the limit', "
              "'' using 1:4 title 'degraded', '' using 1:5 title 'pool idle'\n")
    return written + benchlib.plot(options, "simulate-fleet", script, {"fleet": rows})


def run(options):
    build = benchlib.build(options.source, options.work, "tools/virtq/virtq")
    virtq = f"{build}/tools/virtq/virtq"
    found = days(virtq, options)
    print_days(found)
    report = fleet(virtq, options)
    print_fleet(report)
    written = [benchlib.write_json(options, "simulate", {"days": found, "fleet": report}),
               *plot(options, found, report)]
    print("\n" + "\n".join(written))
    return 0
