# SPDX-License-Identifier: LGPL-2.1-or-later
"""The parts of tools/check, once packages are installed.

    build       gcc, warnings are errors; suites unit data style fuzz live
    asan        address and undefined behaviour sanitizers: unit data fuzz, and live
                unless --quick
    tsan        thread sanitizer: the tests of what has threads
    libfuzzer   each fuzz target some seconds with clang's libFuzzer
    quickstart  tools/quickstart as a test
    qemu        the series of src/qemu applies and builds; tests/qemu with that QEMU
    debian13    build and quickstart again, in a chroot of Debian 13

Results are read from TAP, one count a test case; a program that dies counts as one failure more.
"""

import argparse
import collections
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

SUITES = ["unit", "data", "style", "fuzz", "live"]
FUZZ_SECONDS = 4
LOG_LINES = 60  # of a failed test, printed
TAP_LINE = re.compile(r"^(not )?ok\b *\d* *(?:- *)?(.*)$")


class Check:
    def __init__(self, source, work, quick=False):
        self.source = source
        self.work = work
        self.quick = quick
        self.counts = collections.defaultdict(lambda: [0, 0, 0])  # label -> passed, failed, skipped
        self.skips = []
        self.failures = []
        self.processes = []

    def add(self, label, passed=0, failed=0, skipped=0):
        for i, n in enumerate((passed, failed, skipped)):
            self.counts[label][i] += n

    def fail(self, label, what, log=""):
        self.add(label, failed=1)
        self.failures.append(f"{label}: {what}")
        print(f"   FAILED {label}: {what}", flush=True)
        for line in log.rstrip().splitlines()[-LOG_LINES:]:
            print("   | " + line[:300], flush=True)

    def skip(self, label, what, reason):
        self.add(label, skipped=1)
        self.skips.append(f"{label}: {what}: {reason}")

    def run(self, argv, timeout, env=None, log=None):
        """(status, output) of a command; status None if it took longer than timeout seconds."""
        process = subprocess.Popen(
            [str(a) for a in argv], cwd=self.source, env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", start_new_session=True)
        self.processes.append(process)
        try:
            output, _ = process.communicate(timeout=timeout)
            status = process.returncode
        except subprocess.TimeoutExpired:
            output, status = self.end(process), None
        self.processes.remove(process)
        if log:
            with open(os.path.join(self.work, log), "w", encoding="utf-8") as f:
                f.write(output)
        return status, output

    def end(self, process):
        """Ends a command and what it started: politely, so that beds are taken down, then not."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                break
            try:
                return process.communicate(timeout=20)[0]
            except subprocess.TimeoutExpired:
                continue
        return ""

    # Builds and suites

    def build(self, label, *options, env=None, targets=()):
        """A build directory of its own, all of it or some targets; None if it cannot be built."""
        path = os.path.join(self.work, label)
        status, output = self.run(["tools/configure", path, *options], 300, env, f"{label}.configure")
        if status == 0:
            status, output = self.run(["ninja", "-C", path, *targets], 1200, env, f"{label}.build")
        if status != 0:
            self.fail(label, "the build failed", output)
            return None
        self.add(label, passed=1)
        return path

    def suites(self, label, path, suites, timeout, env=None, names=(), slower=1, again=False):
        """meson test of some suites, counted by test case. slower: than a plain build. again: a
        program that failed is run once more, and its second result counts."""
        argv = ["meson", "test", "-C", path, "--no-rebuild", "-t", str(slower)] + list(names)
        for suite in suites:
            argv += ["--suite", suite]
        log = os.path.join(path, "meson-logs", "testlog.json")
        if os.path.exists(log):
            os.unlink(log)
        status, output = self.run(argv, timeout, env, f"{label}.tests")
        if status is None:
            self.fail(label, f"the tests did not end within {timeout} s", output)
        if not os.path.exists(log):
            self.fail(label, "meson ran no test", output)
            return
        with open(log, encoding="utf-8") as f:
            results = [json.loads(line) for line in f]
        if not results:
            self.fail(label, "no test in suites " + ", ".join(suites), output)
        for result in results:
            if again and result["result"] not in ("OK", "EXPECTEDFAIL", "SKIP"):
                result = self.once_more(label, path, result, slower)
            self.count(label, result)

    def once_more(self, label, path, result, slower):
        program = result["name"].rpartition(" / ")[2]
        print(f"   {label}: {program} failed and is run once more", flush=True)
        self.run(["meson", "test", "-C", path, "--no-rebuild", "-t", str(slower), program], 900,
                 log=f"{label}.{program}.again")
        with open(os.path.join(path, "meson-logs", "testlog.json"), encoding="utf-8") as f:
            line = f.readline()
        return json.loads(line) if line else result  # it did not end: the first result stands

    def count(self, label, result):
        """One test program, as meson recorded it."""
        suite, _, program = result["name"].partition(" / ")
        suite = f"{label}/{suite.rpartition(':')[2]}"
        output = result.get("stdout") or ""
        bad = 0
        for line in output.splitlines():
            match = TAP_LINE.match(line)
            if not match:
                continue
            name, _, reason = match.group(2).partition(" # SKIP")
            if match.group(1):
                bad += 1
                self.add(suite, failed=1)
                self.failures.append(f"{suite}: {program}: {name}")
            elif " # SKIP" in line:
                self.skip(suite, f"{program}: {name}", reason.strip() or "no reason given")
            else:
                self.add(suite, passed=1)
        if result["result"] in ("OK", "EXPECTEDFAIL"):
            return
        if result["result"] == "SKIP":
            if not TAP_LINE.search(output):
                self.skip(suite, program, (output.strip().splitlines() or ["no reason given"])[-1])
            return
        log = output + "\n" + (result.get("stderr") or "")
        if bad:
            print(f"   FAILED {suite}: {program}", flush=True)
            for line in log.rstrip().splitlines()[-LOG_LINES:]:
                print("   | " + line[:300], flush=True)
        else:
            self.fail(suite, f"{program}: {result['result'].lower()}, status "
                             f"{result.get('returncode')}", log)

    # The parts

    def stage_build(self):
        path = self.build("gcc")
        if path:
            self.suites("gcc", path, ["unit", "data", "style", "fuzz"], 600)
            self.suites("gcc", path, ["live"], 1500)

    def stage_asan(self):
        path = self.build("asan", "-Db_sanitize=address,undefined", "-Db_lundef=false")
        if path:
            self.suites("asan", path, ["unit", "data", "fuzz"], 900, slower=6)
            if not self.quick:
                # Once more: libvirtd forks while it has threads, and its child then allocates; now
                # and then that hangs where the sanitizer is preloaded into a libvirtd without it.
                self.suites("asan", path, ["live"], 1500, slower=3, again=True)

    def stage_tsan(self):
        path = self.build("tsan", "-Db_sanitize=thread", "-Db_lundef=false")
        if not path:
            return
        runtime = subprocess.run(["gcc", "-print-file-name=libtsan.so"], check=True, text=True,
                                 capture_output=True).stdout.strip()
        shim = os.path.join(path, "tests", "libtsan-glib.so")
        supp = os.path.join(self.source, "tests", "lib", "tsan.supp")
        names = self.threaded_tests()
        if not names:
            self.fail("tsan", "no unit test of a layer with threads was found")
        # By hand, not through meson: what is preloaded must not get into meson itself.
        for name in names:
            env = {"LD_PRELOAD": f"{runtime} {shim}", "G_SLICE": "always-malloc",
                   "G_DEBUG": "fatal-criticals", "VQ_SRCDIR": self.source, "VQ_BUILDDIR": path,
                   "TSAN_OPTIONS": f"exitcode=66:suppressions={supp}"}
            status, output = self.run(
                [os.path.join(path, "tests", "unit", f"test-{name}"), "--tap", "-k"], 300, env)
            self.count("tsan", {"name": f"virtqueued:unit / {name}", "stdout": output,
                                "result": "OK" if status == 0 else "ERROR", "returncode": status})

    def threaded_tests(self):
        """Unit tests of the layers that have threads: what is below them has none."""
        directory = os.path.join(self.source, "tests", "unit")
        names = []
        for file in sorted(os.listdir(directory)):
            match = re.fullmatch(r"test-(.*)\.c", file)
            if match:
                with open(os.path.join(directory, file), encoding="utf-8") as f:
                    if re.search(r'#include "(protocol|daemon|driver)/', f.read()):
                        names.append(match.group(1))
        return names

    def stage_libfuzzer(self):
        if not shutil.which("clang"):
            self.skip("libfuzzer", "all targets", "no clang")
            return
        corpora = os.path.join(self.source, "tests", "fuzz", "corpus")
        # The targets only: clang cannot link a module that leaves the sanitizers' symbols open.
        path = self.build("libfuzzer", "-Dfuzz=true", "-Db_sanitize=address,undefined",
                          "-Db_lundef=false", env={"CC": "clang"},
                          targets=[f"tests/fuzz/fuzz-{name}" for name in os.listdir(corpora)])
        if not path:
            return
        for name in sorted(os.listdir(corpora)):
            target = os.path.join(path, "tests", "fuzz", f"fuzz-{name}")
            if not os.path.exists(target):
                self.fail("libfuzzer", f"{name}: no target for this corpus")
                continue
            scratch = os.path.join(self.work, "fuzz", name)
            os.makedirs(scratch, exist_ok=True)
            # Seed 1: the same run each time; a longer search is for `--stage libfuzzer` by hand.
            status, output = self.run(
                [target, scratch, os.path.join(corpora, name), "-seed=1",
                 f"-max_total_time={FUZZ_SECONDS}", "-timeout=10", "-rss_limit_mb=2048",
                 f"-artifact_prefix={scratch}/"], 120, log=f"fuzz-{name}.log")
            if status == 0:
                self.add("libfuzzer", passed=1)
            else:
                self.fail("libfuzzer", name, output)

    def stage_quickstart(self):
        path = os.path.join(self.work, "gcc")
        if not os.path.exists(os.path.join(path, "config.h")):
            path = self.build("gcc")
        if not path:
            return
        start = time.monotonic()
        status, output = self.run(["tools/quickstart", "--skip-install", "--build-dir", path], 300,
                                  log="quickstart.log")
        if status == 0:
            self.add("quickstart", passed=1)
            print(f"   {time.monotonic() - start:.0f} s", flush=True)
        else:
            self.fail("quickstart", f"exit status {status}", output)

    def stage_qemu(self):
        status, output = self.run(["tools/build-qemu", "--print-dir"], 2400, log="qemu.build")
        if status == 3:
            self.skip("qemu", "the patched QEMU", output.strip().splitlines()[-1])
            return
        if status != 0:
            self.fail("qemu", f"the build failed, exit status {status}", output)
            return
        self.add("qemu", passed=1)
        directory = os.path.join(self.source, "tests", "qemu")
        env = {"VQ_QEMU": output.strip().splitlines()[-1],
               "VQ_BUILDDIR": os.path.join(self.work, "gcc")}
        for file in sorted(os.listdir(directory)):
            name = re.fullmatch(r"test-(.*)\.py", file)
            if not name:
                continue
            status, output = self.run([os.path.join(directory, file)], 300, env)
            self.count("qemu", {"name": f"virtqueued:tests / {name[1]}", "stdout": output,
                                "result": "OK" if status == 0 else "ERROR", "returncode": status})

    def stage_debian13(self):
        root = "/var/cache/virtqueued/debian13"
        result = os.path.join(root, "src", "build-check", "result.json")
        if os.path.exists(result):
            os.unlink(result)
        status, output = self.run(["tools/lib/debian13", self.source, root, "--stage", "build",
                                   "--stage", "quickstart"], 2400, log="debian13.log")
        try:
            with open(result, encoding="utf-8") as f:
                inner = json.load(f)
        except (OSError, ValueError):
            self.fail("debian13", f"exit status {status}", output)
            return
        for label, counts in inner["counts"].items():
            self.add("debian13/" + label, *counts)
        self.skips += ["debian13/" + text for text in inner["skips"]]
        self.failures += ["debian13/" + text for text in inner["failures"]]
        if inner["failures"]:
            print("\n".join("   | " + line[:300] for line in output.splitlines()
                            if line.startswith("   ")), flush=True)

    # The end

    def report(self):
        print("\n== Results")
        for label, (passed, failed, skipped) in self.counts.items():
            print(f"   {label:<28} {passed:5} passed {failed:4} failed {skipped:4} skipped")
        for text in self.skips:
            print(f"   skipped: {text}")
        for text in self.failures:
            print(f"   failed: {text}")
        with open(os.path.join(self.work, "result.json"), "w", encoding="utf-8") as f:
            json.dump({"counts": self.counts, "skips": self.skips, "failures": self.failures}, f)
        passed, failed, skipped = (sum(c[i] for c in self.counts.values()) for i in range(3))
        print(f"\n{passed} passed, {failed} failed, {skipped} skipped", flush=True)
        return 0 if passed and not failed else 1


STAGES = ["build", "quickstart", "qemu", "asan", "tsan", "libfuzzer", "debian13"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--work")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--skip-install", action="store_true")
    parser.add_argument("--stage", action="append", choices=STAGES)
    args = parser.parse_args()
    work = os.path.realpath(args.work or os.path.join(args.source, "build-check"))
    os.makedirs(work, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _f: sys.exit(128 + n))
    check = Check(os.path.realpath(args.source), work, args.quick)
    if args.quick:
        os.environ["VQ_QUICK"] = "1"  # long tests skip themselves
    long = ("qemu", "debian13") if args.quick else ()
    stages = args.stage or [s for s in STAGES if s not in long]
    start = time.monotonic()
    try:
        for stage in stages:
            print(f"== {stage}  [{time.monotonic() - start:.0f} s]", flush=True)
            getattr(check, "stage_" + stage)()
    finally:
        for process in list(check.processes):
            check.end(process)
    print(f"   {time.monotonic() - start:.0f} s in all", flush=True)
    return check.report()


if __name__ == "__main__":
    sys.exit(main())
