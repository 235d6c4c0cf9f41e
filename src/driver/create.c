/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starting a domain: ask the daemon, start by the stock driver, pin what it said.
 *
 *   declared? -> Admit -> stock start -> pins          refused: no start, the daemon's reason
 *                            | fails -> Withdraw        no answer: start all the same, unless
 *                                                       a promise is required
 *
 * A wrapper runs before stock checks the client's rights. So nothing is changed before stock has
 * started the domain but a reservation that expires, and a refusal's reason is only told to a
 * client that may read the domain.
 */
#include "base/error.h"
#include "core/domain.h"
#include "driver/report.h"
#include "driver/stack.h"

#include <string.h>

typedef struct {
    VqAdmission *admission; /* or NULL: nothing to do after the start */
    char *name;
} Start;

static void
start_clear(Start *start)
{
    vq_admission_free(start->admission);
    g_free(start->name);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Start, start_clear)

/* Work of our own within a client's call is done with the daemon's rights. */
static virIdentity *
elevate(void)
{
    virIdentity *identity = virIdentityElevateCurrent();

    if (!identity)
        virResetLastError(); /* embedded in a client: no identity, and none needed */
    return identity;
}

static void
restore(virIdentity *identity)
{
    if (!identity)
        return;
    virIdentitySetCurrent(identity);
    g_object_unref(identity);
}

/* Whether any device is to be placed, and whether for one of them that is a condition. */
static bool
to_be_placed(const VqDomain *domain, const char **required)
{
    bool found = false;

    for (guint i = 0; i < domain->devices->len; i++) {
        const VqDevice *device = g_ptr_array_index(domain->devices, i);

        if (!device->policy || device->policy->placement == VQ_PLACEMENT_NONE)
            continue;
        found = true;
        if (device->policy->required && !*required)
            *required = device->name;
    }
    return found;
}

/* No answer: an error only if a promise hangs on it. */
static bool
go_without(const VqDomain *domain, const char *required, const GError *reason, GError **error)
{
    if (required) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_UNAVAILABLE,
                    "domain '%s' is not started: disk '%s' has required='yes' and there is no "
                    "answer from virtqueued: %s. Start virtqueued, or set required='no'",
                    domain->name, required, reason->message);
        return false;
    }
    vq_warn("domain '%s' starts without placement of its I/O threads: %s", domain->name,
            reason->message);
    return true;
}

/* What was degraded: one note per thread, often all the same. */
static void
warn_notes(const Start *start)
{
    const GPtrArray *notes = start->admission->notes;

    for (guint i = 0; i < notes->len; i++) {
        const char *note = g_ptr_array_index(notes, i);

        if (i == 0 || !g_str_equal(note, g_ptr_array_index(notes, i - 1)))
            vq_warn("domain '%s': %s", start->name, note);
    }
}

/* Asks for the domain of @xml (expanded), if it declares anything. False: do not start it. */
static bool
start_prepare(Start *start, const char *xml, GError **error)
{
    g_autoptr(VqProblems) problems = vq_problems_new();
    g_autoptr(VqDomain) domain = NULL;
    g_autoptr(GError) reason = NULL;
    const char *required = NULL;

    if (!strstr(xml, "virtqueue"))
        return true;
    domain = vq_domain_read(xml, strlen(xml), problems, NULL);
    if (!domain || !domain->name || !to_be_placed(domain, &required))
        return true;
    start->admission = vq_admit(&vq_admit_settings, xml, required != NULL, &reason);
    if (g_error_matches(reason, VQ_ERROR, VQ_ERROR_REFUSED)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_REFUSED, "domain '%s' is not started: %s",
                    domain->name, reason->message);
        return false;
    }
    if (!start->admission)
        return go_without(domain, required, reason, error);
    start->name = g_strdup(domain->name);
    warn_notes(start);
    return true;
}

