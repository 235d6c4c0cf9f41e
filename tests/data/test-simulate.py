# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtq simulate on files: tests/data/simulate/CASE/args and its inputs -> expected.json, and
bad/NAME.sim -> NAME.err. VQ_TEST_REGENERATE=1 writes what was got. A file that no case uses is an
error."""

import json
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree

import tap

HERE = pathlib.Path(os.environ["VQ_SRCDIR"]) / "tests/data/simulate"
VIRTQ = os.environ["VQ_BUILDDIR"] + "/tools/virtq/virtq"
MACHINE = ["--topology", "core:4 pu:1"]


def simulate(*args, case=".", form="json"):
    return subprocess.run([VIRTQ, "--format", form, "simulate", *args], cwd=HERE / case,
                          capture_output=True, text=True, timeout=100, check=False)


def expected(path, got):
    if os.environ.get("VQ_TEST_REGENERATE"):
        path.write_text(got)
    tap.equal(got, path.read_text(), path.name)


def arguments(case):
    return shlex.split((HERE / case / "args").read_text())


def add_case(case):
    def run():
        result = simulate(*arguments(case), case=case)
        tap.equal(result.returncode, 0, f"exit status ({result.stderr})")
        expected(HERE / case / "expected.json", result.stdout)
        used = {"args", "expected.json", *arguments(case)}
        unused = sorted(p.name for p in (HERE / case).iterdir() if p.name not in used)
        tap.equal(unused, [], f"{case}: files that nothing uses")
        table = simulate(*arguments(case), case=case, form="table").stdout
        report = json.loads(result.stdout)
        for policy in report.get("policies", []):
            tap.contains(table.split("\n---")[0], policy["policy"], "table")
        for share in report.get("shares", []):
            tap.contains(table, f"\n {share['share']} %", "table")

    run.__name__ = "simulate_" + case
    tap.test(run)


@tap.test
def bad_traces_are_refused_by_line_and_field():
    names = sorted(p.name for p in (HERE / "bad").iterdir() if p.suffix == ".sim")
    assert len(names) > 3, names
    for name in names:
        result = simulate(*MACHINE, "--trace", name, case="bad")
        tap.equal((result.returncode, result.stdout), (1, ""), name)
        expected(HERE / "bad" / name.replace(".sim", ".err"), result.stderr)
    unused = {p.name for p in (HERE / "bad").iterdir()}
    unused -= {end for name in names for end in (name, name.replace(".sim", ".err"))}
    tap.equal(sorted(unused), [], "files that nothing uses")


@tap.test
def wrong_options_are_refused_by_name():
    for args, part in ((["--policy", "best"], "--policy: 'best'"),
                       (["--duration", "0"], "--duration: '0'"),
                       (["--duration", "1y"], "--duration: '1y'"),
                       (["--step", "-1"], "--step: '-1'"),
                       (["--vms", "0"], "--vms: 0"),
                       (["--vms", "10000", "--duration", "360d", "--lifetime", "1s"], "4000000"),
                       (["--noise", "9"], "--noise: 9"),
                       (["--memory", "5"], "--memory: '5'"),
                       (["--pool", "9"], "9"),
                       (["--fleet", "0"], "--fleet: 0"),
                       (["--schedule", "best"], "--schedule: 'best'"),
                       (["--pool-share", "50..5"], "--pool-share: '50..5'"),
                       (["--pool-share", "5..95"], "--pool-share: '5..95'"),
                       (["--pool-share", "5..10/0"], "--pool-share: '5..10/0'"),
                       (["--pool-share", "50", "--pool", "3"], "--pool: '3'"),
                       (["--degraded-max", "101"], "--degraded-max: 101"),
                       (["--trace", "nosuch.sim"], "nosuch.sim"),
                       (["--flavors", "small/day.sim"], "has no events"),
                       (["file"], "too many arguments")):
        result = simulate(*MACHINE, *args)
        tap.equal((result.returncode, result.stdout), (1, ""), f"result of {args}")
        tap.contains(result.stderr, part, f"error of {args}")


@tap.test
def a_written_trace_plays_the_same():
    args = [*MACHINE, "--duration", "2h", "--vms", "3", "--policy", "ours,none"]
    with tempfile.TemporaryDirectory(prefix="vq-simulate-") as directory:
        trace = directory + "/trace.sim"
        tap.equal(simulate(*args, "--write-trace", trace).returncode, 0, "exit status")
        played = simulate(*args, "--trace", trace)
    tap.equal(played.stdout, simulate(*args).stdout, "report")
    tap.contains(played.stdout, '"arrived"')


@tap.test
def every_machine_plays():
    """Machines of all kinds; some have no pool."""
    machines = sorted((HERE.parent / "machines").glob("*.xml"))
    names = [m for m in machines if not m.name.startswith("bad-")]
    assert len(names) > 5, names
    for name in names:
        result = simulate("--topology", name, "--duration", "30m", "--step", "1m", "--vms", "6")
        tap.equal((result.returncode, result.stderr), (0, ""), name.name)
        for policy in json.loads(result.stdout)["policies"]:
            tap.equal(policy["arrived"], policy["admitted"] + sum(r["vms"] for r in
                                                                  policy["refusals"]), name.name)


@tap.test
def plots_are_drawn():
    args = [*MACHINE, "--duration", "2h", "--vms", "3", "--policy", "ours,none"]
    for more, name in (([], "simulate"), (["--pool-share", "20..60/20"], "shares")):
        with tempfile.TemporaryDirectory(prefix="vq-simulate-") as directory:
            made = pathlib.Path(directory) / "a" / "b"
            result = simulate(*args, *more, "--plot", made)
            data = (made / (name + ".dat")).read_text()
            tap.equal(data.count("\n") > 3 and (made / (name + ".gp")).exists(), True, "data")
            if not shutil.which("gnuplot"):
                tap.equal(result.returncode, 1, "exit status")
                tap.contains(result.stderr, "gnuplot-nox")
                raise tap.Skip("gnuplot is not installed (tools/install-deps --for bench)")
            tap.equal((result.returncode, result.stderr), (0, ""), "exit status")
            root = ElementTree.parse(made / (name + ".svg")).getroot()
            tap.equal(root.tag, "{http://www.w3.org/2000/svg}svg", "root")
            text = "".join(root.itertext())
            for word in ["none", "ours"] if name == "simulate" else ["degraded", "pool idle"]:
                tap.contains(text, word, "picture")
            tap.equal((made / (name + ".png")).read_bytes()[:4], b"\x89PNG", "picture")


@tap.test
def one_share_is_a_pool():
    result = simulate(*MACHINE, "--duration", "1h", "--pool-share", "50")
    report = json.loads(result.stdout)
    tap.equal((report["pool"], len(report["policies"])), ("2-3", 5), "pool and policies")


@tap.test
def timing_is_only_printed_when_asked():
    args = [*MACHINE, "--duration", "1h", "--policy", "ours"]
    tap.lacks(simulate(*args).stdout, "decision_us")
    tap.contains(simulate(*args, "--timing").stdout, "decision_us_mean")


for name in sorted(p.name for p in HERE.iterdir() if p.is_dir() and p.name != "bad"):
    add_case(name)
tap.main()
