/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scenario.h"

#include "command.h"

#include "base/error.h"
#include "base/xml.h"
#include "core/expand.h"
#include "core/json.h"
#include "core/load.h"
#include "host/topology.h"

#include <string.h>

static GArray *
live_nodes(const VqDevice *device, gpointer user_data)
{
    return device->source ? vq_host_block_nodes("/", device->source) : NULL;
}

/* The domain as the driver extension would pass it on. */
static VqDomain *
read_domain(const char *path, GError **error)
{
    g_autoptr(VqProblems) problems = vq_problems_new();
    g_autofree char *text = NULL, *expanded = NULL;
    gsize length;

    if (!vq_tool_read(path, VQ_XML_SIZE_MAX, &text, &length, error))
        return NULL;
    if (!vq_expand(text, length, &expanded, error)) {
        g_prefix_error(error, "%s: ", path);
        return NULL;
    }

    const char *xml = expanded ? expanded : text;
    g_autoptr(VqDomain) domain =
        vq_domain_read(xml, expanded ? strlen(expanded) : length, problems, error);

    if (!domain || !vq_problems_to_error(problems, error)) {
        g_prefix_error(error, "%s: ", path);
        return NULL;
    }
    return g_steal_pointer(&domain);
}

static bool
is_new(const VqScenario *scenario, const VqDomain *domain, const char *path, GError **error)
{
    for (guint i = 0; i < scenario->threads->len; i++) {
        const VqThread *thread = g_ptr_array_index(scenario->threads, i);

        if (g_strcmp0(thread->domain, domain->name) != 0)
            continue;
        g_set_error(error, VQ_ERROR, VQ_ERROR_CONFLICT,
                    "%s: a domain called '%s' was given already; names on one host differ", path,
                    domain->name);
        return false;
    }
    return true;
}

/* One domain more that is called as @domain says. */
static bool
add_domain(VqScenario *scenario, const VqDomain *domain, const char *path, bool live,
           GError **error)
{
    guint before = scenario->threads->len;

    if (!is_new(scenario, domain, path, error))
        return false;
    vq_placement_add_domain(scenario->threads, domain, scenario->topology, live ? live_nodes : NULL,
                            NULL);
    if (scenario->threads->len == before)
        g_ptr_array_add(
            scenario->notes,
            g_strdup_printf("%s: nothing to place: no disk with a policy that places it",
                            domain->name ? domain->name : path));
    /* an id in dumped XML says where it ran then; what runs here is told by --current */
    for (guint i = before; i < scenario->threads->len; i++)
        ((VqThread *)g_ptr_array_index(scenario->threads, i))->running = false;
    return true;
}

/* Another one like @domain, of which there are @before. */
static bool
add_copy(VqScenario *scenario, VqDomain *domain, guint before, const char *path, bool live,
         GError **error)
{
    g_autofree char *first = g_steal_pointer(&domain->name);
    bool ok;

    domain->name = g_strdup_printf("%s-%u", first, before + 1);
    g_clear_pointer(&domain->uuid, g_free); /* not that one's */
    g_hash_table_insert(scenario->copies, g_strdup(domain->name), g_strdup(first));
    ok = add_domain(scenario, domain, path, live, error);
    g_free(domain->name);
    domain->name = g_steal_pointer(&first);
    return ok;
}

/* In the order given, and that as often as each counts. */
static bool
add_files(VqScenario *scenario, const VqScenarioOptions *options, char **files, GError **error)
{
    g_autoptr(GHashTable) domains =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)vq_domain_free);
    g_autoptr(GHashTable) counts = g_hash_table_new(g_str_hash, g_str_equal);
    bool live = !options->topology;

    for (guint round = 0; round < MAX(options->count, 1); round++) {
        for (char **file = files; *file; file++) {
            guint before = GPOINTER_TO_UINT(g_hash_table_lookup(counts, *file));
            VqDomain *domain = g_hash_table_lookup(domains, *file);

            if (!domain) {
                domain = read_domain(*file, error);
                if (!domain)
                    return false;
                g_hash_table_insert(domains, *file, domain);
            }
            if (!(before && domain->name ? add_copy(scenario, domain, before, *file, live, error)
                                         : add_domain(scenario, domain, *file, live, error)))
                return false;
            g_hash_table_insert(counts, *file, GUINT_TO_POINTER(before + 1));
        }
    }
    return true;
}

