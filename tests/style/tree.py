# SPDX-License-Identifier: LGPL-2.1-or-later
"""The project's source files as the style checks see them.

A check is a function of (path, text) that returns [(line, message)], path being relative to the
source root. It can so be run over the tree and, in its own test, over planted text.
"""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lib"))


def _from_git():
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others",
               "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return [name.decode() for name in done.stdout.split(b"\0") if name]


def _from_disk():
    """Without git (a tarball): everything but build directories and their logs."""
    names = []
    for directory, subdirs, files in os.walk(ROOT):
        path = pathlib.Path(directory)
        subdirs[:] = [d for d in subdirs if d not in (".git", "__pycache__")
                      and not (path / d / "meson-private").exists()
                      and not (path == ROOT and d.startswith("build"))]
        names += [str((path / f).relative_to(ROOT)) for f in files if not f.endswith(".pyc")]
    return names


def paths():
    """All source files, sorted, relative to the root; symbolic links left out."""
    names = _from_git() or _from_disk()
    found = [n for n in names if (ROOT / n).is_file() and not (ROOT / n).is_symlink()]
    assert len(found) > 20, f"only {len(found)} files found below {ROOT}"
    return sorted(found)


def read(path):
    """Text of a file, or None if it is not UTF-8 text."""
    try:
        text = (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def kind(path):
    """'c', 'python', 'shell' or None, by name or, for programs without a suffix, first line."""
    suffix = pathlib.PurePath(path).suffix
    known = {".c": "c", ".h": "c", ".py": "python", ".sh": "shell", ".bash": "shell"}
    if suffix in known:
        return known[suffix]
    if suffix:
        return None
    with open(ROOT / path, "rb") as f:
        first = f.readline(200)
    if not first.startswith(b"#!"):
        return None
    return "python" if b"python" in first else "shell" if b"sh" in first else None


def of_kind(*kinds):
    return [p for p in paths() if kind(p) in kinds]


def findings(check, names):
    """'path:line: message' for everything that the check finds in these files."""
    out = []
    for name in names:
        text = read(name)
        if text is not None:
            out += [f"{name}:{line}: {message}" for line, message in check(name, text)]
    return out


def expect_none(check, names):
    names = list(names)
    assert names, "no file to check"
    found = findings(check, names)
    assert not found, "\n".join(found)


_C_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank_c(text, strings=True):
    """C text without comments (and what is in strings), lines and columns kept."""
    def blank(match):
        token = match.group()
        if token[0] in "\"'":
            if not strings:
                return token
            return token[0] + " " * (len(token) - 2) + token[0]
        return re.sub(r"[^\n]", " ", token)
    return _C_TOKEN.sub(blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def functions(text):
    """(name, line, lines) of each function defined in C text laid out by clang-format."""
    lines = blank_c(text).split("\n")
    start = None
    for i, line in enumerate(lines):
        if line == "{":
            start = i
        elif line == "}" and start is not None:
            head = start - 1
            while head > 0 and not re.match(r"\w+\(", lines[head]):
                head -= 1
            match = re.match(r"(\w+)\(", lines[head])
            if match:
                yield match.group(1), head + 1, i - head + 1
            start = None
