/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Layout, top to bottom: heading, one box a package, in it one box a NUMA node (block devices, the
 * I/O cores large with their threads, the other cores small), then what has no core of the pool,
 * what was refused, and the legend. Each part draws at picture->y and moves it down.
 */
#include "picture.h"
#include "svg.h"

#define MARGIN      24
#define PAD         12
#define CORE_WIDTH  212
#define CORE_HEAD   26
#define CHIP_HEIGHT 40
#define CHIP_GAP    6
#define SMALL_SIZE  44
#define SMALL_STEP  50
#define COLUMNS_MIN 4 /* I/O cores side by side in a node: as wide as the legend needs */
#define COLUMNS_MAX 6

static const char style[] =
    ".page{fill:#fff}\n"
    ".package{fill:#fff;stroke:#8c959f;stroke-width:1.5}\n"
    ".node{fill:#f6f8fa;stroke:#d0d7de}\n"
    ".core{fill:#fff8e1;stroke:#d4a72c;stroke-width:1.5}\n"
    ".other{fill:#eaeef2;stroke:#d0d7de}\n"
    ".device{fill:#e6f4ea;stroke:#34a853}\n"
    ".dedicated{fill:#0b57d0;stroke:#08429e}\n"
    ".shared{fill:#d3e3fd;stroke:#7cacf8}\n"
    ".degraded{stroke:#b3261e;stroke-width:2;stroke-dasharray:4 2}\n"
    ".bar{fill:#00000022}\n.load{fill:#f9ab00}\n"
    "text{fill:#1f2328}\n.title{font-weight:bold}\n.dim{fill:#57606a}\n"
    ".bold{font-weight:bold}\n.light{fill:#fff}\n.lightbold{fill:#fff;font-weight:bold}\n"
    ".bad{fill:#b3261e}\n";

typedef struct {
    const VqTopology *topology;
    const VqCpuset *pool;
    const VqPlan *plan;
    GString *body;
    int columns; /* COLUMNS_MIN..COLUMNS_MAX, the same for all nodes */
    int y;       /* drawn down to here */
} Picture;

static int
inner_width(const Picture *picture)
{
    return picture->columns * (CORE_WIDTH + PAD) - PAD;
}

static int
node_width(const Picture *picture)
{
    return inner_width(picture) + 2 * PAD;
}

static int
page_width(const Picture *picture)
{
    return node_width(picture) + 2 * PAD + 2 * MARGIN;
}

/* One thread: which disk and queues, which IOThread, how busy. */
static void
draw_chip(GString *body, int x, int y, int width, const VqPlaced *placed)
{
    bool dedicated = placed->class == VQ_PLACEMENT_DEDICATED;
    g_autofree char *queues = vq_queues_text(placed->queues);
    g_autofree char *who = g_strdup_printf("%s · %s", placed->domain, placed->disk);
    g_autofree char *what = g_strdup_printf("q%s · IOThread %u%s", queues, placed->iothread,
                                            placed->held ? " · held" : "");
    g_autofree char *css = g_strdup_printf("%s%s", dedicated ? "dedicated" : "shared",
                                           placed->degraded ? " degraded" : "");
    double load = CLAMP(placed->load, 0.0, 1.0);
    g_autofree char *percent = g_strdup_printf("%.0f%%", load * 100);

    vq_svg_group(body, "%s %s queue %s, IOThread %u: %s, load %s%s%s\n%s", placed->domain,
                 placed->disk, queues, placed->iothread,
                 vq_enum_name(vq_placement_names, placed->class), percent,
                 placed->degraded ? "\n" : "", placed->degraded ? placed->degraded : "",
                 placed->reason ? placed->reason : "");
    vq_svg_rect(body, (VqRect){x, y, width, CHIP_HEIGHT}, css);
    vq_svg_text(body, x + 8, y + 16, width - 52, 12, dedicated ? "lightbold" : "bold", who);
    vq_svg_text(body, x + 8, y + 31, width - 52, 10, dedicated ? "light" : "dim", what);
    vq_svg_text(body, x + width - 36, y + 16, 40, 10, dedicated ? "light" : "dim", percent);
    vq_svg_rect(body, (VqRect){x + width - 38, y + 24, 30, 6}, "bar");
    if (load > 0)
        vq_svg_rect(body, (VqRect){x + width - 38, y + 24, MAX(1, (int)(30 * load)), 6}, "load");
    vq_svg_end(body);
}

static GPtrArray *
placed_on(const Picture *picture, const VqCore *core)
{
    GPtrArray *found = g_ptr_array_new();

    for (guint i = 0; i < picture->plan->placements->len; i++) {
        VqPlaced *placed = g_ptr_array_index(picture->plan->placements, i);

        if (placed->cpu >= 0 && vq_cpuset_has(core->pus, placed->cpu))
            g_ptr_array_add(found, placed);
    }
    return found;
}

