/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/findings/on_leak.h"

#include <string.h>
#include <sysexits.h>

#include "hook/rundir.h"
#include "lib/base/util.h"

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

/*
 * Refuses AF_PACKET by a program of lsm.bpf.c, where the kernel takes it: then CAP_NET_RAW is no
 * finding.  Kernels are not told apart by their version; the program is tried.
 */
static void close_raw(struct df_hook *h)
{
	char *seen = h->findings.seen[DF_FINDING_CAP_NET_RAW];
	struct df_fence_maps maps;
	uint32_t known, btf_id = 0;

	df_fence_lsm_clean(h->container.cgroup_fd);
	if (!*seen)
		return;
	df_fence_maps(h->fence, &maps);
	(void)df_rundir_get_fact("lsm", &btf_id, 1);
	known = btf_id;
	if (df_fence_lsm_attach(&maps, &h->layout, h->container.cgroup_fd, &btf_id, &h->lsm) < 0)
		return;
	*seen = '\0';
	if (btf_id != known)
		df_rundir_set_fact("lsm", &btf_id, 1);
}

int df_on_leak_judge(struct df_hook *h)
{
	char text[DF_HOOK_REASON_MAX];
	size_t pos = 0;

	close_raw(h);
	for (unsigned i = 0; i < DF_FINDINGS; i++) {
		const struct df_policy *p = *h->findings.seen[i] ? refused_by(h, i) : NULL;
		const char *name = df_finding_name(i);
		bool is_default;

		if ((i == DF_FINDING_HOST_PID || i == DF_FINDING_SHARED_PID) &&
		    *h->findings.seen[i] && h->mode != DF_MODE_AUDIT && df_hook_asks_fail_open(h))
			df_findings_add(&h->findings, (enum df_finding)i,
					"so fail=open does not count, and the fence fails closed");
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
	h->is_final = true; /* a decision of the policy, not a failure */
	return df_hook_fail(h, EX_CONFIG, "%s", text);
}
