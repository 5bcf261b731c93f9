/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * oci_json: what the readers of the state JSON and of config.json have in common.
 * Internal to state and config.
 *
 * Functions that return a status return 0 or the hook's exit status with error
 * filled, of DF_STATE_ERROR_MAX octets.
 */
#ifndef DF_OCI_JSON_H
#define DF_OCI_JSON_H

#include <stdbool.h>

#include "hook/oci/state.h"
#include "lib/base/json.h"

#define DF_OCI_SHOWN_MAX 128 /* text of the input is shown up to here in messages */

void df_oci_free_json(struct df_json **doc);
#define _cleanup_df_json_ __attribute__((cleanup(df_oci_free_json)))

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
int df_oci_copy(const char *text, char **ret, char *error);

/* The object, whose values are all strings; NULL if there is none. */
int df_oci_annotations(const struct df_json *doc, const char *what, const struct df_json **ret,
		       char *error);

/* Absolute, and not too long for the kernel. */
bool df_oci_is_path(const char *path);

#endif
