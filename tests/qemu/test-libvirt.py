#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt with the patched QEMU as <emulator>: probed, started, and the queues of a Linux guest move."""

import json
import os
import random
import re
import sys
import time
import xml.etree.ElementTree as ElementTree

import machine
import tap

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import bed  # noqa: E402
import domains  # noqa: E402

QUEUES = 4
MOVES = 2000
MAPPING = ("<driver name='qemu' type='raw' cache='none' queues='4'><iothreads>"
           "<iothread id='1'/><iothread id='2'/></iothreads></driver>")


class LibvirtBench(machine.Bench):
    def __enter__(self):
        super().__enter__()
        try:
            config = os.path.join(bed.BUILDDIR, "config.h")
            if not os.path.exists(config):
                raise tap.Skip(f"VQ_BUILDDIR is no build of virtqueued: there is no {config}")
            self.bed = bed.Bed().__enter__()
        except BaseException:
            super().__exit__()
            raise
        return self

    def __exit__(self, *args):
        self.bed.__exit__(*args)
        super().__exit__(*args)


def monitor(b, command, **arguments):
    text = json.dumps({"execute": command, "arguments": arguments})
    answer = json.loads(b.virsh("qemu-monitor-command", "vm", text))
    if "error" in answer:
        raise AssertionError(f"{command}: {answer['error']['desc']}")
    return answer["return"]


def domain(bench, **kwargs):
    b = bench.bed
    disk = domains.disk("vda", b.disk("vm-vda"), driver=MAPPING)
    return domains.xml("vm", vcpus=QUEUES, disks=[disk], extra="<iothreads>3</iothreads>",
                       devices=f"<emulator>{bench.binary}</emulator>", **kwargs)


@tap.test
def libvirt_probes_it(bench):
    text = bench.bed.virsh("domcapabilities", "--emulatorbin", bench.binary, "--arch", "x86_64",
                           "--virttype", "qemu")
    root = ElementTree.fromstring(text)
    tap.equal(root.findtext("path"), bench.binary, "emulator")
    tap.equal(root.find("iothreads").get("supported"), "yes", "IOThreads")
    tap.contains(text, "<value>virtio</value>")


@tap.test
def a_domain_starts_and_its_map_is_seen(bench):
    b = bench.bed
    b.define(domain(bench))
    b.virsh("start", "vm", "--paused")
    try:
        queues = monitor(b, "x-query-virtio-blk-queues")
        tap.equal([(q["device"], q["queue"], q["iothread"]) for q in queues],
                  [("virtio-disk0", i, f"iothread{1 + i % 2}") for i in range(QUEUES)], "map")
        monitor(b, "qom-set", path="/objects/iothread3", property="poll-dedicated", value=True)
        tap.equal({t["id"]: t["poll-dedicated"] for t in monitor(b, "query-iothreads")},
                  {"iothread1": False, "iothread2": False, "iothread3": True},
                  "dedicated polling")
    finally:
        b.virsh("destroy", "vm")
        b.virsh("undefine", "vm")


@tap.test
def queues_of_a_linux_guest_move(bench):
    """Written and read again by four CPUs, each through its queue, while these move."""
    b, log = bench.bed, bench.bed.path("console")
    kernel = bed.guest()
    b.define(domain(bench, memory_mib=200, guest=kernel, serial_log=log,
                    cmdline="virtq.seconds=0 virtq.verify=1"))
    b.virsh("start", "vm")

    def console():
        with open(log, encoding="utf-8", errors="replace") as f:
            return f.read()

    tap.wait_until(lambda: re.search(r"cpu 3: [1-9]\d* reads", console()), 60, "load in the guest")
    lines = []
    for _ in range(MOVES):
        arguments = {"device": "virtio-disk0", "queue": random.randrange(QUEUES),
                     "iothread": f"iothread{random.randrange(3) + 1}"}
        command = json.dumps({"execute": "x-virtio-blk-move-queue", "arguments": arguments})
        lines.append(f"qemu-monitor-command vm '{command}'")
    start = time.monotonic()
    output = b.virsh(input="\n".join(lines) + "\n")
    taken = output.count('"return"')
    queues = monitor(b, "x-query-virtio-blk-queues")
    tap.diag(f"{taken} of {MOVES} moves begun in {time.monotonic() - start:.1f} s; requests "
             + ", ".join(str(q["completed"]) for q in queues))
    assert taken > MOVES / 2, output[-500:]
    before = console()
    tap.wait_until(lambda: len(console()) > len(before) + 200, 30, "the guest's going on")
    tap.equal(b.virsh("domstate", "vm").strip(), "running", "state")
    b.virsh("destroy", "vm")
    tap.lacks(console(), "wrong data", "console")
    tap.lacks(console(), "failed", "console")
    assert sum(q["moves"] for q in queues) > MOVES / 2, queues


tap.main(LibvirtBench)
