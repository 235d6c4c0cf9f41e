/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between the files of the stacking driver. The stock driver's table, and the settings, are set
 * before the first client can connect and are const from then on.
 */
#pragma once

#include "driver/admit.h"
#include "driver/libvirt-private.h"

/* The stock QEMU driver's table; wrappers call it directly, never libvirt's public API, which
 * would lead back to them and would reset the thread's error. */
extern const virHypervisorDriver *vq_stock;

extern VqAdmitSettings vq_admit_settings;

/* Overrides every slot that slots.c lists and the stock driver fills. */
void vq_slots_install(virHypervisorDriver *table);

/*
 * @xml as it is to be handed on: *@expanded is new text, or NULL where @xml itself is to be used,
 * byte for byte. False: the policy cannot be followed, libvirt's error is set.
 */
bool vq_expand_xml(const char *xml, char **expanded);

/* Wrappers, by the slot they override. */
virDomainPtr vq_domain_define_xml(virConnectPtr conn, const char *xml);
virDomainPtr vq_domain_define_xml_flags(virConnectPtr conn, const char *xml, unsigned int flags);
char *vq_connect_domain_xml_to_native(virConnectPtr conn, const char *format, const char *xml,
                                      unsigned int flags);
virDomainPtr vq_domain_create_xml(virConnectPtr conn, const char *xml, unsigned int flags);
int vq_domain_create(virDomainPtr domain);
int vq_domain_create_with_flags(virDomainPtr domain, unsigned int flags);
