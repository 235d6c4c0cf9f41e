#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Machines from files: tests/data/machines/NAME.xml gives NAME.json or is refused with NAME.err.
VQ_TEST_REGENERATE=1 writes what was got. Machines of hwloc's collection: test-collection.py."""

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import tap  # noqa: E402

SRCDIR = os.environ["VQ_SRCDIR"]
MACHINES = os.path.join(SRCDIR, "tests", "data", "machines")
VIRTQ = os.path.join(os.environ["VQ_BUILDDIR"], "tools", "virtq", "virtq")
if not os.path.exists(VIRTQ):
    VIRTQ = os.path.join(os.environ["VQ_BUILDDIR"], "tools", "virtq")
REGENERATE = os.environ.get("VQ_TEST_REGENERATE") == "1"


def run(*args, cwd=MACHINES, env=None):
    return subprocess.run([VIRTQ, *args], cwd=cwd, capture_output=True, text=True, timeout=60,
                          env=dict(os.environ, **(env or {})))


def expected(name, got):
    """Compares with the file NAME, which holds nothing else."""
    path = os.path.join(MACHINES, name)
    if REGENERATE:
        with open(path, "w", encoding="utf-8") as f:
            f.write(got)
    with open(path, encoding="utf-8") as f:
        tap.equal(got, f.read(), name)


@tap.test
def files_are_read_as_expected():
    names = sorted(f[:-4] for f in os.listdir(MACHINES) if f.endswith(".xml"))
    if not names:
        raise AssertionError("no machines")
    for name in names:
        result = run("--format", "json", "topology", "--input", name + ".xml")
        if name.startswith("bad-"):
            tap.equal((result.returncode, result.stdout), (1, ""), name)
            expected(name + ".err", result.stderr)
        else:
            tap.equal((result.returncode, result.stderr), (0, ""), name)
            expected(name + ".json", result.stdout)


@tap.test
def every_file_is_used_and_says_where_it_is_from():
    for name in sorted(os.listdir(MACHINES)):
        stem, ext = os.path.splitext(name)
        if ext == ".xml":
            with open(os.path.join(MACHINES, name), encoding="utf-8", errors="replace") as f:
                tap.contains(f.read(), "Origin: ", name)
        else:
            tap.equal(ext, ".err" if stem.startswith("bad-") else ".json", name)
            if not os.path.exists(os.path.join(MACHINES, stem + ".xml")):
                raise AssertionError(f"{name} is used by no test")


@tap.test
def table_tells_the_same_as_json():
    for name in glob.glob(os.path.join(MACHINES, "[!b]*.xml")):
        data = json.loads(run("--format", "json", "topology", "--input", name).stdout)
        table = run("topology", "--cores", "--input", name).stdout
        tap.contains(table, f"cores: {len(data['cores'])}\n")
        tap.contains(table, data["pool"]["reason"])
        for note in data["notes"]:
            tap.contains(table, note)
        for block in data["blocks"]:
            tap.contains(table, f" {block['name']} ")


@tap.test
def huge_and_special_files_are_refused():
    with tempfile.TemporaryDirectory() as work:
        huge = os.path.join(work, "huge.xml")
        with open(huge, "wb") as f:
            f.truncate(16 * 1024 * 1024 + 1)
        result = run("topology", "--input", huge)
        tap.equal(result.returncode, 1)
        tap.contains(result.stderr, "16777217 bytes are above the limit of 16777216")
        fifo = os.path.join(work, "fifo.xml")
        os.mkfifo(fifo)
        tap.contains(run("topology", "--input", fifo).stderr, "not a regular file")
        tap.contains(run("topology", "--input", work).stderr, "not a regular file")
        tap.contains(run("topology", "--input", "absent.xml").stderr, "absent.xml: no such file")


@tap.test
def pool_options_are_checked():
    machine = ("topology", "--input", "pack:2 numa:1 core:4 pu:2")
    for args, text in ((("--pool", "99"), "99 is not on this host"),
                       (("--pool", "0-15"), "all usable CPUs (0-15)"),
                       (("--pool", "x"), "--pool: 'x' is not a CPU number"),
                       (("--share", "0"), "--share 0 is not 1..90"),
                       (("--share", "-5"), "--share -5 is not 1..90"),
                       (("--share", "91"), "91% is not 1..90%")):
        result = run(*machine, *args)
        tap.equal(result.returncode, 1, str(args))
        tap.contains(result.stderr, text)
    tap.contains(run(*machine, "--share", "50").stdout, "50% of 8 cores: 4")
    one = json.loads(run("--format", "json", "topology", "--input", "core:1 pu:2").stdout)
    tap.equal((one["pool"]["cpus"], one["pool"]["source"]), ("", "none"))


@tap.test
def this_host_agrees_with_hwloc_calc():
    if not shutil.which("hwloc-calc"):
        raise tap.Skip("needs hwloc-calc (package hwloc-nox)")
    data = json.loads(run("--format", "json", "topology").stdout)
    for key, kind in (("cores", "core"), ("packages", "package"), ("nodes", "numanode")):
        out = subprocess.run(["hwloc-calc", "-N", kind, "all"], capture_output=True, text=True,
                             check=True).stdout
        tap.equal(len(data[key]), max(int(out), 1) if key != "cores" else int(out), key)


tap.main()
