/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one place that includes libvirt's private headers, from the source of the very release that
 * is installed (-Dlibvirt_source). Whether they fit the running libvirt is checked in guard.c.
 */
#pragma once

#include "datatypes.h"
#include "driver.h"
#include "virerror.h"
#include "viridentity.h"
#include "virlog.h"
