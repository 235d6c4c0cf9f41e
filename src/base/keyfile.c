/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading of configuration files; the printing of defaults and manual text is keyfile-doc.c. */
#include "base/keyfile.h"

#include "base/error.h"
#include "base/xml.h"

#include <string.h>
#include <sys/stat.h>

typedef struct {
    const VqKeySpec *spec;
    unsigned line; /* where it was set, 0 = default */
    char *text;
    unsigned number; /* int, bool */
    int choice;      /* enum */
    VqCpuset *cpus;
} Value;

struct _VqKeyFile {
    GPtrArray *values; /* of Value, one for each spec, in the table's order */
};

typedef struct {
    const VqKeySpec *specs;
    const char *name;
    const char *only_group;
    const char *group; /* the present one, from the table; NULL: none or an unknown one */
    bool any_group;    /* some "[group]" line was seen */
    VqKeyFile *file;
    GString *problems;
    unsigned count;
    int code;
} Reader;

/* Problems kept: input decides their number. */
#define PROBLEMS_MAX 50

static void
value_free(gpointer data)
{
    Value *value = data;

    g_free(value->text);
    vq_cpuset_free(value->cpus);
    g_free(value);
}

void
vq_key_file_free(VqKeyFile *file)
{
    if (!file)
        return;
    g_ptr_array_unref(file->values);
    g_free(file);
}

static Value *
find_value(const VqKeyFile *file, const char *group, const char *key)
{
    for (guint i = 0; i < file->values->len; i++) {
        Value *value = g_ptr_array_index(file->values, i);

        if (g_str_equal(value->spec->group, group) && g_str_equal(value->spec->key, key))
            return value;
    }
    return NULL;
}

/* @group: the group the problem belongs to, or NULL for the file as a whole. */
static void G_GNUC_PRINTF(5, 6)
    problem(Reader *reader, unsigned line, const char *group, int code, const char *format, ...)
{
    if (reader->only_group && g_strcmp0(group, reader->only_group) != 0)
        return;
    if (reader->count == 0)
        reader->code = code;
    if (reader->count++ >= PROBLEMS_MAX)
        return;

    va_list args;

    g_string_append_printf(reader->problems, "%s%s:%u: ", reader->count > 1 ? "\n" : "",
                           reader->name, line);
    va_start(args, format);
    g_string_append_vprintf(reader->problems, format, args);
    va_end(args);
}

