/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/finding.h"

#include <errno.h>
#include <string.h>

static const char *const names[DF_FINDINGS] = {
	[DF_FINDING_CAP_NET_RAW] = "cap-net-raw",
	[DF_FINDING_CAP_NET_ADMIN] = "cap-net-admin",
	[DF_FINDING_CAP_SYS_ADMIN] = "cap-sys-admin",
	[DF_FINDING_CAP_BPF] = "cap-bpf",
	[DF_FINDING_PRIVILEGED] = "privileged",
	[DF_FINDING_HOST_CGROUP] = "host-cgroup",
	[DF_FINDING_ENGINE_SOCKET] = "engine-socket",
	[DF_FINDING_RESOLVER_SOCKET] = "resolver-socket",
	[DF_FINDING_TUN_DEVICE] = "tun-device",
	[DF_FINDING_PASSED_FDS] = "passed-fds",
	[DF_FINDING_HTTP_PROXY] = "http-proxy",
	[DF_FINDING_LOOPBACK_RESOLVER] = "loopback-resolver",
	[DF_FINDING_SHARED_NETNS] = "shared-netns",
	[DF_FINDING_HOST_NETWORK] = "host-network",
	[DF_FINDING_HOST_SOCKET] = "host-socket",
	[DF_FINDING_HOST_PID] = "host-pid",
	[DF_FINDING_SHARED_PID] = "shared-pid",
	[DF_FINDING_HOST_MOUNT] = "host-mount",
	[DF_FINDING_RUNTIME_ANNOTATION] = "runtime-annotation",
	[DF_FINDING_PARENT_FILTER] = "parent-filter",
};

const char *df_finding_name(unsigned finding)
{
	return finding < DF_FINDINGS ? names[finding] : NULL;
}

static const char *const remedies[DF_FINDINGS] = {
	[DF_FINDING_CAP_NET_RAW] = "drop CAP_NET_RAW, or use a kernel of 6.0 or later with \"bpf\" "
				   "in its list of LSMs",
	[DF_FINDING_CAP_NET_ADMIN] = "drop CAP_NET_ADMIN",
	[DF_FINDING_CAP_SYS_ADMIN] = "drop CAP_SYS_ADMIN",
	[DF_FINDING_CAP_BPF] = "drop CAP_BPF",
	[DF_FINDING_PRIVILEGED] =
		"start it unprivileged, with the one capability or device that it needs",
	[DF_FINDING_HOST_CGROUP] =
		"do not mount the host's cgroups, or read-only with all below (rro), and leave the "
		"container a cgroup namespace of its own",
	[DF_FINDING_ENGINE_SOCKET] = "mount neither that socket nor a directory above it",
	[DF_FINDING_RESOLVER_SOCKET] = "mount neither that socket nor a directory above it",
	[DF_FINDING_TUN_DEVICE] = "do not give it /dev/net/tun",
	[DF_FINDING_PASSED_FDS] =
		"pass it no open sockets or directories (--preserve-fds, LISTEN_FDS, stdin)",
	[DF_FINDING_HTTP_PROXY] =
		"unset it: the proxy resolves names itself (podman: http_proxy = false in "
		"containers.conf)",
	[DF_FINDING_LOOPBACK_RESOLVER] = "name a resolver outside of the container (--dns)",
	[DF_FINDING_SHARED_NETNS] =
		"give it a network namespace of its own, or fence all containers that share it",
	[DF_FINDING_HOST_NETWORK] = "give it a network namespace of its own",
	[DF_FINDING_HOST_SOCKET] =
		"mount no socket of a server that hands out descriptors or acts for its clients; "
		"any other may stay",
	[DF_FINDING_HOST_PID] = "give it a pid namespace of its own (no --pid=host, no hostPID)",
	[DF_FINDING_SHARED_PID] = "give it a pid namespace of its own (no --pid=container:, no "
				  "shareProcessNamespace), or fence all that share it",
	[DF_FINDING_HOST_MOUNT] =
		"mount the one file or directory that it needs, read-only (rro with what is "
		"mounted below), and nothing above it; not the host's /proc or devices",
	[DF_FINDING_RUNTIME_ANNOTATION] =
		"remove the annotation from the command and from the image",
	[DF_FINDING_PARENT_FILTER] =
		"that program does not bind the proxy's DNS: say in the policy what it says, or "
		"start the container outside of that cgroup",
};

const char *df_finding_remedy(unsigned finding)
{
	return finding < DF_FINDINGS ? remedies[finding] : NULL;
}

bool df_finding_is_circumstance(unsigned finding)
{
	return finding == DF_FINDING_HTTP_PROXY || finding == DF_FINDING_LOOPBACK_RESOLVER ||
	       finding == DF_FINDING_SHARED_NETNS || finding == DF_FINDING_HOST_NETWORK ||
	       finding == DF_FINDING_HOST_SOCKET;
}

int df_finding_from_name(const char *name, size_t len)
{
	for (int i = 0; i < DF_FINDINGS; i++) {
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
			return i;
	}
	return -ENOENT;
}
