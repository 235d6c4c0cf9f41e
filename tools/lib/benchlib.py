# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the subcommands of tools/bench share: building, results as JSON, tables, plots."""

import json
import os
import platform
import shutil
import subprocess
import time


class Failure(Exception):
    """Told to the user without a traceback."""


def run(argv, timeout, **options):
    """Standard output of a command that must succeed."""
    try:
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                              timeout=timeout, check=False, **options)
    except FileNotFoundError as e:
        raise Failure(f"{argv[0]} is not installed") from e
    except subprocess.TimeoutExpired as e:
        raise Failure(f"{argv[0]} did not end within {timeout} s") from e
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, argv))}: status {done.returncode}\n"
                      + "\n".join((done.stdout + done.stderr).splitlines()[-20:]))
    return done.stdout


def build(source, work, *targets, name="release", meson=("--buildtype=release",)):
    """A build directory below @work with these targets, optimised; returns its path."""
    path = os.path.join(work, name)
    run([os.path.join(source, "tools", "configure"), path, *meson], 300)
    run(["ninja", "-C", path, *targets], 1200)
    return path


def machine():
    """What the figures were measured on: they say little without it."""
    model = "unknown"
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            model = next((line.split(":", 1)[1].strip() for line in f
                          if line.startswith("model name")), model)
    except OSError:
        pass
    return {"cpu": model, "cpus": len(os.sched_getaffinity(0)), "kernel": platform.release(),
            "load": round(os.getloadavg()[0], 2),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def commit(source):
    """The source's commit, or None outside git."""
    try:
        return run(["git", "-C", source, "describe", "--always", "--dirty"], 20).strip()
    except Failure:
        return None


def write_json(options, name, data):
    """OUTPUT/NAME.json with @data, the machine and the commit; returns the path."""
    path = os.path.join(options.output, name + ".json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"machine": machine(), "commit": commit(options.source), **data}, f, indent=1)
        f.write("\n")
    return path


def table(header, rows):
    """Text with aligned columns: the first to the left, the others to the right."""
    cells = [[str(c) for c in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["  ".join(c.ljust(w) if i == 0 else c.rjust(w)
                       for i, (c, w) in enumerate(zip(row, widths))).rstrip() for row in cells]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)


def plot(options, name, script, series):
    """
    OUTPUT/NAME.svg and NAME.png by gnuplot, or a word that it is not there. @series: name -> rows of
    numbers, in the script the data block $NAME. The script sets everything but terminal and output.
    Returns the files written.
    """
    if not shutil.which("gnuplot"):
        print("no plots: gnuplot is not installed (tools/install-deps --for bench)")
        return []
    blocks = "".join(f"${key} << EOD\n" + "".join(" ".join(map(str, row)) + "\n" for row in rows)
                     + "EOD\n" for key, rows in series.items())
    written = []
    for suffix, terminal in (("svg", "svg size 900,600 font 'sans,14' background 'white'"),
                             ("png", "pngcairo size 900,600 font 'sans,11'")):
        path = os.path.join(options.output, f"{name}.{suffix}")
        run(["gnuplot", "-e", f"set terminal {terminal}; set output '{path}'", "-"], 60,
            input=blocks + script)
        written.append(path)
    return written