/* Levenshtein's distance of two short names. */
static unsigned
distance(const char *a, const char *b)
{
    gsize n = strlen(b);
    unsigned row[64];

    if (n >= G_N_ELEMENTS(row) || strlen(a) >= G_N_ELEMENTS(row))
        return G_MAXUINT;
    for (gsize j = 0; j <= n; j++)
        row[j] = j;
    for (gsize i = 0; a[i]; i++) {
        unsigned diagonal = row[0];

        row[0] = i + 1;
        for (gsize j = 1; j <= n; j++) {
            unsigned change = diagonal + (a[i] != b[j - 1]);

            diagonal = row[j];
            row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[n];
}

/* "; did you mean 'x'?" for a name close to a known one, else "". @group NULL: group names. */
static char *
suggestion(const VqKeySpec *specs, const char *group, const char *name)
{
    unsigned best = MAX(2, strlen(name) / 3) + 1;
    const char *found = NULL;

    for (const VqKeySpec *s = specs; s->group; s++) {
        const char *known = group ? s->key : s->group;
        unsigned d = distance(name, known);

        if ((group && !g_str_equal(group, s->group)) || d >= best)
            continue;
        best = d;
        found = known;
    }
    return found ? g_strdup_printf("; did you mean '%s'?", found) : g_strdup("");
}

/* The group that has a key called @name, for keys that were put under a wrong one. */
static const char *
group_with_key(const VqKeySpec *specs, const char *name)
{
    for (const VqKeySpec *s = specs; s->group; s++) {
        if (g_str_equal(s->key, name))
            return s->group;
    }
    return NULL;
}

static bool
set_int(Reader *reader, unsigned line, Value *value, const char *text)
{
    const VqKeySpec *s = value->spec;
    g_autofree char *unit = s->unit ? g_strdup_printf(" (%s)", s->unit) : g_strdup("");
    unsigned number = 0;

    if (!vq_parse_uint(text, G_MAXUINT, &number)) {
        problem(reader, line, s->group, VQ_ERROR_INVALID,
                "[%s] %s: '%s' is not a number of %u to %u%s", s->group, s->key, text, s->min,
                s->max, unit);
        return false;
    }
    if (number < s->min || number > s->max) {
        problem(reader, line, s->group, VQ_ERROR_LIMIT, "[%s] %s: '%s' is %s the limit of %u%s",
                s->group, s->key, text, number < s->min ? "below" : "above",
                number < s->min ? s->min : s->max, unit);
        return false;
    }
    value->number = number;
    return true;
}

static bool
set_bool(Reader *reader, unsigned line, Value *value, const char *text)
{
    static const VqEnumEntry names[] = {
        {1, "true"}, {0, "false"}, {1, "yes"}, {0, "no"}, {1, "1"}, {0, "0"}, {0, NULL},
    };
    int on;

    if (!vq_enum_from_name(names, text, &on)) {
        problem(reader, line, value->spec->group, VQ_ERROR_INVALID,
                "[%s] %s: '%s' is neither true nor false", value->spec->group, value->spec->key,
                text);
        return false;
    }
    value->number = on;
    return true;
}

static bool
set_enum(Reader *reader, unsigned line, Value *value, const char *text)
{
    const VqKeySpec *s = value->spec;

    if (vq_enum_from_name(s->names, text, &value->choice))
        return true;

    g_autofree char *list = vq_enum_list(s->names);

    problem(reader, line, s->group, VQ_ERROR_INVALID, "[%s] %s: '%s' is not %s", s->group, s->key,
            text, list);
    return false;
}

static bool
set_cpuset(Reader *reader, unsigned line, Value *value, const char *text)
{
    const VqKeySpec *s = value->spec;
    g_autoptr(GError) error = NULL;
    g_autoptr(VqCpuset) cpus = vq_cpuset_parse(text, &error);

    if (!cpus) {
        problem(reader, line, s->group, error->code, "[%s] %s: '%s': %s", s->group, s->key, text,
                error->message);
        return false;
    }
    vq_cpuset_free(value->cpus);
    value->cpus = g_steal_pointer(&cpus);
    return true;
}

static bool
set_string(Reader *reader, unsigned line, Value *value, const char *text)
{
    const VqKeySpec *s = value->spec;

    if (!*text && *s->value) {
        problem(reader, line, s->group, VQ_ERROR_INVALID, "[%s] %s: must not be empty", s->group,
                s->key);
        return false;
    }
    if (s->type == VQ_KEY_PATH && !g_path_is_absolute(text)) {
        problem(reader, line, s->group, VQ_ERROR_INVALID, "[%s] %s: '%s' is not an absolute path",
                s->group, s->key, text);
        return false;
    }
    return true;
}

static void
set_value(Reader *reader, unsigned line, Value *value, const char *text)
{
    static bool (*const set[])(Reader *, unsigned, Value *, const char *) = {
        [VQ_KEY_STRING] = set_string, [VQ_KEY_PATH] = set_string, [VQ_KEY_INT] = set_int,
        [VQ_KEY_BOOL] = set_bool,     [VQ_KEY_ENUM] = set_enum,   [VQ_KEY_CPUSET] = set_cpuset,
    };
    const VqKeySpec *s = value->spec;

    if (value->line) {
        problem(reader, line, s->group, VQ_ERROR_CONFLICT,
                "[%s] %s: set a second time (first in line %u)", s->group, s->key, value->line);
        return;
    }
    if (!set[s->type](reader, line, value, text))
        return;
    value->line = line;
    g_free(value->text);
    value->text = g_strdup(text);
}

static void
read_group(Reader *reader, unsigned line, char *text)
{
    gsize length = strlen(text);

    reader->any_group = true;
    reader->group = NULL;
    if (text[length - 1] != ']') {
        problem(reader, line, NULL, VQ_ERROR_INVALID, "'%.40s' is not [group]", text);
        return;
    }
    text[length - 1] = '\0';
    for (const VqKeySpec *s = reader->specs; s->group; s++) {
        if (g_str_equal(s->group, text + 1))
            reader->group = s->group;
    }
    if (!reader->group) {
        g_autofree char *hint = suggestion(reader->specs, NULL, text + 1);

        problem(reader, line, NULL, VQ_ERROR_INVALID, "unknown group [%.40s]%s", text + 1, hint);
    }
}

static void
unknown_key(Reader *reader, unsigned line, const char *key)
{
    const char *other = group_with_key(reader->specs, key);
    g_autofree char *hint = other ? g_strdup_printf("; it belongs to [%s]", other)
                                  : suggestion(reader->specs, reader->group, key);

    problem(reader, line, reader->group, VQ_ERROR_INVALID, "[%s] %.40s: unknown key%s",
            reader->group, key, hint);
}

static void
read_key(Reader *reader, unsigned line, char *text)
{
    char *equals = strchr(text, '=');

    if (!equals) {
        problem(reader, line, reader->group, VQ_ERROR_INVALID, "'%.40s' is not key = value", text);
        return;
    }
    *equals = '\0';
    g_strstrip(text);
    g_strstrip(equals + 1);
    if (!reader->group) {
        /* keys of an unknown group were reported with the group */
        if (!reader->any_group)
            problem(reader, line, NULL, VQ_ERROR_INVALID, "%.40s: no [group] before it", text);
        return;
    }

    Value *value = find_value(reader->file, reader->group, text);

    if (value)
        set_value(reader, line, value, equals + 1);
    else
        unknown_key(reader, line, text);
}

static void
read_lines(Reader *reader, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (unsigned i = 0; lines[i]; i++) {
        char *line = g_strstrip(lines[i]);

        if (*line == '[')
            read_group(reader, i + 1, line);
        else if (*line && *line != '#')
            read_key(reader, i + 1, line);
    }
}

VqKeyFile *
vq_key_file_defaults(const VqKeySpec *specs)
{
    VqKeyFile *file = g_new0(VqKeyFile, 1);
    g_autoptr(GString) problems = g_string_new(NULL);
    Reader reader = {.specs = specs, .name = "default", .file = file, .problems = problems};

    file->values = g_ptr_array_new_with_free_func(value_free);
    for (const VqKeySpec *s = specs; s->group; s++) {
        Value *value = g_new0(Value, 1);

        value->spec = s;
        value->cpus = vq_cpuset_new();
        g_ptr_array_add(file->values, value);
        set_value(&reader, 0, value, s->value);
    }
    if (problems->len)
        g_error("table of configuration keys: %s", problems->str);
    return file;
}

VqKeyFile *
vq_key_file_parse(const VqKeySpec *specs, const char *text, gsize length, const char *name,
                  const char *only_group, GError **error)
{
    g_autoptr(VqKeyFile) file = vq_key_file_defaults(specs);
    g_autoptr(GString) problems = g_string_new(NULL);
    Reader reader = {
        .specs = specs, .name = name, .only_group = only_group, .file = file, .problems = problems};

    if (length > VQ_KEY_FILE_MAX) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                    "%s: %" G_GSIZE_FORMAT " bytes are above the limit of %d", name, length,
                    VQ_KEY_FILE_MAX);
        return NULL;
    }
    if (!g_utf8_validate_len(text, length, NULL)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s: not UTF-8 text", name);
        return NULL;
    }

    g_autofree char *copy = g_strndup(text, length);

    read_lines(&reader, copy);
    if (reader.count > PROBLEMS_MAX)
        g_string_append_printf(problems, "\n... and %u more", reader.count - PROBLEMS_MAX);
    if (reader.count) {
        g_set_error_literal(error, VQ_ERROR, reader.code, problems->str);
        return NULL;
    }
    return g_steal_pointer(&file);
}

