/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/finding.h"

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
};

const char *df_finding_name(unsigned finding)
{
	return finding < DF_FINDINGS ? names[finding] : NULL;
}

int df_finding_from_name(const char *name, size_t len)
{
	for (int i = 0; i < DF_FINDINGS; i++) {
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
			return i;
	}
	return -ENOENT;
}
