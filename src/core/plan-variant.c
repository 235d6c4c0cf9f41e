/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plan <-> a{sv}. The reader takes what D-Bus brings (exact types) as well as what a JSON text
 * becomes (every number is int64 or double, every array av), and checks all of it: a plan read is
 * as good as a plan computed.
 */
#include "core/plan.h"

#include "base/cpuset.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

#define IOTHREAD_MAX G_MAXINT /* libvirt's ids are unsigned int, read as positive int */
#define LOAD_MAX     1e6      /* cores; keeps arithmetic on loads finite */

static void
put(GVariantBuilder *dict, const char *key, GVariant *value)
{
    g_variant_builder_add(dict, "{sv}", key, value);
}

static void
put_text(GVariantBuilder *dict, const char *key, const char *text)
{
    if (text)
        put(dict, key, g_variant_new_string(text));
}

static void
put_who(GVariantBuilder *dict, const char *domain, const char *disk, unsigned iothread)
{
    put_text(dict, "domain", domain);
    put_text(dict, "disk", disk);
    put(dict, "iothread", g_variant_new_uint32(iothread));
}

static GVariant *
placed_to_variant(const VqPlaced *placed)
{
    GVariantBuilder dict = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);

    put_who(&dict, placed->domain, placed->disk, placed->iothread);
    put(&dict, "queues",
        g_variant_new_fixed_array(G_VARIANT_TYPE_UINT32, placed->queues->data, placed->queues->len,
                                  sizeof(guint32)));
    put_text(&dict, "class", vq_enum_name(vq_placement_names, (int)placed->class));
    put_text(&dict, "wanted", vq_enum_name(vq_placement_names, (int)placed->wanted));
    put(&dict, "cpu", g_variant_new_int32(placed->cpu));
    put_text(&dict, "cpus", placed->cpus);
    put(&dict, "core", g_variant_new_int32(placed->core));
    put(&dict, "node", g_variant_new_int32(placed->node));
    put(&dict, "device_node", g_variant_new_int32(placed->device_node));
    put(&dict, "load", g_variant_new_double(placed->load));
    put_text(&dict, "load_source", placed->load_source);
    put(&dict, "held", g_variant_new_boolean(placed->held));
    put_text(&dict, "reason", placed->reason);
    put_text(&dict, "degraded", placed->degraded);
    put_text(&dict, "alternative", placed->alternative);
    return g_variant_builder_end(&dict);
}

static GVariant *
refused_to_variant(const VqRefused *refused)
{
    GVariantBuilder dict = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);

    put_text(&dict, "domain", refused->domain);
    put_text(&dict, "disk", refused->disk);
    put_text(&dict, "reason", refused->reason);
    return g_variant_builder_end(&dict);
}

static GVariant *
move_to_variant(const VqMove *move)
{
    GVariantBuilder dict = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);

    put_who(&dict, move->domain, move->disk, move->iothread);
    put(&dict, "from", g_variant_new_int32(move->from));
    put(&dict, "to", g_variant_new_int32(move->to));
    put_text(&dict, "reason", move->reason);
    return g_variant_builder_end(&dict);
}

typedef GVariant *(*ToVariant)(gconstpointer);

static GVariant *
list_to_variant(const GPtrArray *list, ToVariant item)
{
    GVariantBuilder array = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));

    for (guint i = 0; i < list->len; i++)
        g_variant_builder_add_value(&array, item(g_ptr_array_index(list, i)));
    return g_variant_builder_end(&array);
}

GVariant *
vq_plan_to_variant(const VqPlan *plan)
{
    GVariantBuilder dict = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);

    put(&dict, "version", g_variant_new_uint32(1));
    put(&dict, "placements", list_to_variant(plan->placements, (ToVariant)placed_to_variant));
    put(&dict, "refused", list_to_variant(plan->refused, (ToVariant)refused_to_variant));
    put(&dict, "moves", list_to_variant(plan->moves, (ToVariant)move_to_variant));
    return g_variant_builder_end(&dict);
}

/* What is being read, for errors: "placements[3]". The first error stays. */
typedef struct {
    GVariant *dict;
    const char *list;
    gsize index;
    GError **error;
    bool failed;
} Reader;

static void G_GNUC_PRINTF(3, 4) fail(Reader *reader, const char *key, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    if (reader->failed)
        return;
    reader->failed = true;
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(reader->error, VQ_ERROR, VQ_ERROR_INVALID, "plan: %s[%" G_GSIZE_FORMAT "].%s: %s",
                reader->list, reader->index, key, text);
}

