/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The reader of traces: lines of words, fields by a table. Untrusted text: every number has a
 * range, every list a limit; all problems are reported together. simulate-flavors.c writes.
 */
#include "core/simulate-work.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 4096
#define WORDS_MAX      16
#define NAME_MAX_BYTES 64

typedef struct {
    VqSimTrace *trace;
    VqProblems *problems;
    GHashTable *flavors; /* name -> index + 1 */
    GHashTable *vms;     /* name -> index + 1 */
    GArray *present;     /* of guint8, by VM: 1 here, 2 gone */
    const VqSimTrace *known;
    unsigned line;
    gint64 time; /* of the last event */
} Reader;

typedef enum { FIELD_UINT, FIELD_REAL, FIELD_SIZE, FIELD_PLACEMENT, FIELD_YES, FIELD_NAME } Kind;

typedef struct {
    const char *name;
    Kind kind;
    gsize offset;
    double min, max;
} Field;

static const Field flavor_fields[] = {
    {"share", FIELD_REAL, offsetof(VqSimFlavor, share), 0, 1e6},
    {"vcpus", FIELD_UINT, offsetof(VqSimFlavor, vcpus), 1, VQ_SIM_VCPUS_MAX},
    {"memory", FIELD_SIZE, offsetof(VqSimFlavor, memory), 1, 0x1p50},
    {NULL},
};

static const Field disk_fields[] = {
    {"queues", FIELD_UINT, offsetof(VqSimDisk, queues), 1, VQ_QUEUES_MAX},
    {"iothreads", FIELD_UINT, offsetof(VqSimDisk, iothreads), 1, VQ_QUEUES_MAX},
    {"placement", FIELD_PLACEMENT, offsetof(VqSimDisk, placement), 0, 0},
    {"required", FIELD_YES, offsetof(VqSimDisk, required), 0, 0},
    {"weight", FIELD_UINT, offsetof(VqSimDisk, weight), VQ_WEIGHT_MIN, VQ_WEIGHT_MAX},
    {"load", FIELD_REAL, offsetof(VqSimDisk, load), 0, 1},
    {"device", FIELD_NAME, offsetof(VqSimDisk, device), 0, 0},
    {NULL},
};

static const Field vm_fields[] = {
    {"node", FIELD_UINT, offsetof(VqSimVm, node), 0, VQ_CPUSET_MAX - 1},
    {NULL},
};

static bool G_GNUC_PRINTF(3, 4) complain(Reader *r, int code, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    vq_problems_add(r->problems, r->line, code, "%s", text);
    return false;
}

/* Digits with at most one point, in thousandths where @thousandths; no sign, no exponent. */
static bool
read_decimal(const char *text, const char **end, double *value)
{
    const char *p = text;

    while (g_ascii_isdigit(*p))
        p++;
    if (p == text)
        return false;
    if (*p == '.' && g_ascii_isdigit(p[1])) {
        for (p++; g_ascii_isdigit(*p);)
            p++;
    }
    if (p - text > 30)
        return false;
    *value = g_ascii_strtod(text, NULL);
    if (end)
        *end = p;
    return end || !*p;
}

static double
unit_of(const char *text, const char *letters, const double *factors)
{
    const char *found = *text && !text[1] ? strchr(letters, *text) : NULL;

    return !*text ? 1 : found ? factors[found - letters] : -1;
}

/* Text is at most LINE_MAX_BYTES long, but a message need not be. */
static bool
complain_field(Reader *r, const char *field, const char *value, const char *want)
{
    return complain(r, VQ_ERROR_INVALID, "field '%s': '%.80s' is not %s", field, value, want);
}

static bool
in_range(Reader *r, const char *field, const char *text, double value, double min, double max)
{
    if (value >= min && value <= max)
        return true;
    return complain(r, VQ_ERROR_LIMIT, "field '%s': '%.80s' is not within the limits %g..%g", field,
                    text, min, max);
}

static bool
is_name(const char *text)
{
    gsize length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_.-");

    return length > 0 && length <= NAME_MAX_BYTES && !text[length];
}

