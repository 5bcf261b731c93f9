/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/oci/json.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "lib/base/util.h"

int df_oci_refuse(char *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(error, DF_OCI_ERROR_MAX, format, args);
	va_end(args);
	return EX_DATAERR;
}

int df_oci_no_memory(char *error)
{
	(void)df_oci_refuse(error, "out of memory");
	return EX_OSERR;
}

int df_oci_copy(const char *text, char **ret, char *error)
{
	*ret = strdup(text);
	return *ret ? 0 : df_oci_no_memory(error);
}

int df_oci_object(const char *what, const char *text, size_t len, struct df_json **ret, char *error)
{
	struct df_json *doc = NULL;
	char why[DF_JSON_ERROR_MAX];
	int r = df_json_parse(text, len, DF_OCI_JSON_MAX, &doc, why);

	if (r < 0) {
		(void)df_oci_refuse(error, "%s: %s", what, why);
		return r == -ENOMEM ? EX_OSERR : EX_DATAERR;
	}
	if (!df_json_is_object(doc)) {
		df_json_free(doc);
		return df_oci_refuse(error, "%s: not a JSON object", what);
	}
	*ret = doc;
	return 0;
}

int df_oci_string(const struct df_json *obj, const char *what, const char *key, const char **ret,
		  char *error)
{
	const struct df_json *v = df_json_get(obj, key);
	const char *text = df_json_string(v);

	if (v && !text)
		return df_oci_refuse(error, "%s: %s is not a string", what, key);
	*ret = text;
	return 0;
}

bool df_oci_is_cri_type(const struct df_json *annotations, const char *type)
{
	static const char *const keys[] = {"io.kubernetes.cri.container-type",
					   "io.kubernetes.cri-o.ContainerType"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *value = df_json_string(df_json_get(annotations, keys[i]));

		if (value && strcmp(value, type) == 0)
			return true;
	}
	return false;
}

bool df_oci_is_path(const char *path)
{
	return path && path[0] == '/' && strlen(path) < PATH_MAX;
}

int df_oci_annotations(const struct df_json *doc, const char *what, const struct df_json **ret,
		       char *error)
{
	const struct df_json *a = df_json_get(doc, "annotations");
	char shown[DF_OCI_SHOWN_MAX];

	if (a && !df_json_is_object(a))
		return df_oci_refuse(error, "%s: annotations is not an object", what);
	for (size_t i = 0; i < df_json_len(a); i++) {
		const char *key = df_json_key_at(a, i);

		if (df_json_string(df_json_at(a, i)))
			continue;
		(void)df_escape(key, strlen(key), shown, sizeof(shown));
		return df_oci_refuse(error, "%s: annotation \"%s\" is not a string", what, shown);
	}
	*ret = a;
	return 0;
}
