# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtq plan and virtq draw on files: tests/data/plan/CASE/args and its inputs -> expected.json.

VQ_TEST_REGENERATE=1 writes expected.json anew. A file that no case uses is an error. Each case is
drawn as well: the picture is well-formed and shows each placement once.
"""

import json
import os
import pathlib
import shlex
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree

import tap

HERE = pathlib.Path(os.environ["VQ_SRCDIR"]) / "tests/data/plan"
VIRTQ = os.environ["VQ_BUILDDIR"] + "/tools/virtq/virtq"
SVG = "{http://www.w3.org/2000/svg}"


def virtq(*args, case="."):
    return subprocess.run([VIRTQ, *args], cwd=HERE / case, capture_output=True, text=True,
                          timeout=60, check=False)


def arguments(case):
    return shlex.split((HERE / case / "args").read_text())


def cases():
    return sorted(p.name for p in HERE.iterdir() if p.is_dir())


def check_plan(case):
    result = virtq("--format", "json", "plan", *arguments(case), case=case)
    tap.equal(result.returncode, 0, f"exit status ({result.stderr})")
    expected = HERE / case / "expected.json"
    if os.environ.get("VQ_TEST_REGENERATE"):
        expected.write_text(result.stdout)
    tap.equal(result.stdout, expected.read_text(), f"{case}: plan")
    used = {"args", "expected.json", *arguments(case)}
    unused = sorted(p.name for p in (HERE / case).iterdir() if p.name not in used)
    tap.equal(unused, [], f"{case}: files that nothing uses")
    return json.loads(result.stdout)


def check_picture(case, plan):
    result = virtq("draw", "-", *arguments(case), case=case)
    tap.equal(result.returncode, 0, f"exit status ({result.stderr})")
    titles = [t.text for t in ElementTree.fromstring(result.stdout).iter(SVG + "title")]
    for placed in plan["placements"]:
        start = f"{placed['domain']} {placed['disk']} queue "
        middle = f", IOThread {placed['iothread']}: {placed['class']}"
        shown = [t for t in titles if t.startswith(start) and middle in t]
        tap.equal(len(shown), 1, f"{case}: chips of {start}{middle}")
    for refused in plan["refused"]:
        shown = [t for t in titles if refused["reason"] in t]
        tap.equal(len(shown), 1, f"{case}: refusals of {refused['domain']}")


def add_case(case):
    def run():
        check_picture(case, check_plan(case))

    run.__name__ = "plan_" + case
    tap.test(run)


@tap.test
def wrong_input_is_refused_by_name():
    one = ["--topology", "core:4 pu:1", "two-sockets/vm1.xml"]
    for args, part in (
            (["plan", "--topology", "core:bogus", "two-sockets/vm1.xml"], "core:bogus"),
            (["plan", "--topology", "core:4 pu:1", "--pool", "9", "two-sockets/vm1.xml"], "9"),
            (["plan", "--topology", "core:4 pu:1", "--pool", "0-3", "two-sockets/vm1.xml"], "0-3"),
            (["plan", "--topology", "core:4 pu:1", "--pool", "3-x", "two-sockets/vm1.xml"], "3-x"),
            (["plan", "--load", "two-sockets/args", *one], "args"),
            (["plan", "--current", "loads/load.json", *one], "load.json"),
            (["plan", "nosuch.xml"], "nosuch.xml"),
            (["plan"], "argument missing"),
            (["plan", "--count", "0", *one], "--count: '0'"),
            (["plan", "--count", "many", *one], "--count: 'many'"),
            (["draw", "/nosuch/dir/x.svg", *one], "/nosuch/dir"),
            (["draw", "x.svg", "--pool", "3"], "--pool"),
            (["-s", "/nosuch/socket", "draw", "x.svg"], "/nosuch/socket")):
        result = virtq(*args)
        tap.equal(result.returncode, 1, f"exit status of {args}")
        tap.contains(result.stderr, part, f"error of {args}")
        tap.equal(result.stdout, "", f"output of {args}")
    tap.equal((HERE / "x.svg").exists(), False, "a picture after an error")


MACHINE = ["--topology", "pack:2 numa:1 l3:1 core:8 pu:2"]  # its pool: two cores of each package


def summary(*args, status=0):
    result = virtq("--format", "json", "plan", *MACHINE, *args)
    tap.equal(result.returncode, status, f"exit status of {args} ({result.stderr})")
    plan = json.loads(result.stdout)
    return plan, plan["summary"]


@tap.test
def domains_alike_are_numbered():
    file = "two-sockets/vm1.xml"
    plan, told = summary("--summary", file, file, "two-sockets/vm2.xml", file)
    names = list(dict.fromkeys(p["domain"] for p in plan["placements"]))
    tap.equal(names, ["vm1", "vm1-2", "vm2", "vm1-3"], "domains")
    tap.equal(told["domains_planned"], 4, "domains")
    tap.equal(told["as_asked"] + told["domains_degraded"] + told["domains_refused"], 4, "domains")
    again, _told = summary("--count", "2", "two-sockets/vm2.xml", file)
    names = list(dict.fromkeys(p["domain"] for p in again["placements"]))
    tap.equal(names, ["vm2", "vm1", "vm2-2", "vm1-2"], "domains")


@tap.test
def the_most_that_fit_are_found():
    """One domain with 4 dedicated threads fills the 4 cores."""
    plan, told = summary("--count", "max", "two-sockets/vm1.xml")
    tap.equal((told["count_max"], told["fits"]), (1, True), "what fits")
    tap.equal(len(plan["placements"]), 4, "threads")
    _plan, told = summary("--count", "2", "two-sockets/vm1.xml")
    tap.equal((told["fits"], told["domains_degraded"]), (False, 1), "what fits")
    tap.contains(told["trouble"], "'vm1-2' needs 4 cores")
    _plan, told = summary("--pool", "15", "--count", "max", "two-sockets/vm1.xml")
    tap.equal((told["count_max"], told["fits"]), (0, False), "what fits")


@tap.test
def loads_of_domains_alike_count():
    """A shared core takes 0.8 of a core, or with two CPUs 1.0: of 0.45 each, two."""
    with tempfile.TemporaryDirectory(prefix="vq-plan-") as directory:
        domain = pathlib.Path(directory) / "vm.xml"
        text = (HERE / "two-sockets/vm1.xml").read_text()
        domain.write_text(text.replace("queues='4' placement='dedicated'",
                                       "queues='1' placement='shared'"))
        load = pathlib.Path(directory) / "load.json"
        load.write_text('{"vm1/vda/0": 0.45}')
        plan, told = summary("--count", "max", "--load", load, domain)
        tap.equal(told["count_max"], 8, "what fits")
        tap.equal({p["load"] for p in plan["placements"]}, {0.45}, "loads")
        result = virtq("plan", *MACHINE, "--count", "9", "--load", load, "--check", "-s", domain)
        tap.equal(result.returncode, 1, "exit status")
        tap.contains(result.stderr, "loaded above their limits")
        tap.contains(result.stdout, "9 domains with 9 IOThreads: 9 as asked")
        load.write_text('{"vm1/vda/0": 0}')
        result = virtq("plan", *MACHINE, "--count", "max", "--load", load, domain)
        tap.equal(result.returncode, 1, "exit status")
        tap.contains(result.stderr, "of each fit, and no more")


@tap.test
def check_is_the_exit_status():
    file = "two-sockets/vm1.xml"
    tap.equal(virtq("plan", *MACHINE, "--check", file).returncode, 0, "exit status")
    result = virtq("plan", *MACHINE, "--check", file, file)
    tap.equal(result.returncode, 1, "exit status")
    tap.contains(result.stdout, "1 as asked, 1 degraded, 0 refused")
    tap.contains(result.stderr, "they do not all fit: disk 'vda' of 'vm1-2'")


for name in cases():
    add_case(name)
tap.main()