/* Large: it serves I/O, by being in the pool or by having a thread on it all the same. */
static bool
is_large(const Picture *picture, const VqCore *core)
{
    g_autoptr(GPtrArray) threads = placed_on(picture, core);

    return vq_cpuset_intersects(core->pus, picture->pool) || threads->len > 0;
}

/* Height of a core that shows its threads in @span columns. */
static int
core_height(const Picture *picture, int span, const VqCore *core)
{
    g_autoptr(GPtrArray) threads = placed_on(picture, core);
    int rows = MAX(((int)threads->len + span - 1) / span, 1);

    return CORE_HEAD + rows * (CHIP_HEIGHT + CHIP_GAP) + CHIP_GAP;
}

static void
draw_core(const Picture *picture, VqRect rect, int span, const VqCore *core)
{
    g_autoptr(GPtrArray) threads = placed_on(picture, core);
    g_autofree char *pus = vq_cpuset_format(core->pus);
    g_autofree char *head = g_strdup_printf("core %u", core->logical);
    g_autofree char *detail = g_strdup_printf("CPU %s", pus);

    vq_svg_group(picture->body, "I/O core %u, CPUs %s", core->logical, pus);
    vq_svg_rect(picture->body, rect, "core");
    vq_svg_text(picture->body, rect.x + 8, rect.y + 18, 90, 12, "bold", head);
    vq_svg_text(picture->body, rect.x + 100, rect.y + 18, CORE_WIDTH - 108, 11, "dim", detail);
    if (threads->len == 0)
        vq_svg_text(picture->body, rect.x + 8, rect.y + CORE_HEAD + 20, CORE_WIDTH - 16, 11, "dim",
                    "free");
    for (int i = 0; i < (int)threads->len; i++)
        draw_chip(picture->body, rect.x + 6 + i % span * (CORE_WIDTH + PAD),
                  rect.y + CORE_HEAD + i / span * (CHIP_HEIGHT + CHIP_GAP), CORE_WIDTH - 12,
                  g_ptr_array_index(threads, i));
    vq_svg_end(picture->body);
}

/* Rows of I/O cores; where there are fewer than columns, each is as wide as there is room. */
static void
draw_large_cores(Picture *picture, int x, const GPtrArray *cores)
{
    int span = picture->columns / CLAMP((int)cores->len, 1, picture->columns);
    int per_row = picture->columns / span, width = span * (CORE_WIDTH + PAD) - PAD;

    for (int row = 0; row < (int)cores->len; row += per_row) {
        int end = MIN(row + per_row, (int)cores->len);
        int height = 0;

        for (int i = row; i < end; i++)
            height = MAX(height, core_height(picture, span, g_ptr_array_index(cores, i)));
        for (int i = row; i < end; i++) {
            VqRect rect = {x + (i - row) * (width + PAD), picture->y, width, height};

            draw_core(picture, rect, span, g_ptr_array_index(cores, i));
        }
        picture->y += height + PAD;
    }
}

static void
draw_small_cores(Picture *picture, int x, const GPtrArray *cores)
{
    guint columns = inner_width(picture) / SMALL_STEP;

    for (guint i = 0; i < cores->len; i++) {
        const VqCore *core = g_ptr_array_index(cores, i);
        g_autofree char *pus = vq_cpuset_format(core->pus);
        int cx = x + (int)(i % columns) * SMALL_STEP;

        vq_svg_group(picture->body, "core %u, CPUs %s: vCPUs and everything else", core->logical,
                     pus);
        vq_svg_rect(picture->body, (VqRect){cx, picture->y, SMALL_SIZE, SMALL_SIZE - 12}, "other");
        vq_svg_text(picture->body, cx + 4, picture->y + 20, SMALL_SIZE - 2, 10, "dim", pus);
        vq_svg_end(picture->body);
        if (i % columns == columns - 1 || i + 1 == cores->len)
            picture->y += SMALL_STEP - 12;
    }
    if (cores->len)
        picture->y += PAD / 2;
}

static bool
block_is_at(const VqBlock *block, const VqNode *node)
{
    if (!node)
        return block->nodes->len == 0;
    for (guint i = 0; i < block->nodes->len; i++) {
        if (g_array_index(block->nodes, unsigned, i) == node->os)
            return true;
    }
    return false;
}

