#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtqueued as systemd starts it, without systemd: a listening socket handed over as descriptor 3,
and its state told to NOTIFY_SOCKET."""

import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import bed  # noqa: E402
import tap  # noqa: E402


def start(b, listener, notify):
    binary = os.path.join(b.builddir, "src", "daemon", "virtqueued")
    script = f"exec 3<&{listener.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec {binary}"
    with open(b.path("virtqueued.log"), "a", encoding="utf-8") as out:
        b.daemon = b.ns.popen(["sh", "-c", script], env={**os.environ, "NOTIFY_SOCKET": notify},
                              pass_fds=[listener.fileno()], stdout=out, stderr=subprocess.STDOUT)


@tap.test
def a_handed_over_socket_is_served_and_kept(b):
    path = bed.config_paths(b.builddir)["VQ_SOCKET"]
    outside = b.path(path.lstrip("/"))
    os.makedirs(os.path.dirname(outside), exist_ok=True)
    notify = b.path("run/notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, \
            socket.socket(socket.AF_UNIX) as listener:
        told.bind(notify)
        told.settimeout(15)
        listener.bind(outside)
        listener.listen(8)
        inode = os.stat(outside).st_ino
        start(b, listener, notify)
        tap.contains(told.recv(4096).decode(), "READY=1", "first notification")
        b.wait_daemon()
        tap.wait_until(lambda: b.virtq_json("status")["libvirt_connected"], 15, "libvirt")
        # a client that comes between two starts waits in the socket, which is systemd's
        b.stop_daemon()
        tap.contains(told.recv(4096).decode(), "STOPPING=1", "last notification")
        tap.equal(os.stat(outside).st_ino, inode, "the socket's file after the daemon ended")
        start(b, listener, notify)
        b.wait_daemon()
        b.stop_daemon()


@tap.test
def a_wrong_descriptor_is_refused_by_name(b):
    with open(os.devnull, encoding="utf-8") as null:
        start(b, null, "/nosuch/notify")
        tap.equal(b.daemon.wait(15), 1, "exit status")
    tap.contains(b.read("virtqueued.log"), "socket")


tap.main(bed.Bed)
