/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON as untrusted input: size, depth and encoding are checked before json-glib sees the text
 * (its reader recurses once for each bracket, so depth is stack).
 */
#pragma once

#include <json-glib/json-glib.h>

#define VQ_JSON_SIZE_MAX  (16 * 1024 * 1024) /* bytes; a plan of 4096 threads has about 2 MiB */
#define VQ_JSON_DEPTH_MAX 16                 /* brackets within brackets; a plan has 4 */

/*
 * Parses @length bytes (-1: up to the NUL) of a JSON document whose root must be an object.
 * @what names it in errors ("plan"). Errors VQ_ERROR_INVALID with the line, VQ_ERROR_LIMIT.
 */
JsonNode *vq_json_parse(const char *text, gssize length, const char *what, GError **error);

/* @node as text, indented, a newline at its end; numbers as short as they can be read back. */
char *vq_json_print(JsonNode *node);