static bool
pin(virDomainPtr domain, const VqAdmitPin *admitted, GError **error)
{
    g_autoptr(VqCpuset) cpus = vq_cpuset_parse(admitted->cpus, error);
    unsigned char map[VQ_CPUSET_MAX / 8] = {0};
    int length = 0;

    if (!cpus)
        return false;
    VQ_CPUSET_FOREACH (cpu, cpus) {
        map[cpu / 8] |= 1 << cpu % 8;
        length = cpu / 8 + 1;
    }
    if (length > 0 && vq_stock->domainPinIOThread(domain, admitted->iothread, map, length,
                                                  VIR_DOMAIN_AFFECT_LIVE) == 0)
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_FAILED, "%s",
                length > 0 ? virGetLastErrorMessage() : "no CPU given");
    return false;
}

/* The domain runs. A pin that fails is the daemon's to repair; it looks at the domain by itself. */
static void
start_finish(const Start *start, virDomainPtr domain)
{
    virIdentity *identity;

    if (!start->admission || start->admission->pins->len == 0)
        return;
    identity = elevate();
    for (guint i = 0; i < start->admission->pins->len; i++) {
        const VqAdmitPin *admitted = g_ptr_array_index(start->admission->pins, i);
        g_autoptr(GError) error = NULL;

        if (!pin(domain, admitted, &error)) {
            vq_warn("domain '%s': I/O thread %u not pinned to CPU %s: %s", domain->name,
                    admitted->iothread, admitted->cpus, error->message);
            virResetLastError();
            break;
        }
    }
    restore(identity);
}

/* Stock's error stays what it is: nothing in here calls libvirt. */
static void
start_cancel(const Start *start)
{
    if (start->admission)
        vq_admit_withdraw(&vq_admit_settings, start->name);
}

virDomainPtr
vq_domain_create_xml(virConnectPtr conn, const char *xml, unsigned int flags)
{
    g_auto(Start) start = {0};
    g_autofree char *expanded = NULL;
    g_autoptr(GError) error = NULL;
    virDomainPtr domain;

    if (!vq_expand_xml(xml, &expanded))
        return NULL;
    if (!start_prepare(&start, expanded ? expanded : xml, &error)) {
        vq_report(error);
        return NULL;
    }
    domain = vq_stock->domainCreateXML(conn, expanded ? expanded : xml, flags);
    if (domain)
        start_finish(&start, domain);
    else
        start_cancel(&start);
    return domain;
}

/*
 * The configuration that @domain will start with, or NULL if it declares nothing. Reading metadata
 * takes no job on the domain and costs microseconds; only a domain with ours is asked for its XML,
 * which takes one. That the element is missing is no error in the log of the libvirt daemon.
 */
static char *
declared_xml(virDomainPtr domain)
{
    static const char *const uris[] = {VQ_NS_POLICY, VQ_NS_STATE};
    virIdentity *identity = elevate();
    g_autofree char *element = NULL;
    char *xml = NULL;

    for (gsize i = 0; !element && i < G_N_ELEMENTS(uris); i++)
        element = vq_stock->domainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, uris[i],
                                              VIR_DOMAIN_AFFECT_CONFIG);
    if (element)
        xml = vq_stock->domainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
    restore(identity);
    if (!xml)
        virResetLastError();
    return xml;
}

/* False: libvirt's error is set. */
static bool
begin(Start *start, virDomainPtr domain)
{
    g_autofree char *xml = declared_xml(domain);
    g_autoptr(GError) error = NULL;
    virDomainInfo info;

    if (!xml || start_prepare(start, xml, &error))
        return true;
    /* A client that may not even read the domain gets stock's "access denied", not the reason. */
    if (vq_stock->domainGetInfo(domain, &info) == 0)
        vq_report(error);
    return false;
}

static int
end(const Start *start, virDomainPtr domain, int result)
{
    if (result < 0)
        start_cancel(start);
    else
        start_finish(start, domain);
    return result;
}

int
vq_domain_create(virDomainPtr domain)
{
    g_auto(Start) start = {0};

    if (!begin(&start, domain))
        return -1;
    return end(&start, domain, vq_stock->domainCreate(domain));
}

int
vq_domain_create_with_flags(virDomainPtr domain, unsigned int flags)
{
    g_auto(Start) start = {0};

    if (!begin(&start, domain))
        return -1;
    return end(&start, domain, vq_stock->domainCreateWithFlags(domain, flags));
}
