/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cpuset.h"
#include "base/error.h"

#define WORD_BITS 64

struct _VqCpuset {
    GArray *words; /* of guint64; words beyond its length are zero */
};

static guint64
word(const VqCpuset *set, unsigned i)
{
    return i < set->words->len ? g_array_index(set->words, guint64, i) : 0;
}

VqCpuset *
vq_cpuset_new(void)
{
    VqCpuset *set = g_new0(VqCpuset, 1);

    set->words = g_array_new(FALSE, TRUE, sizeof(guint64));
    return set;
}

VqCpuset *
vq_cpuset_new_single(unsigned cpu)
{
    VqCpuset *set = vq_cpuset_new();

    vq_cpuset_add(set, cpu);
    return set;
}

VqCpuset *
vq_cpuset_copy(const VqCpuset *set)
{
    VqCpuset *copy = vq_cpuset_new();

    vq_cpuset_union(copy, set);
    return copy;
}

void
vq_cpuset_free(VqCpuset *set)
{
    if (!set)
        return;
    g_array_unref(set->words);
    g_free(set);
}

void
vq_cpuset_add(VqCpuset *set, unsigned cpu)
{
    unsigned i = cpu / WORD_BITS;

    if (cpu >= VQ_CPUSET_MAX)
        return;
    if (i >= set->words->len)
        g_array_set_size(set->words, i + 1);
    g_array_index(set->words, guint64, i) |= G_GUINT64_CONSTANT(1) << (cpu % WORD_BITS);
}

void
vq_cpuset_add_range(VqCpuset *set, unsigned first, unsigned last)
{
    for (unsigned cpu = first; cpu <= last && cpu < VQ_CPUSET_MAX; cpu++)
        vq_cpuset_add(set, cpu);
}

void
vq_cpuset_remove(VqCpuset *set, unsigned cpu)
{
    unsigned i = cpu / WORD_BITS;

    if (i < set->words->len)
        g_array_index(set->words, guint64, i) &= ~(G_GUINT64_CONSTANT(1) << (cpu % WORD_BITS));
}

bool
vq_cpuset_has(const VqCpuset *set, unsigned cpu)
{
    return word(set, cpu / WORD_BITS) >> (cpu % WORD_BITS) & 1;
}

unsigned
vq_cpuset_count(const VqCpuset *set)
{
    unsigned count = 0;

    for (unsigned i = 0; i < set->words->len; i++)
        count += __builtin_popcountll(word(set, i));
    return count;
}

bool
vq_cpuset_empty(const VqCpuset *set)
{
    return vq_cpuset_next(set, 0) < 0;
}

bool
vq_cpuset_equal(const VqCpuset *a, const VqCpuset *b)
{
    return vq_cpuset_subset(a, b) && vq_cpuset_subset(b, a);
}

bool
vq_cpuset_intersects(const VqCpuset *a, const VqCpuset *b)
{
    for (unsigned i = 0; i < a->words->len; i++) {
        if (word(a, i) & word(b, i))
            return true;
    }
    return false;
}

bool
vq_cpuset_subset(const VqCpuset *inner, const VqCpuset *outer)
{
    for (unsigned i = 0; i < inner->words->len; i++) {
        if (word(inner, i) & ~word(outer, i))
            return false;
    }
    return true;
}

void
vq_cpuset_union(VqCpuset *set, const VqCpuset *other)
{
    if (set->words->len < other->words->len)
        g_array_set_size(set->words, other->words->len);
    for (unsigned i = 0; i < other->words->len; i++)
        g_array_index(set->words, guint64, i) |= word(other, i);
}

void
vq_cpuset_intersect(VqCpuset *set, const VqCpuset *other)
{
    for (unsigned i = 0; i < set->words->len; i++)
        g_array_index(set->words, guint64, i) &= word(other, i);
}

void
vq_cpuset_subtract(VqCpuset *set, const VqCpuset *other)
{
    for (unsigned i = 0; i < set->words->len; i++)
        g_array_index(set->words, guint64, i) &= ~word(other, i);
}

int
vq_cpuset_next(const VqCpuset *set, unsigned from)
{
    for (unsigned i = from / WORD_BITS; i < set->words->len; i++) {
        guint64 w = word(set, i);

        if (i == from / WORD_BITS)
            w &= ~G_GUINT64_CONSTANT(0) << (from % WORD_BITS);
        if (w)
            return i * WORD_BITS + __builtin_ctzll(w);
    }
    return -1;
}

/* One decimal number at *@p, which is moved behind it. */
static bool
parse_number(const char **p, const char *item, unsigned *value, GError **error)
{
    const char *start = *p;
    guint64 n = 0;

    for (; g_ascii_isdigit(**p); (*p)++)
        n = MIN(n * 10 + (**p - '0'), VQ_CPUSET_MAX);
    if (*p == start) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "'%s' is not a CPU number or range", item);
        return false;
    }
    if (n >= VQ_CPUSET_MAX) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT, "CPU number in '%s' is above the limit of %d",
                    item, VQ_CPUSET_MAX - 1);
        return false;
    }
    *value = n;
    return true;
}

static bool
parse_item(VqCpuset *set, const char *item, GError **error)
{
    const char *p = item;
    bool exclude = *p == '^';
    unsigned first, last;

    if (exclude)
        p++;
    if (!parse_number(&p, item, &first, error))
        return false;
    last = first;
    if (*p == '-') {
        p++;
        if (!parse_number(&p, item, &last, error))
            return false;
    }
    if (*p || last < first) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "'%s' is not a CPU number or range", item);
        return false;
    }
    for (unsigned cpu = first; cpu <= last; cpu++) {
        if (exclude)
            vq_cpuset_remove(set, cpu);
        else
            vq_cpuset_add(set, cpu);
    }
    return true;
}

VqCpuset *
vq_cpuset_parse(const char *text, GError **error)
{
    g_autoptr(VqCpuset) set = vq_cpuset_new();
    g_autofree char *stripped = g_strstrip(g_strdup(text));
    g_auto(GStrv) items = g_strsplit(stripped, ",", -1);

    for (char **item = items; *item; item++) {
        if (!parse_item(set, g_strstrip(*item), error))
            return NULL;
    }
    return g_steal_pointer(&set);
}

char *
vq_cpuset_format(const VqCpuset *set)
{
    GString *out = g_string_new(NULL);

    for (int first = vq_cpuset_next(set, 0); first >= 0;) {
        int last = first;

        while (vq_cpuset_has(set, last + 1))
            last++;
        if (out->len)
            g_string_append_c(out, ',');
        g_string_append_printf(out, "%d", first);
        if (last > first)
            g_string_append_printf(out, "-%d", last);
        first = vq_cpuset_next(set, last + 1);
    }
    return g_string_free(out, FALSE);
}