static bool
integer_of(GVariant *value, gint64 *out)
{
    switch (g_variant_classify(value)) {
    case G_VARIANT_CLASS_INT32:
        *out = g_variant_get_int32(value);
        return true;
    case G_VARIANT_CLASS_UINT32:
        *out = g_variant_get_uint32(value);
        return true;
    case G_VARIANT_CLASS_INT64:
        *out = g_variant_get_int64(value);
        return true;
    default:
        return false;
    }
}

static gint64
get_int(Reader *reader, const char *key, gint64 min, gint64 max, gint64 fallback)
{
    g_autoptr(GVariant) value = g_variant_lookup_value(reader->dict, key, NULL);
    gint64 number = fallback;

    if (!value)
        return fallback;
    if (!integer_of(value, &number)) {
        fail(reader, key, "not an integer");
        return fallback;
    }
    if (number < min || number > max) {
        fail(reader, key,
             "%" G_GINT64_FORMAT " is not within %" G_GINT64_FORMAT "..%" G_GINT64_FORMAT, number,
             min, max);
        return fallback;
    }
    return number;
}

static double
get_load(Reader *reader)
{
    g_autoptr(GVariant) value = g_variant_lookup_value(reader->dict, "load", NULL);
    gint64 integer = 0;
    double load = 0;

    if (!value)
        return 0;
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_DOUBLE))
        load = g_variant_get_double(value);
    else if (integer_of(value, &integer))
        load = (double)integer;
    else
        fail(reader, "load", "not a number");
    if (!isfinite(load) || load < 0 || load > LOAD_MAX) {
        fail(reader, "load", "%g is not within 0..%g", load, LOAD_MAX);
        return 0;
    }
    return load;
}

/* NULL if the key is not there. */
static char *
get_text(Reader *reader, const char *key, bool needed)
{
    g_autoptr(GVariant) value = g_variant_lookup_value(reader->dict, key, NULL);

    if (value && g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
        return g_variant_dup_string(value, NULL);
    if (value || needed)
        fail(reader, key, value ? "not a text" : "missing");
    return needed ? g_strdup("") : NULL;
}

static bool
get_bool(Reader *reader, const char *key)
{
    g_autoptr(GVariant) value = g_variant_lookup_value(reader->dict, key, NULL);

    if (!value)
        return false;
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN))
        return g_variant_get_boolean(value);
    fail(reader, key, "not true or false");
    return false;
}

static VqPlacement
get_class(Reader *reader, const char *key, VqPlacement fallback)
{
    g_autofree char *name = get_text(reader, key, false);
    int value = (int)fallback;

    if (name && !vq_enum_from_name(vq_placement_names, name, &value)) {
        g_autofree char *list = vq_enum_list(vq_placement_names);

        fail(reader, key, "'%.40s' is not %s", name, list);
    }
    return (VqPlacement)value;
}

static GVariant *
child_of(GVariant *array, gsize i)
{
    g_autoptr(GVariant) child = g_variant_get_child_value(array, i);

    return g_variant_is_of_type(child, G_VARIANT_TYPE_VARIANT) ? g_variant_get_variant(child)
                                                               : g_steal_pointer(&child);
}

static void
get_queues(Reader *reader, GArray *queues)
{
    g_autoptr(GVariant) value = g_variant_lookup_value(reader->dict, "queues", NULL);

    if (!value)
        return;
    if (!g_variant_is_of_type(value, G_VARIANT_TYPE_ARRAY) ||
        g_variant_n_children(value) > VQ_QUEUES_MAX) {
        fail(reader, "queues", "not a list of at most %d queues", VQ_QUEUES_MAX);
        return;
    }
    for (gsize i = 0; i < g_variant_n_children(value); i++) {
        g_autoptr(GVariant) item = child_of(value, i);
        gint64 number = -1;

        if (!integer_of(item, &number) || number < 0 || number >= VQ_QUEUES_MAX) {
            fail(reader, "queues", "a queue is not an integer within 0..%d", VQ_QUEUES_MAX - 1);
            return;
        }
        unsigned queue = (unsigned)number;

        g_array_append_val(queues, queue);
    }
}

