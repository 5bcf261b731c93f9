/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/findings/findings.h"

#include <linux/capability.h>
#include <stdarg.h>
#include <string.h>

#include "lib/base/util.h"

#define TEXT_MAX 1024

/* As one of the list, and not as the beginning of another: /etc/profile beside /etc/profile.d. */
static bool is_seen(const char *seen, const char *text)
{
	const size_t len = strlen(text);

	for (const char *at = strstr(seen, text); at; at = strstr(at + 1, text)) {
		const bool is_start =
			at == seen || (at - seen >= 2 && memcmp(at - 2, ", ", 2) == 0);

		if (is_start && (at[len] == '\0' || strncmp(at + len, ", ", 2) == 0))
			return true;
	}
	return false;
}

void df_findings_add(struct df_findings *f, enum df_finding finding, const char *format, ...)
{
	char *seen = f->seen[finding], text[TEXT_MAX], printable[DF_META_SEEN_MAX];
	size_t pos = strlen(seen);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)df_escape(text, strlen(text), printable, sizeof(printable));
	if (*printable && !is_seen(seen, printable))
		df_append(seen, DF_META_SEEN_MAX, &pos, "%s%s", pos ? ", " : "", printable);
}

static bool has_cap(const struct df_config *c, unsigned cap)
{
	return c->caps >> cap & 1;
}

static void find_caps(const struct df_config *c, bool has_own_userns, struct df_findings *f)
{
	if (has_cap(c, CAP_NET_RAW))
		df_findings_add(f, DF_FINDING_CAP_NET_RAW, "CAP_NET_RAW in process.capabilities");
	if (has_cap(c, CAP_NET_ADMIN))
		df_findings_add(f, DF_FINDING_CAP_NET_ADMIN,
				"CAP_NET_ADMIN in process.capabilities");
	/* the kernel asks for these two in the initial user namespace: there alone they lead out */
	if (has_own_userns)
		return;
	if (has_cap(c, CAP_SYS_ADMIN))
		df_findings_add(f, DF_FINDING_CAP_SYS_ADMIN,
				"CAP_SYS_ADMIN in process.capabilities");
	if (has_cap(c, CAP_BPF))
		df_findings_add(f, DF_FINDING_CAP_BPF, "CAP_BPF in process.capabilities");
}

/* What is as good as root on the host, by whatever option it came. */
static void find_privileged(const struct df_config *c, bool is_host_pidns, struct df_findings *f)
{
	static const struct {
		unsigned cap;
		const char *name;
	} caps[] = {
		{CAP_SYS_MODULE, "CAP_SYS_MODULE"},
		{CAP_SYS_RAWIO, "CAP_SYS_RAWIO"},
		{CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"},
	};

	if (has_cap(c, CAP_SYS_ADMIN) && !c->has_seccomp && !c->has_masked_paths)
		df_findings_add(f, DF_FINDING_PRIVILEGED,
				"CAP_SYS_ADMIN without seccomp and masked paths");
	if (has_cap(c, CAP_MKNOD) && c->has_all_devices)
		df_findings_add(f, DF_FINDING_PRIVILEGED, "CAP_MKNOD with every device allowed");
	if (has_cap(c, CAP_SYS_PTRACE) && is_host_pidns)
		df_findings_add(f, DF_FINDING_PRIVILEGED,
				"CAP_SYS_PTRACE in the host's pid namespace");
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++)
		if (has_cap(c, caps[i].cap))
			df_findings_add(f, DF_FINDING_PRIVILEGED, "%s", caps[i].name);
}

/* A mount in a namespace of the container's own shows it nothing but its own cgroup. */
static void find_cgroup_mounts(const struct df_config *c, bool sees_more, struct df_findings *f)
{
	for (size_t i = 0; i < c->n_mounts; i++) {
		const struct df_config_mount *m = &c->mounts[i];

		if (!m->is_cgroup || m->is_readonly)
			continue;
		if (!c->has_own_cgroupns)
			df_findings_add(f, DF_FINDING_HOST_CGROUP,
					"writable cgroup mount at %s without a cgroup namespace",
					m->destination);
		else if (sees_more)
			df_findings_add(f, DF_FINDING_HOST_CGROUP,
					"writable cgroup mount at %s, and the root of its cgroup "
					"namespace is not its own cgroup",
					m->destination);
	}
}

void df_findings_of_config(const struct df_config *config, const struct df_container *container,
			   struct df_findings *f)
{
	find_caps(config, container->has_own_userns, f);
	if (!container->has_own_userns)
		find_privileged(config, container->pidns == DF_PIDNS_HOST, f);
	find_cgroup_mounts(config, container->sees_more_cgroups, f);
	/* their files belong to the initial user namespace's root */
	if (config->has_writable_sysfs && !container->has_own_userns)
		df_findings_add(f, DF_FINDING_HOST_MOUNT, "writable sysfs mount");
	if (config->has_writable_proc && !container->has_own_userns)
		df_findings_add(f, DF_FINDING_HOST_MOUNT, "writable /proc/sys");
	if (config->has_tun)
		df_findings_add(f, DF_FINDING_TUN_DEVICE, "device /dev/net/tun");
	else if (config->may_use_tun && has_cap(config, CAP_MKNOD) && !container->has_own_userns)
		df_findings_add(f, DF_FINDING_TUN_DEVICE,
				"CAP_MKNOD with the device /dev/net/tun allowed");
	if (config->proxies)
		df_findings_add(f, DF_FINDING_HTTP_PROXY, "environment %s", config->proxies);
}

void df_findings_collect(const char *bundle, const struct df_config *config,
			 const struct df_container *container, bool is_docker,
			 struct df_findings *f)
{
	df_findings_of_config(config, container, f);
	df_findings_of_mounts(bundle, config, container, f);
	df_findings_of_fds(config, container->pid, f);
	df_findings_of_network(config, container, is_docker, f);
	df_findings_of_processes(config, container, f);
}
