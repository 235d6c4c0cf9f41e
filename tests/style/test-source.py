#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules that every source file keeps: the layers, lengths, no goto, licence lines, layout."""

import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import tap  # noqa: E402

SRCDIR = os.environ.get("VQ_SRCDIR") or os.path.realpath(
    os.path.join(os.path.dirname(__file__), "..", ".."))

# A directory is a layer; each may include only itself and what stands here.
LAYERS = {
    "base": set(),
    "core": {"base"},
    "host": {"core", "base"},
    "protocol": {"core", "base"},
    "daemon": {"host", "protocol", "core", "base"},
    "driver": {"protocol", "core", "base"},
    "tools": {"host", "protocol", "core", "base"},
}
# src/core is pure: none of these is seen in it.
IMPURE = re.compile(r"\b(fopen|open|socket|g_file_\w+|g_get_monotonic_time|g_get_real_time|time"
                    r"|clock_gettime|getenv|g_getenv|g_thread_\w+|pthread_\w+|g_log\w*|g_message"
                    r"|g_warning|g_debug|g_info|g_print|g_printerr|printf|fprintf|puts)\s*\(")
FILE_MAX = 600      # lines
FUNCTION_MAX = 80   # lines; aim at 5..60


def sources():
    """All files git knows, or without git all files, as paths relative to the source tree."""
    try:
        out = subprocess.run(["git", "-C", SRCDIR, "ls-files", "-co", "--exclude-standard"],
                             capture_output=True, text=True, check=True).stdout.splitlines()
        found = [f for f in out if os.path.isfile(os.path.join(SRCDIR, f))]
        if found:
            return found
    except (OSError, subprocess.CalledProcessError):
        pass
    found = []
    for top, dirs, files in os.walk(SRCDIR):
        dirs[:] = [d for d in dirs if not d.startswith((".", "build", "__pycache__"))]
        found += [os.path.relpath(os.path.join(top, f), SRCDIR) for f in files]
    return found


def read(path):
    with open(os.path.join(SRCDIR, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def c_sources(*prefixes):
    return [f for f in sources() if f.endswith((".c", ".h"))
            and f.startswith(prefixes or ("src/", "tools/", "tests/"))]


def layer_of(path):
    parts = path.split("/")
    if parts[0] == "tools":
        return "tools"
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


def layer_violations(path, text):
    """What is wrong with the includes of a file in the tree."""
    layer = layer_of(path)
    allowed = LAYERS.get(layer)
    if allowed is None:
        return []
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*"([\w.-]+)/', line)
        if match and match.group(1) in LAYERS and match.group(1) not in allowed | {layer}:
            found.append(f"{path}:{number}: {layer} must not include {match.group(1)}")
        if re.match(r'\s*#\s*include\s*"\.\./', line):
            found.append(f"{path}:{number}: include by layer, not by ../")
    return found


def strip_comments_and_strings(text):
    text = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.S)
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)


def functions(text):
    """(name, first line, lines) of each function; the layout of .clang-format makes it simple: the
    body's braces stand in the first column."""
    lines = text.splitlines()
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            head = next((lines[i] for i in range(start - 1, -1, -1)
                         if re.match(r"\w+\(|\w[\w ]*\*?\w+\(", lines[i])), "?")
            yield re.sub(r"\(.*", "", head), start + 1, number - start + 1
            start = None


def none(found):
    if found:
        raise AssertionError("\n".join(found))


@tap.test
def layers_include_only_what_is_below_them():
    none([v for f in c_sources("src/", "tools/") for v in layer_violations(f, read(f))])


@tap.test
def the_layer_rule_catches_a_violation():
    tap.equal(len(layer_violations("src/core/x.c", '#include "host/libvirt.h"\n')), 1)
    tap.equal(len(layer_violations("src/base/x.c", '#include "core/plan.h"\n')), 1)
    tap.equal(len(layer_violations("src/driver/x.c", '#  include "daemon/state.h"\n')), 1)
    tap.equal(len(layer_violations("tools/virtq/x.c", '#include "driver/module.h"\n')), 1)
    tap.equal(len(layer_violations("src/core/x.c", '#include "../host/libvirt.h"\n')), 1)
    tap.equal(layer_violations("src/daemon/x.c", '#include "core/plan.h"\n#include "state.h"\n'),
              [])


@tap.test
def core_is_pure():
    found = []
    for f in c_sources("src/core/"):
        text = strip_comments_and_strings(read(f))
        for number, line in enumerate(text.splitlines(), 1):
            if IMPURE.search(line):
                found.append(f"{f}:{number}: {line.strip()}")
    none(found)


@tap.test
def no_goto():
    none([f"{f}: goto" for f in c_sources()
          if re.search(r"\bgoto\b", strip_comments_and_strings(read(f)))])


@tap.test
def licence_lines():
    found = []
    for f in sources():
        known = f.endswith((".c", ".h", ".py", ".sh", ".in")) or (
            f.startswith(("tools/", ".ci/")) and os.access(os.path.join(SRCDIR, f), os.X_OK))
        if known and "SPDX-License-Identifier: " not in "\n".join(read(f).splitlines()[:3]):
            found.append(f"{f}: no SPDX-License-Identifier in the first lines")
    none(found)


@tap.test
def lengths():
    found = []
    longest_file = longest_function = (0, "")
    for f in c_sources():
        text = read(f)
        count = len(text.splitlines())
        longest_file = max(longest_file, (count, f))
        if count > FILE_MAX:
            found.append(f"{f}: {count} lines, the limit is {FILE_MAX}")
        for name, line, length in functions(text) if f.endswith(".c") else ():
            longest_function = max(longest_function, (length, f"{f}:{line} {name}"))
            if length > FUNCTION_MAX:
                found.append(f"{f}:{line}: {name} has {length} lines, the limit is {FUNCTION_MAX}")
    tap.diag(f"longest file: {longest_file[1]}, {longest_file[0]} lines")
    tap.diag(f"longest function: {longest_function[1]}, {longest_function[0]} lines")
    none(found)


@tap.test
def the_length_rule_sees_functions():
    text = "static int\nshort_one(int a)\n{\n    return a;\n}\n\nint\nother(void)\n{\n}\n"
    tap.equal([(n, l) for n, _, l in functions(text)], [("short_one", 3), ("other", 2)])


@tap.test
def layout_is_clang_format_14():
    tool = shutil.which("clang-format-14") or shutil.which("clang-format")
    version = subprocess.run([tool, "--version"], capture_output=True, text=True,
                             check=True).stdout if tool else "none"
    if " version 14." not in version:
        raise tap.Skip(f"needs clang-format 14, here is {version.strip()}")
    files = [os.path.join(SRCDIR, f) for f in c_sources()]
    result = subprocess.run([tool, "--dry-run", "--Werror"] + files, capture_output=True,
                            text=True, check=False)
    found = sorted(set(re.findall(r"^([^:\n]+):\d+:\d+: error", result.stderr, flags=re.M)))
    none([f"{os.path.relpath(f, SRCDIR)}: run clang-format -i" for f in found])


tap.main()
