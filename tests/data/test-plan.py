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
            (["draw", "/nosuch/dir/x.svg", *one], "/nosuch/dir"),
            (["draw", "x.svg", "--pool", "3"], "--pool"),
            (["-s", "/nosuch/socket", "draw", "x.svg"], "/nosuch/socket")):
        result = virtq(*args)
        tap.equal(result.returncode, 1, f"exit status of {args}")
        tap.contains(result.stderr, part, f"error of {args}")
        tap.equal(result.stdout, "", f"output of {args}")
    tap.equal((HERE / "x.svg").exists(), False, "a picture after an error")


for name in cases():
    add_case(name)
tap.main()
