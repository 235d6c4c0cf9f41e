# SPDX-License-Identifier: LGPL-2.1-or-later
"""The five steps of tools/quickstart, from a finished build.

Each step shows what it does in plain words, runs the commands a user would, and checks what they
brought about against the kernel's own word; the first expectation that is not met ends it with the
reason and exit status 1. So it is a demonstration and a test alike. All of it happens in a bed
(tests/lib/bed.py), which leaves nothing behind.
"""

import argparse
import os
import re
import shlex
import signal
import sys
import textwrap
import time
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..",
                                "tests", "lib"))
import bed as beds  # noqa: E402
import domains  # noqa: E402
import tap  # noqa: E402

# Two sockets of 16 cores with two hardware threads each.
BIG_SERVER = "pack:2 [numa] core:16 pu:2"
CONFIG = "[daemon]\nreconcile_seconds = 1\n"
LIMIT = 90  # seconds, from a finished build


class Unmet(Exception):
    """An expectation of a step is not met."""


def expect(condition, text):
    if not condition:
        raise Unmet(text)


def say(text):
    print(textwrap.fill(" ".join(text.split()), 96, initial_indent="  ", subsequent_indent="  "),
          flush=True)


def show(text):
    """What a command printed, set in."""
    for line in text.rstrip().splitlines():
        print("      " + line.rstrip(), flush=True)


def count_of(number, thing):
    return f"{number} {thing}{'' if number == 1 else 's'}"


