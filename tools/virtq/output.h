/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What commands print: aligned tables as virsh prints them, JSON, or XML. The last two come from
 * the same dictionary, so they always agree.
 */
#pragma once

#include "command.h"

#include "core/plan.h"

typedef struct _VqTable VqTable;

/* Column titles, the last one followed by NULL. */
VqTable *vq_table_new(const char *title, ...) G_GNUC_NULL_TERMINATED;
/* One cell for each column; NULL prints as "-". Copied. */
void vq_table_row(VqTable *table, ...);
guint vq_table_rows(const VqTable *table); /* without the titles */
/* As text; g_free(). */
char *vq_table_text(const VqTable *table);
void vq_table_print(const VqTable *table);
void vq_table_free(VqTable *table);

/* Placements, what is degraded, what is refused, as tables (plan.c). */
void vq_plan_print(const VqPlan *plan);

/* The disks of @domains (of GVariant, as in List) with what is counted of them, and of their
 * queues; NULL: nothing is. counts.c. */
char *vq_counts_text(const GPtrArray *domains);

/* What the daemon counts (metrics.c), not older than @max_age_ms if it can be had. */
GVariant *vq_counters_ask(const VqTool *tool, unsigned max_age_ms, int timeout_ms, GError **error);

/* What "virtq --format json metrics" printed, of a file. */
GVariant *vq_counters_read(const char *path, GError **error);

/* Prints @data (a{sv}, floating reference consumed) as --format says; false in table format. */
bool vq_output_data(const VqTool *tool, GVariant *data);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqTable, vq_table_free)
