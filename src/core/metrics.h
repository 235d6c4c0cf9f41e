/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The counters in Prometheus' text format (exposition format 0.0.4), base units: seconds, bytes,
 * ratios. Every family has HELP and TYPE; what is not known has no sample.
 */
#pragma once

#include <glib.h>

/*
 * @counters: the dictionary (a{sv}) that the method Counters answers with, or what a JSON text
 * becomes. Whatever in it is not as expected is left out. Free with g_free().
 */
char *vq_metrics_text(GVariant *counters);
