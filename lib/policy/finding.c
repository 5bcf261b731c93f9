/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/finding.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *name;
	bool is_circumstance;
	const char *remedy;
} findings[DF_FINDINGS] = {
	[DF_FINDING_CAP_NET_RAW] = {"cap-net-raw", false,
				    "drop CAP_NET_RAW, or use a kernel of 6.0 or later with "
				    "\"bpf\" in its list of LSMs"},
	[DF_FINDING_CAP_NET_ADMIN] = {"cap-net-admin", false, "drop CAP_NET_ADMIN"},
	[DF_FINDING_CAP_SYS_ADMIN] = {"cap-sys-admin", false, "drop CAP_SYS_ADMIN"},
	[DF_FINDING_CAP_BPF] = {"cap-bpf", false, "drop CAP_BPF"},
	[DF_FINDING_PRIVILEGED] =
		{"privileged", false,
		 "start it unprivileged, with the one capability or device that it needs"},
	[DF_FINDING_HOST_CGROUP] = {"host-cgroup", false,
				    "do not mount the host's cgroups, or read-only with all below "
				    "(rro), and leave the container a cgroup namespace of its own"},
	[DF_FINDING_ENGINE_SOCKET] = {"engine-socket", false,
				      "mount neither that socket nor a directory above it"},
	[DF_FINDING_RESOLVER_SOCKET] = {"resolver-socket", false,
					"mount neither that socket nor a directory above it"},
	[DF_FINDING_TUN_DEVICE] = {"tun-device", false, "do not give it /dev/net/tun"},
	[DF_FINDING_PASSED_FDS] =
		{"passed-fds", false,
		 "pass it no open sockets or directories (--preserve-fds, LISTEN_FDS, stdin)"},
	[DF_FINDING_HTTP_PROXY] = {"http-proxy", true,
				   "unset it: the proxy resolves names itself (podman: http_proxy "
				   "= false in containers.conf)"},
	[DF_FINDING_LOOPBACK_RESOLVER] = {"loopback-resolver", true,
					  "name a resolver outside of the container (--dns)"},
	[DF_FINDING_SHARED_NETNS] =
		{"shared-netns", true,
		 "give it a network namespace of its own, or fence all containers that share it"},
	[DF_FINDING_HOST_NETWORK] = {"host-network", true,
				     "give it a network namespace of its own"},
	[DF_FINDING_HOST_SOCKET] = {"host-socket", true,
				    "mount no socket of a server that hands out descriptors or "
				    "acts for its clients; any other may stay"},
	[DF_FINDING_HOST_PID] = {"host-pid", false,
				 "give it a pid namespace of its own (no --pid=host, no hostPID)"},
	[DF_FINDING_SHARED_PID] = {"shared-pid", false,
				   "give it a pid namespace of its own (no --pid=container:, no "
				   "shareProcessNamespace), or fence all that share it"},
	[DF_FINDING_HOST_MOUNT] =
		{"host-mount", false,
		 "mount the one file or directory that it needs, read-only (rro with what is "
		 "mounted below), and nothing above it; not the host's /proc or devices"},
	[DF_FINDING_RUNTIME_ANNOTATION] =
		{"runtime-annotation", false,
		 "remove the annotation from the command and from the image"},
	[DF_FINDING_PARENT_FILTER] =
		{"parent-filter", false,
		 "that program does not bind the proxy's DNS: say in the policy what it says, or "
		 "start the container outside of that cgroup"},
};

const char *df_finding_name(unsigned finding)
{
	return finding < DF_FINDINGS ? findings[finding].name : NULL;
}

const char *df_finding_remedy(unsigned finding)
{
	return finding < DF_FINDINGS ? findings[finding].remedy : NULL;
}

bool df_finding_is_circumstance(unsigned finding)
{
	return finding < DF_FINDINGS && findings[finding].is_circumstance;
}

int df_finding_from_name(const char *name, size_t len)
{
	for (int i = 0; i < DF_FINDINGS; i++) {
		if (strlen(findings[i].name) == len && memcmp(findings[i].name, name, len) == 0)
			return i;
	}
	return -ENOENT;
}
