/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plan as a value and as JSON text; plan-variant.c has its form as data. */
#include "core/plan.h"

#include "base/cpuset.h"

#include "core/json.h"

static void
placed_free(VqPlaced *placed)
{
    g_free(placed->domain);
    g_free(placed->disk);
    g_array_unref(placed->queues);
    g_free(placed->cpus);
    g_free(placed->load_source);
    g_free(placed->reason);
    g_free(placed->degraded);
    g_free(placed->alternative);
    g_free(placed);
}

static void
refused_free(VqRefused *refused)
{
    g_free(refused->domain);
    g_free(refused->disk);
    g_free(refused->reason);
    g_free(refused);
}

static void
move_free(VqMove *move)
{
    g_free(move->domain);
    g_free(move->disk);
    g_free(move->reason);
    g_free(move);
}

VqPlan *
vq_plan_new(void)
{
    VqPlan *plan = g_new0(VqPlan, 1);

    plan->placements = g_ptr_array_new_with_free_func((GDestroyNotify)placed_free);
    plan->refused = g_ptr_array_new_with_free_func((GDestroyNotify)refused_free);
    plan->moves = g_ptr_array_new_with_free_func((GDestroyNotify)move_free);
    return plan;
}

void
vq_plan_free(VqPlan *plan)
{
    if (!plan)
        return;
    g_ptr_array_unref(plan->placements);
    g_ptr_array_unref(plan->refused);
    g_ptr_array_unref(plan->moves);
    g_free(plan);
}

VqPlaced *
vq_plan_add(VqPlan *plan, const char *domain, const char *disk, unsigned iothread)
{
    VqPlaced *placed = g_new0(VqPlaced, 1);

    placed->domain = g_strdup(domain);
    placed->disk = g_strdup(disk);
    placed->iothread = iothread;
    placed->queues = g_array_new(FALSE, FALSE, sizeof(unsigned));
    placed->cpu = placed->core = placed->node = placed->device_node = -1;
    placed->cpus = g_strdup("");
    g_ptr_array_add(plan->placements, placed);
    return placed;
}

void
vq_plan_add_refused(VqPlan *plan, const char *domain, const char *disk, const char *reason)
{
    VqRefused *refused = g_new0(VqRefused, 1);

    refused->domain = g_strdup(domain);
    refused->disk = g_strdup(disk);
    refused->reason = g_strdup(reason);
    g_ptr_array_add(plan->refused, refused);
}

VqMove *
vq_plan_add_move(VqPlan *plan, const char *domain, const char *disk, unsigned iothread)
{
    VqMove *move = g_new0(VqMove, 1);

    move->domain = g_strdup(domain);
    move->disk = g_strdup(disk);
    move->iothread = iothread;
    move->from = move->to = -1;
    g_ptr_array_add(plan->moves, move);
    return move;
}

VqPlaced *
vq_plan_find(const VqPlan *plan, const char *domain, const char *disk, unsigned iothread)
{
    for (guint i = 0; i < plan->placements->len; i++) {
        VqPlaced *placed = g_ptr_array_index(plan->placements, i);

        if (placed->iothread == iothread && g_str_equal(placed->domain, domain) &&
            (!disk || g_str_equal(placed->disk, disk)))
            return placed;
    }
    return NULL;
}

static guint
placed_hash(gconstpointer key)
{
    const VqPlaced *placed = key;

    return g_str_hash(placed->domain) * 31 + placed->iothread;
}

static gboolean
placed_equal(gconstpointer a, gconstpointer b)
{
    const VqPlaced *left = a, *right = b;

    return left->iothread == right->iothread && g_str_equal(left->domain, right->domain);
}

GHashTable *
vq_plan_index(const VqPlan *plan)
{
    GHashTable *index = g_hash_table_new(placed_hash, placed_equal);

    for (guint i = 0; i < plan->placements->len; i++) {
        VqPlaced *placed = g_ptr_array_index(plan->placements, i);

        if (!g_hash_table_contains(index, placed))
            g_hash_table_add(index, placed);
    }
    return index;
}

VqPlaced *
vq_plan_index_find(GHashTable *index, const char *domain, unsigned iothread)
{
    const VqPlaced key = {.domain = (char *)domain, .iothread = iothread};

    return g_hash_table_lookup(index, &key);
}

const VqRefused *
vq_plan_refusal(const VqPlan *plan, const char *domain)
{
    for (guint i = 0; i < plan->refused->len; i++) {
        const VqRefused *refused = g_ptr_array_index(plan->refused, i);

        if (g_str_equal(refused->domain, domain))
            return refused;
    }
    return NULL;
}

char *
vq_plan_to_json(const VqPlan *plan)
{
    g_autoptr(GVariant) variant = g_variant_ref_sink(vq_plan_to_variant(plan));
    g_autoptr(JsonNode) node = json_gvariant_serialize(variant);

    return vq_json_print(node);
}

VqPlan *
vq_plan_from_json(const char *text, gssize length, GError **error)
{
    g_autoptr(JsonNode) node = vq_json_parse(text, length, "plan", error);

    if (!node)
        return NULL;

    g_autoptr(GVariant) variant = json_gvariant_deserialize(node, "a{sv}", error);

    if (!variant) {
        g_prefix_error(error, "plan: ");
        return NULL;
    }
    g_variant_ref_sink(variant);
    return vq_plan_from_variant(variant, error);
}

char *
vq_queues_text(const GArray *queues)
{
    g_autoptr(VqCpuset) set = vq_cpuset_new();

    for (guint i = 0; i < queues->len; i++)
        vq_cpuset_add(set, g_array_index(queues, unsigned, i));
    return vq_cpuset_format(set);
}
