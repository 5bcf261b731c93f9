/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * judge: what a policy says of a name or an address, as `deployfence check` tells it.
 *
 * NAME, NAME:PORT, ADDR, ADDR:PORT, [V6]:PORT, each PORT with /tcp or /udp if need be;
 * TCP is meant without.  Judged is what the policy alone can tell: nothing is looked up.
 */
#ifndef DF_CLI_JUDGE_H
#define DF_CLI_JUDGE_H

#include <netinet/in.h>
#include <stdbool.h>

#include "lib/policy/table.h"
#include "lib/policy/value.h"

#define DF_JUDGE_RULE_MAX 512

struct df_judgement {
	const char *argument;
	char error[DF_VALUE_ERROR_MAX + 32]; /* "": none, and the rest is set */
	char domain[DF_DNAME_TEXT_MAX];      /* "": an address */
	char address[INET6_ADDRSTRLEN];      /* "": a name */
	uint16_t port;                       /* 0: none was given */
	uint8_t proto;
	const char *verdict; /* as in a report */
	char rule[DF_JUDGE_RULE_MAX];
	const char *owner, *hint; /* NULL: none */
	bool is_refusal;          /* or would be one */
};

/* argument is borrowed.  A refused argument is one with an error. */
void df_judge(const struct df_policy *p, const char *argument, struct df_judgement *ret);

#endif
