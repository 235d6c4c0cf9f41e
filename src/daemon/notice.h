/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the log is told of the rounds: changes made, failures and degraded devices once for as long
 * as they last, and their end. Main thread only.
 */
#pragma once

#include "daemon/manager.h"

typedef struct _VqNotice VqNotice;

VqNotice *vq_notice_new(void);
void vq_notice_free(VqNotice *notice);

/* After vq_manager_applied(). */
void vq_notice_actions(VqNotice *notice, const VqManager *manager, const GPtrArray *actions);
/* After vq_manager_follow(): devices that got less than was asked for, and those that got it. */
void vq_notice_plan(VqNotice *notice, const VqManager *manager);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqNotice, vq_notice_free)
