# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private libvirt daemon, and virtqueued beside it, for tests and for tools/quickstart.

    with Bed() as bed:                       # stock libvirt
    with Bed(driver_dir=module_dir()) as bed:   # with the driver extension
        bed.start_daemon()                   # virtqueued
        bed.define(domains.xml("vm1", ...)); bed.virsh("start", "vm1", "--paused")
        bed.virtq("list")

Everything lives in a mount namespace of its own (namespace.py): inside, all paths are the usual
ones, outside nothing of the system's libvirt is touched, and all of it, QEMU processes too, ends
with the `with` block, however that is left. Several beds can stand side by side.
"""

import json
import os
import re
import shutil
import subprocess
import time

import domains
from namespace import Namespace
from tap import Skip, wait_until

SRCDIR = os.environ.get("VQ_SRCDIR") or os.path.realpath(
    os.path.join(os.path.dirname(__file__), "..", ".."))
BUILDDIR = os.environ.get("VQ_BUILDDIR") or os.path.join(SRCDIR, "build")

# Guests run as root with no security driver: the bed is about I/O threads, not about confinement.
QEMU_CONF = """user = "root"
group = "root"
security_driver = "none"
dynamic_ownership = 0
remember_owner = 0
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
"""

LIBVIRTD_CONF = """unix_sock_group = "root"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "1:file:/var/log/libvirt/libvirtd.log"
log_filters = "3:util.netlink 3:rpc 3:event 3:object"
log_level = 3
"""


class CommandError(Exception):
    """A command ended with another status than 0; .stderr has what it said."""

    def __init__(self, result):
        self.returncode, self.stdout, self.stderr = \
            result.returncode, result.stdout, result.stderr
        super().__init__(f"exit status {result.returncode} of {' '.join(result.args[6:])}\n"
                         f"{result.stderr or ''}{result.stdout or ''}")


def config_paths(builddir):
    """The paths compiled into the build, from its config.h: VQ_RUNDIR, VQ_CONFIG_FILE, ..."""
    try:
        with open(os.path.join(builddir, "config.h"), encoding="utf-8") as f:
            return dict(re.findall(r'#define (VQ_\w+) "(.*)"', f.read()))
    except FileNotFoundError:
        raise RuntimeError(f"{builddir} is no finished build of virtqueued") from None


def module_dir(builddir=None):
    """The build's directory of connection drivers, the extension among them; Skip if it was not
    built."""
    path = os.path.join(builddir or BUILDDIR, "src", "driver", "connection-driver")
    if not os.path.exists(os.path.join(path, "libvirt_driver_qemu.so")):
        raise Skip("the driver extension was not built (meson option libvirt_source)")
    return path


def sanitizer_env(driver_dir):
    """Environment that lets a libvirtd without sanitizers load a module that has them. Leaks are
    left out: libvirtd frees little at its end."""
    try:
        with open(os.path.join(driver_dir, "libvirt_driver_qemu.so"), "rb") as f:
            match = re.search(rb"lib[at]san\.so", f.read())
    except OSError:
        return {}
    if not match:
        return {}
    runtime = subprocess.run(["gcc", f"-print-file-name={match.group(0).decode()}"], text=True,
                             capture_output=True, check=True).stdout.strip()
    return {"LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1"}


class Bed:
    """driver_dir: LIBVIRT_DRIVER_DIR of libvirtd, None for the stock drivers. libvirtd_env:
    further environment of libvirtd (LD_PRELOAD, ...). config: text of virtqueued.conf.
    libvirtd_conf, qemu_conf: text appended to these files."""

    def __init__(self, driver_dir=None, libvirtd_env=None, config="", libvirtd_conf="",
                 qemu_conf="", builddir=None):
        self.builddir = builddir or BUILDDIR
        self.driver_dir = driver_dir
        self.libvirtd_env = libvirtd_env or {}
        self.paths = config_paths(self.builddir)
        self.config = config
        self._conf = (LIBVIRTD_CONF + libvirtd_conf, QEMU_CONF + qemu_conf)
        self.ns = None
        self.libvirtd = None  # Popen
        self.daemon = None    # Popen

    # Life of the bed

    def __enter__(self):
        if os.geteuid() != 0:
            raise Skip("needs root for a private mount namespace")
        rundir = self.paths["VQ_RUNDIR"]
        binds = {
            "/run": "run",
            "/etc/libvirt": "etc-libvirt",
            "/var/lib/libvirt": "lib-libvirt",
            "/var/cache/libvirt": "cache-libvirt",
            "/var/log/libvirt": "log-libvirt",
            os.path.dirname(self.paths["VQ_CONFIG_FILE"]): "etc-virtqueued",
            self.paths["VQ_STATEDIR"]: "lib-virtqueued",
        }
        if not rundir.startswith("/run/"):
            binds[rundir] = "run/virtqueued"
        self.ns = Namespace(binds).__enter__()
        try:
            for name in ("run/libvirt", "run/lock", "run/virtqueued", "etc-libvirt/qemu", "disks"):
                os.makedirs(self.path(name), exist_ok=True)
            self.write("etc-libvirt/libvirtd.conf", self._conf[0])
            self.write("etc-libvirt/qemu.conf", self._conf[1])
            self.write("etc-virtqueued/virtqueued.conf", self.config)
            self.start_libvirtd()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception):
        if self.ns:
            self.ns.__exit__()
            self.ns = None
        for process in (self.libvirtd, self.daemon):
            if process:
                process.wait()

    def path(self, name):
        """A file of the bed as the outside sees it; "run/..." is /run/... inside."""
        return os.path.join(self.ns.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def read(self, name):
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def on_failure(self):
        """The last lines of the logs, printed beneath a failed test."""
        text = ""
        for name in ("log-libvirt/libvirtd.log", "libvirtd.out", "virtqueued.log"):
            lines = self.read(name).splitlines()[-25:]
            text += f"--- {name}\n" + "".join(line[:400] + "\n" for line in lines)
        return text

    # libvirtd

    @property
    def uri(self):
        """For clients outside; inside plain virsh finds the bed by itself."""
        return f"qemu+unix:///system?socket={self.path('run/libvirt/libvirt-sock')}"

    def start_libvirtd(self, wait=True):
        env = {**os.environ, **self.libvirtd_env}
        env.pop("LIBVIRT_DEFAULT_URI", None)
        if self.driver_dir:
            env["LIBVIRT_DRIVER_DIR"] = str(self.driver_dir)
            for key, value in sanitizer_env(self.driver_dir).items():
                own = self.libvirtd_env.get(key)
                env[key] = f"{value}:{own}" if own else value
        with open(self.path("libvirtd.out"), "a", encoding="utf-8") as out:
            # exec, so that the pid is libvirtd's own
            self.libvirtd = self.ns.popen(
                ["libvirtd", "-f", "/etc/libvirt/libvirtd.conf", "-p", "/run/libvirtd.pid"],
                env=env, stdout=out, stderr=subprocess.STDOUT)
        if wait:
            self.wait_libvirtd()

    def wait_libvirtd(self, timeout=30):
        def ready():
            if self.libvirtd.poll() is not None:
                raise RuntimeError(f"libvirtd ended with {self.libvirtd.returncode}:\n"
                                   + self.on_failure())
            return os.path.exists(self.path("run/libvirt/libvirt-sock")) \
                and self.run(["virsh", "uri"], check=False).returncode == 0
        wait_until(ready, timeout, "libvirtd answering")

    def stop_libvirtd(self, kill=False):
        """Guests go on. kill: as by a crash."""
        if kill:
            self.libvirtd.kill()
        else:
            self.libvirtd.terminate()
        self.libvirtd.wait(30)

    def restart_libvirtd(self, kill=False):
        self.stop_libvirtd(kill)
        self.start_libvirtd()

    def run(self, argv, check=True, **kwargs):
        """A command inside, waited for; CommandError unless it succeeds or check=False."""
        env = kwargs.pop("env", None) or {k: v for k, v in os.environ.items()
                                          if k != "LIBVIRT_DEFAULT_URI"}
        result = self.ns.run(argv, env=env, **kwargs)
        if check and result.returncode != 0:
            raise CommandError(result)
        return result

    def virsh(self, *args, **kwargs):
        """The output of a virsh command."""
        return self.run(["virsh", "-q", *args], **kwargs).stdout

    def define(self, xml, *options):
        """virsh define of XML text."""
        path = self.write("define.xml", xml)
        return self.virsh("define", path, *options)

    def dumpxml(self, domain, *options):
        return self.virsh("dumpxml", domain, *options)

    def destroy_all(self):
        """Ends and undefines every domain, as the start of an independent test."""
        for name in self.virsh("list", "--all", "--name").split():
            self.virsh("destroy", name, check=False)
            self.virsh("undefine", name, "--managed-save", "--nvram", check=False)

    def disk(self, name, mib=64):
        """Path of a sparse raw image of the bed."""
        path = self.path(f"disks/{name}.img")
        with open(path, "wb") as f:
            f.truncate(mib << 20)
        return path

    def domain(self, name, vcpus=2, policy=None, targets=("vda",), **kwargs):
        """XML of a small domain with one image for each target; see domains.xml()."""
        disks = [domains.disk(t, self.disk(f"{name}-{t}")) for t in targets]
        return domains.xml(name, vcpus=vcpus, policy=policy, disks=disks, **kwargs)

    # What runs

    def qemu_pid(self, domain):
        return int(self.read(f"run/libvirt/qemu/{domain}.pid"))

    def iothread_tids(self, domain):
        """libvirt's IOThread id -> thread id, asked from QEMU itself."""
        answer = self.virsh("qemu-monitor-command", domain, '{"execute":"query-iothreads"}')
        return {int(t["id"][len("iothread"):]): t["thread-id"]
                for t in json.loads(answer)["return"]}

    def affinity(self, tid):
        """The CPUs thread tid may run on, as the kernel says: "0-1"."""
        with open(f"/proc/{tid}/status", encoding="utf-8") as f:
            return re.search(r"Cpus_allowed_list:\s*(\S+)", f.read()).group(1)

    def iothread_affinities(self, domain):
        return {i: self.affinity(tid) for i, tid in self.iothread_tids(domain).items()}

    def iothread_pins(self, domain, *options):
        """IOThread id -> CPU affinity as libvirt reports it."""
        out = self.virsh("iothreadinfo", domain, *options)
        return {int(line.split()[0]): line.split()[1] for line in out.splitlines() if line.split()}

    # virtqueued and virtq

    def start_daemon(self, *args, wait=True, env=None):
        """virtqueued of the build, with the paths compiled in, which are the bed's own here."""
        binary = os.path.join(self.builddir, "src", "daemon", "virtqueued")
        if not os.path.exists(binary):
            raise Skip("virtqueued was not built")
        with open(self.path("virtqueued.log"), "a", encoding="utf-8") as out:
            self.daemon = self.ns.popen([binary, *args], env={**os.environ, **(env or {})},
                                        stdout=out, stderr=subprocess.STDOUT)
        if wait:
            self.wait_daemon()

    def wait_daemon(self, timeout=15):
        def ready():
            if self.daemon.poll() is not None:
                raise RuntimeError(f"virtqueued ended with {self.daemon.returncode}:\n"
                                   + self.read("virtqueued.log"))
            return self.run([self.virtq_path, "list"], check=False).returncode == 0
        wait_until(ready, timeout, "virtqueued answering")

    def stop_daemon(self, kill=False):
        if kill:
            self.daemon.kill()
        else:
            self.daemon.terminate()
        self.daemon.wait(15)

    def restart_daemon(self, *args, kill=False):
        self.stop_daemon(kill)
        self.start_daemon(*args)

    @property
    def virtq_path(self):
        return os.path.join(self.builddir, "tools", "virtq", "virtq")

    def virtq(self, *args, **kwargs):
        """The output of virtq of the build."""
        return self.run([self.virtq_path, *args], **kwargs).stdout

    def virtq_json(self, *args):
        return json.loads(self.virtq("--format", "json", *args))


def guest(builddir=None):
    """(kernel, initrd) of tools/make-guest; made on first use, Skip if that is not possible."""
    out = os.path.join(builddir or BUILDDIR, "guest")
    tool = os.path.join(SRCDIR, "tools", "make-guest")
    result = subprocess.run([tool, "--output", out], stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, timeout=300)
    if result.returncode != 0:
        raise Skip("no guest: " + (result.stderr.strip().splitlines() or ["make-guest failed"])[-1])
    return os.path.join(out, "vmlinuz"), os.path.join(out, "initrd")
