# SPDX-License-Identifier: LGPL-2.1-or-later
"""A zram device of one's own: a block device of the kernel that costs no more than copying memory.
Needs root and the kernel's module.

    with zram.Device(512 << 20, filled=True) as path: ...

It is added for this purpose and removed at the end; zram devices that exist (swap, maybe) are left
alone."""

import os
import time

CONTROL = "/sys/class/zram-control"
CHUNK = 4 << 20


class Device:
    """filled: with random data, which cannot be compressed; else reads find pages never written."""

    def __init__(self, size, filled=False):
        self.size = size
        self.filled = filled
        self.number = None

    def __enter__(self):
        # Reading adds a device and tells its number.
        with open(CONTROL + "/hot_add", encoding="ascii") as f:
            self.number = int(f.read())
        self.path = f"/dev/zram{self.number}"
        try:
            self._set("disksize", self.size)
            self._wait_for_node()
            if self.filled:
                self._fill()
        except BaseException:
            self.__exit__()
            raise
        return self.path

    def _set(self, name, value):
        with open(f"/sys/block/zram{self.number}/{name}", "w", encoding="ascii") as f:
            f.write(str(value))

    def _wait_for_node(self):
        end = time.monotonic() + 5
        while not os.path.exists(self.path):
            if time.monotonic() > end:
                raise OSError(f"{self.path} does not appear")
            time.sleep(0.05)

    def _fill(self):
        with open(self.path, "wb", buffering=0) as f:
            for _ in range(self.size // CHUNK):
                f.write(os.urandom(CHUNK))
            os.fsync(f.fileno())

    def __exit__(self, *_):
        for _ in range(50):  # a process that was killed may still hold it for a moment
            try:
                self._set("reset", 1)
                with open(CONTROL + "/hot_remove", "w", encoding="ascii") as f:
                    f.write(str(self.number))
                return
            except OSError:
                time.sleep(0.1)


def missing():
    """Why there can be none here, or None."""
    if os.geteuid() != 0:
        return "zram needs root"
    if not os.path.exists(CONTROL):
        return "the kernel has no zram (modprobe zram)"
    return None
