/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/known.h"

/* Of the domains, this part is read again in one round for its age alone. */
#define BUDGET_PART 4

static void
domain_free(gpointer data)
{
    VqKnownDomain *domain = data;

    g_free(domain->uuid);
    g_free(domain->name);
    g_free(domain);
}

VqKnown *
vq_known_new(gint64 recheck_us)
{
    VqKnown *known = g_new0(VqKnown, 1);

    known->domains = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, domain_free);
    known->recheck_us = recheck_us;
    return known;
}

void
vq_known_free(VqKnown *known)
{
    if (!known)
        return;
    g_hash_table_unref(known->domains);
    g_free(known);
}

void
vq_known_begin(VqKnown *known, unsigned running)
{
    known->round++;
    known->budget = running / BUDGET_PART + 1;
}

void
vq_known_end(VqKnown *known)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, known->domains);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        if (((VqKnownDomain *)value)->round != known->round)
            g_hash_table_iter_remove(&iter);
    }
}

VqKnownDomain *
vq_known_fresh(VqKnown *known, const char *uuid, int id, bool wanted, gint64 now_us)
{
    VqKnownDomain *domain = g_hash_table_lookup(known->domains, uuid);

    if (!domain || domain->id != id || (wanted && !domain->ours))
        return NULL;
    if (now_us - domain->read_us >= known->recheck_us && known->budget > 0) {
        known->budget--;
        return NULL;
    }
    domain->round = known->round;
    return domain;
}

VqKnownDomain *
vq_known_note(VqKnown *known, const char *uuid, const char *name, int id, bool ours, gint64 now_us)
{
    VqKnownDomain *before = g_hash_table_lookup(known->domains, uuid);
    VqKnownDomain *domain = g_new0(VqKnownDomain, 1);

    *domain = (VqKnownDomain){.uuid = g_strdup(uuid),
                              .name = g_strdup(name),
                              .id = id,
                              .pid = before && before->id == id ? before->pid : 0,
                              .ours = ours,
                              .read_us = now_us,
                              .round = known->round};
    g_hash_table_replace(known->domains, domain->uuid, domain);
    return domain;
}

void
vq_known_forget(VqKnown *known, const char *uuid)
{
    VqKnownDomain *domain;

    if (!uuid) {
        g_hash_table_remove_all(known->domains);
        return;
    }
    domain = g_hash_table_lookup(known->domains, uuid);
    if (domain)
        domain->id = -1;
}
