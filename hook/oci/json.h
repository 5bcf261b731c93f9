/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json: the reading that the state JSON, its annotations and config.json have in common.
 *
 * Functions that return a status return 0 or the hook's exit status with the message in error, of
 * DF_OCI_ERROR_MAX octets: no newline at its end, control characters of the input escaped.
 */
#ifndef DF_OCI_JSON_H
#define DF_OCI_JSON_H

#include <stdbool.h>

#include "lib/base/json.h"

#define DF_OCI_JSON_MAX (1u << 20) /* octets of the state JSON and of config.json, each */
#define DF_OCI_ERROR_MAX 1024
#define DF_OCI_TEXT_MAX 1024 /* octets of a free text: a name, a value that is only shown */
#define DF_OCI_SHOWN_MAX 128 /* text of the input is shown up to here in messages */

/* Returns 65. */
int df_oci_refuse(char *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Returns 71. */
int df_oci_no_memory(char *error);

/* what: "state" or "config.json". */
int df_oci_object(const char *what, const char *text, size_t len, struct df_json **ret,
		  char *error);

/* Missing: 0 and NULL.  Borrowed. */
int df_oci_string(const struct df_json *obj, const char *what, const char *key, const char **ret,
		  char *error);
/* A copy, owned by the caller. */
int df_oci_copy(const char *text, char **ret, char *error);

/* The object, whose values are all strings; NULL if there is none. */
int df_oci_annotations(const struct df_json *doc, const char *what, const struct df_json **ret,
		       char *error);

/*
 * Whether an annotation of CRI says that a container is of this type, "sandbox" or "container":
 * containerd's key, or CRI-O's, which podman sets as well.  annotations: an object, or NULL.
 */
bool df_oci_is_cri_type(const struct df_json *annotations, const char *type);

/* Absolute, and not too long for the kernel. */
bool df_oci_is_path(const char *path);

#endif
