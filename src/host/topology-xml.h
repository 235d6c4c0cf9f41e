/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private to src/host: hwloc XML is read and fenced in here before hwloc sees it. */
#pragma once

#include <glib.h>

#define VQ_TOPOLOGY_XML_MAX                                                                        \
    (16 * 1024 * 1024) /* bytes; 1024 CPUs with all I/O take about 2 MiB                           \
                        */

/* The text of the regular file @path, with a final NUL; at most VQ_TOPOLOGY_XML_MAX bytes. */
char *vq_topology_xml_read(const char *path, gsize *length, GError **error);

/*
 * The same document written anew, without what hwloc's own reader cannot take (comments, entities,
 * foreign elements) and with every number, set and count within bounds. Errors VQ_ERROR_INVALID
 * and VQ_ERROR_LIMIT with the line.
 */
char *vq_topology_xml_clean(const char *text, gsize length, const char *origin, GError **error);
