/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * finding: the properties of a container that would let it around its fence, by name.
 *
 * The hook finds them, `on-leak` of a policy says whether each is a warning or a refusal,
 * events and deployfence-hook(8) call them by these names.  The numbers are part of compiled
 * policies: add at the end, and raise DF_POLICY_VERSION.
 */
#ifndef DF_FINDING_H
#define DF_FINDING_H

#include <stdbool.h>
#include <stddef.h>

enum df_finding {
	DF_FINDING_CAP_NET_RAW,
	DF_FINDING_CAP_NET_ADMIN,
	DF_FINDING_CAP_SYS_ADMIN,
	DF_FINDING_CAP_BPF,
	DF_FINDING_PRIVILEGED,
	DF_FINDING_HOST_CGROUP,
	DF_FINDING_ENGINE_SOCKET,
	DF_FINDING_RESOLVER_SOCKET,
	DF_FINDING_TUN_DEVICE,
	DF_FINDING_PASSED_FDS,
	DF_FINDING_HTTP_PROXY,
	DF_FINDING_LOOPBACK_RESOLVER,
	DF_FINDING_SHARED_NETNS,
	DF_FINDING_HOST_NETWORK,
	DF_FINDING_HOST_SOCKET,
	DF_FINDING_HOST_PID,
	DF_FINDING_SHARED_PID,
	DF_FINDING_HOST_MOUNT,
	DF_FINDING_RUNTIME_ANNOTATION,
	DF_FINDING_PARENT_FILTER,
	DF_FINDINGS, /* their number; at most 32, for sets of them */
};

/* "cap-net-raw"; NULL: no such finding. */
const char *df_finding_name(unsigned finding);

/* It describes the set-up of the container, and opens nothing by itself. */
bool df_finding_is_circumstance(unsigned finding);

/* The remedy, one line; NULL: no such finding. */
const char *df_finding_remedy(unsigned finding);

/* The finding with this name (len octets), or -ENOENT. */
int df_finding_from_name(const char *name, size_t len);

#endif
