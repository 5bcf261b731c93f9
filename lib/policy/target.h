/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy_target: what a block or allow statement names: a domain name with scope,
 * an address or a network, each with or without ports.
 */
#ifndef DF_POLICY_TARGET_H
#define DF_POLICY_TARGET_H

#include <stdbool.h>

#include "lib/base/dname.h"
#include "lib/policy/table.h"
#include "lib/policy/value.h"

struct df_policy_target {
	bool is_name;
	enum df_policy_scope scope; /* of a name */
	struct df_dname name;
	struct df_value_net net;     /* if it is no name */
	struct df_value_ports ports; /* lo 0: every port */
};

/* 0, or -EINVAL with *ret_error filled and *ret untouched. */
int df_policy_target_parse(const char *s, size_t len, struct df_policy_target *ret,
			   struct df_value_error *ret_error);

#endif
