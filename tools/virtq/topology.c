/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtq topology: the machine as placement sees it, and the pool of I/O cores with its reason. */
#include "command.h"
#include "output.h"

#include "base/error.h"
#include "core/pool.h"
#include "host/topology.h"

typedef struct {
    char *input, *pool;
    int share;
    gboolean cores;
} Options;

static void
options_clear(Options *options)
{
    g_free(options->input);
    g_free(options->pool);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

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
put_cpus(GVariantBuilder *dict, const char *key, const VqCpuset *cpus)
{
    g_autofree char *text = vq_cpuset_format(cpus);

    put_text(dict, key, text);
}

static void
put_texts(GVariantBuilder *dict, const char *key, const GPtrArray *texts)
{
    put(dict, key, g_variant_new_strv((const char *const *)texts->pdata, texts->len));
}

static int
package_os(const VqTopology *t, int index)
{
    return index < 0 ? -1 : (int)((const VqPackage *)g_ptr_array_index(t->packages, index))->os;
}

static int
node_os(const VqTopology *t, int index)
{
    return index < 0 ? -1 : (int)((const VqNode *)g_ptr_array_index(t->nodes, index))->os;
}

typedef void (*PutFunc)(GVariantBuilder *dict, const VqTopology *t, guint i);

static void
put_package(GVariantBuilder *dict, const VqTopology *t, guint i)
{
    put(dict, "package", g_variant_new_int32(package_os(t, i)));
    put_cpus(dict, "cpus", ((const VqPackage *)g_ptr_array_index(t->packages, i))->cpus);
}

static void
put_node(GVariantBuilder *dict, const VqTopology *t, guint i)
{
    const VqNode *node = g_ptr_array_index(t->nodes, i);

    put(dict, "node", g_variant_new_int32(node->os));
    put(dict, "package", g_variant_new_int32(package_os(t, node->package)));
    put_cpus(dict, "cpus", node->cpus);
    put(dict, "memory", g_variant_new_uint64(node->memory));
    put(dict, "distances",
        g_variant_new_fixed_array(G_VARIANT_TYPE_UINT32, t->distance + i * t->nodes->len,
                                  t->nodes->len, sizeof(unsigned)));
}

static void
put_cache(GVariantBuilder *dict, const VqTopology *t, guint i)
{
    const VqCache *cache = g_ptr_array_index(t->caches, i);

    put(dict, "level", g_variant_new_uint32(cache->level));
    put(dict, "size", g_variant_new_uint64(cache->size));
    put_cpus(dict, "cpus", cache->cpus);
}

static void
put_core(GVariantBuilder *dict, const VqTopology *t, guint i)
{
    const VqCore *core = g_ptr_array_index(t->cores, i);

    put(dict, "core", g_variant_new_int32(core->logical));
    put(dict, "package", g_variant_new_int32(package_os(t, core->package)));
    put(dict, "node", g_variant_new_int32(node_os(t, core->node)));
    put(dict, "cache", g_variant_new_int32(core->llc));
    put(dict, "capacity", g_variant_new_uint32(core->capacity));
    put_cpus(dict, "cpus", core->pus);
}

static void
put_block(GVariantBuilder *dict, const VqTopology *t, guint i)
{
    const VqBlock *block = g_ptr_array_index(t->blocks, i);

    put_text(dict, "name", block->name);
    put_text(dict, "model", block->model);
    put_text(dict, "serial", block->serial);
    put(dict, "nodes",
        g_variant_new_fixed_array(G_VARIANT_TYPE_UINT32, block->nodes->data, block->nodes->len,
                                  sizeof(unsigned)));
    put_texts(dict, "parents", block->parents);
}

static GVariant *
all_of(const VqTopology *t, const GPtrArray *array, PutFunc put_one)
{
    GVariantBuilder list = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));

    for (guint i = 0; i < array->len; i++) {
        GVariantBuilder dict = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);

        put_one(&dict, t, i);
        g_variant_builder_add_value(&list, g_variant_builder_end(&dict));
    }
    return g_variant_builder_end(&list);
}

