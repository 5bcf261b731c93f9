/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json: the only reader of JSON (yajl; lib/event writes it).  A strict reader for the state JSON
 * and config.json of the OCI runtime-spec (RFC 8259).
 *
 * Refused beyond what yajl refuses: more than the caller's cap of octets,
 * nesting over DF_JSON_DEPTH_MAX, more than DF_JSON_VALUES_MAX values, duplicate
 * keys of one object (compared after unescaping), "\u0000" in any string or key,
 * half surrogate pairs, comments, bytes after the value, invalid UTF-8.  yajl's
 * tree would take the first of duplicate keys and cut strings at NUL: both let
 * two readers see two documents.
 */
#ifndef DF_JSON_H
#define DF_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DF_JSON_DEPTH_MAX 32 /* config.json nests 7 deep (seccomp arguments) */
/* Bounds the tree to about 5 MiB; podman's config.json has 1,000, most of them seccomp. */
#define DF_JSON_VALUES_MAX 65536
#define DF_JSON_ERROR_MAX 160

struct df_json; /* a value; owned by the document it belongs to */

/*
 * Parses text of len octets.  0, -EINVAL (error says what and where), -E2BIG
 * (len > max_len, too deep, too many values), -ENOMEM.  Free the document with df_json_free.
 */
int df_json_parse(const char *text, size_t len, size_t max_len, struct df_json **ret,
		  char ret_error[static DF_JSON_ERROR_MAX]);
void df_json_free(struct df_json *doc);

/* The same with another bound than DF_JSON_VALUES_MAX: 80 octets of memory a value. */
int df_json_parse_large(const char *text, size_t len, size_t max_len, size_t max_values,
			struct df_json **ret, char ret_error[static DF_JSON_ERROR_MAX]);

/* NULL if obj is NULL, no object, or has no such key. */
const struct df_json *df_json_get(const struct df_json *obj, const char *key);

/* NULL if v is NULL or of another type.  Borrowed. */
const char *df_json_string(const struct df_json *v);
bool df_json_is_object(const struct df_json *v);
bool df_json_is_array(const struct df_json *v);
bool df_json_is_true(const struct df_json *v); /* the literal, not a string */

/* 0; -EINVAL: NULL, no number, not an integer, or out of int64_t. */
int df_json_int(const struct df_json *v, int64_t *ret);

/* Length of an array or object (else 0), its i-th value, and an object's i-th key. */
size_t df_json_len(const struct df_json *v);
const struct df_json *df_json_at(const struct df_json *v, size_t i);
const char *df_json_key_at(const struct df_json *obj, size_t i);

#endif
