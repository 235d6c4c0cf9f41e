/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The packed kind of ring; called by ring.c only. */
#pragma once

#include "ring.h"

void syn_packed_init(SynRing *ring, SynMemory *memory);
void syn_packed_post(SynRing *ring, unsigned slot);
bool syn_packed_show(SynRing *ring);
bool syn_packed_reap(SynRing *ring, uint32_t *slot, uint32_t *length);
void syn_packed_interrupts(SynRing *ring, bool wanted);
