# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private mount namespace with directories of one's own laid over system paths.

    with Namespace({"/run": "run", "/etc/libvirt": "etc"}) as ns:
        ns.run(["libvirtd", ...])          # sees DIR/run as /run

Each path is covered by a sub-directory of ns.dir, which the outside reads as DIR/run and so on.
A path that does not exist is made visible inside only (an overlay over its nearest parent), so
the outside is never changed.

The namespace is kept by a holder process. When it is told to stop, or whoever made it dies in
whatever way, kill -9 included, it kills every process in the namespace and removes DIR. Needs
root.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time


class Namespace:
    def __init__(self, binds, prefix="vq-bed-"):
        """binds: system path -> name of the sub-directory that covers it."""
        self.binds = binds
        self.prefix = prefix
        self.dir = None
        self._holder = None

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix=self.prefix)
        try:
            for name in self.binds.values():
                os.makedirs(os.path.join(self.dir, name), exist_ok=True)
            args = [f"{path}={name}" for path, name in self.binds.items()]
            # A session of its own: Ctrl-C reaches the maker, who unwinds; the holder goes last.
            self._holder = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private",
                 sys.executable, os.path.abspath(__file__), self.dir] + args,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
            answer = self._holder.stdout.readline().strip()
            if answer != "ready":
                raise RuntimeError(f"private mount namespace: {answer or 'could not be made'}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception):
        if self._holder:
            self._holder.stdin.close()
            try:
                self._holder.wait(20)
            finally:
                self._holder.stdout.close()
                self._holder = None
        shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def pid(self):
        """Of the holder: `nsenter -t PID -m -r` shows what is inside."""
        return self._holder.pid

    def command(self, argv):
        """argv such that it runs inside."""
        # With the holder's root: where we are in a chroot, a mount namespace alone would lead out.
        return ["nsenter", "-t", str(self.pid), "-m", "-r", "--"] + [str(a) for a in argv]

    def run(self, argv, **kwargs):
        """subprocess.run() inside; text mode, output captured."""
        kwargs = {"text": True, "capture_output": True, "timeout": 60, **kwargs}
        if "input" not in kwargs:
            kwargs.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(self.command(argv), **kwargs)

    def popen(self, argv, **kwargs):
        """subprocess.Popen() inside, in a session of its own."""
        kwargs = {"stdin": subprocess.DEVNULL, "start_new_session": True, **kwargs}
        return subprocess.Popen(self.command(argv), **kwargs)

    def processes(self):
        """Ids of all processes inside, the holder left out."""
        return members(self.pid)


def members(holder):
    """Ids of the processes in the mount namespace of process @holder, itself left out."""
    try:
        wanted = os.readlink(f"/proc/{holder}/ns/mnt")
    except OSError:
        return []
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and int(entry) != holder \
                    and os.readlink(f"/proc/{entry}/ns/mnt") == wanted:
                found.append(int(entry))
        except OSError:
            pass  # gone, or a zombie
    return found


# What follows runs inside, as the holder.

def _mount(*args):
    subprocess.run(["mount"] + list(args), check=True, stderr=subprocess.PIPE, text=True)


def _make_visible(path, scratch):
    """Creates directory path for this namespace alone."""
    parent = os.path.dirname(path)
    while not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    layer = os.path.join(scratch, "overlay" + parent.replace("/", "-"))
    # A tmpfs of its own, since the scratch directory may itself be on an overlay.
    os.makedirs(layer, exist_ok=True)
    _mount("-t", "tmpfs", "-o", "size=16m", "tmpfs", layer)
    os.makedirs(f"{layer}/upper")
    os.makedirs(f"{layer}/work")
    _mount("-t", "overlay", "overlay", "-o",
           f"lowerdir={parent},upperdir={layer}/upper,workdir={layer}/work", parent)
    os.makedirs(path)
    # The overlay keeps it alive; as a mount point it could not be removed at the end.
    subprocess.run(["umount", "--lazy", layer], check=True, stderr=subprocess.PIPE, text=True)


def _end_all():
    for number in (signal.SIGTERM, signal.SIGKILL):
        end = time.monotonic() + 3
        pids = members(os.getpid())
        while pids and time.monotonic() < end:
            for pid in pids:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
            time.sleep(0.05)
            pids = members(os.getpid())


def _hold(directory, binds):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    try:
        for bind in binds:
            path, name = bind.split("=")
            if not os.path.isdir(path):
                _make_visible(path, directory)
            _mount("--bind", os.path.join(directory, name), path)
        print("ready", flush=True)
    except (OSError, subprocess.CalledProcessError) as e:
        print((getattr(e, "stderr", None) or str(e)).strip(), flush=True)
        return
    sys.stdin.read()  # ends when the maker closes it or dies
    _end_all()
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    _hold(sys.argv[1], sys.argv[2:])
