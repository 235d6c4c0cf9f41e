#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every machine of hwloc's test collection (-Dhwloc_source=): it is read, has the cores, CPUs and
nodes that hwloc's own hwloc-calc counts, and carries a walk of 40 steps (tests/support/walk.h) with
an invariant checker after each. One test a machine.

The collection, below tests/hwloc of hwloc's source:

    xml/*.xml               the machine in hwloc's XML
    linux/*.tar.bz2         /sys and /proc as a Linux kernel shows them
    x86/*.tar.bz2           the answers of the CPUID instruction
    x86+linux/*.tar.bz2     both
    linux/allowed/*.tar.bz2 cgroup files only, laid over a synthetic machine

All else there is listed in NOT_MACHINES with the reason; a file that is neither fails."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import tap  # noqa: E402

BUILD = os.environ["VQ_BUILDDIR"]
VIRTQ = os.path.join(BUILD, "tools", "virtq", "virtq")
WALK = os.path.join(BUILD, "tests", "data", "walk-machine")
SOURCE = os.environ.get("VQ_HWLOC_SOURCE")
SEEDS = [os.environ["VQ_TEST_SEED"]] if os.environ.get("VQ_TEST_SEED") else ["1", "2"]

# suffix or name -> why it is no machine
NOT_MACHINES = {
    ".output": "what lstopo is to print for the machine of that name",
    ".options": "lstopo's options for that",
    ".source": "the name of a machine that is printed in another way",
    ".env": "environment variables for a machine (taken from here)",
    ".synthetic": "the machine under linux/allowed (taken from here)",
    ".in": "script", ".am": "makefile", "README": "text", "wrapper.sh": "script",
    "CMakeLists.txt": "makefile",
}
DIRECTORIES = ("xml", "linux", "linux/allowed", "x86", "x86+linux")


def base():
    return os.path.join(SOURCE, "tests", "hwloc")


def machines():
    """(directory, file) of every machine; fails for a file that is unknown."""
    found, unknown = [], []
    for directory in DIRECTORIES:
        for name in sorted(os.listdir(os.path.join(base(), directory))):
            if os.path.isdir(os.path.join(base(), directory, name)):
                continue
            if name.endswith(".tar.bz2") or name.endswith(".xml"):
                found.append((directory, name))
            elif not (os.path.splitext(name)[1] in NOT_MACHINES or name in NOT_MACHINES):
                unknown.append(f"{directory}/{name}")
    if unknown:
        raise AssertionError(f"neither a machine nor in NOT_MACHINES: {', '.join(unknown)}")
    return found


def variables(path):
    """Of an .env file: NAME=VALUE lines, quotes as in a shell."""
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as f:
        return dict((m.group(1), m.group(2).strip('"'))
                    for m in re.finditer(r"^(\w+)=(.*)$", f.read(), re.M))


def run(argv, env):
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False,
                          env={**os.environ, "HWLOC_DEBUG_CHECK": "1", **env})


def expand(cpulist):
    cpus = set()
    for part in filter(None, cpulist.split(",")):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return cpus


def compare(data, argument, env):
    """Against hwloc-calc, which counts what is allowed."""
    if not shutil.which("hwloc-calc"):
        return
    given = ["--input", argument] if argument else []
    for key, kind in (("cores", "core"), ("usable", "pu")):
        done = run(["hwloc-calc", *given, "-N", kind, "all"], env)
        counted = int(done.stdout) if done.stdout.strip() else 0
        got = len(expand(data["usable"])) if key == "usable" else len(data["cores"])
        if counted:
            tap.equal(got, counted, key)


def check(argument, env):
    """A machine: an argument for --input, or the environment under which hwloc reads a dump."""
    given = ["--input", argument] if argument else []
    done = run([VIRTQ, "--format", "json", "topology", *given], env)
    if done.returncode:
        raise AssertionError(done.stderr)
    data = json.loads(done.stdout)
    compare(data, argument, env)
    pool = expand(data["pool"]["cpus"])
    if len(data["cores"]) > 1 and (not pool or not pool < expand(data["usable"])):
        raise AssertionError(f"pool {data['pool']} of {data['usable']}")
    for seed in SEEDS:
        done = run([WALK, seed, *([argument] if argument else [])], env)
        if done.returncode:
            raise AssertionError(f"seed {seed}: status {done.returncode}: {done.stderr}")
        tap.diag(done.stdout.strip())


def scratch():
    """In memory where that is possible: some dumps have 20000 files."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


def unpacked(directory, name, work):
    """(argument, environment) for the dump in an archive, unpacked below work."""
    subprocess.run(["tar", "xjf", os.path.join(base(), directory, name), "-C", work], check=True,
                   timeout=120)
    roots = [os.path.join(work, d) for d in os.listdir(work)]
    root = roots[0] if len(roots) == 1 else work
    stem = name[:-len(".tar.bz2")]
    env = {"HWLOC_THISSYSTEM": "0", "HWLOC_DUMPED_HWDATA_DIR": "/var/run/hwloc"}
    argument = None
    if directory == "x86":
        env.update(HWLOC_COMPONENTS="x86,stop", HWLOC_CPUID_PATH=root)
    elif directory == "x86+linux":
        env.update(HWLOC_FSROOT=os.path.join(root, "fsroot"),
                   HWLOC_CPUID_PATH=os.path.join(root, "cpuid"))
    elif directory == "linux/allowed":
        env = {"HWLOC_FSROOT": root}
        with open(os.path.join(base(), directory, stem.split(".")[0] + ".synthetic"),
                  encoding="utf-8") as f:
            argument = f.read().strip()
    else:
        env.update(HWLOC_COMPONENTS="linux,stop", HWLOC_FSROOT=root)
    env.update(variables(os.path.join(base(), directory, stem + ".env")))
    return argument, env


def one_machine(directory, name):
    if name.endswith(".xml"):
        check(os.path.join(base(), directory, name), {})
        return
    with scratch() as work:
        try:
            check(*unpacked(directory, name, work))
        finally:
            subprocess.run(["chmod", "-R", "u+rwX", work], check=False)


def add_tests():
    for directory, name in machines():
        function = functools.partial(one_machine, directory, name)
        function.__name__ = f"{directory}/{name}"
        tap.test(function)


@tap.test
def the_collection_is_there():
    if not SOURCE:
        raise tap.Skip("needs hwloc's source (-Dhwloc_source=)")
    found = machines()
    for directory in DIRECTORIES:
        count = sum(1 for d, _ in found if d == directory)
        tap.diag(f"{directory}: {count} machines")
        if not count:
            raise AssertionError(f"no machine in {base()}/{directory}")
    tap.diag(f"{len(found)} machines in all")


if SOURCE:
    add_tests()
tap.main()
