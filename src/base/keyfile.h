/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Configuration files in GKeyFile's syntax ("[group]", "key = value", "# comment"), read by a table
 * of the keys that exist. The table is also what prints the commented default file and what the
 * manual page is checked against, so that a key is described once.
 *
 * GKeyFile itself is not used: it stops at the first mistake and knows no line numbers, and a user
 * shall see all mistakes of a file at once. Values are taken literally, without escapes.
 */
#pragma once

#include "base/cpuset.h"
#include "base/enum.h"

#include <glib.h>
#include <stdbool.h>

/* Bytes of one file. */
#define VQ_KEY_FILE_MAX (256 * 1024)

typedef enum {
    VQ_KEY_STRING, /* not empty unless the default is */
    VQ_KEY_PATH,   /* an absolute path */
    VQ_KEY_INT,    /* decimal, min..max */
    VQ_KEY_BOOL,   /* true or false (yes, no, 1, 0 too) */
    VQ_KEY_CPUSET, /* libvirt's cpuset syntax; empty = not set */
    VQ_KEY_ENUM,   /* a name of the table */
} VqKeyType;

typedef struct {
    const char *group;
    const char *key;
    VqKeyType type;
    const char *value;         /* the default, as it would stand in the file */
    unsigned min, max;         /* VQ_KEY_INT */
    const VqEnumEntry *names;  /* VQ_KEY_ENUM */
    const char *unit;          /* "seconds", or NULL */
    const char *doc;           /* one paragraph for people, plain text */
    const char *documented_as; /* default shown in the manual where it depends on the build */
} VqKeySpec;

typedef struct _VqKeyFile VqKeyFile;

/*
 * Reads @text (@length bytes). @specs ends with an entry whose group is NULL and must outlive the
 * result. @name names the input in errors. With @only_group not NULL, problems of other groups are
 * passed over (their keys keep their defaults): a reader that needs one group only is not stopped
 * by what does not concern it. One error for all problems, a line each:
 *   virtqueued.conf:12: [host] pool_share: '95' is above the limit of 90 (per cent)
 * Any thread; the result is const afterwards.
 */
VqKeyFile *vq_key_file_parse(const VqKeySpec *specs, const char *text, gsize length,
                             const char *name, const char *only_group, GError **error);

/* The same from a file. VQ_ERROR_NOT_FOUND if there is none. */
VqKeyFile *vq_key_file_load(const VqKeySpec *specs, const char *path, const char *only_group,
                            GError **error);

/* All keys at their defaults. */
VqKeyFile *vq_key_file_defaults(const VqKeySpec *specs);

void vq_key_file_free(VqKeyFile *file);

/* Asking for a key that is not in the table, or as another type, is a programming error. */
const char *vq_key_file_string(const VqKeyFile *file, const char *group, const char *key);
unsigned vq_key_file_int(const VqKeyFile *file, const char *group, const char *key);
bool vq_key_file_bool(const VqKeyFile *file, const char *group, const char *key);
int vq_key_file_enum(const VqKeyFile *file, const char *group, const char *key);
/* Owned by @file; the empty set if not set. */
const VqCpuset *vq_key_file_cpuset(const VqKeyFile *file, const char *group, const char *key);

/* The commented default file: every key with its paragraph, limits and default. g_free(). */
char *vq_key_file_template(const VqKeySpec *specs);

/* The same as reStructuredText definitions, for the manual page. g_free(). */
char *vq_key_file_rst(const VqKeySpec *specs);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqKeyFile, vq_key_file_free)