static bool
set_number(Reader *r, const Field *field, const char *value, gpointer at)
{
    static const double sizes[] = {0x1p10, 0x1p20, 0x1p30, 0x1p40};
    bool real = field->kind == FIELD_REAL, size = field->kind == FIELD_SIZE;
    const char *rest = "";
    double number;

    if (!read_decimal(value, &rest, &number) || (!size && *rest) ||
        (!real && !size && strchr(value, '.')))
        return complain_field(r, field->name, value, real ? "a number" : "a whole number");
    if (size) {
        double unit = unit_of(rest, "KMGT", sizes);

        if (unit < 0)
            return complain_field(r, field->name, value, "a size such as 512M or 16G");
        number *= unit;
    }
    if (!in_range(r, field->name, value, number, field->min, field->max))
        return false;
    if (real)
        *(double *)at = number;
    else if (size)
        *(guint64 *)at = (guint64)number;
    else
        *(unsigned *)at = (unsigned)number;
    return true;
}

static bool
set_field(Reader *r, const Field *field, const char *value, gpointer object)
{
    gpointer at = (char *)object + field->offset;

    switch (field->kind) {
    case FIELD_PLACEMENT: {
        int placement = VQ_PLACEMENT_NONE;

        if (!vq_enum_from_name(vq_placement_names, value, &placement) ||
            placement == VQ_PLACEMENT_NONE)
            return complain_field(r, field->name, value, "shared or dedicated");
        *(VqPlacement *)at = (VqPlacement)placement;
        return true;
    }
    case FIELD_YES:
        if (!g_str_equal(value, "yes") && !g_str_equal(value, "no"))
            return complain_field(r, field->name, value, "yes or no");
        *(bool *)at = g_str_equal(value, "yes");
        return true;
    case FIELD_NAME:
        if (!is_name(value))
            return complain_field(r, field->name, value, "a name");
        g_free(*(char **)at);
        *(char **)at = g_strdup(value);
        return true;
    case FIELD_UINT:
    case FIELD_REAL:
    case FIELD_SIZE:
    default:
        return set_number(r, field, value, at);
    }
}

/* Words "name=value" from @words on. */
static bool
set_fields(Reader *r, const Field *fields, char **words, gpointer object)
{
    for (; *words; words++) {
        char *equals = strchr(*words, '=');
        const Field *field = fields;

        if (!equals)
            return complain(r, VQ_ERROR_INVALID, "'%.80s' is not FIELD=VALUE", *words);
        *equals = '\0';
        while (field->name && !g_str_equal(field->name, *words))
            field++;
        if (!field->name)
            return complain(r, VQ_ERROR_INVALID, "there is no field '%.80s' here", *words);
        if (!set_field(r, field, equals + 1, object))
            return false;
    }
    return true;
}

static bool
check_name(Reader *r, const char *what, const char *name)
{
    return is_name(name) ||
           complain(r, VQ_ERROR_INVALID,
                    "%s name '%.80s' has other characters than letters, digits, '_', '.' and '-', "
                    "or more than %d",
                    what, name, NAME_MAX_BYTES);
}

static VqSimFlavor *
flavor_find(Reader *r, const char *name, guint *index)
{
    guint found = GPOINTER_TO_UINT(g_hash_table_lookup(r->flavors, name));

    if (!found)
        return NULL;
    if (index)
        *index = found - 1;
    return g_ptr_array_index(r->trace->flavors, found - 1);
}

static bool
add_flavor(Reader *r, VqSimFlavor *flavor)
{
    if (r->trace->flavors->len >= VQ_SIM_FLAVORS_MAX) {
        vq_sim_flavor_free(flavor);
        return complain(r, VQ_ERROR_LIMIT, "more flavors than the limit of %d", VQ_SIM_FLAVORS_MAX);
    }
    g_ptr_array_add(r->trace->flavors, flavor);
    g_hash_table_insert(r->flavors, flavor->name, GUINT_TO_POINTER(r->trace->flavors->len));
    return true;
}