static GVariant *
to_variant(const VqTopology *t, const VqPool *pool)
{
    GVariantBuilder dict = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);
    GVariantBuilder chosen = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);

    put_cpus(&chosen, "cpus", pool->cpus);
    put_text(&chosen, "source", pool->source);
    put_text(&chosen, "reason", pool->reason);
    put(&dict, "version", g_variant_new_int32(1));
    put_text(&dict, "origin", t->origin);
    put(&dict, "packages", all_of(t, t->packages, put_package));
    put(&dict, "nodes", all_of(t, t->nodes, put_node));
    put(&dict, "caches", all_of(t, t->caches, put_cache));
    put(&dict, "cores", all_of(t, t->cores, put_core));
    put(&dict, "blocks", all_of(t, t->blocks, put_block));
    put_cpus(&dict, "usable", t->usable);
    put_cpus(&dict, "isolated", t->isolated);
    put(&dict, "pool", g_variant_builder_end(&chosen));
    put_texts(&dict, "notes", t->notes);
    return g_variant_builder_end(&dict);
}

static char *
dash_or_number(int number)
{
    return number < 0 ? g_strdup("-") : g_strdup_printf("%d", number);
}

static VqCpuset *
common(const VqCpuset *a, const VqCpuset *b)
{
    VqCpuset *set = vq_cpuset_copy(a);

    vq_cpuset_intersect(set, b);
    return set;
}

static guint
cores_on_node(const VqTopology *t, int node)
{
    guint count = 0;

    for (guint i = 0; i < t->cores->len; i++)
        count += ((const VqCore *)g_ptr_array_index(t->cores, i))->node == node;
    return count;
}

static void
print_nodes(const VqTopology *t, const VqPool *pool)
{
    g_autoptr(VqTable) table =
        vq_table_new("Node", "Package", "Cores", "CPUs", "Memory", "Distances", "Pool", NULL);

    for (guint i = 0; i < t->nodes->len; i++) {
        const VqNode *node = g_ptr_array_index(t->nodes, i);
        g_autoptr(VqCpuset) in_pool = common(node->cpus, pool->cpus);
        g_autofree char *number = g_strdup_printf("%u", node->os);
        g_autofree char *package = dash_or_number(package_os(t, node->package));
        g_autofree char *cores = g_strdup_printf("%u", cores_on_node(t, i));
        g_autofree char *cpus = vq_cpuset_format(node->cpus);
        g_autofree char *memory = g_format_size_full(node->memory, G_FORMAT_SIZE_IEC_UNITS);
        g_autofree char *mine = vq_cpuset_format(in_pool);
        g_autoptr(GString) distances = g_string_new(NULL);

        for (guint k = 0; k < t->nodes->len; k++)
            g_string_append_printf(distances, "%s%u", k ? " " : "",
                                   t->distance[i * t->nodes->len + k]);
        vq_table_row(table, number, package, cores, *cpus ? cpus : NULL, memory, distances->str,
                     *mine ? mine : NULL);
    }
    putchar('\n');
    vq_table_print(table);
}

static void
print_caches(const VqTopology *t)
{
    g_autoptr(VqTable) table = vq_table_new("Cache", "Size", "CPUs", NULL);

    for (guint i = 0; i < t->caches->len; i++) {
        const VqCache *cache = g_ptr_array_index(t->caches, i);
        g_autofree char *level = g_strdup_printf("L%u", cache->level);
        g_autofree char *size = g_format_size_full(cache->size, G_FORMAT_SIZE_IEC_UNITS);
        g_autofree char *cpus = vq_cpuset_format(cache->cpus);

        vq_table_row(table, level, size, cpus);
    }
    putchar('\n');
    vq_table_print(table);
}

static void
print_cores(const VqTopology *t, const VqPool *pool)
{
    g_autoptr(VqTable) table =
        vq_table_new("Core", "Package", "Node", "CPUs", "Capacity", "Pool", NULL);

    for (guint i = 0; i < t->cores->len; i++) {
        const VqCore *core = g_ptr_array_index(t->cores, i);
        g_autofree char *number = g_strdup_printf("%u", core->logical);
        g_autofree char *package = dash_or_number(package_os(t, core->package));
        g_autofree char *node = dash_or_number(node_os(t, core->node));
        g_autofree char *cpus = vq_cpuset_format(core->pus);
        g_autofree char *capacity = g_strdup_printf("%u", core->capacity);
        g_autoptr(VqCpuset) in_pool = common(core->pus, pool->cpus);
        g_autofree char *mine = vq_cpuset_format(in_pool);

        vq_table_row(table, number, package, node, cpus, capacity, *mine ? mine : NULL);
    }
    putchar('\n');
    vq_table_print(table);
}

