/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/annotation_keys.h"

#include <errno.h>
#include <string.h>

#define P DF_ANNOTATION_PREFIX

/* A longer key may be missed by more slips; ".log" is close to every short word. */
const struct df_annotation_key df_annotation_keys[DF_ANNOTATIONS] = {
	/* whether, and how strictly, the container is fenced */
	[DF_ANNOTATION_FENCE] = {P, {"on", "enforce", "audit", "off"}, "a fence", 4, 2},
	/* the policy, instead of the host's default one */
	[DF_ANNOTATION_POLICY] = {.key = P ".policy", .slips = 3},
	/* a second policy, which is judged beside the first and never enforced */
	[DF_ANNOTATION_SHADOW] = {.key = P ".shadow", .slips = 3},
	/* the consequence if the fence cannot be built, or its proxy ends */
	[DF_ANNOTATION_FAIL] = {P ".fail", {"closed", "open"}, "fail closed", 2, 2},
	/* where refusals are shown beside the log */
	[DF_ANNOTATION_LOG] = {P ".log", {"stderr", "none"}, "log stderr", 2, 1},
	/* the containers of a pod that are meant; the others are not fenced */
	[DF_ANNOTATION_CONTAINERS] = {.key = P ".containers", .slips = 3},
	/* free text, which events and reports carry */
	[DF_ANNOTATION_OWNER] = {.key = P ".owner", .slips = 2},
	[DF_ANNOTATION_X] = {.key = P ".x-"},
};

int df_annotation_from_key(const char *key, size_t len)
{
	for (int i = 0; i < DF_ANNOTATIONS; i++) {
		const size_t n = strlen(df_annotation_keys[i].key);

		if (len >= n && memcmp(key, df_annotation_keys[i].key, n) == 0 &&
		    (i == DF_ANNOTATION_X ? len > n : len == n))
			return i;
	}
	return -ENOENT;
}