/* flavor NAME [FIELD=VALUE]... */
static bool
read_flavor(Reader *r, char **words, guint count)
{
    if (count < 2)
        return complain(r, VQ_ERROR_INVALID, "usage: flavor NAME [FIELD=VALUE]...");
    if (!check_name(r, "flavor", words[1]))
        return false;
    if (flavor_find(r, words[1], NULL))
        return complain(r, VQ_ERROR_CONFLICT, "flavor '%s' was defined already", words[1]);

    VqSimFlavor *flavor = vq_sim_flavor_new(words[1]);

    if (set_fields(r, flavor_fields, words + 2, flavor))
        return add_flavor(r, flavor);
    vq_sim_flavor_free(flavor);
    return false;
}

static unsigned
flavor_threads(const VqSimFlavor *flavor)
{
    unsigned threads = 0;

    for (guint i = 0; i < flavor->disks->len; i++)
        threads += ((VqSimDisk *)g_ptr_array_index(flavor->disks, i))->iothreads;
    return threads;
}

static bool
check_disk(Reader *r, const VqSimFlavor *flavor, VqSimDisk *disk)
{
    if (!disk->iothreads)
        disk->iothreads = disk->queues;
    if (vq_sim_flavor_disk(flavor, disk->target, NULL))
        return complain(r, VQ_ERROR_CONFLICT, "flavor '%s' has a disk '%s' already", flavor->name,
                        disk->target);
    if (flavor->disks->len >= VQ_SIM_DISKS_MAX)
        return complain(r, VQ_ERROR_LIMIT, "more disks than the limit of %d", VQ_SIM_DISKS_MAX);
    if (disk->iothreads > disk->queues)
        return complain(r, VQ_ERROR_CONFLICT, "field 'iothreads': %u are more than the %u queues",
                        disk->iothreads, disk->queues);
    if (flavor_threads(flavor) + disk->iothreads > VQ_SIM_THREADS_MAX)
        return complain(r, VQ_ERROR_LIMIT, "flavor '%s' has more IOThreads than the limit of %d",
                        flavor->name, VQ_SIM_THREADS_MAX);
    return true;
}

/* disk FLAVOR TARGET [FIELD=VALUE]... */
static bool
read_disk(Reader *r, char **words, guint count)
{
    if (count < 3)
        return complain(r, VQ_ERROR_INVALID, "usage: disk FLAVOR TARGET [FIELD=VALUE]...");

    VqSimFlavor *flavor = flavor_find(r, words[1], NULL);

    if (!flavor)
        return complain(r, VQ_ERROR_INVALID, "no flavor '%.80s' is defined above", words[1]);
    if (!check_name(r, "disk", words[2]))
        return false;

    g_autoptr(VqSimDisk) disk = vq_sim_disk_new(words[2]);

    if (!set_fields(r, disk_fields, words + 3, disk) || !check_disk(r, flavor, disk))
        return false;
    g_ptr_array_add(flavor->disks, g_steal_pointer(&disk));
    return true;
}

/* A flavor of @known, copied on first use. */
static bool
use_flavor(Reader *r, const char *name, guint *index)
{
    if (flavor_find(r, name, index))
        return true;
    for (guint i = 0; r->known && i < r->known->flavors->len; i++) {
        const VqSimFlavor *flavor = g_ptr_array_index(r->known->flavors, i);

        if (g_str_equal(flavor->name, name) && add_flavor(r, vq_sim_flavor_copy(flavor))) {
            *index = r->trace->flavors->len - 1;
            return true;
        }
    }
    return complain(r, VQ_ERROR_INVALID, "no flavor '%.80s' is defined", name);
}

static guint
vm_find(Reader *r, const char *name)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(r->vms, name));
}

