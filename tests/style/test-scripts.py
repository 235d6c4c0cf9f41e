#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Scripts: Python compiles, shell parses and passes shellcheck, programs are executable."""

import os
import shutil
import subprocess

import tree
import tap


def check_python(path, text):
    try:
        compile(text, path, "exec", dont_inherit=True)
    except SyntaxError as e:
        return [(e.lineno or 1, e.msg)]
    return []


def run_on(command, text):
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)


def check_bash(_path, text):
    done = run_on(["bash", "-n"], text)
    return [(1, done.stderr.strip())] if done.returncode or done.stderr else []


def check_shellcheck(path, text):
    dialect = ["--shell=bash"] if path.endswith(".bash") else []
    done = run_on(["shellcheck", "--severity=warning", "--format=gcc", *dialect, "-"], text)
    return [(int(line.split(":")[1]), line.split(":", 3)[3].strip())
            for line in done.stdout.splitlines()]


def check_mode(path, text):
    executable = os.access(tree.ROOT / path, os.X_OK)
    if text.startswith("#!") == executable:
        return []
    return [(1, "has a #! line but is not executable" if not executable
             else "is executable but has no #! line")]


def need(program):
    if not shutil.which(program):
        raise tap.Skip(f"{program} is not installed")


def shell_files():
    names = tree.of_kind("shell")
    if not names:
        raise tap.Skip("there is no shell script")
    return names


@tap.test
def python_compiles():
    tree.expect_none(check_python, tree.of_kind("python"))


@tap.test
def shell_parses():
    tree.expect_none(check_bash, shell_files())


@tap.test
def shellcheck_is_content():
    need("shellcheck")
    tree.expect_none(check_shellcheck, shell_files())


@tap.test
def programs_are_executable():
    tree.expect_none(check_mode, tree.of_kind("python", "shell"))


@tap.test
def planted_faults_are_found():
    assert check_python("x.py", "def f(:\n")
    assert check_bash("x.sh", "if true; then\n")
    if shutil.which("shellcheck"):
        assert check_shellcheck("x.sh", "#!/bin/bash\ncd /x; rm -rf $1/*\n[ $a == b ]\n")
        tap.equal(check_shellcheck("x.sh", "#!/bin/bash\necho x\n"), [])
    tap.equal(check_bash("x.sh", "echo x\n"), [])
    tap.equal(check_python("x.py", "x = 1\n"), [])


tap.main()
