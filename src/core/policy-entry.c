/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One entry of a policy: its attributes are a table, so that the element's and Nova's reader
 * (policy.c, policy-nova.c) accept and refuse the same, in the same words.
 */
#include "base/error.h"
#include "core/policy.h"

#include <string.h>

typedef enum {
    KIND_COUNT,  /* 1..limit or "auto" (0) */
    KIND_WEIGHT, /* VQ_WEIGHT_MIN..VQ_WEIGHT_MAX */
    KIND_ENUM,
    KIND_YES_NO,
} Kind;

typedef struct {
    Kind kind;
    gsize offset;
    const VqEnumEntry *names;
} Attribute;

static const VqEnumEntry yes_no[] = {{true, "yes"}, {false, "no"}, {0, NULL}};

const char *const vq_policy_attributes[] = {
    "queues", "iothreads", "placement", "polling", "weight", "required", NULL,
};

/* in the order of vq_policy_attributes */
static const Attribute attributes[] = {
    {KIND_COUNT, offsetof(VqPolicyEntry, queues), NULL},
    {KIND_COUNT, offsetof(VqPolicyEntry, iothreads), NULL},
    {KIND_ENUM, offsetof(VqPolicyEntry, placement), vq_placement_names},
    {KIND_ENUM, offsetof(VqPolicyEntry, polling), vq_polling_names},
    {KIND_WEIGHT, offsetof(VqPolicyEntry, weight), NULL},
    {KIND_YES_NO, offsetof(VqPolicyEntry, required), yes_no},
};

G_STATIC_ASSERT(G_N_ELEMENTS(attributes) == G_N_ELEMENTS(vq_policy_attributes) - 1);

unsigned
vq_policy_queues_max(VqDeviceKind kind)
{
    return kind == VQ_DEVICE_CONTROLLER ? VQ_QUEUES_MAX - VQ_SCSI_QUEUES : VQ_QUEUES_MAX;
}

VqPolicyEntry *
vq_policy_entry_new(VqDeviceKind kind, VqPolicyOrigin origin, unsigned line)
{
    VqPolicyEntry *entry = g_new0(VqPolicyEntry, 1);

    entry->kind = kind;
    entry->origin = origin;
    entry->line = line;
    entry->placement = VQ_PLACEMENT_SHARED;
    entry->polling = VQ_POLLING_ADAPTIVE;
    entry->weight = VQ_WEIGHT_DEFAULT;
    return entry;
}

void
vq_policy_entry_free(VqPolicyEntry *entry)
{
    if (!entry)
        return;
    g_free(entry->target);
    g_free(entry);
}

bool
vq_policy_entry_is_any(const VqPolicyEntry *entry)
{
    return entry->kind == VQ_DEVICE_DISK && g_strcmp0(entry->target, "*") == 0;
}

char *
vq_policy_entry_describe(const VqPolicyEntry *entry)
{
    if (entry->kind == VQ_DEVICE_CONTROLLER)
        return g_strdup_printf("controller %u", entry->index);
    if (vq_policy_entry_is_any(entry))
        return g_strdup("every disk ('*')");
    return g_strdup_printf("disk '%s'", entry->target);
}

static bool
all_digits(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

static bool
set_number(unsigned *field, const char *name, const char *text, unsigned min, unsigned max,
           const char *or_what, GError **error)
{
    unsigned value;

    if (!all_digits(text)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s='%s' is not a number of %u to %u%s",
                    name, text, min, max, or_what);
        return false;
    }
    if (!vq_parse_uint(text, max, &value)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT, "%s='%s' is above the limit of %u", name, text,
                    max);
        return false;
    }
    if (value < min) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT, "%s='%s' is below the minimum of %u", name,
                    text, min);
        return false;
    }
    *field = value;
    return true;
}

static bool
set_count(VqDeviceKind kind, unsigned *field, const char *name, const char *text, GError **error)
{
    g_autoptr(GError) local = NULL;

    if (g_str_equal(text, "auto")) {
        *field = 0;
        return true;
    }
    if (set_number(field, name, text, 1, vq_policy_queues_max(kind), " or 'auto'", &local))
        return true;
    if (kind == VQ_DEVICE_CONTROLLER && g_str_has_suffix(local->message, " 1022"))
        g_set_error(error, VQ_ERROR, local->code, "%s (virtio-scsi keeps %d of QEMU's %d)",
                    local->message, VQ_SCSI_QUEUES, VQ_QUEUES_MAX);
    else
        g_propagate_error(error, g_steal_pointer(&local));
    return false;
}

static bool
set_name(const VqEnumEntry *names, int *value, const char *name, const char *text, GError **error)
{
    if (vq_enum_from_name(names, text, value))
        return true;

    g_autofree char *list = vq_enum_list(names);

    g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s='%s' is not %s", name, text, list);
    return false;
}

static bool
set_attribute(VqPolicyEntry *entry, const Attribute *a, const char *name, const char *text,
              GError **error)
{
    void *field = (char *)entry + a->offset;
    int value;

    switch (a->kind) {
    case KIND_COUNT:
        return set_count(entry->kind, field, name, text, error);
    case KIND_WEIGHT:
        return set_number(field, name, text, VQ_WEIGHT_MIN, VQ_WEIGHT_MAX, "", error);
    case KIND_ENUM:
        return set_name(a->names, field, name, text, error);
    case KIND_YES_NO:
        if (!set_name(a->names, &value, name, text, error))
            return false;
        *(bool *)field = value;
        return true;
    }
    g_return_val_if_reached(false);
}

bool
vq_policy_entry_set(VqPolicyEntry *entry, const char *name, const char *value, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(attributes); i++) {
        if (g_str_equal(vq_policy_attributes[i], name))
            return set_attribute(entry, &attributes[i], name, value, error);
    }
    g_set_error(error, VQ_ERROR, VQ_ERROR_NOT_FOUND, "unknown attribute '%s'", name);
    return false;
}

bool
vq_policy_entry_check(const VqPolicyEntry *entry, GError **error)
{
    if (!entry->queues || entry->iothreads <= entry->queues)
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_CONFLICT,
                "iothreads='%u' is above queues='%u': an IOThread without a queue has nothing to "
                "do",
                entry->iothreads, entry->queues);
    return false;
}
