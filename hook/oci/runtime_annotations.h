/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * runtime_annotations: annotations by which a runtime writes files, moves the container or
 * calls something as root, outside of the fence and before it stands.
 *
 * They come with the state and with config.json, and from images too: podman before 4.6
 * copies an image's annotations.  Of crun's run.oci.* those that are known to do nothing of
 * that kind are left out; one that is not known counts.
 */
#ifndef DF_RUNTIME_ANNOTATIONS_H
#define DF_RUNTIME_ANNOTATIONS_H

#include "lib/base/json.h"

#define DF_RUNTIME_ANNOTATIONS_MAX 8 /* kept; one alone is a finding */

struct df_runtime_annotations {
	unsigned n;
	char *text[DF_RUNTIME_ANNOTATIONS_MAX]; /* KEY=VALUE, cut; not escaped */
};

/* annotations: an object whose values are strings, or NULL.  0, or 71 with the error. */
int df_runtime_annotations_read(const struct df_json *annotations,
				struct df_runtime_annotations *ret, char *error);
void df_runtime_annotations_done(struct df_runtime_annotations *a);

#endif