/* ... arrive VM FLAVOR [node=N] */
static bool
read_arrive(Reader *r, VqSimEvent *event, char **words, guint count)
{
    if (count < 2)
        return complain(r, VQ_ERROR_INVALID, "usage: at TIME arrive VM FLAVOR [node=N]");

    guint before = vm_find(r, words[0]);
    guint8 here = 1;

    if (!check_name(r, "VM", words[0]))
        return false;
    if (before && g_array_index(r->present, guint8, before - 1) == here)
        return complain(r, VQ_ERROR_CONFLICT, "VM '%s' is here already", words[0]);

    g_autoptr(VqSimVm) vm = g_new0(VqSimVm, 1);

    vm->name = g_strdup(words[0]);
    vm->node = -1;
    if (!use_flavor(r, words[1], &vm->flavor) || !set_fields(r, vm_fields, words + 2, vm))
        return false;
    event->vm = r->trace->vms->len;
    g_hash_table_insert(r->vms, vm->name, GUINT_TO_POINTER(event->vm + 1));
    g_ptr_array_add(r->trace->vms, g_steal_pointer(&vm));
    g_array_append_val(r->present, here);
    return true;
}

static bool
find_present(Reader *r, const char *name, guint *index)
{
    guint found = vm_find(r, name);

    if (!found || g_array_index(r->present, guint8, found - 1) != 1)
        return complain(r, VQ_ERROR_INVALID, "no VM '%.80s' is here", name);
    *index = found - 1;
    return true;
}

/* ... depart VM */
static bool
read_depart(Reader *r, VqSimEvent *event, char **words, guint count)
{
    if (count != 1)
        return complain(r, VQ_ERROR_INVALID, "usage: at TIME depart VM");
    if (!find_present(r, words[0], &event->vm))
        return false;
    g_array_index(r->present, guint8, event->vm) = 2;
    return true;
}

/* ... load VM/DISK[/QUEUE] LOAD */
static bool
read_load(Reader *r, VqSimEvent *event, char **words, guint count)
{
    g_auto(GStrv) parts = count == 2 ? g_strsplit(words[0], "/", 4) : NULL;
    guint n = parts ? g_strv_length(parts) : 0;
    unsigned queue = 0;

    if (n != 2 && n != 3)
        return complain(r, VQ_ERROR_INVALID, "usage: at TIME load VM/DISK[/QUEUE] LOAD");
    if (!find_present(r, parts[0], &event->vm))
        return false;

    const VqSimVm *vm = g_ptr_array_index(r->trace->vms, event->vm);
    const VqSimFlavor *flavor = g_ptr_array_index(r->trace->flavors, vm->flavor);
    const VqSimDisk *disk = vq_sim_flavor_disk(flavor, parts[1], &event->disk);

    if (!disk)
        return complain(r, VQ_ERROR_INVALID, "VM '%s' of flavor '%s' has no disk '%.80s'", vm->name,
                        flavor->name, parts[1]);
    if (n == 3 && !vq_parse_uint(parts[2], disk->queues - 1, &queue))
        return complain(r, VQ_ERROR_LIMIT, "queue '%.80s' of disk '%s' is not within 0..%u",
                        parts[2], disk->target, disk->queues - 1);
    event->queue = n == 3 ? (int)queue : -1;
    if (!read_decimal(words[1], NULL, &event->load))
        return complain(r, VQ_ERROR_INVALID, "load '%.80s' is not a number", words[1]);
    return in_range(r, "load", words[1], event->load, 0, 1);
}

bool
vq_sim_time_parse(const char *text, gint64 *ms)
{
    static const double units[] = {1, 60, 3600, 86400};
    const char *rest;
    double number, unit, value;

    if (!read_decimal(text, &rest, &number))
        return false;
    unit = unit_of(rest, "smhd", units);
    value = number * unit * 1000 + 0.5;
    if (unit < 0 || value > (double)VQ_SIM_TIME_MAX)
        return false;
    *ms = (gint64)value;
    return true;
}

