#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every expanded sample of tests/data/expand is taken by a stock libvirt with --validate, and what
libvirt prints of it is expanded already: expansion is stable under libvirt's normalisation."""

import glob
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import bed  # noqa: E402
import tap  # noqa: E402

DATA = os.path.join(bed.SRCDIR, "tests", "data", "expand")

# What libvirt refuses in the input already, so that the expansion cannot be the reason.
NOT_LIBVIRTS = {
    "ids-pin-of-no-thread": "Cannot find 'iothread' : 2",
    "star-passes-over": "virtio-mmio",
    "compact": "",
}


def samples():
    """name -> text of every expanded sample."""
    found = {}
    for path in sorted(glob.glob(os.path.join(DATA, "*.out.xml"))):
        with open(path, encoding="utf-8") as f:
            found[os.path.basename(path)[:-len(".out.xml")]] = f.read()
    return found


def rewritten(b, command, text):
    """The output of virtq expand or collapse for a text."""
    return b.virtq(command, b.write("sample.xml", text))


def vq_parts(text):
    """What an expansion is about, without the white space: threads, ids, drivers, record."""
    return re.findall(r"<(?:iothreads|/?iothreadids|iothread|poll|driver|queue|vqs:\w+)\b[^>]*>", text)


@tap.test
def stock_libvirt_takes_every_expanded_sample(b):
    refused, taken = [], 0
    for name, text in samples().items():
        if name in NOT_LIBVIRTS:
            continue
        try:
            b.define(text, "--validate")
            taken += 1
        except bed.CommandError as e:
            refused.append(f"{name}: {e.stderr.strip()}")
        b.destroy_all()
    tap.diag(f"{taken} samples defined with --validate")
    tap.equal(refused, [], "samples refused by libvirt")
    if taken < 30:
        raise AssertionError(f"only {taken} samples")


@tap.test
def what_libvirt_prints_is_expanded_already(b):
    changed, count = [], 0
    for name, text in samples().items():
        if name in NOT_LIBVIRTS:
            continue
        b.define(text)
        printed = b.dumpxml("vm1", "--inactive")
        if rewritten(b, "expand", printed) != printed:
            changed.append(name)
        b.define(printed)
        tap.equal(b.dumpxml("vm1", "--inactive"), printed, f"{name} defined again")
        b.destroy_all()
        count += 1
    tap.diag(f"{count} samples")
    tap.equal(changed, [], "samples that expand to something else after libvirt")


@tap.test
def collapsing_gives_what_libvirt_makes_of_the_original(b):
    """collapse(libvirt(expand(x))) = libvirt(collapse(x)) as libvirt prints both."""
    for name, text in samples().items():
        if name in NOT_LIBVIRTS or "<vq:" not in text:
            continue
        uuid = "<uuid>1b0f6f6e-0b0c-4a8e-9a39-0f6e8b1f3c11</uuid>"
        text = text.replace("<name>vm1</name>", "<name>vm1</name>" + uuid)
        b.define(rewritten(b, "collapse", text))
        original = b.dumpxml("vm1", "--inactive")
        b.define(text)
        b.define(rewritten(b, "collapse", b.dumpxml("vm1", "--inactive")))
        tap.equal(vq_parts(b.dumpxml("vm1", "--inactive")), vq_parts(original), name)
        b.destroy_all()


@tap.test
def a_live_domain_reads_as_expanded(b):
    xml = rewritten(b, "expand", b.domain("vm1", policy="<vq:disk target='vda' queues='2'/>"))
    b.define(xml)
    b.virsh("start", "vm1", "--paused")
    tap.equal(sorted(b.iothread_tids("vm1")), [1, 2], "IOThread ids")
    b.virsh("iothreadpin", "vm1", "1", "0")
    live = b.dumpxml("vm1")
    tap.equal(rewritten(b, "expand", live), live, "live XML expanded")
    tap.lacks(rewritten(b, "collapse", live), "iothread", "collapsed live XML")
    b.destroy_all()


tap.main(bed.Bed)
