/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * value: the values of policy and configuration statements that are more than a word of
 * a list: ports, addresses, networks, durations, shares, sizes, and the targets of rules.
 * Strict: whole text, decimal, no signs.  No allocation, no output.
 */
#ifndef DF_POLICY_VALUE_H
#define DF_POLICY_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/dname.h"
#include "lib/policy/table.h"

#define DF_VALUE_ERROR_MAX 192
/* Longest duration that makes sense for a running fence or a kept report. */
#define DF_VALUE_DURATION_MAX_S (3660u * 24 * 3600)

struct df_value_error {
	size_t offset; /* octets from the start of the value */
	char text[DF_VALUE_ERROR_MAX];
};

struct df_value_net {
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t prefix_len;
	uint8_t addr[16]; /* network byte order; host bits are zero */
};

/* All: 0, or -EINVAL with *ret_error filled and *ret untouched. */

/* 443, 443/tcp, 1000-2000/udp. */
int df_value_ports(const char *s, size_t len, struct df_policy_range *ret,
		   struct df_value_error *ret_error);
/* An address or, with '/', a network without host bits. */
int df_value_net(const char *s, size_t len, struct df_value_net *ret,
		 struct df_value_error *ret_error);
/* In the one form of tables and maps: 16 octets, IPv4 as ::ffff:a.b.c.d.  Its prefix length. */
unsigned df_value_net_mapped(const struct df_value_net *net, uint8_t ret[static 16]);
/* 90s, 15m, 1h, 30d. */
int df_value_duration(const char *s, size_t len, uint64_t *ret_s, struct df_value_error *ret_error);
/* 0% to 100%. */
int df_value_share(const char *s, size_t len, uint64_t *ret, struct df_value_error *ret_error);
/* 64KiB, 500MiB, 1GiB. */
int df_value_size(const char *s, size_t len, uint64_t *ret, struct df_value_error *ret_error);

/* The target of a rule: a domain name with scope, an address or a network, with or without ports.
 */
struct df_policy_target {
	bool is_name;
	enum df_policy_scope scope; /* of a name */
	struct df_dname name;
	struct df_value_net net;      /* if it is no name */
	struct df_policy_range ports; /* lo 0: every port */
};

int df_policy_target_parse(const char *s, size_t len, struct df_policy_target *ret,
			   struct df_value_error *ret_error);

#endif
