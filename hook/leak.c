/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of findings: `on-leak` of the policies. */
#include <string.h>
#include <sysexits.h>

#include "hook/hook.h"
#include "lib/util.h"

/* The policy that refuses the finding: the stricter of both counts.  In audit none does. */
static const struct df_policy *refused_by(const struct df_hook *h, unsigned finding)
{
	for (int i = 0; i < DF_TABLE_SHADOW; i++) {
		const struct df_hook_table *t = &h->tables[i];

		if (t->is_used && t->mode == DF_MODE_ENFORCE &&
		    df_policy_on_leak(&t->policy, finding) == DF_POLICY_LEAK_REFUSE)
			return &t->policy;
	}
	return NULL;
}

int df_hook_judge_leaks(struct df_hook *h)
{
	char text[DF_HOOK_REASON_MAX];
	size_t pos = 0;

	for (unsigned i = 0; i < DF_FINDINGS; i++) {
		const struct df_policy *p = *h->findings.seen[i] ? refused_by(h, i) : NULL;
		const char *name = df_finding_name(i);
		bool is_default;

		if (!p)
			continue;
		is_default =
			df_policy_default(p) == DF_POLICY_BLOCK && !df_finding_is_circumstance(i);
		df_append(text, sizeof(text), &pos,
			  "%sfinding %s: %s; refused by %s.policy: on-leak %s refuse%s; %s",
			  pos ? ". " : "", name, h->findings.seen[i], df_policy_name(p), name,
			  is_default ? ", as by default with default deny" : "",
			  df_finding_remedy(i));
	}
	if (pos == 0)
		return 0;
	h->is_final = true; /* nothing failed: the policy says so */
	return df_hook_fail(h, EX_CONFIG, "%s", text);
}
