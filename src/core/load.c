/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/load.h"

#include "base/error.h"
#include "base/xml.h"
#include "core/json.h"
#include "core/placement.h"

#include <math.h>
#include <string.h>

/* "domain/disk/queue": the last two parts have no slash in them; the first may. */
static bool
check_key(const char *key, GError **error)
{
    const char *queue = strrchr(key, '/');
    const char *disk = queue ? g_strrstr_len(key, queue - key, "/") : NULL;
    unsigned number = 0;

    if (disk && disk > key && queue > disk + 1 &&
        vq_parse_uint(queue + 1, VQ_QUEUES_MAX - 1, &number))
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID,
                "load: key '%.80s' is not \"domain/disk/queue\" with a queue within 0..%d", key,
                VQ_QUEUES_MAX - 1);
    return false;
}

static bool
read_load(JsonObject *object, const char *key, double *load, GError **error)
{
    JsonNode *node = json_object_get_member(object, key);
    GType type = JSON_NODE_HOLDS_VALUE(node) ? json_node_get_value_type(node) : G_TYPE_INVALID;

    if (!check_key(key, error))
        return false;
    if (type != G_TYPE_DOUBLE && type != G_TYPE_INT64) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "load: '%.80s' is not a number", key);
        return false;
    }
    *load = json_node_get_double(node);
    if (isfinite(*load) && *load >= 0 && *load <= 1)
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                "load: '%.80s' is %g, not a share of one core within 0..1", key, *load);
    return false;
}

GHashTable *
vq_load_from_json(const char *text, gssize length, GError **error)
{
    g_autoptr(JsonNode) root = vq_json_parse(text, length, "load", error);

    if (!root)
        return NULL;

    g_autoptr(GHashTable) loads = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    JsonObject *object = json_node_get_object(root);
    g_autoptr(GList) keys = json_object_get_members(object);

    for (GList *l = keys; l; l = l->next) {
        double load = 0;

        if (!read_load(object, l->data, &load, error))
            return NULL;
        g_hash_table_insert(loads, g_strdup(l->data), g_memdup2(&load, sizeof(load)));
    }
    return g_steal_pointer(&loads);
}

/* Adds what is known of the queues of @served; false if one of them is not. */
static bool
add_served(const char *domain, const VqServed *served, GHashTable *loads, double *sum)
{
    for (guint i = 0; i < served->queues->len; i++) {
        g_autofree char *key = g_strdup_printf("%s/%s/%u", domain, served->disk,
                                               g_array_index(served->queues, unsigned, i));
        const double *load = g_hash_table_lookup(loads, key);

        if (!load)
            return false;
        *sum += *load;
    }
    return true;
}

void
vq_load_apply(GPtrArray *threads, GHashTable *loads)
{
    for (guint i = 0; i < threads->len; i++) {
        VqThread *thread = g_ptr_array_index(threads, i);
        bool known = thread->serves->len > 0;
        double sum = 0;

        for (guint k = 0; known && k < thread->serves->len; k++)
            known = add_served(thread->domain, g_ptr_array_index(thread->serves, k), loads, &sum);
        if (known) {
            thread->load = sum;
            thread->load_source = "given";
        }
    }
}
