# SPDX-License-Identifier: LGPL-2.1-or-later
"""Opt-in: domains that declare nothing. libvirt's own test domains, defined side by side in a stock
libvirtd and in one with the extension, must give the same XML or the same error, byte for byte."""

import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import bed as beds
import tap

SAMPLE = 300
UUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"


class Pair:
    """A stock libvirtd and one with the extension."""

    def __enter__(self):
        source = os.environ.get("VQ_LIBVIRT_SOURCE")
        if not source:
            raise tap.Skip("needs libvirt's source")
        files = sorted(glob.glob(os.path.join(source, "tests/qemuxmlconfdata/*.xml")))
        files = [f for f in files if not f.endswith("-latest.xml")]
        self.files = files[::max(1, len(files) // SAMPLE)]
        self.beds = [beds.Bed(), beds.Bed(driver_dir=beds.module_dir())]
        for bed in self.beds:
            bed.__enter__()
        return self

    def __exit__(self, *exception):
        for bed in self.beds:
            bed.__exit__(*exception)

    def on_failure(self):
        return self.beds[1].on_failure()


def outcome(bed, path):
    """What define, and then dumpxml, say; the domain is gone afterwards."""
    defined = bed.run(["virsh", "-q", "define", path], check=False)
    text = defined.stdout + defined.stderr
    if defined.returncode == 0:
        name = bed.virsh("list", "--all", "--name").strip()
        text += bed.virsh("dumpxml", "--inactive", "--security-info", name)
        bed.virsh("undefine", name, "--nvram", check=False)
    return defined.returncode, text


@tap.test
def the_same_xml_or_the_same_error(pair):
    accepted = 0
    for path in pair.files:
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if "<uuid>" not in text:  # else libvirt draws one
            text = text.replace("</name>", f"</name><uuid>{UUID}</uuid>", 1)
        # on this host's QEMU as far as possible
        text = text.replace("type='kvm'", "type='qemu'")
        copy = f"/tmp/vq-same-{os.getpid()}.xml"
        with open(copy, "w", encoding="utf-8") as f:
            f.write(text)
        try:
            stock, stacked = (outcome(bed, copy) for bed in pair.beds)
        finally:
            os.unlink(copy)
        tap.equal(stacked, stock, os.path.basename(path))
        accepted += stock[0] == 0
    tap.diag(f"{len(pair.files)} files, {accepted} defined, the rest refused alike")
    if len(pair.files) < 200 or not 20 < accepted < len(pair.files):
        raise AssertionError("the sample says too little")


tap.main(Pair)
