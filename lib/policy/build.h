/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_build: parsed rules to the flat table of policy_format.h.  Deterministic. */
#ifndef DF_POLICY_BUILD_H
#define DF_POLICY_BUILD_H

#include <stddef.h>

#include "lib/policy/parse.h"

/*
 * Warns of rules said twice and of contradictions, then, if messages has no
 * error, makes the table: *ret is malloc'd, or NULL with errors in messages.
 * name is the policy's; src's strings grow.
 * 0, -ENOMEM, -E2BIG.
 */
int df_policy_build(struct df_policy_source *src, const char *name, struct df_messages *messages,
		    void **ret, size_t *ret_size);

#endif
