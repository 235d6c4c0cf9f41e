#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The include rule between layers, and the purity of src/core.

base -> nothing; core -> base; host, protocol -> core, base; daemon -> all of these;
driver -> core, protocol, base; tools -> core, protocol, base, host.
"""

import re

import tree
import tap

ALLOWED = {
    "base": {"base"},
    "core": {"core", "base"},
    "host": {"host", "core", "base"},
    "protocol": {"protocol", "core", "base"},
    "daemon": {"daemon", "host", "protocol", "core", "base"},
    "driver": {"driver", "core", "protocol", "base"},
    "tools": {"host", "core", "protocol", "base"},
}
# Knows nothing of the project.
NO_CONFIG = {"base"}

# libvirt's private headers: one header of the driver includes them, nothing else does.
LIBVIRT_PRIVATE = re.compile(
    r"(internal|datatypes|driver\.h|driver-\w+|libvirt_internal|viralloc|virerror|virlog|"
    r"domain_conf|qemu_\w+|vir\w+)\.?h?$")

CORE_HEADERS = {
    "glib.h", "json-glib/json-glib.h", "string.h", "stdlib.h", "stdbool.h", "stdint.h",
    "stddef.h", "stdarg.h", "inttypes.h", "limits.h", "float.h", "math.h", "errno.h", "ctype.h",
    "libxml/tree.h", "libxml/parser.h", "libxml/xmlsave.h", "libxml/xpath.h",
    "libxml/xpathInternals.h", "libxml/parserInternals.h", "libxml/xmlerror.h",
}

CORE_FORBIDDEN = {
    "file": r"""g_file_\w+ g_dir_\w+ g_mapped_file_\w+ g_io_channel_\w+ g_key_file_load_from_\w+
        g_open g_fopen g_stat g_lstat g_access g_unlink g_mkdir\w* g_rename g_find_program_in_path
        fopen fdopen freopen fclose fread fwrite fgets fgetc getline opendir readdir open openat
        creat pread readv pwrite writev close stat lstat fstat statx access unlink
        rename mkdir mkstemp mmap ioctl fcntl xmlReadFile xmlParseFile xmlReadFd xmlCtxtReadFile
        xmlSaveFile\w* xmlSaveFormatFile\w* xmlSaveToFd xmlSaveToFilename xmlDocDump
        json_parser_load_from_file json_generator_to_file""",
    "standard output": r"printf fprintf vprintf vfprintf dprintf puts fputs putchar fputc putc "
        r"perror g_print g_printerr",
    "socket": r"socket connect bind listen accept accept4 send sendto sendmsg recv recvmsg poll "
        r"select epoll_\w+ g_socket_\w+ g_dbus_\w+ g_bus_\w+",
    "clock": r"g_get_monotonic_time g_get_real_time g_get_current_time g_date_time_new_now\w* "
        r"g_timer_\w+ clock_gettime clock gettimeofday time localtime\w* gmtime\w* sleep usleep "
        r"nanosleep g_usleep g_timeout_\w+ g_idle_\w+",
    "environment": r"getenv secure_getenv setenv unsetenv putenv g_getenv g_setenv g_unsetenv "
        r"g_listenv g_get_environ g_get_host_name g_get_user_\w+ g_get_home_dir g_get_tmp_dir "
        r"g_get_num_processors sysconf uname getpid getuid geteuid setlocale",
    "thread": r"g_thread_\w+ g_mutex_\w+ g_rec_mutex_\w+ g_rw_lock_\w+ g_cond_\w+ g_once\w* "
        r"g_private_\w+ g_async_queue_\w+ g_atomic_\w+ pthread_\w+ g_main_\w+ g_task_\w+",
    "log": r"g_log g_log_\w+ g_logv g_message g_warning g_critical g_error g_info g_debug syslog "
        r"sd_journal_\w+ g_return_if_fail_warning",
    "process": r"exit _exit system popen fork execv\w* execl\w* g_spawn_\w+ g_subprocess_\w+ kill "
        r"signal sigaction",
    "chance": r"rand srand random srandom rand_r g_random_\w+ getrandom g_uuid_string_random",
}
_CORE_CALLS = {what: re.compile(r"(?<![\w.>])(?:" + "|".join(names.split()) + r")\s*\(")
               for what, names in CORE_FORBIDDEN.items()}
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def layer_of(path):
    parts = path.split("/")
    if parts[0] == "src" and len(parts) > 2 and parts[1] in ALLOWED:
        return parts[1]
    return "tools" if parts[0] == "tools" else None


def check_include(layer, bracket, name):
    """Why this include is not allowed, or None."""
    first = name.split("/")[0]
    if bracket == "<":
        if layer == "core" and name not in CORE_HEADERS:
            return f"src/core is pure: <{name}> is not on its list of headers"
        return None
    if name == "config.h":
        return f"{layer} does not know config.h" if layer in NO_CONFIG else None
    if "/" not in name:
        same = (tree.ROOT / "src" / layer / name).exists()
        return f'write "{layer}/{name}"' if same and layer not in ("tools", "driver") else None
    if first in ALLOWED and first not in ALLOWED[layer]:
        return f"{layer} must not include from {first}"
    if first not in ALLOWED and layer != "driver":
        return f'"{name}" is in no layer'
    return None


def check_includes(path, text):
    layer = layer_of(path)
    out = []
    for match in _INCLUDE.finditer(tree.blank_c(text, strings=False)):
        problem = check_include(layer, match.group(1), match.group(2))
        if problem:
            out.append((tree.line_of(text, match.start(1)), problem))
    return out


def check_purity(_path, text):
    code = tree.blank_c(text)
    return [(tree.line_of(code, m.start()), f"src/core is pure, no {what}: {m.group()}...)")
            for what, pattern in _CORE_CALLS.items() for m in pattern.finditer(code)]


def check_private_headers(_path, text):
    out = []
    for match in _INCLUDE.finditer(tree.blank_c(text, strings=False)):
        base = match.group(2).split("/")[-1]
        if match.group(1) == '"' and "/" not in match.group(2) and LIBVIRT_PRIVATE.match(base):
            out.append((tree.line_of(text, match.start(1)),
                        f'private header of libvirt: "{match.group(2)}"'))
    return out


def sources():
    return [p for p in tree.of_kind("c") if layer_of(p)]


@tap.test
def includes_keep_to_the_layers():
    tree.expect_none(check_includes, sources())


@tap.test
def core_is_pure():
    tree.expect_none(check_purity, [p for p in sources() if layer_of(p) == "core"])


@tap.test
def one_header_includes_private_headers_of_libvirt():
    users = {f.split(":")[0] for f in tree.findings(check_private_headers, sources())}
    assert len(users) <= 1 and all(u.startswith("src/driver/") for u in users), users


@tap.test
def every_layer_is_seen():
    seen = {layer_of(p) for p in sources()}
    missing = {"base", "core", "host", "protocol", "tools"} - seen
    assert not missing, f"no file of {missing}"


@tap.test
def planted_includes_are_found():
    for path, line in [
        ("src/base/x.c", '#include "core/plan.h"'),
        ("src/core/x.c", '#include "host/topology.h"'),
        ("src/core/x.c", "#  include <stdio.h>"),
        ("src/base/x.c", '#include "config.h"'),
        ("src/core/x.c", '#include "plan.h"'),
        ("src/host/x.c", '#include "daemon/state.h"'),
        ("src/protocol/x.c", '#include "host/libvirt.h"'),
        ("src/driver/x.c", '#include "host/topology.h"'),
        ("src/daemon/x.c", '#include "driver/driver.h"'),
        ("tools/virtq/x.c", '#include "daemon/state.h"'),
        ("src/host/x.c", '#include "elsewhere/x.h"'),
    ]:
        found = check_includes(path, f"/* x */\n{line}\n")
        assert len(found) == 1 and found[0][0] == 2, (path, line, found)
    for path, line in [
        ("src/core/x.c", '#include "base/xml.h"'),
        ("src/core/x.c", '/* #include "host/x.h" */'),
        ("src/daemon/x.c", '#include "host/libvirt.h"'),
        ("tools/virtq/x.c", '#include "command.h"'),
    ]:
        tap.equal(check_includes(path, line + "\n"), [], line)


@tap.test
def planted_impurities_are_found():
    for call in ["g_file_get_contents(p, &t, NULL, NULL)", "open(p, O_RDONLY)", "getenv(\"X\")",
                 "g_get_monotonic_time()", "time (NULL)", "g_mutex_lock(&m)", "g_warning(\"x\")",
                 "printf(\"x\")", "g_random_int()", "socket(AF_UNIX, 0, 0)", "g_thread_new(0)",
                 "exit(1)", "g_log_structured(0)", "xmlSaveFile(p, d)", "fopen(p, q)"]:
        found = check_purity("src/core/x.c", f"\n    {call};\n")
        assert len(found) == 1 and found[0][0] == 2, (call, found)
    for fine in ["/* open(x) */", 'x = "time(NULL)";', "vq_plan_open(x);", "ops->read(x);",
                 "g_error_new(x);", "plan.close(x);", "g_set_error(x);", "snprintf(x);"]:
        tap.equal(check_purity("src/core/x.c", fine), [], fine)


tap.main()
