/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/findings/findings.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "hook/findings/internal.h"
#include "lib/base/own_addr.h"
#include "lib/base/util.h"

#define TEXT_MAX 1024
#define STRINGS_MAX (1u << 20) /* octets of a command line or an environment */
#define FDS_MAX 1024
#define COMM_MAX 32
#define RUNTIME_ANNOTATION_MAX 160 /* octets that are shown of KEY=VALUE */
#define PROCESSES_MAX 32768        /* that are looked at: 20 µs each on a slow machine */

/* Whether text is an element of the list, and not only the beginning of one. */
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

/* --- config.json --- */

static bool has_cap(const struct df_config *c, unsigned cap)
{
	return c->caps >> cap & 1;
}

/* Capabilities, and settings that are equal to root on the host, by whatever option they came. */
static void find_caps(const struct df_config *c, const struct df_container *container,
		      struct df_findings *f)
{
	static const struct {
		unsigned cap;
		bool is_initial; /* the kernel asks for it in the initial user namespace */
		enum df_finding finding;
		const char *text;
	} caps[] = {
		{CAP_NET_RAW, false, DF_FINDING_CAP_NET_RAW, "CAP_NET_RAW in process.capabilities"},
		{CAP_NET_ADMIN, false, DF_FINDING_CAP_NET_ADMIN,
		 "CAP_NET_ADMIN in process.capabilities"},
		{CAP_SYS_ADMIN, true, DF_FINDING_CAP_SYS_ADMIN,
		 "CAP_SYS_ADMIN in process.capabilities"},
		{CAP_BPF, true, DF_FINDING_CAP_BPF, "CAP_BPF in process.capabilities"},
		{CAP_SYS_MODULE, true, DF_FINDING_PRIVILEGED, "CAP_SYS_MODULE"},
		{CAP_SYS_RAWIO, true, DF_FINDING_PRIVILEGED, "CAP_SYS_RAWIO"},
		{CAP_DAC_READ_SEARCH, true, DF_FINDING_PRIVILEGED, "CAP_DAC_READ_SEARCH"},
	};
	const bool is_initial = !container->has_own_userns;

	if (is_initial && has_cap(c, CAP_SYS_ADMIN) && !c->has_seccomp && !c->has_masked_paths)
		df_findings_add(f, DF_FINDING_PRIVILEGED,
				"CAP_SYS_ADMIN without seccomp and masked paths");
	if (is_initial && has_cap(c, CAP_MKNOD) && c->has_all_devices)
		df_findings_add(f, DF_FINDING_PRIVILEGED, "CAP_MKNOD with every device allowed");
	if (is_initial && has_cap(c, CAP_SYS_PTRACE) && container->pidns == DF_PIDNS_HOST)
		df_findings_add(f, DF_FINDING_PRIVILEGED,
				"CAP_SYS_PTRACE in the host's pid namespace");
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++)
		if (has_cap(c, caps[i].cap) && (is_initial || !caps[i].is_initial))
			df_findings_add(f, caps[i].finding, "%s", caps[i].text);
}

/* A mount in a namespace of the container's own shows it nothing but its own cgroup. */
static void find_cgroup_mounts(const struct df_config *c, bool sees_more, struct df_findings *f)
{
	for (size_t i = 0; i < c->n_mounts; i++) {
		const struct df_config_mount *m = &c->mounts[i];

		if (m->is_cgroup && !m->is_readonly && (!c->has_own_cgroupns || sees_more))
			df_findings_add(
				f, DF_FINDING_HOST_CGROUP, "writable cgroup mount at %s%s",
				m->destination,
				c->has_own_cgroupns
					? ", and the root of its cgroup namespace is not its "
					  "own cgroup"
					: " without a cgroup namespace");
	}
}

