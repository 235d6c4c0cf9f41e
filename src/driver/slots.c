/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which calls we take part in: one line each. A function of another type than its slot does not
 * compile.
 */
#include "driver/stack.h"

typedef struct {
    gsize offset;
    GCallback function;
    char same_type;
} Slot;

#define SLOT(slot, wrapper)                                                                        \
    {                                                                                              \
        offsetof(virHypervisorDriver, slot), G_CALLBACK(wrapper),                                  \
            sizeof(char[__builtin_types_compatible_p(typeof(((virHypervisorDriver *)NULL)->slot),  \
                                                     typeof(&wrapper))                             \
                            ? 1                                                                    \
                            : -1])                                                                 \
    }

static const Slot SLOTS[] = {
    SLOT(domainDefineXML, vq_domain_define_xml),
    SLOT(domainDefineXMLFlags, vq_domain_define_xml_flags),
    SLOT(connectDomainXMLToNative, vq_connect_domain_xml_to_native),
    SLOT(domainCreateXML, vq_domain_create_xml),
    SLOT(domainCreate, vq_domain_create),
    SLOT(domainCreateWithFlags, vq_domain_create_with_flags),
};

void
vq_slots_install(virHypervisorDriver *table)
{
    for (gsize i = 0; i < G_N_ELEMENTS(SLOTS); i++) {
        GCallback *slot = (GCallback *)((char *)table + SLOTS[i].offset);

        /* A slot that stock leaves empty says "not supported"; so do we. */
        if (*slot)
            *slot = SLOTS[i].function;
    }
}
