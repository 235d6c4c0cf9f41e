#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Layout and size of the source: clang-format, no goto, file and function lengths, licences."""

import re
import shutil
import subprocess

import tree
import tap

FILE_MAX = 600
FUNCTION_MAX = 80
FUNCTION_LONG = 60  # reported, not refused

LICENCES = {"LGPL-2.1-or-later", "GPL-2.0-or-later"}
_SPDX = re.compile(r"^(?:/\*|//|#|<!--) ?SPDX-License-Identifier: ([\w.+-]+)(?: ?\*/| ?-->)?$")


def code(*kinds):
    """The project's own code; the QEMU series has QEMU's rules."""
    return [p for p in tree.of_kind(*kinds) if not p.startswith("src/qemu/")]


def check_goto(_path, text):
    blank = tree.blank_c(text)
    return [(tree.line_of(blank, m.start()), "goto") for m in re.finditer(r"\bgoto\b", blank)]


def check_file_length(_path, text):
    count = text.count("\n")
    return [(count, f"{count} lines, limit {FILE_MAX}")] if count > FILE_MAX else []


def check_function_length(_path, text):
    return [(line, f"{name}() has {count} lines, limit {FUNCTION_MAX}")
            for name, line, count in tree.functions(text) if count > FUNCTION_MAX]


def check_spdx(path, text):
    lines = text.split("\n", 2)
    first = 1 if lines[0].startswith("#!") else 0
    match = _SPDX.match(lines[first]) if len(lines) > first else None
    if not match:
        return [(first + 1, "no SPDX-License-Identifier line")]
    if match.group(1) not in LICENCES:
        return [(first + 1, f"unknown licence {match.group(1)}")]
    if not (tree.ROOT / "LICENSES" / (match.group(1) + ".txt")).exists():
        return [(first + 1, f"LICENSES/{match.group(1)}.txt is missing")]
    return []


def check_white_space(_path, text):
    out = [(n, "white space at the end of the line")
           for n, line in enumerate(text.split("\n"), 1) if line != line.rstrip()]
    if text and not text.endswith("\n"):
        out.append((text.count("\n") + 1, "no newline at the end of the file"))
    return out


def clang_format(text):
    done = subprocess.run(["clang-format", f"--style=file:{tree.ROOT / '.clang-format'}"],
                          input=text, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def need_clang_format():
    if not shutil.which("clang-format"):
        raise tap.Skip("clang-format is not installed")
    version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True,
                             check=True, timeout=20).stdout
    if " version 14." not in version:
        number = re.search(r" version (\S+)", version)
        raise tap.Skip("the layout is that of clang-format 14, here is "
                       + (number.group(1) if number else version.strip()))


def check_layout(_path, text):
    formatted = clang_format(text)
    if formatted == text:
        return []
    pairs = zip(text.split("\n"), formatted.split("\n"))
    line = next((n for n, (a, b) in enumerate(pairs, 1) if a != b), text.count("\n"))
    return [(line, "not as clang-format 14 lays it out (clang-format -i FILE)")]


@tap.test
def c_code_is_laid_out_by_clang_format():
    need_clang_format()
    tree.expect_none(check_layout, code("c"))


@tap.test
def no_goto():
    tree.expect_none(check_goto, code("c"))


@tap.test
def files_are_not_long():
    names = code("c", "python", "shell")
    tree.expect_none(check_file_length, names)
    longest = sorted(((tree.read(n).count("\n"), n) for n in names), reverse=True)[:3]
    tap.diag("\n".join(f"{count} lines: {name}" for count, name in longest))


@tap.test
def functions_are_not_long():
    names = code("c")
    tree.expect_none(check_function_length, names)
    every = sorted(((count, f"{n}:{line} {f}()") for n in names
                    for f, line, count in tree.functions(tree.read(n))), reverse=True)
    assert len(every) > 50, f"only {len(every)} functions seen"
    tap.diag("\n".join(f"{c} lines: {f}" for i, (c, f) in enumerate(every)
                       if i < 3 or c > FUNCTION_LONG))


@tap.test
def code_names_its_licence():
    tree.expect_none(check_spdx, code("c", "python", "shell"))


@tap.test
def no_trailing_white_space():
    suffixes = (".c", ".h", ".py", ".sh", ".md", ".rst", ".build", ".options", ".rng", ".in")
    tree.expect_none(check_white_space, [p for p in tree.paths() if p.endswith(suffixes)
                                         and not p.startswith(("src/qemu/", "tests/data/"))])


@tap.test
def planted_faults_are_found():
    body = "/* SPDX-License-Identifier: LGPL-2.1-or-later */\nint\nf(int a)\n{\n%s}\n"
    for check, text in [
        (check_goto, body % "    goto out;\n"),
        (check_file_length, "\n" * (FILE_MAX + 1)),
        (check_function_length, body % ("    g();\n" * FUNCTION_MAX)),
        (check_spdx, "int x;\n"),
        (check_spdx, "#!/bin/sh\necho\n"),
        (check_spdx, "/* SPDX-License-Identifier: MIT */\n"),
        (check_white_space, "a \n"),
        (check_white_space, "a"),
    ]:
        assert len(check("src/core/x.c", text)) == 1, (check, text[:60])
    fine = body % '    x = "goto"; /* goto */\n'
    for check in check_goto, check_file_length, check_function_length, check_spdx:
        tap.equal(check("src/core/x.c", fine), [], str(check))
    tap.equal(list(tree.functions(fine)), [("f", 3, 4)], "functions")


@tap.test
def planted_layout_is_found():
    need_clang_format()
    assert check_layout("x.c", "int   x;\n")
    tap.equal(check_layout("x.c", "int x;\n"), [])


tap.main()
