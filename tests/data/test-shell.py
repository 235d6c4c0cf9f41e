# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtq without a command: its shell, from a pipe and from a terminal; and completion."""

import contextlib
import os
import pathlib
import pty
import select
import socket
import subprocess
import tempfile
import termios
import time

import tap

ROOT = pathlib.Path(os.environ["VQ_SRCDIR"])
CASE = ROOT / "tests/data/plan/two-sockets"
VIRTQ = os.environ["VQ_BUILDDIR"] + "/tools/virtq/virtq"
NOBODY = ["--socket", "/nonexistent/socket"]


def virtq(*args, text=""):
    return subprocess.run([VIRTQ, *NOBODY, *args], cwd=CASE, input=text, capture_output=True,
                          text=True, timeout=60, check=False)


def shell(text, *args):
    """(exit status, output, lines of errors) of a shell that reads text from a pipe."""
    done = virtq(*args, text=text)
    return done.returncode, done.stdout, done.stderr.splitlines()


def complete(*words, options=()):
    done = virtq(*options, "complete", "--", *words)
    tap.equal((done.returncode, done.stderr), (0, ""), f"status and errors of completing {words}")
    return done.stdout.splitlines()


def unknown(*names):
    return [f"error: unknown command '{name}'; see 'virtq help'" for name in names]


@tap.test
def a_pipe_is_read_without_a_prompt():
    expected = virtq("expand", "vm1.xml").stdout
    tap.contains(expected, "<domain")
    tap.equal(shell("expand vm1.xml\n"), (0, expected, []))
    tap.equal(shell("expand vm1.xml"), (0, expected, []), "without a newline at the end")
    tap.equal(shell("expand vm1.xml\n" * 3), (0, expected * 3, []), "three times")


@tap.test
def every_command_runs_again_in_one_process():
    one = ("plan --topology 'core:4 pu:1' vm1.xml; validate vm1.xml; expand vm1.xml; "
           "collapse vm1.xml; draw - --topology 'core:4 pu:1' vm1.xml; help; help plan\n")
    status, once, errors = shell(one)
    tap.equal((status, errors), (0, []), "status and errors")
    tap.contains(once, "virtq plan [OPTION")
    tap.equal(shell(one * 3), (0, once * 3, []), "three times")


@tap.test
def comments_and_empty_lines_do_nothing():
    text = "# list\n\n   \n\t# x 'y\n;;  ; # list; list\n  ;\n"
    tap.equal(shell(text), (0, "", []))
    tap.equal(shell("bad1 # list; bad2\n"), (1, "", unknown("bad1")))
    tap.equal(shell("bad#1;bad2\n"), (1, "", unknown("bad#1", "bad2")), "# inside a word")


@tap.test
def errors_do_not_end_it():
    expected = virtq("expand", "vm1.xml").stdout
    tap.equal(shell("bad1\nexpand vm1.xml\nbad2\n"), (1, expected, unknown("bad1", "bad2")))
    tap.equal(shell("bad1; expand vm1.xml"), (1, expected, unknown("bad1")))
    status, output, errors = shell("list\nplan\nexpand no.xml\nexpand --bogus x\n")
    tap.equal((status, output, len(errors)), (1, "", 4))
    for line, part in zip(errors, ("/nonexistent/socket", "argument missing", "no.xml", "--bogus")):
        tap.contains(line, part)


@tap.test
def semicolons_and_quotes():
    tap.equal(shell("a;b ;c"), (1, "", unknown("a", "b", "c")))
    tap.equal(shell("'a;b'; \"c;d\";e\\;f;'g '\"h\""), (1, "", unknown("a;b", "c;d", "e;f", "g h")))
    tap.equal(shell('"a\\";b";\'c\\\';d'), (1, "", unknown('a";b', "c\\", "d")))
    tap.equal(shell("''"), (1, "", unknown("")))
    status, output, errors = shell("'a; b\nc\n")
    tap.equal((status, output, len(errors)), (1, "", 2))
    tap.contains(errors[0], "quot")
    tap.equal(errors[1:], unknown("c"), "the line after an open quote")
    tap.equal(len(shell("a\\")[2]), 1, "errors of a backslash at the end")


@tap.test
def quit_exit_and_the_end():
    tap.equal(shell(""), (0, "", []), "nothing at all")
    for word in ("quit", "exit", "'quit'", "  exit  # now"):
        tap.equal(shell(f"{word}\nbad\n"), (0, "", []), word)
        tap.equal(shell(f"a; {word}; b\nc"), (1, "", unknown("a")), f"{word} among others")
    status, output, errors = shell("quit now\nbad")
    tap.equal((status, output, errors[1:]), (1, "", unknown("bad")), "quit with an argument")


@tap.test
def global_options_hold_for_all_commands():
    line = "plan --topology 'core:4 pu:1' vm1.xml\n"
    expected = virtq("--format", "json", "plan", "--topology", "core:4 pu:1", "vm1.xml").stdout
    tap.equal(shell(line * 2, "--format", "json"), (0, expected * 2, []))
    tap.equal(shell("help\n", "--format", "bogus")[0], 1, "status with a bad option")


@tap.test
def a_dash_is_the_rest_of_the_input():
    text = (CASE / "vm1.xml").read_text()
    tap.equal(shell("expand -\n" + text), (0, virtq("expand", "vm1.xml").stdout, []))


@tap.test
def strange_input_is_survived():
    tap.equal(shell("x" * 1_000_000 + "\nhelp help")[0], 1, "status after a long word")
    tap.equal(len(shell("a;" * 20_000)[2]), 20_000, "errors of many commands")
    done = subprocess.run([VIRTQ], input=b"\xff\xfe \x01\n\0list\nquit\n", capture_output=True,
                          timeout=60, check=False)
    tap.equal(done.returncode, 1, "exit status")