static void
get_cpus(Reader *reader, VqPlaced *placed)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = get_text(reader, "cpus", false);

    if (!text && placed->cpu >= 0)
        text = g_strdup_printf("%d", placed->cpu);
    if (!text)
        return;

    g_autoptr(VqCpuset) set = vq_cpuset_parse(text, &error);

    if (!set) {
        fail(reader, "cpus", "%s", error->message);
        return;
    }
    g_free(placed->cpus);
    placed->cpus = g_steal_pointer(&text);
}

static void
read_placed(Reader *reader, VqPlan *plan)
{
    g_autofree char *domain = get_text(reader, "domain", true);
    g_autofree char *disk = get_text(reader, "disk", true);
    unsigned iothread = (unsigned)get_int(reader, "iothread", 1, IOTHREAD_MAX, 1);
    VqPlaced *placed = vq_plan_add(plan, domain, disk, iothread);

    get_queues(reader, placed->queues);
    placed->class = get_class(reader, "class", VQ_PLACEMENT_SHARED);
    placed->wanted = get_class(reader, "wanted", placed->class);
    placed->cpu = (int)get_int(reader, "cpu", -1, VQ_CPUSET_MAX - 1, -1);
    get_cpus(reader, placed);
    placed->core = (int)get_int(reader, "core", -1, G_MAXINT, -1);
    placed->node = (int)get_int(reader, "node", -1, G_MAXINT, -1);
    placed->device_node = (int)get_int(reader, "device_node", -1, G_MAXINT, -1);
    placed->load = get_load(reader);
    placed->load_source = get_text(reader, "load_source", false);
    placed->held = get_bool(reader, "held");
    placed->reason = get_text(reader, "reason", false);
    placed->degraded = get_text(reader, "degraded", false);
    placed->alternative = get_text(reader, "alternative", false);
}

static void
read_refused(Reader *reader, VqPlan *plan)
{
    g_autofree char *domain = get_text(reader, "domain", true);
    g_autofree char *disk = get_text(reader, "disk", false);
    g_autofree char *reason = get_text(reader, "reason", true);

    vq_plan_add_refused(plan, domain, disk, reason);
}

static void
read_move(Reader *reader, VqPlan *plan)
{
    g_autofree char *domain = get_text(reader, "domain", true);
    g_autofree char *disk = get_text(reader, "disk", true);
    unsigned iothread = (unsigned)get_int(reader, "iothread", 1, IOTHREAD_MAX, 1);
    VqMove *move = vq_plan_add_move(plan, domain, disk, iothread);

    move->from = (int)get_int(reader, "from", -1, VQ_CPUSET_MAX - 1, -1);
    move->to = (int)get_int(reader, "to", -1, VQ_CPUSET_MAX - 1, -1);
    move->reason = get_text(reader, "reason", false);
}

typedef void (*ReadFunc)(Reader *reader, VqPlan *plan);

static bool
read_list(GVariant *variant, const char *name, ReadFunc read, VqPlan *plan, GError **error)
{
    g_autoptr(GVariant) list = g_variant_lookup_value(variant, name, NULL);

    if (!list)
        return true;
    if (!g_variant_is_of_type(list, G_VARIANT_TYPE_ARRAY)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "plan: '%s' is not a list", name);
        return false;
    }
    for (gsize i = 0; i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) item = child_of(list, i);
        Reader reader = {item, name, i, error, false};

        if (!g_variant_is_of_type(item, G_VARIANT_TYPE_VARDICT)) {
            g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID,
                        "plan: %s[%" G_GSIZE_FORMAT "] is not an object", name, i);
            return false;
        }
        read(&reader, plan);
        if (reader.failed)
            return false;
    }
    return true;
}

static bool
check_version(GVariant *variant, GError **error)
{
    g_autoptr(GVariant) version = g_variant_lookup_value(variant, "version", NULL);
    gint64 number = 0;

    if (version && integer_of(version, &number) && number == 1)
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_UNSUPPORTED,
                "plan: \"version\" is %s; this release reads version 1",
                version ? "another one" : "missing");
    return false;
}

VqPlan *
vq_plan_from_variant(GVariant *variant, GError **error)
{
    g_autoptr(VqPlan) plan = vq_plan_new();

    if (!g_variant_is_of_type(variant, G_VARIANT_TYPE_VARDICT)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "plan: not a dictionary");
        return NULL;
    }
    if (!check_version(variant, error) ||
        !read_list(variant, "placements", read_placed, plan, error) ||
        !read_list(variant, "refused", read_refused, plan, error) ||
        !read_list(variant, "moves", read_move, plan, error))
        return NULL;
    return g_steal_pointer(&plan);
}
