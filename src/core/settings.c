/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/settings.h"

#include "config.h"

const VqKeySpec vq_settings[] = {
    {VQ_GROUP_HOST, "pool_cpus", VQ_KEY_CPUSET, "",
     .doc = "CPUs that serve I/O. Not set: the CPUs that the kernel's command line isolates "
            "(isolcpus=), and without those a share of the host's cores (pool_share). Never all "
            "cores of the host."},
    {VQ_GROUP_HOST, "pool_share", VQ_KEY_INT, "25", 1, 90, .unit = "per cent",
     .doc = "Share of the host's cores that serve I/O where neither pool_cpus nor the kernel says "
            "which. Rounded down, at least one core, never all."},
    {VQ_GROUP_HOST, "shield", VQ_KEY_BOOL, "true",
     .doc = "Keep the vCPU and emulator threads of managed domains off cores that are dedicated "
            "to an I/O thread. Threads that the owner pinned are left alone. Undone as soon as no "
            "core is dedicated."},

    {VQ_GROUP_PLACEMENT, "load_limit", VQ_KEY_INT, "80", 10, 100, .unit = "per cent of a core",
     .doc = "A pool core loaded above this is full: shared I/O threads go elsewhere while another "
            "core has room."},
    {VQ_GROUP_PLACEMENT, "default_load", VQ_KEY_INT, "10", 1, 100, .unit = "per cent of a core",
     .doc = "Load counted for an I/O thread that was never measured."},
    {VQ_GROUP_PLACEMENT, "move_gain", VQ_KEY_INT, "10", 0, 100, .unit = "per cent of a core",
     .doc = "A shared I/O thread stays where it is unless the imbalance between cores shrinks by "
            "more than this."},

    {VQ_GROUP_REBALANCE, "sample_ms", VQ_KEY_INT, "1000", 100, 10000, .unit = "milliseconds",
     .doc = "Time between two readings of the CPU time of I/O threads. The kernel brings it up to "
            "date at scheduler ticks, 4 to 10 ms apart, so that shorter than 100 ms says little; "
            "1000 I/O threads read once a second take about 0.1 per cent of a core."},
    {VQ_GROUP_REBALANCE, "sustain_ms", VQ_KEY_INT, "3000", 200, 60000, .unit = "milliseconds",
     .doc = "A core's load is the mean over this long, and above load_limit for this long I/O "
            "threads leave it. Long enough to sit out the burst of a file system's journal or of "
            "a boot; a lasting shift of load is acted on after this and one sample."},
    {VQ_GROUP_REBALANCE, "cooldown_ms", VQ_KEY_INT, "10000", 1000, 600000, .unit = "milliseconds",
     .doc = "An I/O thread that was moved for load stays for this long: three sustain times, in "
            "which its new neighbours' loads are measured anew."},
    {VQ_GROUP_REBALANCE, "cooldown_growth", VQ_KEY_INT, "8", 1, 64, .unit = "times",
     .doc = "The cool-down of an I/O thread doubles with each further move within "
            "remember_seconds, up to this many times itself. More keeps threads from following "
            "loads that really change each minute."},
    {VQ_GROUP_REBALANCE, "fast_sample_ms", VQ_KEY_INT, "10", 1, 1000, .unit = "milliseconds",
     .doc = "As sample_ms, where QEMU counts the work of each queue. Reading the counters costs "
            "no system call."},
    {VQ_GROUP_REBALANCE, "fast_sustain_ms", VQ_KEY_INT, "30", 2, 10000, .unit = "milliseconds",
     .doc = "As sustain_ms, where QEMU counts the work of each queue: with one sample and the "
            "move it makes less than 50 ms from a shift of load to threads that moved."},
    {VQ_GROUP_REBALANCE, "fast_cooldown_ms", VQ_KEY_INT, "1000", 10, 600000, .unit = "milliseconds",
     .doc = "As cooldown_ms, where QEMU counts the work of each queue."},
    {VQ_GROUP_REBALANCE, "pack_sustain_seconds", VQ_KEY_INT, "30", 1, 3600, .unit = "seconds",
     .doc = "A core is given up only after its I/O threads would have fit on other cores for this "
            "long. No hurry: a core too many costs some batching, a core too few latency."},
    {VQ_GROUP_REBALANCE, "peak_seconds", VQ_KEY_INT, "300", 1, 86400, .unit = "seconds",
     .doc = "I/O threads are placed with their highest load of late; after this long a third is "
            "left of how far a peak was above the load of now. Longer than a batch job comes "
            "back, shorter than the day's rise and fall."},
    {VQ_GROUP_REBALANCE, "remember_seconds", VQ_KEY_INT, "1800", 10, 86400, .unit = "seconds",
     .doc = "I/O threads that shared an overloaded core are not packed again for this long. A "
            "load that goes up and down faster than this makes moves on its first ways up only, "
            "a daily one is followed."},
    {VQ_GROUP_REBALANCE, "retry_seconds", VQ_KEY_INT, "60", 1, 3600, .unit = "seconds",
     .doc = "Where nothing can be moved to cure an overload it is tried again, each time after "
            "twice as long, and at the latest after this long; at once when I/O threads come or "
            "go."},
    {VQ_GROUP_REBALANCE, "step_moves", VQ_KEY_INT, "4", 0, 64, .unit = "I/O threads",
     .doc = "Most I/O threads that are moved for load at a time; the next ones one sample later. "
            "Each is one call of libvirt of about a millisecond. 0: none is ever moved for load."},
    {VQ_GROUP_REBALANCE, "clear_gap", VQ_KEY_INT, "5", 0, 50, .unit = "per cent of a core",
     .doc = "An overload is over when the core's load is this much below load_limit, so that one "
            "at the limit is not taken for many."},

    {VQ_GROUP_LIBVIRT, "uri", VQ_KEY_STRING, "qemu:///system",
     .doc = "The libvirt daemon whose domains are managed."},
    {VQ_GROUP_LIBVIRT, "run_dir", VQ_KEY_PATH, "/run/libvirt/qemu",
     .doc = "Where libvirt's QEMU driver keeps the process id files of its domains (NAME.pid), "
            "for measuring the CPU time of I/O threads. A process id is used only if that "
            "process' command line has the domain's UUID."},
    {VQ_GROUP_LIBVIRT, "keepalive_seconds", VQ_KEY_INT, "5", 1, 60, .unit = "seconds",
     .doc = "Time between keepalive messages; after three without an answer the connection is "
            "given up and opened anew."},
    {VQ_GROUP_LIBVIRT, "reconnect_seconds", VQ_KEY_INT, "15", 1, 600, .unit = "seconds",
     .doc = "Longest pause between attempts to reach a libvirt daemon that is not there. The "
            "first attempt follows after half a second, each pause doubles."},

    {VQ_GROUP_DAEMON, "socket", VQ_KEY_PATH, VQ_SOCKET,
     .documented_as = "/run/virtqueued/virtqueued-sock",
     .doc = "The unix socket on which virtq and the driver extension reach the daemon. Socket "
            "activation by systemd takes precedence."},
    {VQ_GROUP_DAEMON, "reconcile_seconds", VQ_KEY_INT, "10", 1, 3600, .unit = "seconds",
     .doc = "Time between two rounds of measuring, checking and repairing when nothing happens. "
            "Events of libvirt start a round at once. The XML of a domain without events is read "
            "again after six times as long."},
    {VQ_GROUP_DAEMON, "reservation_seconds", VQ_KEY_INT, "30", 1, 3600, .unit = "seconds",
     .doc = "How long cores stay reserved for a domain that was admitted and has not yet been "
            "seen running."},
    {VQ_GROUP_DAEMON, "poll_max_us", VQ_KEY_INT, "1000000", 32, 2000000, .unit = "microseconds",
     .doc = "How long an I/O thread with polling='dedicated' on a core of its own polls before it "
            "sleeps (poll-max-ns of QEMU; QEMU's own default is 32 microseconds)."},
    {VQ_GROUP_DAEMON, "connections", VQ_KEY_INT, "64", 4, 1024,
     .doc = "Clients connected to the daemon's socket at the same time; more are turned away."},

    {VQ_GROUP_DRIVER, "enabled", VQ_KEY_BOOL, "true",
     .doc = "Expand declared queues in the libvirt daemon. With false the driver extension hands "
            "every call on untouched. Read when the libvirt daemon starts."},
    {VQ_GROUP_DRIVER, "timeout_ms", VQ_KEY_INT, "200", 10, 2000, .unit = "milliseconds",
     .doc = "How long the start of a domain waits for virtqueued's answer. After that it starts "
            "as without virtqueued, with a warning, unless its policy says required='yes'."},
    {VQ_GROUP_DRIVER, "breaker_seconds", VQ_KEY_INT, "10", 0, 3600, .unit = "seconds",
     .doc = "After a missed answer virtqueued is not asked again for this long, so that a "
            "hanging daemon delays one start and not every one."},
    {NULL},
};