static void
print_blocks(const VqTopology *t)
{
    g_autoptr(VqTable) table = vq_table_new("Device", "Node", "Stacked on", "Model", NULL);

    for (guint i = 0; i < t->blocks->len; i++) {
        const VqBlock *block = g_ptr_array_index(t->blocks, i);
        g_autoptr(GString) nodes = g_string_new(NULL);
        g_autoptr(GString) parents = g_string_new(NULL);

        for (guint k = 0; k < block->nodes->len; k++)
            g_string_append_printf(nodes, "%s%u", k ? "," : "",
                                   g_array_index(block->nodes, unsigned, k));
        for (guint k = 0; k < block->parents->len; k++)
            g_string_append_printf(parents, "%s%s", k ? ", " : "",
                                   (const char *)g_ptr_array_index(block->parents, k));
        vq_table_row(table, block->name, nodes->len ? nodes->str : "unknown",
                     parents->len ? parents->str : NULL, block->model);
    }
    putchar('\n');
    vq_table_print(table);
}

static void
print(const VqTopology *t, const VqPool *pool, bool cores)
{
    g_autofree char *usable = vq_cpuset_format(t->usable);
    g_autofree char *isolated = vq_cpuset_format(t->isolated);
    g_autofree char *cpus = vq_cpuset_format(pool->cpus);

    printf(" Machine:  %s\n", t->origin);
    printf(" Packages: %u, NUMA nodes: %u, cores: %u\n", t->packages->len, t->nodes->len,
           t->cores->len);
    printf(" CPUs:     %s (%u of %u usable)\n", usable, vq_cpuset_count(t->usable), t->pus->len);
    printf(" Isolated: %s\n", *isolated ? isolated : "-");
    printf(" I/O pool: %s\n Because:  %s\n", *cpus ? cpus : "-", pool->reason);
    for (guint i = 0; i < t->notes->len; i++)
        printf(" Note:     %s\n", (const char *)g_ptr_array_index(t->notes, i));
    print_nodes(t, pool);
    if (cores)
        print_cores(t, pool);
    if (cores && t->caches->len)
        print_caches(t);
    if (t->blocks->len)
        print_blocks(t);
}

static VqPool *
choose_pool(const VqTopology *topology, const Options *options, GError **error)
{
    g_autoptr(VqCpuset) cpus = options->pool ? vq_cpuset_parse(options->pool, error) : NULL;
    VqPoolRequest request = {.cpus = cpus, .share = options->share};

    if (options->pool && !cpus) {
        g_prefix_error(error, "--pool: ");
        return NULL;
    }
    if (options->share < 1) { /* the core's share is unsigned */
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT, "--share %d is not 1..90", options->share);
        return NULL;
    }
    return vq_pool_choose(topology, &request, error);
}

bool
vq_cmd_topology(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    g_auto(Options) options = {.share = VQ_POOL_SHARE_DEFAULT};
    const GOptionEntry entries[] = {
        {"input", 'i', 0, G_OPTION_ARG_STRING, &options.input,
         "hwloc XML file or synthetic description (this host)", "MACHINE"},
        {"pool", 'p', 0, G_OPTION_ARG_STRING, &options.pool, "CPUs for I/O (isolated ones, or 25%)",
         "CPULIST"},
        {"share", 'n', 0, G_OPTION_ARG_INT, &options.share,
         "cores for I/O where none are given or isolated, per cent (25)", "N"},
        {"cores", 'o', 0, G_OPTION_ARG_NONE, &options.cores, "list cores and caches too", NULL},
        {NULL},
    };
    bool done;

    if (!vq_command_parse(command, entries, &argc, &argv, &done, error))
        return false;
    if (done)
        return true;

    g_autoptr(VqTopology) topology = options.input ? vq_host_topology_input(options.input, error)
                                                   : vq_host_topology_live("/", error);
    g_autoptr(VqPool) pool = topology ? choose_pool(topology, &options, error) : NULL;

    if (!pool)
        return false;
    if (!vq_output_data(tool, to_variant(topology, pool)))
        print(topology, pool, options.cores);
    return true;
}
