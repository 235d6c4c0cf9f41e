/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on domain XML that need neither daemon nor libvirt: validate, expand, collapse. */
#include "command.h"
#include "output.h"

#include "base/error.h"
#include "base/xml.h"
#include "core/domain.h"
#include "core/expand.h"

#include <string.h>

/* Bytes of a file: larger ones pass expand and collapse unread if they have no policy, but libvirt
 * takes none above the limit of its RPC. */
#define FILE_MAX (4 * 1024 * 1024)

typedef bool (*RewriteFunc)(const char *xml, gsize length, char **out, GError **error);

/* Prints the rewritten file, or the file as it is, byte for byte. */
static bool
rewrite_file(const VqCommand *command, int argc, char **argv, RewriteFunc rewrite, GError **error)
{
    g_autofree char *text = NULL, *out = NULL;
    gsize length;
    bool done;

    if (!vq_command_parse(command, NULL, &argc, &argv, &done, error))
        return false;
    if (done)
        return true;
    if (!vq_tool_read(argv[1], FILE_MAX, &text, &length, error))
        return false;
    if (!rewrite(text, length, &out, error)) {
        g_prefix_error(error, "%s: ", argv[1]);
        return false;
    }
    if (out) {
        g_free(text);
        text = g_steal_pointer(&out);
        length = strlen(text);
    }
    if (fwrite(text, 1, length, stdout) == length && fflush(stdout) == 0)
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_FAILED, "cannot write to stdout");
    return false;
}

bool
vq_cmd_expand(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    return rewrite_file(command, argc, argv, vq_expand, error);
}

bool
vq_cmd_collapse(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    return rewrite_file(command, argc, argv, vq_collapse, error);
}

/* A domain, or a policy element alone as `virsh metadata --set` takes it. */
static void
check_text(const char *text, gsize length, VqProblems *problems)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(xmlDoc) doc = vq_xml_parse(text, length, "XML", &error);
    const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;

    if (root && root->ns && g_str_equal((const char *)root->ns->href, VQ_NS_POLICY))
        vq_policy_free(vq_policy_read(root, problems));
    else if (root)
        vq_domain_free(vq_domain_read(text, length, problems, &error));
    if (error)
        vq_problems_add(problems, 0, error->code, "%s", error->message);
}

static GVariant *
problems_to_variant(const char *path, const VqProblems *problems)
{
    g_auto(GVariantDict) file = G_VARIANT_DICT_INIT(NULL);
    GVariantBuilder list;

    g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < problems->list->len; i++) {
        const VqProblem *problem = g_ptr_array_index(problems->list, i);
        g_auto(GVariantDict) one = G_VARIANT_DICT_INIT(NULL);

        g_variant_dict_insert(&one, "line", "u", problem->line);
        g_variant_dict_insert(&one, "text", "s", problem->text);
        g_variant_builder_add_value(&list, g_variant_dict_end(&one));
    }
    g_variant_dict_insert(&file, "file", "s", path);
    g_variant_dict_insert(&file, "valid", "b", vq_problems_empty(problems));
    g_variant_dict_insert_value(&file, "problems", g_variant_builder_end(&list));
    return g_variant_dict_end(&file);
}

static void
print_problems(const char *path, const VqProblems *problems)
{
    for (guint i = 0; i < problems->list->len; i++) {
        const VqProblem *problem = g_ptr_array_index(problems->list, i);

        if (problem->line)
            printf("%s:%u: %s\n", path, problem->line, problem->text);
        else
            printf("%s: %s\n", path, problem->text);
    }
    if (problems->total > problems->list->len)
        printf("%s: and %u more problems\n", path, problems->total - problems->list->len);
    if (vq_problems_empty(problems))
        printf("%s validates\n", path);
}

static bool
validate_file(const VqTool *tool, const char *path, GVariantBuilder *files, unsigned *invalid,
              GError **error)
{
    g_autoptr(VqProblems) problems = vq_problems_new();
    g_autofree char *text = NULL;
    gsize length;

    if (!vq_tool_read(path, FILE_MAX, &text, &length, error))
        return false;
    check_text(text, length, problems);
    *invalid += !vq_problems_empty(problems);
    g_variant_builder_add_value(files, problems_to_variant(path, problems));
    if (tool->format == VQ_FORMAT_TABLE)
        print_problems(path, problems);
    return true;
}

bool
vq_cmd_validate(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    g_auto(GVariantDict) result = G_VARIANT_DICT_INIT(NULL);
    g_auto(GVariantBuilder) files = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));
    unsigned invalid = 0;
    bool done;

    if (!vq_command_parse(command, NULL, &argc, &argv, &done, error))
        return false;
    if (done)
        return true;
    for (int i = 1; i < argc; i++) {
        if (!validate_file(tool, argv[i], &files, &invalid, error))
            return false;
    }
    g_variant_dict_insert(&result, "version", "u", 1);
    g_variant_dict_insert_value(&result, "files", g_variant_builder_end(&files));
    vq_output_data(tool, g_variant_dict_end(&result));
    if (!invalid)
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "%u of %d files failed to validate", invalid,
                argc - 1);
    return false;
}
