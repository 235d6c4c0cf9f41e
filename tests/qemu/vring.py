# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest without a guest: QEMU under the qtest accelerator, its virtio-blk rings driven from here.

QEMU's memory is a file that is mapped here too. The device is found and set up through the qtest
socket; from then on requests are written to the rings in shared memory and completions read there,
and a kick is a qtest write. Everything of QEMU that a request passes runs as it would for a guest.

Blocks of 4 KiB carry their own number as a stamp. Each queue keeps `depth` requests in flight and
notes what is lost, comes twice or is wrong.
"""

import json
import mmap
import os
import random
import select
import socket
import struct
import subprocess
import threading
import time

BLOCK = 4096
MEMORY = 64 << 20
RING_SIZE = 256
QUEUE_AREA = 2 << 20  # of guest memory, for each queue
BAR = 0xE0000000
EVENT_IDX = 1 << 29
FLUSH = 1 << 9  # without it the cache is written through


class QmpError(Exception):
    pass


class Qmp:
    """A QMP connection; events are kept. Commands may come from several threads."""

    def __init__(self, path, deadline):
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self.buffer = b""
        self.events = []
        self.lock = threading.Lock()
        self.read_message(deadline)
        self("qmp_capabilities")

    def read_message(self, deadline):
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                return None
            data = self.socket.recv(65536)
            if not data:
                raise QmpError("QEMU closed its monitor")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def __call__(self, command, arguments=None, fds=(), timeout=60):
        with self.lock:
            message = {"execute": command}
            if arguments:
                message["arguments"] = arguments
            data = json.dumps(message).encode() + b"\n"
            socket.send_fds(self.socket, [data], list(fds))
            deadline = time.monotonic() + timeout
            while True:
                answer = self.read_message(deadline)
                if answer is None:
                    raise QmpError(f"no answer to {command} within {timeout} s")
                if "event" in answer:
                    self.events.append(answer)
                elif "error" in answer:
                    raise QmpError(answer["error"]["desc"])
                else:
                    return answer["return"]

    def event(self, name, timeout=60, match=lambda data: True):
        """Takes the first event of that name out of those that have come, or waits for it."""
        deadline = time.monotonic() + timeout
        with self.lock:
            while True:
                for i, event in enumerate(self.events):
                    if event["event"] == name and match(event.get("data", {})):
                        return self.events.pop(i)
                message = self.read_message(deadline)
                if message is None:
                    raise QmpError(f"no event {name} within {timeout} s")
                self.events.append(message)


class Qtest:
    def __init__(self, listener, process):
        listener.settimeout(0.1)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.socket, _ = listener.accept()
                break
            except TimeoutError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
        self.socket.settimeout(60)
        self.file = self.socket.makefile("rw", newline="\n")
        self.lock = threading.Lock()

    def __call__(self, *words):
        with self.lock:
            self.file.write(" ".join(w if isinstance(w, str) else hex(w) for w in words) + "\n")
            self.file.flush()
            while True:
                answer = self.file.readline().split()
                if not answer:
                    raise QmpError("QEMU closed its qtest socket")
                if answer[0] == "OK":
                    return int(answer[1], 16) if len(answer) > 1 else None


class Qemu:
    """QEMU with one virtio-blk-pci device vda of `queues` queues."""

    def __init__(self, binary, directory, queues, iothreads, blockdev, device="", mapping=None,
                 extra=(), env=None, features=EVENT_IDX | FLUSH):
        self.directory, self.features = directory, features
        memory = os.path.join(directory, "memory")
        with open(memory, "wb") as f:
            f.truncate(MEMORY)
        self.queue_count = queues
        with open(memory, "r+b") as f:
            self.memory = mmap.mmap(f.fileno(), MEMORY)
        # The struct module moves byte by byte; an index must change at once.
        self.words = memoryview(self.memory).cast("H")
        listener = socket.socket(socket.AF_UNIX)
        path = os.path.join(directory, "qtest")
        if os.path.exists(path):
            os.unlink(path)
        listener.bind(path)
        listener.listen(1)
        self.qmp_path = os.path.join(directory, "qmp")
        argv = [binary, "-nodefaults", "-display", "none", "-machine", "pc,memory-backend=mem",
                "-accel", "qtest", "-m", f"{MEMORY >> 20}M",
                "-object", f"memory-backend-file,id=mem,share=on,mem-path={memory},size={MEMORY}",
                "-qtest", f"unix:{path}", "-qtest-log", "none",
                "-qmp", f"unix:{self.qmp_path},server=on,wait=off"]
        for name in iothreads:
            argv += ["-object", f"iothread,id={name}"]
        argv += extra
        argv += ["-blockdev", json.dumps(blockdev)]
        self.device = {"driver": "virtio-blk-pci", "id": "vda", "drive": blockdev["node-name"],
                       "num-queues": queues, "addr": "0x4", "queue-size": RING_SIZE,
                       "disable-legacy": "on", "romfile": ""}
        if mapping:
            self.device["iothread-vq-mapping"] = mapping
        self.device.update(device or {})
        argv += ["-device", json.dumps(self.device)]
        self.log = open(os.path.join(directory, "qemu.log"), "wb")
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env={**os.environ, **(env or {})})
        try:
            self.qtest = Qtest(listener, self.process)
            self.qmp = Qmp(self.qmp_path, time.monotonic() + 60)
        except Exception:
            self.kill()
            raise QmpError("QEMU did not start:\n" + self.output())
        finally:
            listener.close()

    def output(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as f:
            return f.read()

    # PCI and virtio

    def config(self, offset, size="l", value=None):
        self.qtest("outl", 0xCF8, 0x80000000 | 4 << 11 | offset & 0xFC)
        if value is None:
            return self.qtest("in" + size, 0xCFC + (offset & 3))
        return self.qtest("out" + size, 0xCFC + (offset & 3), value)

    def setup(self):
        """Up to DRIVER_OK: afterwards the rings work."""
        caps = {}
        at = self.config(0x34, "b")
        while at:
            if self.config(at, "b") == 0x09:
                kind = self.config(at + 3, "b")
                caps[kind] = (self.config(at + 8), self.config(at + 16) if kind == 2 else 0)
                bar = self.config(at + 4, "b")
            at = self.config(at + 1, "b")
        self.config(0x10 + 4 * bar, "l", BAR)
        self.config(0x10 + 4 * bar + 4, "l", 0)
        self.config(0x04, "w", 0x6)
        self.common = BAR + caps[1][0]
        self.notify, self.notify_step = BAR + caps[2][0], caps[2][1]
        self.start_driver()

    def start_driver(self):
        c = self.common
        self.qtest("writeb", c + 20, 0)
        self.qtest("writeb", c + 20, 1)
        self.qtest("writeb", c + 20, 3)
        self.qtest("writel", c + 8, 0)
        self.qtest("writel", c + 12, self.features)
        self.qtest("writel", c + 8, 1)
        self.qtest("writel", c + 12, 1)  # VIRTIO_F_VERSION_1
        self.qtest("writeb", c + 20, 11)
        self.queues = [Queue(self, i) for i in range(self.queue_count)]
        self.qtest("writeb", c + 20, 15)

    def move(self, queue, iothread):
        self.qmp("x-virtio-blk-move-queue",
                 {"device": "vda", "queue": queue, "iothread": iothread})

    def info(self):
        return self.qmp("x-query-virtio-blk-queues")

    # The end

    def quit(self, timeout=30):
        try:
            self.qmp("quit")
        except (QmpError, OSError):
            pass
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise QmpError("QEMU did not end:\n" + self.output()) from None
        self.log.close()
        return status

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


class Queue:
    """One virtqueue with up to 64 requests in flight."""

    SLOTS = 64

    def __init__(self, qemu, index):
        self.qemu, self.index, self.memory, self.words = qemu, index, qemu.memory, qemu.words
        base = (index + 1) * QUEUE_AREA
        self.desc, self.avail, self.used = base, base + 0x2000, base + 0x3000
        self.headers, self.data = base + 0x8000, base + 0x10000
        self.memory[base:base + 0x10000] = bytes(0x10000)
        self.avail_idx = self.used_idx = self.kicked_idx = 0
        self.free = list(range(self.SLOTS))
        self.outstanding = {}
        self.submitted = self.completed = self.errors = self.kicks = 0
        self.problems = []
        self.last_progress = time.monotonic()
        self.max_gap = 0.0
        q, c = qemu.qtest, qemu.common
        q("writew", c + 22, index)
        q("writew", c + 24, RING_SIZE)
        for offset, value in ((32, self.desc), (40, self.avail), (48, self.used)):
            q("writel", c + offset, value)
            q("writel", c + offset + 4, 0)
        self.doorbell = qemu.notify + q("readw", c + 30) * qemu.notify_step
        q("writew", c + 28, 1)

    def submit(self, block, write=False, kind=None):
        slot = self.free.pop()
        kind = (1 if write else 0) if kind is None else kind
        header, data = self.headers + slot * 32, self.data + slot * BLOCK
        struct.pack_into("<IIQ", self.memory, header, kind, 0, block * 8 if kind < 2 else 0)
        self.memory[header + 16] = 0xFF
        struct.pack_into("<Q", self.memory, data, block if write else 0xDEADBEEFDEADBEEF)
        d = slot * 3
        table = [(header, 16, 1)]
        if kind < 2:
            table.append((data, BLOCK, 1 | (0 if write else 2)))
        table.append((header + 16, 1, 2))
        for i, (address, length, flags) in enumerate(table):
            struct.pack_into("<QIHH", self.memory, self.desc + (d + i) * 16, address, length,
                             flags, d + i + 1)
        self.words[self.avail // 2 + 2 + self.avail_idx % RING_SIZE] = d
        self.avail_idx = (self.avail_idx + 1) & 0xFFFF
        self.words[self.avail // 2 + 1] = self.avail_idx
        self.outstanding[slot] = (block, kind)
        self.submitted += 1

    def kick(self):
        """As EVENT_IDX asks for: only if avail_event was passed."""
        event = self.words[(self.used + 4 + 8 * RING_SIZE) // 2]
        new, old = self.avail_idx, self.kicked_idx
        if (new - event - 1) & 0xFFFF < (new - old) & 0xFFFF:
            self.kicks += 1
            self.qemu.qtest("writew", self.doorbell, self.index)
        self.kicked_idx = new

    def reap(self):
        idx = self.words[self.used // 2 + 1]
        found = 0
        while self.used_idx != idx:
            head, _ = struct.unpack_from("<II", self.memory,
                                         self.used + 4 + 8 * (self.used_idx % RING_SIZE))
            self.used_idx = (self.used_idx + 1) & 0xFFFF
            self.finish(head // 3)
            found += 1
        # used_event stays behind: no interrupt is wanted
        self.words[self.avail // 2 + 2 + RING_SIZE] = (self.used_idx - 2) & 0xFFFF
        now = time.monotonic()
        if found or not self.outstanding:
            self.max_gap = max(self.max_gap, now - self.last_progress if found else 0)
            self.last_progress = now
        return found

    def finish(self, slot):
        if slot not in self.outstanding:
            self.problems.append(f"queue {self.index}: slot {slot} came back twice")
            return
        block, kind = self.outstanding.pop(slot)
        self.free.append(slot)
        self.completed += 1
        status = self.memory[self.headers + slot * 32 + 16]
        if status != 0:
            self.errors += 1
            if status == 0xFF:
                self.problems.append(f"queue {self.index}: block {block} has no status")
        elif kind == 0:
            stamp, = struct.unpack_from("<Q", self.memory, self.data + slot * BLOCK)
            if stamp != block:
                self.problems.append(f"queue {self.index}: block {block} read as {stamp:#x}")


class Load(threading.Thread):
    """Random reads, writes and now and then a flush on all queues, `depth` in flight on each."""

    def __init__(self, qemu, blocks, depth=16, writes=0.3, seed=1):
        super().__init__()
        self.qemu, self.blocks, self.depth, self.writes = qemu, blocks, depth, writes
        self.random = random.Random(seed)
        self.stopping = threading.Event()
        self.patience = 60  # seconds to wait for the last requests
        self.failure = None

    def run(self):
        try:
            while not self.stopping.is_set():
                if not self.turn():
                    time.sleep(0)
            self.drain(self.patience)
        except Exception as e:  # noqa: BLE001  (reported by finish)
            self.failure = e

    def turn(self):
        progress = 0
        for queue in self.qemu.queues:
            progress += queue.reap()
            more = min(self.depth - len(queue.outstanding), len(queue.free))
            for _ in range(more):
                r = self.random.random()
                if r > 0.995:
                    queue.submit(0, kind=4)
                else:
                    queue.submit(self.random.randrange(self.blocks), r < self.writes)
            if more > 0:
                queue.kick()
        return progress

    def drain(self, timeout):
        deadline = time.monotonic() + timeout
        while any(q.outstanding for q in self.qemu.queues) and time.monotonic() < deadline:
            if not sum(q.reap() for q in self.qemu.queues):
                time.sleep(0.001)

    def abandon(self):
        """Ends the load after a reset of the device: what was in flight is gone."""
        self.patience = 0
        self.stopping.set()
        self.join(60)

    def finish(self):
        """Ends the load; returns what was wrong, a list of texts."""
        self.stopping.set()
        self.join(120)
        problems = [str(self.failure)] if self.failure else []
        for queue in self.qemu.queues:
            problems += queue.problems[:5]
            if queue.outstanding:
                problems.append(f"queue {queue.index}: {len(queue.outstanding)} requests lost")
        return problems


def stamp_file(path, blocks):
    with open(path, "wb") as f:
        for i in range(blocks):
            f.write(struct.pack("<Q", i) + bytes(BLOCK - 8))
