#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The private libvirtd that the other live tests stand on: that it works, and leaves nothing."""

import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import bed  # noqa: E402
import domains  # noqa: E402
import namespace  # noqa: E402
import tap  # noqa: E402

MAPPING = "queues='2'><iothreads><iothread id='1'/><iothread id='2'/></iothreads></driver>"


def mapped_domain(b, name):
    """Two IOThreads serving one disk, written by hand."""
    disk = domains.disk("vda", b.disk(name), f"<driver name='qemu' type='raw' {MAPPING}")
    return domains.xml(name, disks=[disk], extra="  <iothreads>2</iothreads>\n")


@tap.test
def a_paused_domain_has_its_iothreads(b):
    b.define(mapped_domain(b, "vm1"))
    b.virsh("start", "vm1", "--paused")
    tap.equal(b.virsh("domstate", "vm1").strip(), "paused")
    tap.equal(sorted(b.iothread_tids("vm1")), [1, 2], "IOThread ids")
    b.virsh("iothreadpin", "vm1", "2", "0")
    tap.equal(b.iothread_affinities("vm1")[2], "0", "affinity of IOThread 2")
    tap.equal(b.iothread_pins("vm1")[2], "0", "libvirt's pin of IOThread 2")


@tap.test
def a_domain_survives_libvirtd(b):
    pid = b.qemu_pid("vm1")
    b.restart_libvirtd()
    b.restart_libvirtd(kill=True)
    tap.equal(b.virsh("domstate", "vm1").strip(), "paused")
    tap.equal(b.qemu_pid("vm1"), pid, "QEMU's process")


@tap.test
def errors_carry_their_text(b):
    error = tap.fails(bed.CommandError, b.virsh, "start", "nobody")
    tap.contains(error.stderr, "failed to get domain 'nobody'")


@tap.test
def two_beds_see_nothing_of_each_other(b):
    with bed.Bed() as other:
        tap.equal(other.virsh("list", "--all", "--name").strip(), "")
        tap.contains(b.virsh("list", "--all", "--name"), "vm1")


@tap.test
def a_client_outside_reaches_it(b):
    out = subprocess.run(["virsh", "-c", b.uri, "list", "--name"], text=True, check=True,
                         stdin=subprocess.DEVNULL, capture_output=True).stdout
    tap.contains(out, "vm1")


@tap.test
def nothing_is_left_when_the_maker_is_killed(_b):
    code = ("import sys; sys.path.insert(0, sys.argv[1])\n"
            "import bed, time\n"
            "with bed.Bed() as b:\n"
            "    print(b.ns.pid, b.ns.dir, flush=True)\n"
            "    time.sleep(60)\n")
    maker = subprocess.Popen([sys.executable, "-c", code, os.path.dirname(bed.__file__)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    with maker:
        holder, directory = maker.stdout.readline().split()
        inside = namespace.members(int(holder))
        maker.send_signal(signal.SIGKILL)
    if not inside:
        raise AssertionError("no libvirtd was found in the namespace")
    tap.wait_until(lambda: not os.path.exists(directory), 10, "removal of the directory")
    time.sleep(0.1)
    alive = [pid for pid in inside + [int(holder)] if os.path.exists(f"/proc/{pid}/exe")]
    tap.equal(alive, [], "processes left")


tap.main(bed.Bed)