class Quickstart:
    def __init__(self, bed, output):
        self.bed = bed
        self.output = output
        self.start = time.monotonic()
        self.step_number = 0
        self.guest = None
        self.pool = None

    def step(self, title):
        self.step_number += 1
        seconds = time.monotonic() - self.start
        print(f"\n== {self.step_number}. {title}  [{seconds:.0f} s]", flush=True)

    def command(self, *argv):
        """Runs a command in the bed as a user would, shown with its output."""
        shown = shlex.join(argv).replace(self.bed.ns.dir + "/", "")
        print(f"    $ {shown}", flush=True)
        real = [self.bed.virtq_path if argv[0] == "virtq" else argv[0], *argv[1:]]
        out = self.bed.run(real).stdout
        show(out)
        return out

    # Views of the plan

    def placements(self, domain):
        return [p for p in self.bed.virtq_json("list")["placements"] if p["domain"] == domain]

    def check_pins(self, domain):
        """The kernel's word on where each thread may run, against the plan."""
        placed = {p["iothread"]: p["cpus"] for p in self.placements(domain)}
        real = self.bed.iothread_affinities(domain)
        expect(placed == real, f"{domain}: the plan says {placed}, but the kernel lets the threads "
                               f"run on {real}")
        return real

    def explain_degraded(self, domain):
        placed = self.placements(domain)
        degraded = [p for p in placed if p["class"] != p["wanted"]]
        expect(all(p.get("degraded") for p in degraded),
               f"{domain} did not get what it asked for, and no reason is given")
        if not degraded:
            say(f"{domain}: every thread got what its policy asks for.")
            return
        say(f"{domain} asked for {degraded[0]['wanted']} and got {degraded[0]['class']} for "
            f"{count_of(len(degraded), 'thread')}. Why: {degraded[0]['degraded']}.")
        say(f"The pool of this machine has {count_of(self.pool_cores(), 'core')} of "
            f"{os.cpu_count()} CPUs. The threads still serve a queue each, but take turns on their "
            "core and sleep when idle, as under plain libvirt. With required='yes' the VM would "
            "have been refused. What a larger machine gives is shown in step 5.")

    # The steps

    def prepare(self):
        say("A libvirt daemon of our own runs in a private mount namespace, with virtqueued's "
            "driver extension loaded; the system's libvirt is not touched.")
        self.bed.start_daemon()
        self.command("virtq", "status")
        self.pool = cpulist(self.bed.virtq_json("status")["pool"])
        self.guest = beds.guest(self.bed.builddir)

    def vm_xml(self, name, policy, vcpus):
        return self.bed.domain(name, vcpus=vcpus, memory_mib=192, policy=policy, guest=self.guest,
                               cmdline="virtq.seconds=0 virtq.pause_ms=5",
                               serial_log=f"/var/log/libvirt/{name}.console")

    def one_line_becomes_four_threads(self):
        self.step("One line in the domain XML becomes four I/O threads")
        policy = "<vq:disk target='vda' queues='4' placement='dedicated'/>"
        say("All that vm1's XML says about I/O threads:")
        show(domains.policy_element("\n  " + policy + "\n"))
        xml = self.vm_xml("vm1", policy, 4)
        expect("iothread" not in xml, "the XML of vm1 must not mention I/O threads by itself")
        self.bed.write("vm1.xml", xml)
        print("    $ virsh define vm1.xml", flush=True)
        show(self.bed.virsh("define", self.bed.path("vm1.xml")))
        say("What libvirt keeps, after the expansion:")
        self.show_expansion("vm1")
        self.command("virsh", "-q", "start", "vm1")
        self.check_pins("vm1")
        say("virsh has returned, and the kernel lets each I/O thread run where the plan says and "
            "nowhere else:")
        self.command("virtq", "list")
        placed = self.placements("vm1")
        expect(len(placed) == 4, f"vm1 has {len(placed)} placed I/O threads, not 4")
        expect(all(p["wanted"] == "dedicated" for p in placed), "vm1 asked for dedicated threads")
        self.explain_degraded("vm1")
        say("Why is the first queue where it is?")
        self.command("virtq", "why", "vm1", "vda", "0")

    def show_expansion(self, domain):
        root = ElementTree.fromstring(self.bed.dumpxml(domain, "--inactive"))
        driver = root.find("./devices/disk/driver")
        parts = [root.find("iothreads"), root.find("iothreadids"), driver]
        expect(None not in parts, f"{domain} was not expanded; the driver extension does not work:\n"
               + self.bed.on_failure())
        expect(driver.get("queues") == "4" and len(driver.findall("./iothreads/iothread")) == 4,
               f"the disk of {domain} is not served by 4 I/O threads")
        for part in parts:
            for element in part.iter():
                element.tail = None
                element.text = (element.text or "").strip() or None
            ElementTree.indent(part)
            show(ElementTree.tostring(part, encoding="unicode"))

    def every_queue_works(self):
        self.step("The guest runs I/O on each of its CPUs, and all four queues work")
        say("The guest is Debian's kernel with a small initramfs made just now; it is emulated, "
            "so figures are small. Each CPU reads from the disk with direct I/O.")
        console = "log-libvirt/vm1.console"
        tap.wait_until(lambda: len(set(re.findall(r"queue (\d+): [1-9]", self.bed.read(console)))) == 4,
                       60, "interrupts of 4 queues on the guest's console", 0.2)
        queues = re.search(r"vda: (\d+) hardware queues", self.bed.read(console))
        expect(queues and queues.group(1) == "4", "the guest does not see 4 hardware queues")
        before = self.thread_times("vm1")
        show("\n".join(self.bed.read(console).splitlines()[-8:]))

        def measured():
            placed = self.placements("vm1")
            return len(placed) == 4 and all(
                p["load"] > 0 and p["load_source"] != "default" for p in placed)
        tap.wait_until(measured, 30, "a measured load of each of the 4 queues", 0.3)
        self.command("virtq", "list")

        def worked():
            now = self.thread_times("vm1")
            return now if all(now[i] > before[i] for i in now) else None
        # the loads may be there at once; a slow host's guest comes to each queue a little later
        after = tap.wait_until(worked, 30, "CPU time used by each of vm1's IOThreads", 0.2)
        say("All four I/O threads have worked: " + ", ".join(
            f"{i}: {(after[i] - before[i]) / 1e6:.0f} ms" for i in sorted(after))
            + " of CPU time since its first reads.")

    def thread_times(self, domain):
        """IOThread id -> nanoseconds of CPU time, from the kernel."""
        times = {}
        for iothread, tid in self.bed.iothread_tids(domain).items():
            with open(f"/proc/{tid}/schedstat", encoding="utf-8") as f:
                times[iothread] = int(f.read().split()[0])
        return times

    def arrival_and_departure(self):
        self.step("A second VM arrives, the first one leaves")
        self.bed.define(self.vm_xml("vm2", "<vq:disk target='vda' queues='1' "
                                           "placement='dedicated'/>", 1))
        say("vm2 wants one dedicated I/O thread. The pool is planned anew:")
        self.command("virsh", "-q", "start", "vm2")
        self.command("virtq", "list")
        self.check_pins("vm1")
        self.check_pins("vm2")
        self.explain_degraded("vm2")
        say("vm1 leaves:")
        self.command("virsh", "-q", "destroy", "vm1")
        tap.wait_until(lambda: not self.placements("vm1")
                       and self.placements("vm2")[0]["class"] == "dedicated",
                       15, "vm1's cores given back, and vm2's thread on a core of its own", 0.2)
        self.command("virtq", "list")
        self.check_pins("vm2")
        say("vm1's cores are back in the pool, and vm2's thread has a core of its own. "
            + self.placements("vm2")[0]["reason"])

    def refusal(self):
        self.step("A VM that cannot be served is refused, with the reason")
        cores = self.pool_cores()
        say(f"The pool has {count_of(cores, 'core')}, and vm2 holds one of them. vm3 insists "
            f"(required='yes') on {cores}.")
        self.bed.define(self.vm_xml("vm3", f"<vq:disk target='vda' queues='{cores}' "
                                           "placement='dedicated' required='yes'/>", 1))
        print("    $ virsh start vm3", flush=True)
        result = self.bed.run(["virsh", "-q", "start", "vm3"], check=False)
        show(result.stderr)
        expect(result.returncode != 0, "vm3 was started although its promise cannot be kept")
        expect("vm3" in result.stderr and "virtqueued" in result.stderr,
               "the refusal of vm3 does not come from virtqueued")
        expect(self.bed.virsh("domstate", "vm3").strip() == "shut off", "vm3 is not shut off")
        self.check_pins("vm2")

    def pool_cores(self):
        """Cores of the pool: hardware threads of one core count once."""
        siblings = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
        cores = set()
        for cpu in self.pool:
            with open(siblings.format(cpu), encoding="ascii") as f:
                cores.add(f.read())
        return len(cores)

    def pictures(self):
        self.step("Pictures: this host, and the same VMs on a two-socket server")
        self.command("virsh", "-q", "start", "vm1")
        os.makedirs(self.output, exist_ok=True)
        host = os.path.join(self.output, "host.svg")
        self.command("virtq", "draw", host)
        server = os.path.join(self.output, "two-socket.svg")
        files = []
        for name in ("vm1", "vm2", "vm3"):
            files.append(self.bed.write(f"{name}.expanded.xml",
                                        self.bed.dumpxml(name, "--inactive")))
        say(f"The plan of vm1, vm2 and vm3 on two sockets of 16 cores ({BIG_SERVER}):")
        out = self.command("virtq", "plan", "--topology", BIG_SERVER, *files)
        expect("vm3" in out, "the two-socket plan lacks vm3")
        plan = self.bed.virtq_json("plan", "--topology", BIG_SERVER, *files)
        expect(not plan["refused"], f"the two-socket plan refuses: {plan['refused']}")
        expect(all(p["class"] == "dedicated" for p in plan["placements"]),
               "a thread is not dedicated on the two-socket server")
        cpus = [p["cpu"] for p in plan["placements"]]
        expect(len(set(cpus)) == len(cpus), "two dedicated threads share a CPU in the plan")
        self.command("virtq", "draw", "--topology", BIG_SERVER, server, *files)
        for path, names in ((host, ("vm1", "vm2")), (server, ("vm1", "vm2", "vm3"))):
            self.check_picture(path, names)
        print(f"\n  Pictures left in:\n    {host}\n    {server}", flush=True)

    def check_picture(self, path, names):
        text = " ".join(ElementTree.parse(path).getroot().itertext())
        missing = [name for name in names if name not in text]
        expect(not missing, f"{path} does not show {', '.join(missing)}")

    def run(self):
        print("== virtqueued: a quick look", flush=True)
        self.prepare()
        self.one_line_becomes_four_threads()
        self.every_queue_works()
        self.arrival_and_departure()
        self.refusal()
        self.pictures()
        seconds = time.monotonic() - self.start
        expect(seconds < LIMIT, f"it took {seconds:.0f} s, the limit is {LIMIT} s")
        print(f"\n== Done in {seconds:.0f} s. Everything started here is taken down again.",
              flush=True)


def cpulist(text):
    """"0-3,8" as a set."""
    members = set()
    for item in filter(None, text.split(",")):
        first, _, last = item.partition("-")
        members.update(range(int(first), int(last or first) + 1))
    return members


def keep(bed):
    print(f"""
  Everything stays until Ctrl-C. Have a look from another terminal:
    nsenter -t {bed.ns.pid} -m -r virsh list
    nsenter -t {bed.ns.pid} -m -r {bed.virtq_path} list""", flush=True)
    signal.pause()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--source", required=True)
    parser.add_argument("--build-dir", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _f: sys.exit(128 + n))
    build = os.path.realpath(args.build_dir)
    try:
        with beds.Bed(driver_dir=beds.module_dir(build), config=CONFIG, builddir=build) as bed:
            Quickstart(bed, os.path.realpath(args.output)).run()
            if args.keep:
                keep(bed)
    except (Unmet, beds.CommandError, AssertionError, RuntimeError, tap.Skip) as e:
        print(f"\nquickstart: {e}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("\nquickstart: interrupted; everything started is taken down.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
