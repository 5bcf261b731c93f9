/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * findings_network: who else is in the container's network namespace, and resolvers that
 * the container could be itself.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#include "hook/findings/findings.h"
#include "lib/base/local.h"
#include "lib/base/util.h"

#define PROCESSES_MAX 32768 /* that are looked at: 20 µs each on a slow machine */
#define COMM_MAX 32

static void name_of(pid_t pid, char *ret, size_t size)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	if (df_read_small(AT_FDCWD, path, ret, size) < 0)
		*ret = '\0';
	ret[strcspn(ret, "\n")] = '\0';
}

static void add_process(pid_t pid, struct df_findings *f)
{
	char name[COMM_MAX];

	name_of(pid, name, sizeof(name));
	df_findings_add(f, DF_FINDING_SHARED_NETNS, "network namespace of process %d%s%s", (int)pid,
			*name ? " " : "", name);
}

/* Made for this container by its engine: podman, containerd and CRI-O, Docker. */
static bool is_made_for_it(const char *path)
{
	static const char *const patterns[] = {
		"/run/netns/netns-*-*-*-*-*",
		"/run/netns/cni-*-*-*-*-*",
		"/run/docker/netns/*",
	};

	if (strncmp(path, "/var/run/", 9) == 0)
		path += 4;
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
		if (fnmatch(patterns[i], path, FNM_PATHNAME) == 0)
			return true;
	return false;
}

/* A namespace with a name: nothing tells who is in it but a look at everybody. */
static void look_at_everybody(const struct df_container *c, struct df_findings *f)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	const struct dirent *entry;
	char own[64], path[64];
	struct stat st;

	if (!proc || fstat(c->netns_fd, &st) < 0)
		return;
	(void)snprintf(own, sizeof(own), "net:[%lu]", (unsigned long)st.st_ino);
	for (int i = 0; i < PROCESSES_MAX && (entry = readdir(proc)); i++) {
		char link[64];
		uint64_t pid;
		ssize_t n;

		if (df_parse_u64(entry->d_name, INT32_MAX, &pid) < 0 || (pid_t)pid == c->pid)
			continue;
		(void)snprintf(path, sizeof(path), "%d/ns/net", (int)pid);
		n = readlinkat(dirfd(proc), path, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = '\0';
		if (strcmp(link, own) != 0 || df_container_is_descendant((pid_t)pid, c->pid))
			continue;
		add_process((pid_t)pid, f);
		return;
	}
}

static void find_neighbours(const struct df_config *config, const struct df_container *c,
			    struct df_findings *f)
{
	const char *path = config->netns_path;
	int pid;

	if (c->is_host_netns) {
		df_findings_add(f, DF_FINDING_HOST_NETWORK, "the host's network namespace");
		return;
	}
	if (!path)
		return;
	/* how engines write "that of another container" */
	if (sscanf(path, "/proc/%d/", &pid) == 1) {
		if (pid != c->pid)
			add_process(pid, f);
		return;
	}
	if (config->is_in_pod)
		df_findings_add(f, DF_FINDING_SHARED_NETNS, "network namespace of pod %s",
				config->pod ? config->pod : path);
	else if (!is_made_for_it(path))
		look_at_everybody(c, f);
}

/* Whatever the network looks like: 0/8, 127/8, ::/96 with such an address in it. */
static bool is_nobody_else(const uint8_t addr[16])
{
	const bool is_ipv4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)addr);

	if (is_ipv4)
		return addr[12] == 0 || addr[12] == 127;
	return IN6_IS_ADDR_UNSPECIFIED((const struct in6_addr *)addr) ||
	       IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)addr) ||
	       (IN6_IS_ADDR_V4COMPAT((const struct in6_addr *)addr) &&
		(addr[12] == 0 || addr[12] == 127));
}

static bool is_dockers(const uint8_t addr[16])
{
	static const uint8_t docker[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 11};

	return memcmp(addr, docker, sizeof(docker)) == 0;
}

static void find_resolvers(const struct df_container *c, bool is_docker, struct df_findings *f)
{
	_cleanup_close_ int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	const bool is_inside =
		home >= 0 && c->netns_fd >= 0 && setns(c->netns_fd, CLONE_NEWNET) == 0;

	for (unsigned i = 0; i < c->dns.n_resolvers; i++) {
		const uint8_t *addr = c->dns.resolvers[i];
		const bool is_ipv4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)addr);
		char text[INET6_ADDRSTRLEN];

		if ((is_docker && is_dockers(addr)) ||
		    (!is_nobody_else(addr) && !(is_inside && df_is_local(addr))))
			continue;
		(void)inet_ntop(is_ipv4 ? AF_INET : AF_INET6, is_ipv4 ? addr + 12 : addr, text,
				sizeof(text));
		df_findings_add(f, DF_FINDING_LOOPBACK_RESOLVER, "nameserver %s", text);
	}
	if (is_inside)
		(void)setns(home, CLONE_NEWNET); /* it was ours: see proc(5), setns(2) */
}

void df_findings_of_network(const struct df_config *config, const struct df_container *container,
			    bool is_docker, struct df_findings *f)
{
	find_neighbours(config, container, f);
	if (!container->is_host_netns) /* on the host it is the host's */
		find_resolvers(container, is_docker, f);
}
