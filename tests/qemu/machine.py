# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of the patched QEMU share: which QEMU, a scratch directory, one QEMU for each test."""

import contextlib
import json
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import tap  # noqa: E402
import vring  # noqa: E402

BLOCKS = 4096
IOTHREADS = ["io1", "io2", "io3"]


class Bench:
    """Context of the tests: VQ_QEMU is the build directory or prefix of the QEMU to test."""

    def __enter__(self):
        where = os.environ.get("VQ_QEMU")
        if not where:
            raise tap.Skip("VQ_QEMU does not say where tools/build-qemu built QEMU")
        for path in (where, os.path.join(where, "bin", "qemu-system-x86_64"),
                     os.path.join(where, "qemu-system-x86_64")):
            if os.path.isfile(path) and os.access(path, os.X_OK):
                self.binary = path
                break
        else:
            raise tap.Skip(f"there is no qemu-system-x86_64 in {where}")
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.directory = tempfile.mkdtemp(prefix="vq-qemu-", dir=base)
        return self

    def __exit__(self, *_args):
        shutil.rmtree(self.directory, ignore_errors=True)

    def image(self, name="disk"):
        path = os.path.join(self.directory, name)
        vring.stamp_file(path, BLOCKS)
        return path

    @contextlib.contextmanager
    def machine(self, queues=4, iothreads=None, mapping=True, blockdev=None, **kwargs):
        """A QEMU whose device works; it must end well, and by itself, after the block."""
        names = IOTHREADS if iothreads is None else iothreads
        node = blockdev or {"driver": "file", "node-name": "disk", "filename": self.image()}
        # For other programs that run the same tests with another device or cache.
        if os.environ.get("VQ_QEMU_O_DIRECT") and node["driver"] == "file":
            node = {**node, "cache": {"direct": True}}
        vqs = [{"iothread": name} for name in names] if mapping and names else None
        device = {**json.loads(os.environ.get("VQ_QEMU_DEVICE", "{}")),
                  **kwargs.pop("device", {})}
        qemu = vring.Qemu(self.binary, self.directory, queues, names, node, mapping=vqs,
                          device=device, **kwargs)
        try:
            qemu.setup()
            yield qemu
            tap.equal(qemu.quit(), 0, "exit status of QEMU")
            lines = [line for line in qemu.output().splitlines()
                     if "terminating on signal" not in line]
            tap.equal(lines, [], "what QEMU had to say")
        except BaseException:
            if qemu.process.poll() is None:
                qemu.kill()
            tap.diag(qemu.output())
            raise


def expect_sound(qemu, problems):
    """After a load has ended: nothing lost, twice or wrong, and QEMU has counted the same."""
    tap.equal(problems, [], "problems")
    for queue, info in zip(qemu.queues, qemu.info()):
        name = f"queue {queue.index}: "
        requests = info["reads"] + info["writes"] + info["flushes"] + info["others"]
        tap.equal(requests, queue.submitted, name + "requests counted")
        tap.equal(info["completed"], queue.submitted, name + "completions counted")
        tap.equal(info["in-flight"], 0, name + "in flight")
