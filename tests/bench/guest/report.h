/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The result of a run, for people or as JSON, on standard output. */
#pragma once

#include "run.h"

void syn_report(const SynRun *run, const SynQemu *qemu, const SynLoad *load);
