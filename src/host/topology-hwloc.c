/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loads a machine with hwloc: this host, an XML file or a synthetic string. Partners:
 * topology-convert.c (hwloc's tree -> ours), topology-xml.c (fences around hwloc's XML reader),
 * block.c (stacked devices of this host).
 *
 * hwloc is given nothing it could drown in: a synthetic string of a million cores would be built
 * object by object, so sizes are counted first.
 */
#include "host/topology.h"
#include "base/error.h"
#include "host/block.h"
#include "host/topology-convert.h"
#include "host/topology-xml.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYNTHETIC_LENGTH_MAX 4096 /* bytes; hwloc's own tests end at some hundred */
#define SYNTHETIC_ARITY_MAX                                                                        \
    1024 /* hwloc inserts siblings in quadratic time: 16384 take minutes                           \
          */
#define SYSFS_LIST_MAX 65536
#define TRIAL_SECONDS  20 /* of CPU; 16 MiB of XML take about 2 */

/* hwloc's GPU plugins start their vendors' libraries, which a daemon must not have in it. */
static const char *const unwanted[] = {"cuda", "opencl", "nvml", "rsmi", "levelzero", "gl"};

typedef struct hwloc_topology HwlocTopology;

static void
destroy(HwlocTopology *topology)
{
    hwloc_topology_destroy(topology);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(HwlocTopology, destroy)

static HwlocTopology *
open_hwloc(GError **error)
{
    hwloc_topology_t topology = NULL;

    if (hwloc_topology_init(&topology) < 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_FAILED, "cannot start hwloc: %s", g_strerror(errno));
        return NULL;
    }
    hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    /* CPUs outside our cpuset are read too: messages tell them from those that do not exist, and
     * cores keep their numbers. The converter marks them unusable. */
    hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
    for (guint i = 0; i < G_N_ELEMENTS(unwanted); i++)
        hwloc_topology_set_components(topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST,
                                      unwanted[i]);
    return topology;
}

static bool
load(HwlocTopology *topology, const char *origin, GError **error)
{
    errno = 0;
    if (hwloc_topology_load(topology) == 0)
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s: hwloc cannot read it%s%s", origin,
                errno ? ": " : "", errno ? g_strerror(errno) : "");
    return false;
}

static VqTopology *
convert(HwlocTopology *from, const char *origin, GError **error)
{
    g_autoptr(VqTopology) topology = vq_topology_convert(from, origin, error);

    if (!topology || !vq_topology_check(topology, error)) {
        g_prefix_error(error, "%s: ", origin);
        return NULL;
    }
    return g_steal_pointer(&topology);
}

/* A list file of sysfs: "0-3,8", empty, or "(null)" where the kernel prints an unset mask. */
static bool
read_cpu_list(const char *root, const char *file, VqCpuset **set, GError **error)
{
    g_autofree char *path = g_build_filename(root, file, NULL);
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL) || strlen(text) > SYSFS_LIST_MAX) {
        *set = vq_cpuset_new(); /* an older kernel, or none that tells */
        return true;
    }
    g_strstrip(text);
    *set = g_str_equal(text, "(null)") ? vq_cpuset_new() : vq_cpuset_parse(text, error);
    if (!*set)
        g_prefix_error(error, "%s: ", path);
    return *set != NULL;
}

static void
mark_isolated(VqTopology *t, const VqCpuset *isolated)
{
    vq_cpuset_union(t->isolated, isolated);
    vq_cpuset_intersect(t->isolated, t->usable);
    for (guint i = 0; i < t->pus->len; i++) {
        VqPu *pu = g_ptr_array_index(t->pus, i);

        pu->isolated = vq_cpuset_has(t->isolated, pu->os);
    }
}

VqTopology *
vq_host_topology_live(const char *root, GError **error)
{
    g_autoptr(HwlocTopology) from = open_hwloc(error);
    g_autoptr(VqTopology) topology = NULL;
    g_autoptr(VqCpuset) isolated = NULL;

    if (!from || !load(from, "this host", error))
        return NULL;
    topology = vq_topology_convert(from, "this host", error);
    if (!topology || !read_cpu_list(root, "sys/devices/system/cpu/isolated", &isolated, error)) {
        g_prefix_error(error, "this host: ");
        return NULL;
    }
    mark_isolated(topology, isolated);
    vq_host_block_scan(root, topology);
    if (!vq_topology_check(topology, error)) {
        g_prefix_error(error, "this host: ");
        return NULL;
    }
    return g_steal_pointer(&topology);
}

static VqTopology *
read_clean_xml(const char *clean, const char *origin, GError **error)
{
    g_autoptr(HwlocTopology) from = open_hwloc(error);

    if (!from)
        return NULL;
    errno = 0;
    if (hwloc_topology_set_xmlbuffer(from, clean, strlen(clean) + 1) < 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s: hwloc cannot read it%s%s", origin,
                    errno ? ": " : "", errno ? g_strerror(errno) : "");
        return NULL;
    }
    return load(from, origin, error) ? convert(from, origin, error) : NULL;
}

/* In the child of a trial: without core dump, with a bound on time, and what hwloc prints in @log.
 */
static void
try_and_exit(const char *clean, int log)
{
    const struct rlimit none = {0, 0}, seconds = {TRIAL_SECONDS, TRIAL_SECONDS};

    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_CPU, &seconds);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    vq_topology_free(read_clean_xml(clean, "", NULL));
    _exit(0);
}

