/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads <vq:storage>. What is accepted here is what xml-schemas/policy.rng accepts, and beside
 * that: no device twice, iothreads not above queues. Partner: policy-entry.c (the attributes).
 */
#include "core/policy.h"
#include "base/error.h"

#include <string.h>

typedef struct {
    VqPolicy *policy;
    VqProblems *problems;
} Reader;

VqPolicy *
vq_policy_new(void)
{
    VqPolicy *policy = g_new0(VqPolicy, 1);

    policy->entries = g_ptr_array_new_with_free_func((GDestroyNotify)vq_policy_entry_free);
    return policy;
}

void
vq_policy_free(VqPolicy *policy)
{
    if (!policy)
        return;
    g_ptr_array_unref(policy->entries);
    g_free(policy);
}

void
vq_policy_append(VqPolicy *policy, VqPolicy *more)
{
    g_ptr_array_extend_and_steal(policy->entries, g_steal_pointer(&more->entries));
    g_free(more);
}

static const char *
ns_of(const xmlNs *ns)
{
    return ns ? (const char *)ns->href : NULL;
}

/* Elements and attributes of other namespaces are somebody else's, and passed over. */
static bool
is_ours(const xmlNs *ns)
{
    return !ns || g_str_equal(ns_of(ns), VQ_NS_POLICY);
}

static void
set_from_attribute(Reader *r, VqPolicyEntry *entry, const char *what, const xmlAttr *attr,
                   bool *good)
{
    const char *name = (const char *)attr->name;
    g_autoptr(GError) error = NULL;
    xmlChar *value = xmlNodeGetContent((const xmlNode *)attr);

    if (attr->ns)
        g_set_error(&error, VQ_ERROR, VQ_ERROR_INVALID,
                    "attribute '%s:%s' has a prefix; write '%s'", (const char *)attr->ns->prefix,
                    name, name);
    else
        vq_policy_entry_set(entry, name, value ? (const char *)value : "", &error);
    if (error) {
        int code = error->code == VQ_ERROR_NOT_FOUND ? VQ_ERROR_INVALID : error->code;

        vq_problems_add(r->problems, entry->line, code, "%s: %s", what, error->message);
        *good = false;
    }
    xmlFree(value);
}

static bool
read_attributes(Reader *r, VqPolicyEntry *entry, const xmlNode *node, const char *key)
{
    g_autofree char *what = vq_policy_entry_describe(entry);
    bool good = true;

    for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
        if (!is_ours(attr->ns) || (!attr->ns && g_str_equal((const char *)attr->name, key)))
            continue;
        set_from_attribute(r, entry, what, attr, &good);
    }

    g_autoptr(GError) error = NULL;

    if (good && !vq_policy_entry_check(entry, &error)) {
        vq_problems_add(r->problems, entry->line, error->code, "%s: %s", what, error->message);
        good = false;
    }
    return good;
}

static void
refuse_content(Reader *r, const xmlNode *node, const char *what)
{
    for (const xmlNode *child = node->children; child; child = child->next) {
        if (child->type == XML_ELEMENT_NODE && is_ours(child->ns))
            vq_problems_add(r->problems, vq_xml_line(child), VQ_ERROR_INVALID,
                            "unknown element <%s> in %s", (const char *)child->name, what);
        else if ((child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE) &&
                 !xmlIsBlankNode((xmlNode *)child))
            vq_problems_add(r->problems, vq_xml_line(child), VQ_ERROR_INVALID,
                            "text in %s, which has attributes only", what);
    }
}

static bool
same_device(const VqPolicyEntry *a, const VqPolicyEntry *b)
{
    if (a->kind != b->kind)
        return false;
    return a->kind == VQ_DEVICE_DISK ? g_str_equal(a->target, b->target) : a->index == b->index;
}

static bool
is_new_device(Reader *r, const VqPolicyEntry *entry)
{
    for (guint i = 0; i < r->policy->entries->len; i++) {
        const VqPolicyEntry *other = g_ptr_array_index(r->policy->entries, i);

        if (!same_device(entry, other))
            continue;

        g_autofree char *what = vq_policy_entry_describe(entry);

        vq_problems_add(r->problems, entry->line, VQ_ERROR_CONFLICT,
                        "%s has two elements, in line %u and here; leave one", what, other->line);
        return false;
    }
    return true;
}

static bool
read_target(Reader *r, VqPolicyEntry *entry, const xmlNode *node)
{
    entry->target = vq_xml_attr(node, "target");
    if (entry->target && *entry->target)
        return true;
    vq_problems_add(r->problems, entry->line, VQ_ERROR_INVALID,
                    "<disk> without target; write the disk's <target dev>, or '*' for every virtio "
                    "disk not named");
    return false;
}

