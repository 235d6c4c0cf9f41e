#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""tools/quickstart as somebody who interrupts it, and as a caller who gets it wrong. The whole of it
is run by tools/check."""

import glob
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import bed  # noqa: E402
import tap  # noqa: E402

TOOL = os.path.join(bed.SRCDIR, "tools", "quickstart")


def start(output, *args):
    return subprocess.Popen(
        [TOOL, "--skip-install", "--build-dir", bed.BUILDDIR, "--output", output, *args],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True)


def beds_of(pid):
    """Directories of the beds whose holder is a child of @pid."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        children = f.read().split()
    found = []
    for child in children:
        with open(f"/proc/{child}/cmdline", encoding="utf-8") as f:
            found += [word for word in f.read().split("\0") if "/vq-bed-" in word and "=" not in word]
    return found


@tap.test
def interrupting_it_leaves_nothing():
    bed.module_dir()
    process = start(os.path.join(bed.BUILDDIR, "quickstart-interrupted"))
    with process:
        for line in process.stdout:
            if line.startswith("== 2."):
                break
        directories = beds_of(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stdout.read()
    tap.equal(process.returncode, 130, "exit status")
    tap.contains(rest, "interrupted")
    tap.equal(len(directories), 1, "beds of the quickstart")
    tap.equal([d for d in directories if os.path.exists(d)], [], "beds left")
    time.sleep(0.2)
    tap.equal([c for c in glob.glob("/proc/[0-9]*/cmdline") if directories[0] in cmdline(c)], [],
              "processes left")


def cmdline(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


@tap.test
def wrong_arguments_are_named():
    for args, text in ((["--frobnicate"], "'--frobnicate'"), (["--output"], "--output needs")):
        result = subprocess.run([TOOL, *args], stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, check=False)
        tap.equal(result.returncode, 1, "exit status")
        tap.contains(result.stderr, text)


@tap.test
def without_root_it_says_so():
    result = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "bash",
                             "-s", "--", "--skip-install"], input=open(TOOL, encoding="utf-8").read(),
                            capture_output=True, text=True, check=False)
    tap.equal(result.returncode, 1, "exit status")
    tap.contains(result.stderr, "needs root")


tap.main()
