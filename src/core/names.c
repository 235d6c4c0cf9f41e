/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/policy.h"

const VqEnumEntry vq_placement_names[] = {
    {VQ_PLACEMENT_DEDICATED, "dedicated"},
    {VQ_PLACEMENT_SHARED, "shared"},
    {VQ_PLACEMENT_NONE, "none"},
    {0, NULL},
};

const VqEnumEntry vq_polling_names[] = {
    {VQ_POLLING_DEDICATED, "dedicated"},
    {VQ_POLLING_ADAPTIVE, "adaptive"},
    {VQ_POLLING_OFF, "off"},
    {0, NULL},
};