VqKeyFile *
vq_key_file_load(const VqKeySpec *specs, const char *path, const char *only_group, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autofree char *text = NULL;
    gsize length;
    struct stat st;

    /* a device or pipe given by mistake must not fill the memory or block */
    if (stat(path, &st) == 0 && (!S_ISREG(st.st_mode) || st.st_size > VQ_KEY_FILE_MAX)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%s: not a regular file of at most %d bytes",
                    path, VQ_KEY_FILE_MAX);
        return NULL;
    }
    if (!g_file_get_contents(path, &text, &length, &local)) {
        bool absent = g_error_matches(local, G_FILE_ERROR, G_FILE_ERROR_NOENT);

        g_set_error_literal(error, VQ_ERROR, absent ? VQ_ERROR_NOT_FOUND : VQ_ERROR_FAILED,
                            local->message);
        return NULL;
    }
    return vq_key_file_parse(specs, text, length, path, only_group, error);
}

static const Value *
get(const VqKeyFile *file, const char *group, const char *key, VqKeyType type)
{
    const Value *value = find_value(file, group, key);

    if (!value ||
        (value->spec->type != type && !(type == VQ_KEY_STRING && value->spec->type == VQ_KEY_PATH)))
        g_error("configuration key [%s] %s is not in the table, or of another type", group, key);
    return value;
}

const char *
vq_key_file_string(const VqKeyFile *file, const char *group, const char *key)
{
    return get(file, group, key, VQ_KEY_STRING)->text;
}

unsigned
vq_key_file_int(const VqKeyFile *file, const char *group, const char *key)
{
    return get(file, group, key, VQ_KEY_INT)->number;
}

bool
vq_key_file_bool(const VqKeyFile *file, const char *group, const char *key)
{
    return get(file, group, key, VQ_KEY_BOOL)->number;
}

int
vq_key_file_enum(const VqKeyFile *file, const char *group, const char *key)
{
    return get(file, group, key, VQ_KEY_ENUM)->choice;
}

const VqCpuset *
vq_key_file_cpuset(const VqKeyFile *file, const char *group, const char *key)
{
    return get(file, group, key, VQ_KEY_CPUSET)->cpus;
}
