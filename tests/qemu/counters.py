# SPDX-License-Identifier: LGPL-2.1-or-later
"""A reader of the page that docs/queue-counters.md lays out."""

import fcntl
import mmap
import os
import struct

import tap

F_ADD_SEALS, F_SEAL_SHRINK, F_SEAL_GROW = 1033, 2, 4


class Page:
    """A page for counters as docs/queue-counters.md lays it out."""

    def __init__(self, slots, seals=F_SEAL_SHRINK | F_SEAL_GROW, size=None):
        self.fd = os.memfd_create("vq-counters", os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, size or 128 + 256 * slots)
        fcntl.fcntl(self.fd, F_ADD_SEALS, seals)
        self.map = mmap.mmap(self.fd, 0, prot=mmap.PROT_READ)

    def hand_in(self, qemu):
        qemu.qmp("getfd", {"fdname": "page"}, fds=[self.fd])
        return qemu.qmp("x-virtio-blk-export-counters", {"fdname": "page"})

    def header(self):
        names = ("version", "header_size", "slot_size", "slots", "slots_needed", "pid", "changes")
        return dict(zip(names, struct.unpack_from("<6IQ", self.map, 8)))

    def slots(self):
        """The slots in use, by (device, queue) or IOThread name."""
        result = {}
        for i in range(self.header()["slots"]):
            at = 128 + 256 * i
            seq, kind, queue, tid, flags, _ = struct.unpack_from("<6I", self.map, at)
            device, iothread = (text.partition(b"\0")[0].decode()
                                for text in struct.unpack_from("<52s52s", self.map, at + 24))
            values = struct.unpack_from("<16Q", self.map, at + 128)
            tap.equal(seq & 1, 0, "sequence at rest")
            if kind == 1:
                result[device, queue] = {"iothread": iothread, "tid": tid, "flags": flags,
                                         "counters": values}
            elif kind == 2:
                result[iothread] = {"tid": tid, "flags": flags, "counters": values}
        return result
