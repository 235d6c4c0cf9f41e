# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small runner for tests written as Python functions; prints TAP, one line a test.

    import tap

    @tap.test
    def a_paused_domain_starts(bed):
        tap.equal(bed.virsh("domstate", "vm1").strip(), "paused")

    tap.main(lambda: bed.Bed())      # the context is entered once and handed to every test

A test fails by any exception, and is skipped by tap.Skip with its reason. The context's __exit__
runs on failure, Ctrl-C and SIGTERM alike, so that nothing is left behind. If the context has an
on_failure() method, its lines are printed as diagnostics of a failed test.

Command line: NAME... runs only these tests, --list lists them.
"""

import contextlib
import inspect
import signal
import sys
import time
import traceback

_tests = []


class Skip(Exception):
    """Raised by a test, or by the context on entry: cannot be tested here, and why."""


def test(function):
    """Marks a function as a test; they run in the order written."""
    _tests.append(function)
    return function


def diag(text):
    """A remark in the output, one '# ' line for each line of text."""
    for line in str(text).splitlines():
        print("# " + line, flush=True)


def equal(got, expected, what="value"):
    if got != expected:
        raise AssertionError(f"{what}: got {got!r}, expected {expected!r}")


def contains(text, part, what="text"):
    if part not in text:
        raise AssertionError(f"{what} lacks {part!r}; it is:\n{text}")


def lacks(text, part, what="text"):
    if part in text:
        raise AssertionError(f"{what} must not contain {part!r}; it is:\n{text}")


def fails(error, function, *args, **kwargs):
    """Calls function, which must raise error; returns what was raised."""
    try:
        function(*args, **kwargs)
    except error as e:
        return e
    raise AssertionError(f"no {error.__name__} was raised")


def wait_until(condition, timeout=10.0, what="the condition", interval=0.05):
    """Calls condition() until it returns something true, which is returned; no more than timeout
    seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {timeout:g} s")
        time.sleep(interval)


def _terminated(signum, _frame):
    # Unwinds the stack, so that contexts are left.
    sys.exit(128 + signum)


def _select(names):
    known = {function.__name__: function for function in _tests}
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit("no such test: " + ", ".join(unknown))
    return [known[name] for name in names] if names else _tests


def _run_one(number, function, args, on_failure):
    start = time.monotonic()
    name = function.__name__.replace("_", " ")
    try:
        function(*args)
    except Skip as e:
        print(f"ok {number} - {name} # SKIP {e}", flush=True)
        return True
    except Exception:
        print(f"not ok {number} - {name}", flush=True)
        diag(traceback.format_exc())
        if on_failure:
            diag(on_failure())
        return False
    print(f"ok {number} - {name}", flush=True)
    diag(f"{time.monotonic() - start:.2f} s")
    return True


def main(context=None):
    """Runs the tests of the calling program and exits: 0 if none failed."""
    if "--list" in sys.argv[1:]:
        for function in _tests:
            print(function.__name__, "-", (inspect.getdoc(function) or "").split("\n")[0])
        sys.exit(0)
    chosen = _select(sys.argv[1:])
    signal.signal(signal.SIGTERM, _terminated)
    print(f"TAP version 13\n1..{len(chosen)}", flush=True)
    failed = 0
    with contextlib.ExitStack() as stack:
        try:
            value = stack.enter_context(context()) if context else None
        except Skip as e:
            for number, function in enumerate(chosen, 1):
                name = function.__name__.replace("_", " ")
                print(f"ok {number} - {name} # SKIP {e}", flush=True)
            sys.exit(0)
        args = [value] if context else []
        on_failure = getattr(value, "on_failure", None)
        for number, function in enumerate(chosen, 1):
            failed += not _run_one(number, function, args, on_failure)
    sys.exit(1 if failed else 0)