void df_findings_of_config(const struct df_config *config, const struct df_container *container,
			   struct df_findings *f)
{
	find_caps(config, container, f);
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

/*
 * --- descriptors ---
 *
 * A socket from outside was made under no fence, and no program of this one ever sees it connect.
 * The container's init is still the runtime, with descriptors of its own.  The payload gets 0, 1
 * and 2, and behind them as many as the runtime was told to hand on: by --preserve-fds and
 * LISTEN_FDS, in crun and runc alike.  crun's init holds the others too and closes them before the
 * payload runs; runc's has the number of the first of its own in its environment.
 */

static unsigned number(const char *text)
{
	uint64_t n;

	return df_parse_u64(text, FDS_MAX, &n) == 0 ? (unsigned)n : 0;
}

/* The strings of /proc/PID/NAME, each with its NUL; else "", 0. */
static char *read_strings(pid_t pid, const char *name, size_t *ret_len)
{
	char path[64];
	_cleanup_close_ int fd = -1;
	char *text = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	*ret_len = 0;
	if (fd < 0 || df_read_all(fd, STRINGS_MAX, &text, ret_len) < 0)
		return NULL;
	return text;
}

/* "--preserve-fds N" or "--preserve-fds=N" */
static unsigned preserved_by_option(pid_t pid)
{
	static const char option[] = "--preserve-fds";
	size_t len;
	_cleanup_free_ char *text = read_strings(pid, "cmdline", &len);
	const char *end = text ? text + len : NULL;

	for (const char *arg = text; arg < end; arg += strlen(arg) + 1) {
		const char *value = arg + strlen(option);

		if (strncmp(arg, option, strlen(option)) != 0)
			continue;
		if (*value == '=' || (*value == '\0' && value + 1 < end))
			return number(value + 1);
	}
	return 0;
}

static unsigned preserved_by_environment(pid_t pid)
{
	/* runc: descriptors of its own, the first of which stands behind those that it hands on */
	static const char *const own[] = {
		"_LIBCONTAINER_CONSOLE=", "_LIBCONTAINER_INITPIPE=", "_LIBCONTAINER_SYNCPIPE=",
		"_LIBCONTAINER_LOGPIPE=", "_LIBCONTAINER_FIFOFD=",
	};
	size_t len;
	_cleanup_free_ char *text = read_strings(pid, "environ", &len);
	const char *end = text ? text + len : NULL;
	unsigned listen = 0, first_own = 0;

	for (const char *variable = text; variable < end; variable += strlen(variable) + 1) {
		if (strncmp(variable, "LISTEN_FDS=", 11) == 0)
			listen = number(variable + 11);
		for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
			unsigned n = strncmp(variable, own[i], strlen(own[i])) == 0
					     ? number(variable + strlen(own[i]))
					     : 0;

			if (n >= 3 && (first_own == 0 || n < first_own))
				first_own = n;
		}
	}
	return first_own > 3 + listen ? first_own - 3 : listen;
}

/* A descriptor of init; protocol: of a socket, "TCP", "UNIX-STREAM", or "".  False: not open. */
static bool look_up_fd(pid_t init, unsigned fd, struct stat *ret, char ret_protocol[static 32])
{
	char path[64];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%u", (int)init, fd);
	ret_protocol[0] = '\0';
	if (stat(path, ret) < 0)
		return false;
	n = S_ISSOCK(ret->st_mode) ? getxattr(path, "system.sockprotoname", ret_protocol, 31) : 0;
	ret_protocol[n > 0 ? n : 0] = '\0';
	return true;
}

static void look_at_fd(pid_t init, unsigned fd, bool is_preserved, struct df_findings *f)
{
	char protocol[32];
	struct stat st;

	if (!look_up_fd(init, fd, &st, protocol))
		return;
	if (S_ISSOCK(st.st_mode)) {
		/* stdout to the journal is one, too */
		if (is_preserved || strncmp(protocol, "UNIX", 4) != 0)
			df_findings_add(f, DF_FINDING_PASSED_FDS, "descriptor %u: socket%s%s", fd,
					*protocol ? " " : "", protocol);
	} else if (is_preserved && S_ISDIR(st.st_mode)) {
		df_findings_add(f, DF_FINDING_PASSED_FDS, "descriptor %u: directory", fd);
	} else if (is_preserved && S_ISCHR(st.st_mode) && st.st_rdev == DF_TUN_DEVICE) {
		df_findings_add(f, DF_FINDING_PASSED_FDS, "descriptor %u: /dev/net/tun", fd);
	}
}

/*
 * runc calls the hook before CRIU opens the sockets of the image, so their connects are judged like
 * any other; CRIU's own sockets are not counted.
 */
static void find_restored(pid_t init, struct df_findings *f)
{
	for (unsigned fd = 0; fd < FDS_MAX; fd++) {
		char protocol[32];
		struct stat st;

		if (look_up_fd(init, fd, &st, protocol) && S_ISSOCK(st.st_mode) &&
		    strncmp(protocol, "UNIX", 4) != 0 && strcmp(protocol, "NETLINK") != 0)
			df_findings_add(f, DF_FINDING_PASSED_FDS,
					"descriptor %u: socket %s, open before the fence", fd,
					protocol);
	}
}

void df_findings_of_fds(const struct df_config *config, pid_t init, struct df_findings *f)
{
	/* the runtime that waits for this hook, and its init, whose command line crun's shares */
	const pid_t processes[] = {getppid(), init};
	unsigned n = config->listen_fds;

	for (size_t i = 0; i < ARRAY_SIZE(processes); i++) {
		unsigned told =
			preserved_by_option(processes[i]) + preserved_by_environment(processes[i]);

		n = told > n ? told : n;
	}
	for (unsigned fd = 0; fd < 3 + n && fd < FDS_MAX; fd++)
		look_at_fd(init, fd, fd >= 3, f);
}

/* --- the network namespace, and resolvers that the container could be itself --- */