static void
draw_devices(Picture *picture, int x, const VqNode *node, const char *label)
{
    int start = x, count = 0;

    for (guint i = 0; i < picture->topology->blocks->len; i++) {
        const VqBlock *block = g_ptr_array_index(picture->topology->blocks, i);
        int width = 20 + (int)(g_utf8_strlen(block->name, -1) * 12 * VQ_SVG_ADVANCE);

        if (!block_is_at(block, node))
            continue;
        if (count++ == 0) {
            vq_svg_text(picture->body, x, picture->y + 16, 220, 11, "dim", label);
            start = x += 12 + (int)(g_utf8_strlen(label, -1) * 11 * VQ_SVG_ADVANCE);
        }
        if (x + width > MARGIN + node_width(picture)) {
            x = start;
            picture->y += 28;
        }
        vq_svg_group(picture->body, "block device %s%s%s", block->name, block->model ? ", " : "",
                     block->model ? block->model : "");
        vq_svg_rect(picture->body, (VqRect){x, picture->y, width, 22}, "device");
        vq_svg_text(picture->body, x + 8, picture->y + 15, width, 12, "", block->name);
        vq_svg_end(picture->body);
        x += width + 8;
    }
    if (count)
        picture->y += 22 + PAD;
}

/* The cores of one NUMA node (index; -1: of none) within one package, large and small. */
static void
collect_cores(const Picture *picture, int package, int node, GPtrArray *large, GPtrArray *small)
{
    for (guint i = 0; i < picture->topology->cores->len; i++) {
        VqCore *core = g_ptr_array_index(picture->topology->cores, i);

        if (core->package == package && core->node == node)
            g_ptr_array_add(is_large(picture, core) ? large : small, core);
    }
}

/* As many columns as the node with the most I/O cores fills. */
static int
choose_columns(const Picture *picture)
{
    const VqTopology *topology = picture->topology;
    guint most = 0;

    for (int package = -1; package < (int)topology->packages->len; package++) {
        for (int node = -1; node < (int)topology->nodes->len; node++) {
            g_autoptr(GPtrArray) large = g_ptr_array_new();
            g_autoptr(GPtrArray) small = g_ptr_array_new();

            collect_cores(picture, package, node, large, small);
            most = MAX(most, large->len);
        }
    }
    return CLAMP((int)most, COLUMNS_MIN, COLUMNS_MAX);
}

/* Draws @css behind what has been drawn from @top on: the height is known only afterwards. */
static void
box_behind(Picture *picture, gsize at, int x, int top, int width, const char *css)
{
    g_autoptr(GString) rect = g_string_new(NULL);

    vq_svg_rect(rect, (VqRect){x, top, width, picture->y - top}, css);
    g_string_insert_len(picture->body, at, rect->str, rect->len);
}

static void
draw_node(Picture *picture, int package, int index)
{
    g_autoptr(GPtrArray) large = g_ptr_array_new();
    g_autoptr(GPtrArray) small = g_ptr_array_new();
    const VqNode *node = index >= 0 ? g_ptr_array_index(picture->topology->nodes, index) : NULL;
    int x = MARGIN + PAD, top = picture->y;
    gsize at = picture->body->len;

    collect_cores(picture, package, index, large, small);
    if (!large->len && !small->len)
        return;

    g_autofree char *name =
        node ? g_strdup_printf("NUMA node %u", node->os) : g_strdup("no NUMA information");
    g_autofree char *memory = node && node->memory
                                  ? g_format_size_full(node->memory, G_FORMAT_SIZE_IEC_UNITS)
                                  : g_strdup("");

    vq_svg_text(picture->body, x + PAD, picture->y + 20, 200, 13, "bold", name);
    vq_svg_text(picture->body, x + PAD + 160, picture->y + 20, 200, 11, "dim", memory);
    picture->y += 32;
    draw_devices(picture, x + PAD, node, "block devices");
    draw_large_cores(picture, x + PAD, large);
    if (small->len && large->len) {
        vq_svg_text(picture->body, x + PAD, picture->y + 10, 400, 11, "dim",
                    "other CPUs: vCPUs, emulators and the host");
        picture->y += 18;
    }
    draw_small_cores(picture, x + PAD, small);
    box_behind(picture, at, x, top, node_width(picture), "node");
    picture->y += PAD;
}

static void
draw_package(Picture *picture, int index)
{
    const VqTopology *topology = picture->topology;
    int top = picture->y;
    gsize at = picture->body->len;
    g_autofree char *name = NULL;

    if (index >= 0)
        name = g_strdup_printf(
            "Package %u", ((const VqPackage *)g_ptr_array_index(topology->packages, index))->os);
    vq_svg_text(picture->body, MARGIN + PAD, picture->y + 20, 400, 14, "bold",
                name ? name : "No package");
    picture->y += 30;

    int start = picture->y;

    for (int node = -1; node < (int)topology->nodes->len; node++)
        draw_node(picture, index, node);
    if (picture->y == start) {
        g_string_truncate(picture->body, at);
        picture->y = top;
        return;
    }
    box_behind(picture, at, MARGIN, top, node_width(picture) + 2 * PAD, "package");
    picture->y += PAD;
}

