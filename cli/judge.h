/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * judge: what the policies of a container say of a name or an address, as `deployfence check`
 * tells it; the verdict itself is that of lib/policy/verdict.h.
 *
 * NAME, NAME:PORT, ADDR, ADDR:PORT, [V6]:PORT, each PORT with /tcp or /udp if need be;
 * TCP is meant without.  Nothing is looked up: where an answer or the container's own addresses
 * would count, the hint says so.
 */
#ifndef DF_CLI_JUDGE_H
#define DF_CLI_JUDGE_H

#include <netinet/in.h>
#include <stdbool.h>

#include "lib/policy/value.h"
#include "lib/policy/verdict.h"

#define DF_JUDGE_RULE_MAX 512

struct df_judge_answer {
	const char *argument;
	char error[DF_VALUE_ERROR_MAX + 32]; /* "": none, and the rest is set */
	char domain[DF_DNAME_TEXT_MAX];      /* "": an address */
	char address[INET6_ADDRSTRLEN];      /* "": a name */
	uint16_t port;                       /* 0: none was given */
	uint8_t proto;
	const char *verdict; /* as in a report */
	char rule[DF_JUDGE_RULE_MAX];
	const char *rule_owner, *hint; /* NULL: none */
	bool is_refusal;               /* or would be one */
};

/* By own and base policy.  argument is borrowed.  A refused argument is one with an error. */
void df_judge(const struct df_tables *t, const char *argument, struct df_judge_answer *ret);

#endif
