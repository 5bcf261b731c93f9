/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * annotations: judges the deployfence keys of a state JSON.  Internal to state.
 *
 * Every key that begins with "deployfence" in any case is ours, as the hooks.d
 * file matches it.  Refused: keys that are not exactly one of ours, values that
 * are not exactly one of the accepted ones.  All other keys are skipped.
 */
#ifndef DF_ANNOTATIONS_H
#define DF_ANNOTATIONS_H

#include "hook/oci/state.h"
#include "lib/base/json.h"

/*
 * Fills ask, policy, shadow, fail, log, owner, containers with name and is_left_out, and
 * x of s.  annotations: an object whose values are strings, or NULL.  Returns as df_state_parse; on
 * failure s holds a part, which df_state_done frees.
 */
int df_annotations_read(const struct df_json *annotations, struct df_state *s,
			char ret_error[static DF_STATE_ERROR_MAX]);

/*
 * What in the list containers may have meant the name of a container that it leaves
 * out: the list is near to naming it.  Borrowed from nowhere: *ret_len octets at the
 * returned address, in s->containers; NULL: nothing is near.
 */
const char *df_annotations_near_name(const struct df_state *s, size_t *ret_len);

#endif