/* Threads that got no core of the pool: they run where the vCPUs run. */
static void
draw_homeless(Picture *picture)
{
    int x = MARGIN;
    int count = 0;

    for (guint i = 0; i < picture->plan->placements->len; i++) {
        const VqPlaced *placed = g_ptr_array_index(picture->plan->placements, i);

        if (placed->cpu >= 0 && vq_topology_core_of(picture->topology, placed->cpu))
            continue;
        if (count++ == 0) {
            vq_svg_text(picture->body, MARGIN, picture->y + 16, 600, 13, "bold",
                        "Not on an I/O core");
            picture->y += 28;
        } else if (x + CORE_WIDTH > page_width(picture) - MARGIN) {
            x = MARGIN;
            picture->y += CHIP_HEIGHT + CHIP_GAP;
        }
        draw_chip(picture->body, x, picture->y, CORE_WIDTH - 12, placed);
        x += CORE_WIDTH;
    }
    if (count)
        picture->y += CHIP_HEIGHT + PAD;
}

static void
draw_refused(Picture *picture)
{
    for (guint i = 0; i < picture->plan->refused->len; i++) {
        const VqRefused *refused = g_ptr_array_index(picture->plan->refused, i);
        g_autofree char *line =
            g_strdup_printf("Refused: %s%s%s: %s", refused->domain, refused->disk ? " " : "",
                            refused->disk ? refused->disk : "", refused->reason);

        vq_svg_group(picture->body, "%s", line);
        vq_svg_text(picture->body, MARGIN, picture->y + 14, page_width(picture) - 2 * MARGIN, 12,
                    "bad", line);
        vq_svg_end(picture->body);
        picture->y += 20;
    }
}

static void
draw_legend(Picture *picture)
{
    static const struct {
        const char *css, *text;
        int width;
    } items[] = {
        {"dedicated", "dedicated thread", 150},
        {"shared", "shared thread", 130},
        {"shared degraded", "less than was asked for", 190},
        {"core", "I/O core", 95},
        {"other", "other core", 105},
        {"device", "block device", 120},
        {"load", "load: share of a core", 170},
    };
    int x = MARGIN;

    picture->y += PAD;
    for (guint i = 0; i < G_N_ELEMENTS(items); i++) {
        if (x + 22 + items[i].width > page_width(picture) - MARGIN) {
            x = MARGIN;
            picture->y += 24;
        }
        vq_svg_rect(picture->body, (VqRect){x, picture->y, 16, 16}, items[i].css);
        vq_svg_text(picture->body, x + 22, picture->y + 12, 200, 11, "dim", items[i].text);
        x += items[i].width + 22;
    }
    picture->y += 16 + MARGIN;
}

static void
draw_heading(Picture *picture, const char *pool_reason)
{
    g_autofree char *pool = vq_cpuset_format(picture->pool);
    g_autofree char *title = g_strdup_printf("I/O threads on %s", picture->topology->origin);
    g_autofree char *sub =
        g_strdup_printf("I/O cores: CPU %s (%s)", *pool ? pool : "none", pool_reason);

    picture->y = MARGIN;
    vq_svg_text(picture->body, MARGIN, picture->y + 18, page_width(picture) - 2 * MARGIN, 20,
                "title", title);
    vq_svg_text(picture->body, MARGIN, picture->y + 40, page_width(picture) - 2 * MARGIN, 12, "dim",
                sub);
    picture->y += 40 + PAD + 4;
}

char *
vq_picture_svg(const VqTopology *topology, const VqCpuset *pool, const char *pool_reason,
               const VqPlan *plan)
{
    g_autoptr(GString) body = g_string_new(NULL);
    Picture picture = {.topology = topology, .pool = pool, .plan = plan, .body = body};

    picture.columns = choose_columns(&picture);
    draw_heading(&picture, pool_reason);
    for (int package = -1; package < (int)topology->packages->len; package++)
        draw_package(&picture, package);
    draw_devices(&picture, MARGIN, NULL, "block devices without a known NUMA node");
    draw_homeless(&picture);
    draw_refused(&picture);
    draw_legend(&picture);

    g_autofree char *description =
        g_strdup_printf("%u I/O threads placed, %u domains or disks refused", plan->placements->len,
                        plan->refused->len);

    return vq_svg_document(page_width(&picture), picture.y, topology->origin, description, style,
                           body);
}