/* Why the file of a child that ended with @status is refused, or NULL. */
static const char *
verdict(int status, int log)
{
    struct stat printed;

    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL ? "hwloc takes too long"
                                                                          : "hwloc crashes on it";
    if (fstat(log, &printed) == 0 && printed.st_size > 0)
        return "hwloc complains of it";
    return NULL;
}

/*
 * hwloc trusts the relations between objects in a file: where they contradict each other it drops
 * objects with a page of complaint, or crashes (2.12: a NUMA node without nodeset, a child's sets
 * outside its parent's, ...). So a child reads the file first; if it dies or complains, the file is
 * refused. An ordinary error is met again by the parent.
 */
static bool
survives(const char *clean, const char *origin, GError **error)
{
    int log = memfd_create("hwloc", MFD_CLOEXEC), status = 0;
    pid_t child = log < 0 ? -1 : fork();
    const char *why = NULL;

    if (child == 0)
        try_and_exit(clean, log);
    if (child < 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_FAILED, "%s: cannot start a trial: %s", origin,
                    g_strerror(errno));
    } else {
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            continue; /* ECHILD, where SIGCHLD is ignored, leaves status 0 */
        why = verdict(status, log);
    }
    if (log >= 0)
        close(log);
    if (why)
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s: its objects do not make a machine: %s",
                    origin, why);
    return child >= 0 && !why;
}

VqTopology *
vq_host_topology_xml(const char *text, gsize length, const char *origin, GError **error)
{
    g_autofree char *clean = vq_topology_xml_clean(text, length, origin, error);

    if (!clean || !survives(clean, origin, error))
        return NULL;
    return read_clean_xml(clean, origin, error);
}

/* The end of one token: a blank that is in no parentheses. */
static const char *
token_end(const char *p)
{
    int depth = 0;

    for (; *p && (depth > 0 || !g_ascii_isspace(*p)); p++) {
        if (*p == '(' || *p == '[')
            depth++;
        else if (*p == ')' || *p == ']')
            depth--;
    }
    return p;
}

/* One level, "core:8(attributes)" or "8" or "[numa]": multiplies *@width by its count. */
static bool
count_level(const char *token, guint64 *width, GError **error)
{
    g_autofree char *level = g_strndup(token, strcspn(token, "("));
    char *colon = strchr(level, ':');
    hwloc_obj_type_t type;
    unsigned count;

    if (*token == '(' || *token == '[')
        return true; /* the machine's attributes; memory attached to the level before */
    if (colon)
        *colon = '\0';
    if (colon && hwloc_type_sscanf(level, &type, NULL, 0) < 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID,
                    "'%s' in '%s' is not a kind of object (pack, numa, l3, core, pu, ...)", level,
                    token);
        return false;
    }
    const char *digits = colon ? colon + 1 : level;
    gsize length = strspn(digits, "0123456789");

    count = MIN(g_ascii_strtoull(digits, NULL, 10), VQ_TOPOLOGY_PUS_MAX + 1);
    if (length == 0 || digits[length] != '\0' || count == 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "'%s' lacks a number above 0 (\"core:8\")",
                    token);
        return false;
    }
    if (count > SYNTHETIC_ARITY_MAX) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                    "'%s' has more than the limit of %d in one object", token, SYNTHETIC_ARITY_MAX);
        return false;
    }
    *width *= count;
    if (*width <= VQ_TOPOLOGY_PUS_MAX)
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT, "with '%s' it has more than the limit of %d CPUs",
                token, VQ_TOPOLOGY_PUS_MAX);
    return false;
}

static bool
check_synthetic(const char *description, GError **error)
{
    guint64 width = 1;

    if (strlen(description) > SYNTHETIC_LENGTH_MAX) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                    "description of %zu bytes is above the limit of %d", strlen(description),
                    SYNTHETIC_LENGTH_MAX);
        return false;
    }
    for (const char *p = description; *p;) {
        const char *end = token_end(p);
        g_autofree char *token = g_strndup(p, end - p);

        if (*token && !count_level(token, &width, error))
            return false;
        for (p = end; g_ascii_isspace(*p);)
            p++;
    }
    return true;
}

VqTopology *
vq_host_topology_synthetic(const char *description, GError **error)
{
    g_autoptr(HwlocTopology) from = NULL;

    if (!check_synthetic(description, error)) {
        g_prefix_error(error, "synthetic topology '%.100s': ", description);
        return NULL;
    }
    from = open_hwloc(error);
    if (!from)
        return NULL;
    if (hwloc_topology_set_synthetic(from, description) < 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID,
                    "'%.100s' is not a synthetic topology such as \"pack:2 numa:1 core:8 pu:2\" "
                    "(levels from the widest to pu, see hwloc's documentation)",
                    description);
        return NULL;
    }
    return load(from, description, error) ? convert(from, description, error) : NULL;
}

VqTopology *
vq_host_topology_input(const char *argument, GError **error)
{
    g_autofree char *text = NULL;
    gsize length;

    if (!g_file_test(argument, G_FILE_TEST_EXISTS)) {
        if (!strchr(argument, '/') && !g_str_has_suffix(argument, ".xml"))
            return vq_host_topology_synthetic(argument, error);
        g_set_error(error, VQ_ERROR, VQ_ERROR_NOT_FOUND, "%s: no such file", argument);
        return NULL;
    }
    text = vq_topology_xml_read(argument, &length, error);
    return text ? vq_host_topology_xml(text, length, argument, error) : NULL;
}
