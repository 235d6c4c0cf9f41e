/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls that only hand domain XML over: it is expanded on the way in.
 *
 * Rule of all wrappers: when stock fails, return at once. Any public libvirt call after that would
 * reset the thread's error, and the user would read "the cause is unknown".
 */
#include "core/expand.h"
#include "driver/report.h"
#include "driver/stack.h"

#include <string.h>

bool
vq_expand_xml(const char *xml, char **expanded)
{
    g_autoptr(GError) error = NULL;

    *expanded = NULL;
    if (vq_expand(xml, strlen(xml), expanded, &error))
        return true;
    vq_report(error);
    return false;
}

virDomainPtr
vq_domain_define_xml(virConnectPtr conn, const char *xml)
{
    g_autofree char *expanded = NULL;

    if (!vq_expand_xml(xml, &expanded))
        return NULL;
    return vq_stock->domainDefineXML(conn, expanded ? expanded : xml);
}

virDomainPtr
vq_domain_define_xml_flags(virConnectPtr conn, const char *xml, unsigned int flags)
{
    g_autofree char *expanded = NULL;

    if (!vq_expand_xml(xml, &expanded))
        return NULL;
    return vq_stock->domainDefineXMLFlags(conn, expanded ? expanded : xml, flags);
}

/* So that "virsh domxml-to-native" shows the queues, too. */
char *
vq_connect_domain_xml_to_native(virConnectPtr conn, const char *format, const char *xml,
                                unsigned int flags)
{
    g_autofree char *expanded = NULL;

    if (!vq_expand_xml(xml, &expanded))
        return NULL;
    return vq_stock->connectDomainXMLToNative(conn, format, expanded ? expanded : xml, flags);
}
