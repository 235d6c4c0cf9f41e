#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tree names no machine of its makers: no private paths, package mirrors or tooling.

Packages come from what the host's own package manager is set to, paths from the build.
"""

import re

import tree
import tap

# Each: what it is, pattern. Split strings keep this file out of its own findings.
RULES = [
    ("path of a developer's machine", r"(?<![\w.])/" r"work/|/tmp/" r"(wt|src)\b|(?<![\w.])/farm\b"
     r"|(?<![\w.])/(home|Users)/\w+/(?!\.)"),
    ("name of a package server", r"\b(?:deb|security|snapshot|ftp\.\w+)\." r"debian\.org\b"
     r"|archive\.ubuntu" r"\.com|files\.pythonhosted" r"\.org|https?://pypi" r"\.org"
     r"|static\.crates" r"\.io|proxy\.golang" r"\.org"),
    ("word of the tooling", r"(?i:\b(?:sessions?|agents?|agentic|claude|anthropic|openai|chatgpt|"
     r"copilot|llm|subagent)\b)|\bAI\b|(?i:\bco-authored-by\b)|\bissue #?[0-9]+\b"),
]
_RULES = [(what, re.compile(pattern)) for what, pattern in RULES]

# What libvirt, QEMU, D-Bus and systemd call so.
LEGITIMATE = re.compile(r"(?i)guest[ _-]agents?|qemu-ga|///session|session (?:daemon|bus|mode)|"
                        r"polkit agent|agent(?=\.0)|mode='session'|start_new_session|setsid|"
                        r"session of its own|a new session")

# path: words that are right in this file, with the reason.
ALLOWED = {
    "tests/style/test-words.py": None,  # the rules themselves
}

# Copied from elsewhere: its words are not ours.
FOREIGN = ("LICENSES/", "src/qemu/", "tests/data/machines/", "tests/data/topology/",
           "tests/fuzz/corpus/")


def check_words(path, text):
    if path in ALLOWED and ALLOWED[path] is None:
        return []
    allowed = ALLOWED.get(path, ())
    out = []
    for number, line in enumerate(text.split("\n"), 1):
        rest = LEGITIMATE.sub("", line)
        for what, pattern in _RULES:
            out += [(number, f"{what}: {m.group()}") for m in pattern.finditer(rest)
                    if m.group() not in allowed]
    return out


@tap.test
def no_private_names():
    tree.expect_none(check_words, [p for p in tree.paths() if not p.startswith(FOREIGN)])


@tap.test
def planted_names_are_found():
    for line in ["cd /wor" "k/main", "-D/tmp/s" "rc/x", "http://deb.deb" "ian.org/debian",
                 "written by an AI", "this sess" "ion", "the age" "nt", "see issue 4",
                 "/home/joe/src"]:
        assert len(check_words("x", line)) == 1, line
    for line in ["qemu:///session", "the QEMU guest agent", "/var/network/", "agency",
                 "org.qemu.guest_agent.0", "network/work/x", "AIO", "an issue"]:
        tap.equal(check_words("x", line), [], line)


@tap.test
def allowed_files_exist():
    known = set(tree.paths())
    missing = [p for p in ALLOWED if p not in known]
    assert not missing, missing


tap.main()
