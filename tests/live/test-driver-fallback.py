# SPDX-License-Identifier: LGPL-2.1-or-later
"""The loader must run the stock driver, and say so, whenever anything is not as expected."""

import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import bed as beds
import tap

NOT_ACTIVE = "extension not active, the stock QEMU driver serves alone: "
POLICY = "<vq:disk target='vda' queues='2'/>"


class Variants:
    """Driver directories made from the loader and one of the variants of the extension."""

    def __enter__(self):
        self.modules = beds.module_dir()
        self.dir = tempfile.mkdtemp(prefix="vq-variant-")
        return self

    def __exit__(self, *_exception):
        shutil.rmtree(self.dir)

    def make(self, variant):
        """The directory with stack-VARIANT.so; None: without an extension at all."""
        path = os.path.join(self.dir, str(variant))
        os.makedirs(path)
        shutil.copy(os.path.join(self.modules, "libvirt_driver_qemu.so"), path)
        if variant:
            source = os.path.join(beds.BUILDDIR, "tests", "live", "variants",
                                  f"stack-{variant}.so")
            shutil.copy(source, os.path.join(path, "virtqueued_stack.so"))
        return path


def check_stock(bed, *reason):
    """It works, does not expand, and the log says why."""
    bed.define(bed.domain("vm1", policy=POLICY))
    tap.lacks(bed.dumpxml("vm1"), "<iothread", "stock's XML")
    bed.virsh("start", "vm1", "--paused")
    tap.equal(bed.virsh("domstate", "vm1").strip(), "paused")
    bed.virsh("destroy", "vm1")
    log = bed.read("log-libvirt/libvirtd.log")
    for text in (NOT_ACTIVE, *reason):
        tap.contains(log, text, "libvirtd's log")


@tap.test
def extension_missing(variants):
    with beds.Bed(driver_dir=variants.make(None)) as bed:
        check_stock(bed, "virtqueued_stack.so: cannot open shared object file")


@tap.test
def built_for_another_version(variants):
    with beds.Bed(driver_dir=variants.make("version")) as bed:
        check_stock(bed, "built for libvirt")


@tap.test
def private_symbol_missing(variants):
    with beds.Bed(driver_dir=variants.make("symbol")) as bed:
        check_stock(bed, "LIBVIRT_PRIVATE_99.0.0")


@tap.test
def driver_table_differs(variants):
    with beds.Bed(driver_dir=variants.make("fingerprint")) as bed:
        check_stock(bed, "slot 173 of libvirt's driver table is unexpectedly empty")


@tap.test
def switched_off(variants):
    with beds.Bed(driver_dir=variants.modules, config="[driver]\nenabled = false\n") as bed:
        check_stock(bed, "[driver] enabled = false")


@tap.test
def configuration_wrong(variants):
    with beds.Bed(driver_dir=variants.modules, config="[driver]\ntimeout_ms = x\n") as bed:
        check_stock(bed, "timeout_ms")


@tap.test
def crash_while_loading_then_stock(variants):
    path = variants.make("crash")
    with beds.Bed(driver_dir=variants.modules) as bed:
        bed.stop_libvirtd()
        bed.driver_dir = path
        bed.start_libvirtd(wait=False)
        tap.equal(bed.libvirtd.wait(20), -9, "libvirtd with the crashing extension")
        tap.equal(os.path.exists(bed.path("run/virtqueued-driver/arming")), True, "sentinel")
        bed.start_libvirtd()
        check_stock(bed, "the last start did not stay up", "run/virtqueued-driver/arming")
        # an administrator mends it
        bed.stop_libvirtd()
        bed.driver_dir = variants.modules
        os.unlink(bed.path("run/virtqueued-driver/arming"))
        bed.start_libvirtd()
        bed.define(bed.domain("vm2", policy=POLICY))
        tap.contains(bed.dumpxml("vm2"), "<iothread id='1'/>")


@tap.test
def orderly_end_is_no_crash(variants):
    with beds.Bed(driver_dir=variants.modules) as bed:
        tap.equal(os.path.exists(bed.path("run/virtqueued-driver/arming")), True, "armed")
        bed.stop_libvirtd()
        tap.equal(os.path.exists(bed.path("run/virtqueued-driver/arming")), False, "still armed")
        bed.start_libvirtd()
        bed.define(bed.domain("vm1", policy=POLICY))
        tap.contains(bed.dumpxml("vm1"), "<iothread id='1'/>")
        tap.wait_until(lambda: not os.path.exists(bed.path("run/virtqueued-driver/arming")), 15,
                       "disarmed after 10 s")


tap.main(Variants)
