#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Documents against the tree and the programs: links and paths lead somewhere, and the man pages
have exactly the commands, arguments and options that the programs' own help has, and the chapter on
interfaces the keys, methods and errors of the source."""

import os
import pathlib
import re
import subprocess
import xml.etree.ElementTree as ElementTree

import tree
import tap

_FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"`((?:src|docs|tests|tools|xml-schemas)/[\w./-]+)`")
_HELP_OPTION = re.compile(r"^ +(?:(-\w), )?(--[\w-]+)(?:=(\S+))?(?=\s|$)", re.M)
_MAN_OPTION = re.compile(r"(?:``(-\w)``, )?``(--[\w-]+)``(?: \*([^*]+)\*)?")


def blank_fences(text):
    return _FENCE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def check_links(path, text):
    text = blank_fences(text)
    here = (tree.ROOT / path).parent
    return [(tree.line_of(text, m.start()), f"link to {m.group(1)}, which is not there")
            for m in _LINK.finditer(text)
            if not re.match(r"\w+:|#", m.group(1))
            and not (here / m.group(1).split("#")[0]).exists()]


def check_paths(_path, text):
    """Names in capitals stand for any name."""
    text = blank_fences(text)
    return [(tree.line_of(text, m.start()), f"{m.group(1)} is not in the tree")
            for m in _PATH.finditer(text)
            if not re.search(r"\b(NAME|X|SUITE)\b", m.group(1))
            and not (tree.ROOT / m.group(1)).exists()]


def markdown():
    return [p for p in tree.paths() if p.endswith(".md")]


def run(program, *args):
    path = pathlib.Path(os.environ["VQ_BUILDDIR"]) / program
    done = subprocess.run([path, *args], capture_output=True, text=True, timeout=30,
                          env={**os.environ, "LC_ALL": "C"})
    assert done.returncode == 0, f"{program} {args}: {done.stderr}"
    return done.stdout


def virtq(*args):
    return run("tools/virtq/virtq", *args)


def help_options(text):
    return {m.groups(default="") for m in _HELP_OPTION.finditer(text)}


def help_arguments(text):
    """'FILE.svg [DOMAIN.xml...]' of 'virtq draw [OPTION...] FILE.svg [DOMAIN.xml...]'."""
    return re.search(r"^ +virtq \S+ \[OPTION\S+\] ?(.*)$", text, re.M).group(1).strip()


def man_options(text):
    lines = [line for line in text.splitlines() if line.startswith("``-")]
    return {m.groups(default="") for line in lines for m in _MAN_OPTION.finditer(line)}


def man_sections(text, underline):
    """Title -> text below it, for titles underlined with this character."""
    titles = [m for m in re.finditer(r"^(\S.*)\n([=-])\2{2,}\n", text, re.M)
              if len(m.group(1)) <= m.end() - m.start(2) - 1]
    ends = [m.start() for m in titles[1:]] + [len(text)]
    return {m.group(1): text[m.end():end] for m, end in zip(titles, ends)
            if m.group(2) == underline}


def man(name):
    text = tree.read(f"docs/man/{name}.rst")
    return text[text.index("SYNOPSIS"):]  # after the page's title, which looks like a section


def difference(got, want, what):
    def show(items):
        return sorted(" ".join(i) if isinstance(i, tuple) else i for i in items)
    assert got == want, (f"{what}: only in the man page: {show(got - want)}; "
                         f"only in the program: {show(want - got)}")


def commands():
    return re.findall(r"^    (\S+)  ", virtq("help"), re.M)


@tap.test
def links_lead_somewhere():
    tree.expect_none(check_links, markdown())


@tap.test
def paths_are_in_the_tree():
    tree.expect_none(check_paths, markdown())


@tap.test
def virtq_has_the_commands_of_its_man_page():
    names = commands()
    assert len(names) > 10, names
    sections = man_sections(man("virtq"), "-")
    difference({title.split()[0] for title in sections}, set(names), "commands")
    for title in sections:
        name, *words = title.split()
        arguments = " ".join(w for w in words if w != "[OPTION...]")
        tap.equal(arguments, help_arguments(virtq(name, "--help")), f"arguments of {name}")


@tap.test
def commands_have_the_options_of_the_man_page():
    common = ("-h", "--help", "")
    sections = man_sections(man("virtq"), "-")
    for title, text in sections.items():
        name = title.split()[0]
        options = help_options(virtq(name, "--help"))
        assert common in options, f"{name} has no --help"
        difference(man_options(text) | {common}, options, f"options of {name}")
        tap.equal("[OPTION...]" in title, options != {common}, f"[OPTION...] at {name}")


@tap.test
def virtq_has_the_options_of_its_man_page():
    difference(man_options(man_sections(man("virtq"), "=")["OPTIONS"]),
               help_options(virtq("--help")), "options of virtq")


@tap.test
def virtqueued_has_the_options_of_its_man_page():
    difference(man_options(man_sections(man("virtqueued"), "=")["OPTIONS"]),
               help_options(run("src/daemon/virtqueued", "--help")), "options of virtqueued")


# Where dictionaries are filled whose keys docs/interfaces.md explains.
KEYS_OF = ["src/core/plan-variant.c", "src/daemon/report.c", "src/daemon/methods.c",
           "src/daemon/report-counters.c", "src/core/meters.c", "src/core/counters.c",
           "tools/virtq/offline.c", "tools/virtq/topology.c", "src/core/simulate-result.c",
           "tools/virtq/simulate-report.c", "tools/virtq/simulate-sweep.c", "tools/virtq/plan.c",
           "tools/virtq/plan-fit.c"]
_KEY = re.compile(r'(?:\b(?:put\w*|add_text|g_variant_dict_insert(?:_value)?)\(&?\w+,\s*'
                  r'|\[VQ_COUNT_\w+\] = \{)"(\w+)"')


def rows(text):
    """The cells of each line of each table, titles left out."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line, below in zip(lines, lines[1:] + [["x"]])
            if not line[0].startswith("-") and not below[0].startswith("-")]


