# SPDX-License-Identifier: LGPL-2.1-or-later
"""Domain XML for tests: small, TCG (type='qemu'), no network, no graphics.

    domains.xml("vm1", vcpus=4, disks=[domains.disk("vda", path)],
                policy="<vq:disk target='vda' queues='4'/>")

Without a guest it boots nothing: start it with --paused, or let SeaBIOS find no system. With
guest=(kernel, initrd) of tools/make-guest it boots Linux, and `cmdline` tells it what to do.
"""

import uuid as _uuid

POLICY_NS = "urn:virtqueued:domain:1.0"


def disk(target, path, driver="", bus="virtio", source_type="file"):
    """One raw <disk>. driver: what stands in <driver ...>, attributes only, or a whole element."""
    if not driver.startswith("<"):
        driver = f"<driver name='qemu' type='raw' {driver}/>"
    attribute = "dev" if source_type == "block" else "file"
    return (f"    <disk type='{source_type}' device='disk'>\n"
            f"      {driver}\n"
            f"      <source {attribute}='{path}'/>\n"
            f"      <target dev='{target}' bus='{bus}'/>\n"
            f"    </disk>\n")


def policy_element(entries):
    """<vq:storage> around entries such as "<vq:disk target='vda' queues='4'/>"."""
    return f"<vq:storage xmlns:vq='{POLICY_NS}'>{entries}</vq:storage>"


def _os(guest, cmdline):
    lines = "    <type arch='x86_64' machine='q35'>hvm</type>\n"
    if guest:
        kernel, initrd = guest
        lines += (f"    <kernel>{kernel}</kernel>\n    <initrd>{initrd}</initrd>\n"
                  f"    <cmdline>console=ttyS0 quiet panic=-1 {cmdline}</cmdline>\n")
    return f"  <os>\n{lines}  </os>\n"


def xml(name, vcpus=2, memory_mib=64, disks=(), policy=None, metadata="", extra="", devices="",
        guest=None, cmdline="", serial_log=None, uuid=None):
    """policy: the entries of <vq:storage>, or None; metadata, extra, devices: further XML inside
    <metadata>, <domain> and <devices>. A booting guest wants memory_mib=160 or more."""
    meta = (policy_element(policy) if policy is not None else "") + metadata
    meta = f"  <metadata>{meta}</metadata>\n" if meta else ""
    serial = ""
    if serial_log:
        serial = (f"    <serial type='file'><source path='{serial_log}'/>"
                  "<target port='0'/></serial>\n")
    return (f"<domain type='qemu'>\n  <name>{name}</name>\n"
            f"  <uuid>{uuid or _uuid.uuid4()}</uuid>\n{meta}"
            f"  <memory unit='MiB'>{memory_mib}</memory>\n"
            f"  <vcpu placement='static'>{vcpus}</vcpu>\n{extra}"
            f"{_os(guest, cmdline)}"
            "  <features><acpi/></features>\n"
            "  <cpu mode='maximum'/>\n"
            "  <on_reboot>destroy</on_reboot>\n"
            "  <devices>\n"
            "    <controller type='usb' model='none'/>\n"
            f"{''.join(disks)}{serial}{devices}"
            "    <memballoon model='none'/>\n"
            "  </devices>\n</domain>\n")
