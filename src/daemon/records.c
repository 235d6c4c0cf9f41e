/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The records in memory; reading and writing is records-file.c. */
#include "daemon/records.h"

static void
pin_free(gpointer data)
{
    VqPinRecord *pin = data;

    g_free(pin->original);
    g_free(pin->pinned);
    g_free(pin->pending);
    g_free(pin->promised);
    g_free(pin);
}

static void
record_free(gpointer data)
{
    VqRecord *record = data;

    g_free(record->uuid);
    g_free(record->name);
    g_ptr_array_unref(record->pins);
    g_ptr_array_unref(record->polls);
    g_free(record);
}

VqRecords *
vq_records_new(void)
{
    VqRecords *all = g_new0(VqRecords, 1);

    all->records = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, record_free);
    all->off = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    all->drained = vq_cpuset_new();
    return all;
}

void
vq_records_free(VqRecords *all)
{
    if (!all)
        return;
    g_hash_table_unref(all->records);
    g_hash_table_unref(all->off);
    vq_cpuset_free(all->drained);
    g_free(all);
}

VqRecord *
vq_records_find(const VqRecords *all, const char *uuid, int id)
{
    VqRecord *record = g_hash_table_lookup(all->records, uuid);

    return record && record->id == id ? record : NULL;
}

VqRecord *
vq_records_get(VqRecords *all, const char *uuid, const char *name, int id)
{
    VqRecord *record = vq_records_find(all, uuid, id);

    if (record)
        return record;
    record = g_new0(VqRecord, 1);
    record->uuid = g_strdup(uuid);
    record->name = g_strdup(name);
    record->id = id;
    record->pins = g_ptr_array_new_with_free_func(pin_free);
    record->polls = g_ptr_array_new_with_free_func(g_free);
    g_hash_table_replace(all->records, record->uuid, record);
    return record;
}

VqPinRecord *
vq_record_pin(const VqRecord *record, VqTarget target, unsigned number)
{
    for (guint i = 0; record && i < record->pins->len; i++) {
        VqPinRecord *pin = g_ptr_array_index(record->pins, i);

        if (pin->target == target && pin->number == number)
            return pin;
    }
    return NULL;
}

VqPinRecord *
vq_record_add_pin(VqRecord *record, VqTarget target, unsigned number, const char *original)
{
    VqPinRecord *pin = vq_record_pin(record, target, number);

    if (pin)
        return pin;
    pin = g_new0(VqPinRecord, 1);
    pin->target = target;
    pin->number = number;
    pin->original = g_strdup(original);
    pin->pinned = g_strdup("");
    pin->pending = g_strdup("");
    pin->promised = g_strdup("");
    g_ptr_array_add(record->pins, pin);
    return pin;
}

void
vq_record_remove_pin(VqRecord *record, VqTarget target, unsigned number)
{
    VqPinRecord *pin = vq_record_pin(record, target, number);

    if (pin)
        g_ptr_array_remove(record->pins, pin);
}

VqPollRecord *
vq_record_poll(const VqRecord *record, unsigned iothread)
{
    for (guint i = 0; record && i < record->polls->len; i++) {
        VqPollRecord *poll = g_ptr_array_index(record->polls, i);

        if (poll->iothread == iothread)
            return poll;
    }
    return NULL;
}

VqPollRecord *
vq_record_add_poll(VqRecord *record, unsigned iothread, VqPollValues original)
{
    VqPollRecord *poll = vq_record_poll(record, iothread);

    if (poll)
        return poll;
    poll = g_new0(VqPollRecord, 1);
    poll->iothread = iothread;
    poll->original = original;
    g_ptr_array_add(record->polls, poll);
    return poll;
}

void
vq_record_remove_poll(VqRecord *record, unsigned iothread)
{
    VqPollRecord *poll = vq_record_poll(record, iothread);

    if (poll)
        g_ptr_array_remove(record->polls, poll);
}

static bool
is_pending(const VqPinRecord *pin, const char *cpus)
{
    g_auto(GStrv) all = g_strsplit(pin->pending, ";", -1);

    return g_strv_contains((const char *const *)all, cpus);
}

void
vq_pin_record_add_pending(VqPinRecord *pin, const char *cpus)
{
    char *before = pin->pending;

    if (is_pending(pin, cpus))
        return;
    pin->pending = *before ? g_strconcat(before, ";", cpus, NULL) : g_strdup(cpus);
    g_free(before);
}

void
vq_pin_record_remove_pending(VqPinRecord *pin, const char *cpus)
{
    g_auto(GStrv) all = g_strsplit(pin->pending, ";", -1);
    g_autofree char *before = pin->pending;

    pin->pending = g_strdup("");
    for (char **one = all; *one; one++) {
        if (!g_str_equal(*one, cpus))
            vq_pin_record_add_pending(pin, *one);
    }
}

bool
vq_pin_record_is_ours(const VqPinRecord *pin, const VqCpuset *cpus)
{
    g_autofree char *text = vq_cpuset_format(cpus);

    return pin && *text &&
           (g_str_equal(text, pin->pinned) || is_pending(pin, text) ||
            g_str_equal(text, pin->promised));
}