static bool
read_index(Reader *r, VqPolicyEntry *entry, const xmlNode *node)
{
    g_autofree char *text = vq_xml_attr(node, "index");

    if (text && vq_parse_uint(text, G_MAXINT, &entry->index))
        return true;
    if (text)
        vq_problems_add(r->problems, entry->line, VQ_ERROR_INVALID,
                        "<controller>: index='%s' is not a number of 0 to %d", text, G_MAXINT);
    else
        vq_problems_add(r->problems, entry->line, VQ_ERROR_INVALID,
                        "<controller> without index; write the virtio-scsi controller's index");
    return false;
}

typedef struct {
    const char *name;
    VqDeviceKind kind;
    const char *key; /* the attribute that says which device */
    bool (*read_key)(Reader *r, VqPolicyEntry *entry, const xmlNode *node);
} Element;

static const Element elements[] = {
    {"disk", VQ_DEVICE_DISK, "target", read_target},
    {"controller", VQ_DEVICE_CONTROLLER, "index", read_index},
};

static void
read_entry(Reader *r, const Element *element, const xmlNode *node)
{
    g_autoptr(VqPolicyEntry) entry =
        vq_policy_entry_new(element->kind, VQ_ORIGIN_ELEMENT, vq_xml_line(node));

    if (!element->read_key(r, entry, node))
        return;

    g_autofree char *what = vq_policy_entry_describe(entry);

    refuse_content(r, node, what);
    if (read_attributes(r, entry, node, element->key) && is_new_device(r, entry))
        g_ptr_array_add(r->policy->entries, g_steal_pointer(&entry));
}

static void
read_element(Reader *r, const xmlNode *node)
{
    const char *name = (const char *)node->name;

    if (!node->ns) {
        vq_problems_add(r->problems, vq_xml_line(node), VQ_ERROR_INVALID,
                        "element <%s> is in no namespace; write <vq:%s> with the prefix of '%s'",
                        name, name, VQ_NS_POLICY);
        return;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(elements); i++) {
        if (g_str_equal(elements[i].name, name)) {
            read_entry(r, &elements[i], node);
            return;
        }
    }
    vq_problems_add(r->problems, vq_xml_line(node), VQ_ERROR_INVALID,
                    "unknown element <%s>; <storage> has <disk> and <controller>", name);
}

static void
read_storage_attributes(Reader *r, const xmlNode *storage)
{
    for (const xmlAttr *attr = storage->properties; attr; attr = attr->next) {
        if (is_ours(attr->ns))
            vq_problems_add(r->problems, vq_xml_line(storage), VQ_ERROR_INVALID,
                            "unknown attribute '%s' of <storage>, which has none",
                            (const char *)attr->name);
    }
}

VqPolicy *
vq_policy_read(const xmlNode *storage, VqProblems *problems)
{
    Reader r = {vq_policy_new(), problems};

    if (!vq_xml_is(storage, "storage", VQ_NS_POLICY)) {
        vq_problems_add(problems, vq_xml_line(storage), VQ_ERROR_INVALID,
                        "unknown element <%s> in namespace '%s'; it has <storage>",
                        (const char *)storage->name, VQ_NS_POLICY);
        return r.policy;
    }
    read_storage_attributes(&r, storage);
    for (const xmlNode *child = storage->children; child; child = child->next) {
        if (child->type == XML_ELEMENT_NODE && is_ours(child->ns))
            read_element(&r, child);
        else if ((child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE) &&
                 !xmlIsBlankNode((xmlNode *)child))
            vq_problems_add(problems, vq_xml_line(child), VQ_ERROR_INVALID,
                            "text in <storage>, which has elements only");
    }
    return r.policy;
}

/* The best entry of one origin: the named one, else "*". */
static const VqPolicyEntry *
find_disk(const VqPolicy *policy, const char *target, VqPolicyOrigin origin)
{
    const VqPolicyEntry *any = NULL;

    for (guint i = 0; i < policy->entries->len; i++) {
        const VqPolicyEntry *entry = g_ptr_array_index(policy->entries, i);

        if (entry->kind != VQ_DEVICE_DISK || entry->origin != origin)
            continue;
        if (vq_policy_entry_is_any(entry))
            any = entry;
        else if (g_str_equal(entry->target, target))
            return entry;
    }
    return any;
}

const VqPolicyEntry *
vq_policy_for_disk(const VqPolicy *policy, const char *target)
{
    const VqPolicyEntry *entry = find_disk(policy, target, VQ_ORIGIN_ELEMENT);

    return entry ? entry : find_disk(policy, target, VQ_ORIGIN_NOVA);
}

const VqPolicyEntry *
vq_policy_for_controller(const VqPolicy *policy, unsigned index)
{
    for (guint i = 0; i < policy->entries->len; i++) {
        const VqPolicyEntry *entry = g_ptr_array_index(policy->entries, i);

        if (entry->kind == VQ_DEVICE_CONTROLLER && entry->index == index)
            return entry;
    }
    return NULL;
}
