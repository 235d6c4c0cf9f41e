# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtq metrics on what a daemon said: tests/data/metrics/NAME.json -> NAME.prom or NAME.err; and
virtq top, NAME.top.

VQ_TEST_REGENERATE=1 writes the results anew. All output is read by the strict parser of tests/lib,
and by promtool where it is installed.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import exposition
import tap

HERE = pathlib.Path(os.environ["VQ_SRCDIR"]) / "tests/data/metrics"
DOC = pathlib.Path(os.environ["VQ_SRCDIR"]) / "docs/observation.md"
VIRTQ = os.environ["VQ_BUILDDIR"] + "/tools/virtq/virtq"


def metrics(*args):
    return subprocess.run([VIRTQ, "metrics", *args], cwd=HERE, capture_output=True, text=True,
                          timeout=60, check=False)


def check_frame(case):
    result = subprocess.run([VIRTQ, "top", "--input", case + ".json"], cwd=HERE, text=True,
                            capture_output=True, timeout=60, check=True)
    expected = HERE / f"{case}.top"
    if os.environ.get("VQ_TEST_REGENERATE"):
        expected.write_text(result.stdout)
    tap.equal(result.stdout, expected.read_text(), f"{case}: frame")


def check(case):
    result = metrics("--input", case + ".json")
    kind, text = ("prom", result.stdout) if result.returncode == 0 else ("err", result.stderr)
    expected = HERE / f"{case}.{kind}"
    if os.environ.get("VQ_TEST_REGENERATE"):
        expected.write_text(text)
    tap.equal(text, expected.read_text(), case)
    if kind == "prom":
        exposition.parse(text)
        check_frame(case)
    else:
        tap.equal(result.stdout, "", "output beside an error")


def add_case(case):
    def run():
        check(case)

    run.__name__ = "metrics_" + case.replace("-", "_")
    tap.test(run)


@tap.test
def values_are_exact_and_in_base_units():
    samples = exposition.parse((HERE / "patched.prom").read_text())
    tap.contains((HERE / "patched.prom").read_text(), " 1234567890.123456789\n")
    tap.equal(exposition.value(samples, "virtqueued_queue_work_seconds_total", queue="1"), 1.5)
    tap.equal(exposition.value(samples, "virtqueued_iothread_degraded", iothread="1"), 1)
    tap.equal(exposition.value(samples, "virtqueued_iothread_degraded", iothread="2"), 0)
    names = {value for _, labels in samples for name, value in labels if name == "domain"}
    tap.equal(names, {'odd "name"\\ of a VM'}, "a name with quotes and backslash")


@tap.test
def what_is_not_known_has_no_sample():
    text = (HERE / "stock.prom").read_text()
    tap.lacks(text, "virtqueued_queue_")
    tap.lacks(text, "state=")
    tap.lacks((HERE / "patched.prom").read_text(), "core_busy_ratio")
    tap.equal((HERE / "nothing.prom").read_text(), "")


@tap.test
def every_metric_is_in_the_chapter():
    source = pathlib.Path(os.environ["VQ_SRCDIR"], "src/core/metrics.c").read_text()
    table = source[source.index("families[] ="):source.index("\n};")]
    families = set(re.findall(r'\{OF_\w+,\s*"(\w+)"', table))
    assert len(families) > 25, families
    chapter = set(re.findall(r"^\| `virtqueued_(\w+)`", DOC.read_text(), re.M))
    tap.equal(sorted(families ^ chapter), [], "families in one of source and chapter only")
    shown = {name for case in ("stock", "patched") for name, _ in
             exposition.parse((HERE / f"{case}.prom").read_text())}
    tap.equal(sorted({"virtqueued_" + f for f in families} - shown), [], "families never shown")


@tap.test
def a_file_is_written_as_a_whole_or_not_at_all():
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "virtqueued.prom")
        result = metrics("--input", "stock.json", "--output", path)
        tap.equal((result.returncode, result.stdout), (0, ""), result.stderr)
        want = (HERE / "stock.prom").read_text()
        tap.equal(pathlib.Path(path).read_text(), want)
        tap.equal(metrics("--input", "bad-list.json", "--output", path).returncode, 1)
        tap.equal(pathlib.Path(path).read_text(), want, "after an error")
        tap.equal(os.listdir(scratch), ["virtqueued.prom"])
        tap.equal(metrics("-i", "stock.json", "-o", scratch + "/none/x").returncode, 1)


@tap.test
def promtool_has_nothing_to_say():
    if not shutil.which("promtool"):
        raise tap.Skip("promtool (Debian package prometheus) is not installed")
    for path in HERE.glob("*.prom"):
        if path.read_text():
            done = subprocess.run(["promtool", "check", "metrics"], input=path.read_text(),
                                  capture_output=True, text=True, timeout=60, check=False)
            tap.equal((done.returncode, done.stdout + done.stderr), (0, ""), path.name)


@tap.test
def the_parser_is_strict():
    good = "# HELP a_total A.\n# TYPE a_total counter\na_total{b=\"x\\\\\\\"\\n\"} 1\n"
    tap.equal(exposition.parse(good), {("a_total", (("b", 'x\\"\n'),)): 1})
    for old, new in (("# HELP a_total A.\n", ""), ("# TYPE a_total counter\n", ""),
                     ("a_total", "a"), ("a_total", "a_ms_total"), ("counter", "histogram"),
                     ("\\n\"} 1", "\"} x"), ("\"} 1", "\",} 1"), ("{b=", "{b"), ("} 1\n", "} 1"),
                     ("} 1", "} -1"), ("} 1", "} nan"), ("{b=", "{b=\"\",b="), ("\\n", "\\t"),
                     (good, good + good), ("} 1\n", "} 1\n\n"), ("A.", ""), ("a_total{", "c_total{")):
        assert old in good, old
        tap.fails(exposition.Error, exposition.parse, good.replace(old, new))


@tap.test
def options_of_top_are_checked():
    for args, part in ((["--delay", "0.1"], "0.1"), (["--delay", "nan"], "nan"),
                       (["--sort", "x"], "'x'"), (["--count", "-1"], "-1"),
                       (["--input", "bad-list.json"], "bad-list.json")):
        result = subprocess.run([VIRTQ, "top", *args], cwd=HERE, capture_output=True, text=True,
                                timeout=60, check=False)
        tap.equal((result.returncode, result.stdout), (1, ""), f"top {args}")
        tap.contains(result.stderr, part)


@tap.test
def no_file_is_unused():
    stems = {p.stem for p in HERE.glob("*.json")}
    tap.equal(sorted(p.name for p in HERE.iterdir()
                     if p.suffix not in (".json", ".prom", ".top", ".err") or p.stem not in stems), [])


for name in sorted(p.stem for p in HERE.glob("*.json")):
    add_case(name)
tap.main()