/* " NAME" of a process, or "". */
static void name_of(pid_t pid, char ret[static COMM_MAX])
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	if (df_read_small(AT_FDCWD, path, ret + 1, COMM_MAX - 1) < 0)
		ret[1] = '\0';
	ret[1 + strcspn(ret + 1, "\n")] = '\0';
	ret[0] = ret[1] ? ' ' : '\0';
}

static void add_process(pid_t pid, struct df_findings *f)
{
	char name[COMM_MAX];

	name_of(pid, name);
	df_findings_add(f, DF_FINDING_SHARED_NETNS, "network namespace of process %d%s", (int)pid,
			name);
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

/* Only a look at all processes tells which of them are in a namespace that has a name. */
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

/*
 * Addresses that are the container's own in any network: 0/8, 127/8, and ::/96 with such an address
 * in it.
 */
static bool is_loopback(const uint8_t addr[16])
{
	const struct in6_addr *a = (const struct in6_addr *)addr;

	if (IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_LOOPBACK(a))
		return true;
	return (IN6_IS_ADDR_V4MAPPED(a) || IN6_IS_ADDR_V4COMPAT(a)) &&
	       (addr[12] == 0 || addr[12] == 127);
}

static void find_resolvers(const struct df_container *c, bool is_docker, struct df_findings *f)
{
	static const uint8_t docker[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 11};
	_cleanup_close_ int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	const bool is_inside =
		home >= 0 && c->netns_fd >= 0 && setns(c->netns_fd, CLONE_NEWNET) == 0;

	for (unsigned i = 0; i < c->dns.n_resolvers; i++) {
		const uint8_t *addr = c->dns.resolvers[i];
		const bool is_ipv4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)addr);
		char text[INET6_ADDRSTRLEN];

		if ((is_docker && memcmp(addr, docker, sizeof(docker)) == 0) ||
		    (!is_loopback(addr) && !(is_inside && df_own_is_local(addr))))
			continue;
		(void)inet_ntop(is_ipv4 ? AF_INET : AF_INET6, is_ipv4 ? addr + 12 : addr, text,
				sizeof(text));
		df_findings_add(f, DF_FINDING_LOOPBACK_RESOLVER, "nameserver %s", text);
	}
	if (is_inside)
		(void)setns(home, CLONE_NEWNET); /* it was ours, so this cannot fail */
}

void df_findings_of_network(const struct df_config *config, const struct df_container *container,
			    bool is_docker, struct df_findings *f)
{
	find_neighbours(config, container, f);
	if (!container->is_host_netns) /* else it is the host's resolver */
		find_resolvers(container, is_docker, f);
}

/*
 * --- processes ---
 *
 * Root of a container may signal every process of its user that it sees, and trace those
 * that have no capability more than itself.  The proxy of the fence cannot be traced, but it can
 * be stopped; processes that no fence holds can be traced, and have sockets.
 */

void df_findings_of_processes(const struct df_config *config, const struct df_container *container,
			      struct df_findings *f)
{
	const char *path = config->pidns_path;
	char name[COMM_MAX];
	int pid;

	if (container->pidns == DF_PIDNS_OWN)
		return;
	if (container->pidns == DF_PIDNS_HOST) {
		df_findings_add(f, DF_FINDING_HOST_PID, "the host's pid namespace");
	} else if (path && sscanf(path, "/proc/%d/", &pid) == 1) {
		/* how engines write "that of another container" */
		name_of(pid, name);
		df_findings_add(f, DF_FINDING_SHARED_PID, "pid namespace of process %d%s", pid,
				name);
	} else if (config->is_in_pod && config->pod) {
		df_findings_add(f, DF_FINDING_SHARED_PID, "pid namespace of pod %s", config->pod);
	} else {
		df_findings_add(f, DF_FINDING_SHARED_PID, "pid namespace %s",
				path ? path : "of others");
	}
}

void df_findings_collect(const struct df_state *state, const struct df_config *config,
			 const struct df_container *container, bool is_docker,
			 struct df_findings *f)
{
	const struct df_annotations_runtime *const runtimes[] = {&state->annotations.runtime,
								 &config->runtime};

	df_findings_of_config(config, container, f);
	df_findings_of_mounts(state->bundle, config, container, f);
	df_findings_of_fds(config, container->pid, f);
	df_findings_of_network(config, container, is_docker, f);
	df_findings_of_processes(config, container, f);
	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++)
		for (unsigned k = 0; k < runtimes[i]->n; k++) {
			char text[RUNTIME_ANNOTATION_MAX];

			(void)snprintf(text, sizeof(text), "%s=%s", runtimes[i]->pairs[k].key,
				       runtimes[i]->pairs[k].value);
			df_findings_add(f, DF_FINDING_RUNTIME_ANNOTATION, "annotation %s", text);
		}
	if (state->status == DF_STATUS_STOPPED)
		find_restored(container->pid, f);
}