def read_until(fd, end, timeout=20):
    out, limit = b"", time.monotonic() + timeout
    while not out.endswith(end):
        if not select.select([fd], [], [], max(limit - time.monotonic(), 0))[0]:
            raise AssertionError(f"no {end!r} after {out!r}")
        out += os.read(fd, 4096)
    return out


def read_prompt(fd):
    """All up to a prompt, once libedit has the keys: the prompt comes a moment earlier."""
    out = read_until(fd, b"virtq # ").decode()
    tap.wait_until(lambda: not termios.tcgetattr(fd)[3] & termios.ICANON, 20, "raw mode")
    return out


def read_rest(fd):
    """All until the other end is closed."""
    out = b""
    with contextlib.suppress(OSError):
        while select.select([fd], [], [], 20)[0]:
            out += os.read(fd, 4096)
    return out.decode()


@contextlib.contextmanager
def terminal(*args):
    """A shell on a terminal: its process and our end."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([VIRTQ, *NOBODY, *args], stdin=theirs, stdout=theirs, stderr=theirs,
                          cwd=CASE, env={**os.environ, "TERM": "vt100"}) as process:
        os.close(theirs)
        try:
            yield process, ours
        finally:
            process.kill()
            os.close(ours)


@tap.test
def a_terminal_gets_a_prompt():
    for end in (b"quit\n", b"exit\n", b"\x04"):
        with terminal() as (process, fd):
            tap.contains(read_prompt(fd), "'quit' leaves")
            os.write(fd, b"bogus; help help\n")
            answer = read_prompt(fd)
            tap.contains(answer, "error: unknown command 'bogus'")
            tap.contains(answer, "virtq help [OPTION")
            os.write(fd, end)
            read_rest(fd)
            tap.equal(process.wait(20), 0, f"exit status after {end!r}")


@tap.test
def the_terminal_completes_words():
    with terminal("-q") as (process, fd):
        tap.equal(read_prompt(fd), "virtq # ", "greeting with --quiet")
        os.write(fd, b"reb\t")
        read_until(fd, b"alance ")
        os.write(fd, b"--dr\t")
        read_until(fd, b"y-run ")
        os.write(fd, b"\x15quit\n")
        read_rest(fd)
        tap.equal(process.wait(20), 0, "exit status")


@tap.test
def completion_of_commands_and_options():
    tap.equal(complete("va"), ["validate"])
    tap.equal(complete("d"), ["draw", "drain"])
    tap.equal(complete("nothing"), [])
    listed = [line.split()[0] for line in virtq("help").stdout.splitlines()
              if line.startswith("    ")]
    tap.equal(complete(""), listed)
    tap.equal(complete(), listed, "without a word")
    tap.lacks(virtq("help").stdout, "complete", "the list of commands")
    tap.equal(complete("--s"), ["--socket"])
    tap.equal(complete("-q", "-f", "json", "re"), ["rebalance"])
    tap.equal(complete("plan", "--to"), ["--topology"])
    tap.equal(complete("plan", "x.xml", "--l"), ["--load"])
    tap.equal(complete("rebalance", "-"), ["--help", "--dry-run"])
    tap.equal(complete("bogus", "-"), [])
    tap.equal(complete("help", "und"), ["undrain"])


@tap.test
def every_option_of_the_help_is_completed():
    for command in complete(""):
        shown = {word.rstrip(",").split("=")[0] for word in virtq(command, "--help").stdout.split()
                 if word.startswith("--") and word != "--"}
        offered = set(complete(command, "--"))
        tap.equal(offered & shown, offered, f"options of {command} in its help")
        usage = virtq(command, "--help").stdout.split("Options:")[1]
        defined = {line.split("--")[1].split("=")[0].split()[0] for line in usage.splitlines()
                   if line.strip().startswith("-")}
        tap.equal({o[2:] for o in offered}, defined, f"options of {command}")


@tap.test
def completion_of_values():
    tap.equal(complete("--format", ""), ["table", "json", "xml"])
    tap.equal(complete("-f", "j"), ["json"])
    for words in (["--socket", ""], ["plan", "--load", ""], ["expand", ""], ["expand", "v"]):
        tap.equal(complete(*words), [], f"{words}: left to the file system")


@tap.test
def completion_does_not_wait_for_a_daemon():
    tap.equal(complete("info", ""), [], "without a daemon")
    with tempfile.TemporaryDirectory(prefix="vq-shell-") as directory, \
            socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(directory + "/s")
        deaf.listen(1)
        start = time.monotonic()
        tap.equal(complete("why", "", options=["-s", directory + "/s"]), [], "of a deaf one")
        took = time.monotonic() - start
        assert 0.25 < took < 3, f"{took:.2f} s"
        tap.diag(f"a deaf daemon: {took:.3f} s")
        tap.equal(complete("-s", directory + "/s", "why", "vm1", ""), [])


def in_bash(*words):
    """What bash makes of the command line, by the installed file."""
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              '_virtq "$1"; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash",
                           ROOT / "tools/virtq/virtq-completion.bash", VIRTQ, *words],
                          capture_output=True, text=True, timeout=60, check=False)
    tap.equal((done.returncode, done.stderr), (0, ""), f"bash's status and errors of {words}")
    return done.stdout.split()


@tap.test
def bash_completes():
    tap.equal(in_bash("va"), ["validate"])
    tap.equal(in_bash("--format", "=", "j"), ["json"])
    tap.equal(in_bash("--format", "="), ["table", "json", "xml"])
    tap.equal(in_bash("-q", "plan", "--t"), ["--topology"])
    tap.equal(in_bash("expand", "vm"), [])


tap.main()