def quoted(cell):
    return re.findall(r"`([^`]+)`", cell)


def interfaces():
    """The two halves of the chapter: JSON, and the socket."""
    return tree.read("docs/interfaces.md").split("\n## The daemon's socket\n")


@tap.test
def keys_are_those_of_the_chapter():
    text, _socket = interfaces()
    source = {key for path in KEYS_OF for key in _KEY.findall(tree.read(path))}
    assert len(source) > 50, source
    words = {word for cells in rows(text) for cell in cells for word in quoted(cell)}
    tap.equal(sorted(source - words), [], "keys that docs/interfaces.md lacks")
    explained = {key for cells in rows(text) for key in quoted(cells[0])}
    tap.equal(sorted(explained - source), [], "keys in docs/interfaces.md that nothing writes")


@tap.test
def methods_are_those_of_the_chapter():
    root = ElementTree.fromstring(tree.read("src/protocol/org.virtqueued.Daemon1.xml"))
    want = {}
    for method in root.iter("method"):
        args = [(arg.get("direction"), arg.get("type")) for arg in method.iter("arg")]
        want[method.get("name")] = tuple([kind for way, kind in args if way == direction]
                                         for direction in ("in", "out"))
    table = [cells for cells in rows(interfaces()[1]) if len(cells) == 4]
    got = {quoted(cells[0])[0]: (quoted(cells[1]), quoted(cells[2])) for cells in table}
    tap.equal(got, want, "methods")


@tap.test
def errors_are_those_of_the_chapter():
    source = re.findall(r'NAME\("(\w+)"\)', tree.read("src/protocol/errors.c"))
    table = [cells for cells in rows(interfaces()[1]) if len(cells) == 2]
    tap.equal(sorted(quoted(cells[0])[0].rsplit(".", 1)[1] for cells in table), sorted(source),
              "errors")


@tap.test
def planted_faults_are_found():
    tap.equal(check_links("docs/x.md", "a\n[b](none.md) [c](policy.md#x) [d](https://e)\n"),
              [(2, "link to none.md, which is not there")])
    tap.equal(check_links("x.md", "```\n[b](none.md)\n```\n"), [])
    tap.equal(check_paths("x.md", "`src/none.c` `src/core` `tests/data/NAME.xml`\n"),
              [(1, "src/none.c is not in the tree")])
    tap.equal(man_options("``-a``, ``--all`` *N*; ``--bare``\n  Not ``--this``.\n"),
              {("-a", "--all", "N"), ("", "--bare", "")})
    tap.equal(help_options("  -a, --all=N   text\n  --bare     and --this\n"),
              {("-a", "--all", "N"), ("", "--bare", "")})
    tap.equal(man_sections("AAA\n===\n\nxy Z\n----\nt\n\nBBB\n===\n", "-"), {"xy Z": "t\n\n"})
    tap.equal(rows("| k | t |\n|---|---|\n| `a`, `b` | x |\n"), [["`a`, `b`", "x"]])
    tap.equal(_KEY.findall('put(&dict, "a_b", g_new("c")); add_text(d,\n  "d", x);'), ["a_b", "d"])
    tap.fails(AssertionError, difference, {"a"}, set(), "x")


tap.main()
