/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * demands: what the host demands of annotations.
 *
 * `annotations` says which keys count at all; with `annotations-may-weaken no` none
 * may ask for less than the host: off < audit < enforce, fail open < closed, log
 * none < stderr, and a policy that is neither the default nor selectable.
 *
 * Pure.  Refuses with EX_CONFIG, whatever fail says: an annotation must not open
 * what another one was refused for.
 */
#ifndef DF_DEMANDS_H
#define DF_DEMANDS_H

#include "hook/oci/state.h"
#include "lib/policy/conf.h"

/*
 * All that can be judged without the policy.  0, or EX_CONFIG with the annotation
 * and the host's demand in ret_error.
 */
int df_demands_check(const struct df_conf_host *conf, const struct df_state *s,
		     char ret_error[static DF_STATE_ERROR_MAX]);

/*
 * Whether the annotation audit weakens; host_enforces: without it this container
 * would be enforced, or nobody can tell since its policy has an error.
 */
int df_demands_check_audit(const struct df_conf_host *conf, const struct df_state *s,
			   bool host_enforces, char ret_error[static DF_STATE_ERROR_MAX]);

#endif
