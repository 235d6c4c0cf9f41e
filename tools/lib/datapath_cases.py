# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tools/bench datapath measures: the table of cases, and of servers. Data, no code but what
makes command lines of it."""

import json

POLL = 1000000000  # ns: an IOThread that does not sleep within a run


class Case:
    """back: null, filled or unwritten (zram), memory or disk (a file). bare: fio runs the same load
    on the device itself. threads: load threads. needs: CPUs without which the figure means little."""

    def __init__(self, name, back, block="4K", mix="read", depth=64, queues=1, iothreads=1,
                 sequential=False, bare=True, needs=2):
        self.name, self.back, self.block, self.mix = name, back, block, mix
        self.depth, self.queues, self.iothreads = depth, queues, iothreads
        self.sequential, self.needs = sequential, needs
        self.bare = bare and back != "null" and queues == 1

    def guest_options(self, load_cpus, io_cpus):
        options = ["--block-size", self.block, "--mix", self.mix, "--depth", str(self.depth),
                   "--queues", str(self.queues), "--iothreads", str(self.iothreads),
                   "--threads", str(self.iothreads), "--cpus", load_cpus,
                   "--iothread-cpus", io_cpus, "--area", "256M"]
        return options + (["--sequential"] if self.sequential else [])

    def fio_options(self):
        kind = {"read": "read", "write": "write", "70/30": "rw"}[self.mix]
        options = ["--rw=" + kind if self.sequential else "--rw=rand" + kind, "--bs=" + self.block,
                   f"--iodepth={self.depth}", f"--iodepth_batch_submit={min(self.depth, 32)}",
                   "--iodepth_batch_complete_min=1",
                   f"--iodepth_batch_complete_max={self.depth}", "--size=256M"]
        return options + (["--rwmixread=70"] if self.mix == "70/30" else [])


def cases():
    yield Case("null 4K read qd64", "null")
    yield Case("zram filled 4K read qd64", "filled")
    yield Case("zram unwritten 4K read qd64", "unwritten")
    yield Case("null 4K read qd1", "null", depth=1)
    yield Case("zram filled 4K read qd1", "filled", depth=1)
    for queues in (1, 2, 4, 8, 16):
        yield Case(f"null 4K read qd32, queues: {queues}", "null", depth=32, queues=queues)
    for queues in (1, 2, 4, 8, 16):
        yield Case(f"zram unwritten 4K read qd32, queues: {queues}", "unwritten", depth=32,
                   queues=queues, bare=False)
    yield Case("null 4K read qd64, 2 queues on 2 IOThreads", "null", queues=2, iothreads=2, needs=4)
    yield Case("zram filled 4K read qd64, 2 queues on 2 IOThreads", "filled", queues=2, iothreads=2,
               needs=4)
    yield Case("zram filled 4K write qd64", "filled", mix="write")
    yield Case("zram filled 4K 70/30 qd64", "filled", mix="70/30")
    yield Case("zram filled 64K read qd16", "filled", block="64K", depth=16)
    yield Case("zram filled 256K read qd8", "filled", block="256K", depth=8)
    yield Case("zram filled 1M read qd4", "filled", block="1M", depth=4)
    yield Case("zram filled 64K sequential read qd16", "filled", block="64K", depth=16,
               sequential=True)
    yield Case("file in memory 4K read qd64", "memory")
    yield Case("file on disk 4K read qd16", "disk", depth=16)


class Server:
    """One QEMU with properties, as a column of the table."""

    def __init__(self, name, program, device=None, iothread=None, aio="native"):
        self.name, self.program, self.aio = name, program, aio
        self.device = device or {}
        self.iothread = {"poll-max-ns": POLL, **(iothread or {})}

    def options(self):
        options = ["--qemu", self.program, "--aio", self.aio,
                   "--iothread", json.dumps(self.iothread)]
        return options + (["--device", json.dumps(self.device)] if self.device else [])


def parse_server(text):
    """NAME=PROGRAM[,device=JSON][,iothread=JSON][,aio=ENGINE]; ValueError tells what is wrong. JSON
    objects have commas of their own, so they are taken as a whole."""
    name, equals, rest = text.partition("=")
    program, _, rest = rest.partition(",")
    if not equals or not name or not program:
        raise ValueError(f"'{text}' is not NAME=PROGRAM[,device=JSON][,iothread=JSON][,aio=ENGINE]")
    values = {}
    while rest:
        key, _, rest = rest.partition("=")
        if key not in ("device", "iothread", "aio"):
            raise ValueError(f"'{text}': no such key: {key}")
        if key == "aio":
            values[key], _, rest = rest.partition(",")
            continue
        value, end = json.JSONDecoder().raw_decode(rest)
        if not isinstance(value, dict):
            raise ValueError(f"'{text}': {key} is no JSON object")
        values[key], rest = value, rest[end:].lstrip(",")
    return Server(name, program, **values)