/* Domains like another one that have no load of their own have that one's. */
static void
copy_loads(VqScenario *scenario)
{
    g_autoptr(GHashTable) known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < scenario->threads->len; i++) {
        VqThread *thread = g_ptr_array_index(scenario->threads, i);
        const char *first = g_hash_table_lookup(scenario->copies, thread->domain);
        char *key = g_strdup_printf("%s/%u", first ? first : thread->domain, thread->iothread);
        const VqThread *like = first ? g_hash_table_lookup(known, key) : NULL;

        if (like && thread->load < 0) {
            thread->load = like->load;
            thread->load_source = like->load_source;
        }
        if (first)
            g_free(key);
        else
            g_hash_table_insert(known, key, thread);
    }
}

static bool
apply_load(VqScenario *scenario, const char *path, GError **error)
{
    g_autofree char *text = NULL;
    gsize length;

    if (!vq_tool_read(path, VQ_JSON_SIZE_MAX, &text, &length, error))
        return false;

    g_autoptr(GHashTable) loads = vq_load_from_json(text, (gssize)length, error);

    if (!loads) {
        g_prefix_error(error, "%s: ", path);
        return false;
    }
    vq_load_apply(scenario->threads, loads);
    copy_loads(scenario);
    return true;
}

static void
apply_placed(VqThread *thread, const VqPlaced *placed)
{
    g_autoptr(VqCpuset) set = vq_cpuset_parse(placed->cpus, NULL); /* checked by the reader */

    thread->running = true;
    thread->held = placed->held;
    if (set)
        vq_cpuset_union(thread->current, set);
    if (thread->load < 0 && placed->load_source && !g_str_equal(placed->load_source, "default")) {
        thread->load = placed->load;
        thread->load_source = "plan in force";
    }
}

static bool
apply_current(VqScenario *scenario, const char *path, GError **error)
{
    g_autofree char *text = NULL;
    gsize length;

    if (!vq_tool_read(path, VQ_JSON_SIZE_MAX, &text, &length, error))
        return false;

    g_autoptr(VqPlan) plan = vq_plan_from_json(text, (gssize)length, error);

    if (!plan) {
        g_prefix_error(error, "%s: ", path);
        return false;
    }
    for (guint i = 0; i < scenario->threads->len; i++) {
        VqThread *thread = g_ptr_array_index(scenario->threads, i);
        const VqPlaced *placed = vq_plan_find(plan, thread->domain, NULL, thread->iothread);

        if (placed)
            apply_placed(thread, placed);
    }
    return true;
}

static bool
choose_pool(VqScenario *scenario, const char *cpus, GError **error)
{
    g_autoptr(VqCpuset) set = cpus ? vq_cpuset_parse(cpus, error) : NULL;
    VqPoolRequest request = {.cpus = set, .share = VQ_POOL_SHARE_DEFAULT};

    if (cpus && !set) {
        g_prefix_error(error, "--pool: ");
        return false;
    }
    scenario->pool = vq_pool_choose(scenario->topology, &request, error);
    return scenario->pool;
}

VqScenario *
vq_scenario_read(const VqScenarioOptions *options, char **files, GError **error)
{
    g_autoptr(VqScenario) scenario = g_new0(VqScenario, 1);

    scenario->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    scenario->notes = g_ptr_array_new_with_free_func(g_free);
    scenario->copies = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    scenario->topology = options->topology ? vq_host_topology_input(options->topology, error)
                                           : vq_host_topology_live("/", error);
    if (!scenario->topology || !choose_pool(scenario, options->pool, error))
        return NULL;
    if (!add_files(scenario, options, files, error))
        return NULL;
    if (options->load && !apply_load(scenario, options->load, error))
        return NULL;
    if (options->current && !apply_current(scenario, options->current, error))
        return NULL;
    scenario->input = (VqPlacementInput){
        .topology = scenario->topology,
        .pool = scenario->pool->cpus,
        .threads = scenario->threads,
        .params = vq_placement_defaults,
    };
    return g_steal_pointer(&scenario);
}

void
vq_scenario_free(VqScenario *scenario)
{
    if (!scenario)
        return;
    g_clear_pointer(&scenario->topology, vq_topology_free);
    g_clear_pointer(&scenario->pool, vq_pool_free);
    g_ptr_array_unref(scenario->threads);
    g_ptr_array_unref(scenario->notes);
    g_hash_table_unref(scenario->copies);
    g_free(scenario);
}

void
vq_scenario_options_clear(VqScenarioOptions *options)
{
    g_free(options->topology);
    g_free(options->pool);
    g_free(options->load);
    g_free(options->current);
}
