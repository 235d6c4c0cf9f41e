/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stands in for a later libvirt library at link time: its private symbols are of release 99. Not
 * libvirt.so.0 itself, which the extension needs as it is. */
void vq_future(void);

void
vq_future(void)
{
}
