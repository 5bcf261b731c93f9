/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_case: what the unit tests of policies share.  A failure fails the test. */
#ifndef DF_TEST_POLICY_CASE_H
#define DF_TEST_POLICY_CASE_H

#include "lib/policy/compile.h"
#include "lib/policy/table.h"

#define FILE_NAME "t.policy"

struct compiled {
	struct df_policy_result result;
	struct df_policy policy;
};

void compiled_done(struct compiled *c);
#define _cleanup_compiled_ __attribute__((cleanup(compiled_done)))

/* The policy t, of dir/t.policy. */
void compile(const char *text, struct compiled *c);
/* And with this as all that is said of it; NULL: nothing. */
void compile_saying(const char *text, const char *messages, struct compiled *c);

struct df_dname name_of(const char *text);
/* An address or network, IPv4 as ::ffff:a.b.c.d.  Its prefix length. */
unsigned net_of(const char *text, uint8_t ret[static 16]);

const struct df_policy_rule *lookup(const struct compiled *c, const char *name);

/* want: text of the rule behind "FILE:", or NULL for none. */
void assert_rule(const struct compiled *c, const struct df_policy_rule *rule, const char *what,
		 const char *want);
void assert_decides(const struct compiled *c, const char *name, const char *want);

#endif
