/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An extension that needs a private symbol of another release: it cannot even be loaded. */
#include "../../../src/driver/abi.c"

void vq_future(void);
extern void (*vq_future_pointer)(void);
void (*vq_future_pointer)(void) = vq_future;