/* at TIME EVENT ... */
static bool
read_event(Reader *r, char **words, guint count)
{
    static const struct {
        const char *name;
        VqSimEventKind kind;
        bool (*read)(Reader *r, VqSimEvent *event, char **words, guint count);
    } kinds[] = {{"arrive", VQ_SIM_ARRIVE, read_arrive},
                 {"depart", VQ_SIM_DEPART, read_depart},
                 {"load", VQ_SIM_LOAD, read_load}};
    VqSimEvent event = {.queue = -1};

    if (count < 3)
        return complain(r, VQ_ERROR_INVALID, "usage: at TIME arrive|depart|load ...");
    if (!vq_sim_time_parse(words[1], &event.time))
        return complain(r, VQ_ERROR_INVALID,
                        "time '%.80s' is not a number of seconds, or with s, m, h or d behind it, "
                        "within 0..366d",
                        words[1]);
    if (event.time < r->time)
        return complain(r, VQ_ERROR_CONFLICT, "time '%s' is before the line above it", words[1]);
    if (r->trace->events->len >= VQ_SIM_EVENTS_MAX)
        return complain(r, VQ_ERROR_LIMIT, "more events than the limit of %d", VQ_SIM_EVENTS_MAX);
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (!g_str_equal(kinds[i].name, words[2]))
            continue;
        event.kind = kinds[i].kind;
        if (!kinds[i].read(r, &event, words + 3, count - 3))
            return false;
        r->time = event.time;
        g_array_append_val(r->trace->events, event);
        return true;
    }
    return complain(r, VQ_ERROR_INVALID, "there is no event '%.80s': arrive, depart or load",
                    words[2]);
}

/* Cuts @line into words in place; a '#' begins a comment. */
static guint
split(char *line, char **words)
{
    guint count = 0;

    line[strcspn(line, "#")] = '\0';
    for (char *p = line + strspn(line, " \t\r"); *p; p += strspn(p, " \t\r")) {
        if (count == WORDS_MAX)
            return WORDS_MAX + 1;
        words[count++] = p;
        p += strcspn(p, " \t\r");
        if (*p)
            *p++ = '\0';
    }
    words[count] = NULL;
    return count;
}

static bool
read_line(Reader *r, const char *start, gsize length)
{
    char line[LINE_MAX_BYTES + 1];
    char *words[WORDS_MAX + 1];

    if (length > LINE_MAX_BYTES)
        return complain(r, VQ_ERROR_LIMIT, "a line of %" G_GSIZE_FORMAT " bytes, limit %d", length,
                        LINE_MAX_BYTES);
    memcpy(line, start, length);
    line[length] = '\0';

    guint count = split(line, words);

    if (count == 0)
        return true;
    if (count > WORDS_MAX)
        return complain(r, VQ_ERROR_LIMIT, "more words than the limit of %d", WORDS_MAX);
    if (g_str_equal(words[0], "flavor"))
        return read_flavor(r, words, count);
    if (g_str_equal(words[0], "disk"))
        return read_disk(r, words, count);
    if (g_str_equal(words[0], "at"))
        return read_event(r, words, count);
    return complain(r, VQ_ERROR_INVALID, "a line begins with flavor, disk or at, not with '%.80s'",
                    words[0]);
}

static bool
check_text(const char *text, gsize length, GError **error)
{
    if (length > VQ_SIM_TEXT_MAX) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                    "%" G_GSIZE_FORMAT " bytes are above the limit of %d", length, VQ_SIM_TEXT_MAX);
        return false;
    }
    if (g_utf8_validate(text, (gssize)length, NULL))
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "not UTF-8 text");
    return false;
}

VqSimTrace *
vq_sim_trace_read(const char *text, gsize length, const VqSimTrace *known, GError **error)
{
    if (!check_text(text, length, error))
        return NULL;

    g_autoptr(VqSimTrace) trace = vq_sim_trace_new();
    g_autoptr(VqProblems) problems = vq_problems_new();
    g_autoptr(GHashTable) flavors = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GHashTable) vms = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GArray) present = g_array_new(FALSE, FALSE, 1);
    Reader r = {trace, problems, flavors, vms, present, known, 0, 0};

    for (const char *p = text, *end = text + length; p < end;) {
        const char *newline = memchr(p, '\n', (gsize)(end - p));
        gsize bytes = (gsize)((newline ? newline : end) - p);

        r.line++;
        read_line(&r, p, bytes);
        p += bytes + 1;
    }
    if (!vq_problems_to_error(problems, error))
        return NULL;
    return g_steal_pointer(&trace);
}
