#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`meson install` into an empty directory: what stands in tests/data/install.list, no more and no
less, and what refers to other installed files finds them."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import tree
import tap

LIST = tree.ROOT / "tests" / "data" / "install.list"


def options(build):
    done = subprocess.run(["meson", "introspect", "--buildoptions", build], capture_output=True,
                          text=True, check=True, timeout=60)
    return {option["name"]: option["value"] for option in json.loads(done.stdout)}


def expected(text, values):
    """The paths of a list; values are meson's options."""
    prefix = pathlib.Path(values["prefix"])
    names = {name: str(prefix / value) for name, value in values.items() if name.endswith("dir")}
    names["unitdir"] = values["systemdunitdir"] or str(prefix / "lib/systemd/system")
    out = set()
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        module, path = re.fullmatch(r"(module: )?(\S+)", line).groups()
        if not module or values["libvirt_source"]:
            out.add(path.format(**names))
    return out


class Installed:
    """The project installed below .root, a temporary directory."""

    def __init__(self, build, root):
        self.root = pathlib.Path(root)
        self.values = options(build)
        done = subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", root],
                              capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    def paths(self):
        return {"/" + str(p.relative_to(self.root)) for p in self.root.rglob("*")
                if p.is_symlink() or not p.is_dir()}

    def find(self, end):
        found = [p for p in self.paths() if p.endswith(end)]
        assert len(found) == 1, f"{end}: {found}"
        return self.root / found[0][1:]


@contextlib.contextmanager
def installed():
    if not shutil.which("meson"):
        raise tap.Skip("meson is not in the path")
    with tempfile.TemporaryDirectory(prefix="vq-install-") as root:
        yield Installed(os.environ["VQ_BUILDDIR"], root)


@tap.test
def installed_files_are_those_of_the_list(what):
    want = expected(LIST.read_text(), what.values)
    got = what.paths()
    assert got == want, "\n".join([f"not installed: {p}" for p in sorted(want - got)]
                                  + [f"not in install.list: {p}" for p in sorted(got - want)])


@tap.test
def every_chapter_is_installed(what):
    for path in tree.paths():
        if re.fullmatch(r"docs/[^/]+\.md", path):
            what.find("/doc/virtqueued/" + os.path.basename(path))


@tap.test
def man_pages_have_their_section(what):
    for page in [p for p in what.paths() if "/man/man" in p]:
        name, section = os.path.basename(page).rsplit(".", 1)
        text = (what.root / page[1:]).read_text()
        title = re.search(r'^\.TH "?([\w.]+)"? "?(\d)"?', text, re.M)
        assert title, f"{page}: no title line"
        tap.equal((title.group(1).lower(), title.group(2)), (name, section), page)


@tap.test
def installed_programs_run(what):
    for name in "/bin/virtq", "/sbin/virtqueued":
        done = subprocess.run([what.find(name), "--version"], capture_output=True, text=True,
                              timeout=30)
        assert re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout), (name, done)


@tap.test
def units_start_installed_programs(what):
    started = []
    for unit in [p for p in what.paths() if "/systemd/system/" in p]:
        text = (what.root / unit[1:]).read_text()
        assert "@" not in text, f"{unit}: a variable was left"
        started += re.findall(r"^Exec\w+=[-+!:@]*(/\S+)", text, re.M)
    ours = [p for p in started if "virtqueued" in p]
    assert ours, "no unit starts a program of ours"
    for program in ours:
        assert os.access(what.root / program[1:], os.X_OK), f"{program} is not installed"


@tap.test
def a_planted_list_is_read(_what):
    values = {"prefix": "/usr", "bindir": "bin", "sysconfdir": "/etc", "systemdunitdir": "",
              "libvirt_source": ""}
    text = "# x\n{bindir}/a\nmodule: {bindir}/m\n{sysconfdir}/c\n{unitdir}/u\n"
    tap.equal(expected(text, values), {"/usr/bin/a", "/etc/c", "/usr/lib/systemd/system/u"})
    values["libvirt_source"] = "x"
    assert "/usr/bin/m" in expected(text, values)


tap.main(installed)
