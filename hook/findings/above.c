/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * above: what is attached above a fence.  The kernel runs the programs of a cgroup and those of all
 * cgroups above it, but of one that was not attached with BPF_F_ALLOW_MULTI a program further down
 * takes the place (kernel/bpf/cgroup.c, compute_effective_progs): the host's rule would be gone,
 * for this container and without a word.
 */
#include <string.h>
#include <sysexits.h>

#include "hook/hook.h"
#include "lib/base/util.h"

#define FOREIGN_MAX 64 /* that are told apart on one cgroup */

/* "program sd_fw_egress (id 7) at egress of cgroup /machine.slice" */
static void describe(const struct df_hook *h, unsigned level, const struct df_fence_foreign *p,
		     char *ret, size_t size)
{
	size_t len = strlen(h->container.cgroup), pos = 0;

	while (level-- > 0)
		while (len > 0 && h->container.cgroup[--len] != '/')
			;
	df_append(ret, size, &pos, "program %s (id %u) at %s of cgroup %.*s",
		  *p->name ? p->name : "without a name", p->id, p->type, len > 0 ? (int)len : 1,
		  len > 0 ? h->container.cgroup : "/");
}

static int judge(struct df_hook *h, unsigned level, const struct df_fence_foreign *p)
{
	/* the proxy's own cgroup is below the root as well: what is there binds it, too */
	const bool is_root = level == h->container.n_above;
	char text[DF_META_PATH_MAX + 256];

	describe(h, level, p, text, sizeof(text));
	switch (p->kind) {
	case DF_FENCE_HARMLESS:
		return 0;
	case DF_FENCE_FILTER:
		if (!is_root)
			df_findings_add(&h->findings, DF_FINDING_PARENT_FILTER, "%s", text);
		return 0;
	case DF_FENCE_NESTED:
		if (level == 0) /* an earlier fence left it; it is detached */
			return 0;
		return df_hook_fail(h, EX_UNAVAILABLE,
				    "%s is of another fence, and one would refuse the DNS of the "
				    "other: start the container outside of that cgroup",
				    text);
	case DF_FENCE_OVERRIDE:
		return df_hook_fail(
			h, EX_UNAVAILABLE,
			"%s is attached with BPF_F_ALLOW_OVERRIDE: the fence would take "
			"its place, and its rule would no longer hold for this "
			"container; attach it with BPF_F_ALLOW_MULTI, or start the "
			"container outside of that cgroup",
			text);
	case DF_FENCE_EXCLUSIVE:
		return df_hook_fail(
			h, EX_UNAVAILABLE,
			"%s is attached exclusively and admits no fence: attach it with "
			"BPF_F_ALLOW_MULTI, or start the container outside of that "
			"cgroup",
			text);
	}
	return 0;
}

int df_hook_look_above(struct df_hook *h)
{
	const struct df_container *c = &h->container;

	for (unsigned level = 0; level <= c->n_above; level++) {
		struct df_fence_foreign list[FOREIGN_MAX];
		int n = df_fence_foreign(h->fence,
					 level == 0 ? c->cgroup_fd : c->above_fds[level - 1], list,
					 FOREIGN_MAX);

		if (n < 0)
			return df_hook_fail(
				h, EX_UNAVAILABLE,
				"ask for the programs of the cgroups above %s (BPF_PROG_QUERY): %s",
				c->cgroup, strerror(-n));
		for (int i = 0; i < n && i < FOREIGN_MAX; i++) {
			int status = judge(h, level, &list[i]);

			if (status != 0)
				return status;
		}
	}
	return 0;
}
