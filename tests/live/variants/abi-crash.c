/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An extension that crashes as soon as it is loaded. */
#include "../../../src/driver/abi.c"

#include <signal.h>

__attribute__((constructor)) static void
crash(void)
{
    raise(SIGKILL);
}
