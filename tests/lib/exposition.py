# SPDX-License-Identifier: LGPL-2.1-or-later
"""A strict reader of Prometheus' text format (0.0.4), and what its naming conventions ask for.

    samples = exposition.parse(text)       # {("name", (("label", "value"), ...)): 1.5}

Stricter than Prometheus itself, as promtool's linter is: each family has HELP and TYPE once, before
its samples, which stand together; no sample twice; counters end in _total, and no other does;
base units only.
"""

import math
import re

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"')
_VALUE = re.compile(r"-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?)")
_UNITS = re.compile(r"_(milliseconds|microseconds|nanoseconds|ms|us|ns|percent|kib|mib|gib|kb|mb|gb)"
                    r"(_|$)")


class Error(Exception):
    """What is wrong, with the line."""


def _unescape(text):
    return re.sub(r'\\(.)', lambda m: "\n" if m.group(1) == "n" else m.group(1), text)


def _labels(text):
    found, position = [], 0
    while position < len(text):
        match = _LABEL.match(text, position)
        if not match or match.group(1).startswith("__"):
            raise Error(f"labels {text!r}")
        found.append((match.group(1), _unescape(match.group(2))))
        position = match.end()
        if position < len(text):
            if text[position] != "," or position + 1 == len(text):
                raise Error(f"labels {text!r}")
            position += 1
    if len({name for name, _ in found}) != len(found):
        raise Error(f"a label twice: {text!r}")
    return tuple(sorted(found))


def _sample(line):
    match = re.fullmatch(r"([^{ ]+)(?:\{(.*)\})? (\S+)", line)
    if not match or not _NAME.fullmatch(match.group(1)) or match.group(2) == "":
        raise Error(f"sample {line!r}")
    if not _VALUE.fullmatch(match.group(3)):
        raise Error(f"value of {line!r}")
    return match.group(1), _labels(match.group(2) or ""), float(match.group(3))


def _check_name(name, kind):
    if not _NAME.fullmatch(name) or kind not in ("counter", "gauge"):
        raise Error(f"family {name!r} of type {kind!r}")
    if (kind == "counter") != name.endswith("_total"):
        raise Error(f"{kind} called {name}")
    if _UNITS.search(name):
        raise Error(f"{name}: not a base unit")


def parse(text):
    """The samples, or Error."""
    samples, seen, family, helped = {}, set(), None, None
    if text and not text.endswith("\n"):
        raise Error("no newline at the end")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped, _, help_text = line[7:].partition(" ")
            if helped in seen or not help_text.strip():
                raise Error(f"{line!r}: twice, or empty")
        elif line.startswith("# TYPE "):
            name, _, kind = line[7:].partition(" ")
            if name != helped or name in seen:
                raise Error(f"{line!r}: without HELP, or twice")
            _check_name(name, kind)
            seen.add(name)
            family = (name, kind)
        else:
            name, labels, value = _sample(line)
            if not family or name != family[0]:
                raise Error(f"{line!r}: not in its family")
            if (name, labels) in samples:
                raise Error(f"{line!r}: twice")
            if family[1] == "counter" and value < 0 or not math.isfinite(value):
                raise Error(f"{line!r}: no counter's value")
            samples[(name, labels)] = value
    return samples


def value(samples, name, **labels):
    """The one sample of this name that has these labels, among others."""
    want = set(labels.items())
    found = [v for (n, have), v in samples.items() if n == name and want <= set(have)]
    if len(found) != 1:
        raise Error(f"{len(found)} samples of {name} with {labels}")
    return found[0]
