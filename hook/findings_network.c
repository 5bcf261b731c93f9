/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * findings_network: who else is in the container's network namespace, and resolvers that
 * the container could be itself.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>

#include "hook/findings.h"
#include "lib/util.h"

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

/* 127/8 but Docker's own 127.0.0.11, which the namespace's DNAT leads outside; ::1. */
static bool is_suspect(const uint8_t addr[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const uint8_t docker[4] = {127, 0, 0, 11}, one[16] = {[15] = 1};

	if (memcmp(addr, mapped, sizeof(mapped)) == 0)
		return addr[12] == 127 && memcmp(addr + 12, docker, sizeof(docker)) != 0;
	return memcmp(addr, one, sizeof(one)) == 0;
}

static void find_resolvers(const struct df_container *c, struct df_findings *f)
{
	/* on the host it is the host's */
	for (unsigned i = 0; !c->is_host_netns && i < c->dns.n_resolvers; i++) {
		const uint8_t *addr = c->dns.resolvers[i];
		char text[INET6_ADDRSTRLEN];

		if (!is_suspect(addr))
			continue;
		if (addr[15] == 1 && addr[12] == 0)
			(void)inet_ntop(AF_INET6, addr, text, sizeof(text));
		else
			(void)inet_ntop(AF_INET, addr + 12, text, sizeof(text));
		df_findings_add(f, DF_FINDING_LOOPBACK_RESOLVER, "nameserver %s", text);
	}
}

void df_findings_of_network(const struct df_config *config, const struct df_container *container,
			    struct df_findings *f)
{
	find_neighbours(config, container, f);
	find_resolvers(container, f);
}
