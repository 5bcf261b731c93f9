/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * load CGROUP-DIRECTORY: what this kernel makes of the programs, as lines of TAP without numbers.
 *
 * Each program is loaded alone, so that one which the verifier refuses does not hide
 * the others; its log follows.  Then the fence as the hook builds it, on an empty cgroup
 * that this process joins: unconfigured it denies, egress stops a query on a socket that
 * was connected before, detached it lets go.  And the programs of the proxy's own cgroup.
 */
#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bpf/abi.h" /* the skeleton names its structs */

#include "fence.skel.h"
#include "lib/base/util.h"
#include "lib/fence/fence.h"

#define LOG_STATS 4 /* BPF_LOG_STATS of the kernel's bpf_verifier.h */
#define LOG_TAIL 1500
#define PROXY_PORT 61000

static char verifier_log[4 << 20];
static int n_failed;
static struct df_layout layout; /* of this kernel */

static void check(bool is_ok, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void check(bool is_ok, const char *format, ...)
{
	va_list args;

	n_failed += !is_ok;
	(void)fputs(is_ok ? "ok " : "not ok ", stdout);
	va_start(args, format);
	(void)vprintf(format, args);
	va_end(args);
	(void)putchar('\n');
	(void)fflush(stdout);
}

/* libbpf's: what it would say is in the log. */
static int say_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static void print_log_tail(void)
{
	size_t len = strlen(verifier_log);
	char *from = verifier_log + (len > LOG_TAIL ? len - LOG_TAIL : 0), *next;

	for (char *line = strtok_r(from, "\n", &next); line; line = strtok_r(NULL, "\n", &next))
		(void)printf("#   %s\n", line);
}

/* All programs but one are left out.  -errno. */
static int load_alone(const char *name, __u32 log_level)
{
	struct fence_bpf *skel = fence_bpf__open();
	struct bpf_program *p = NULL;
	int r = skel ? 0 : -errno;

	if (r < 0)
		return r;
	memcpy((void *)&skel->rodata->layout, &layout, sizeof(layout));
	verifier_log[0] = '\0';
	while ((p = bpf_object__next_program(skel->obj, p))) {
		bool is_it = strcmp(bpf_program__name(p), name) == 0;

		(void)bpf_program__set_autoload(p, is_it);
		if (!is_it)
			continue;
		(void)bpf_program__set_log_buf(p, verifier_log, sizeof(verifier_log));
		(void)bpf_program__set_log_level(p, log_level);
	}
	r = fence_bpf__load(skel);
	fence_bpf__destroy(skel);
	return r;
}

static void try_program(const char *name)
{
	const char *processed;
	int r = load_alone(name, LOG_STATS);

	if (r < 0) {
		(void)load_alone(name, 1);
		check(false, "load %s: %s", name, strerror(-r));
		print_log_tail();
		return;
	}
	processed = strstr(verifier_log, "processed ");
	check(true, "load %s", name);
	(void)printf("#   %.*s\n", (int)(processed ? strcspn(processed, "(\n") : 0),
		     processed ? processed : "");
}

/* What a kernel under lockdown loads: not even walked may the helpers be that read its memory. */
static void try_without_layout(const char *name)
{
	const struct df_layout known = layout;
	int r;

	memset(&layout, 0, sizeof(layout));
	r = load_alone(name, 1);
	layout = known;
	check(r == 0 && !strstr(verifier_log, "bpf_probe_read"),
	      "load %s without anything that reads the kernel's memory", name);
}

static void try_programs(void)
{
	struct fence_bpf *skel = fence_bpf__open();
	struct bpf_program *p = NULL;

	check(skel != NULL, "open the skeleton");
	if (!skel)
		return;
	libbpf_set_print(say_nothing);
	check(df_layout_find(&layout) == 0 && layout.task_parent && layout.task_mm &&
		      layout.sock_uc_index && layout.sock_pinet6 && layout.ctx_t_ctx &&
		      layout.ipc_oif && layout.flow_oif,
	      "find the layout of the kernel's own structs");
	while ((p = bpf_object__next_program(skel->obj, p))) {
		try_program(bpf_program__name(p));
		try_without_layout(bpf_program__name(p));
	}
	fence_bpf__destroy(skel);
}

static int connected(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int join(const char *cgroup)
{
	int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int procs = fd < 0 ? -1 : openat(fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);

	return procs >= 0 && write(procs, "0", 1) == 1 ? fd : -errno;
}

/* A port where nothing listens: the ICMP error of one send is the next one's. */
static int send_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return send(fd, "x", 1, 0) < 0 ? errno : 0;
}

static int socket_error(int family, int type)
{
	_cleanup_close_ int fd = socket(family, type | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : 0;
}

/* The number of the hook's function is known: libbpf does not look for it. */
static void try_lsm_again(const struct df_fence_maps *maps, int cgroup_fd, uint32_t btf_id)
{
	const uint32_t known = btf_id;
	struct df_fence_lsm *lsm = NULL;
	uint64_t start = df_now_ns();
	int r = df_fence_lsm_attach(maps, &layout, cgroup_fd, &btf_id, &lsm);

	check(r == 0 && known != 0 && btf_id == known, "lsm_cgroup attaches by a known number");
	(void)printf("# the same by number: %llu us\n",
		     (unsigned long long)(df_now_ns() - start) / 1000);
	check(socket_error(AF_PACKET, SOCK_RAW) == EPERM, "and refuses AF_PACKET");
	df_fence_lsm_detach(lsm, cgroup_fd);
	df_fence_lsm_free(lsm);
	btf_id = 1; /* a wrong one: it is found anew */
	lsm = NULL;
	r = df_fence_lsm_attach(maps, &layout, cgroup_fd, &btf_id, &lsm);
	check(r == 0 && btf_id == known, "lsm_cgroup attaches with a wrong number, too");
	check(socket_error(AF_PACKET, SOCK_RAW) == EPERM, "and refuses AF_PACKET as well");
	df_fence_lsm_detach(lsm, cgroup_fd);
	df_fence_lsm_free(lsm);
}

/* Beside the fence, by its configuration; this process is in the cgroup. */
static void try_lsm(const struct df_fence_maps *maps, int cgroup_fd, struct df_conf conf)
{
	struct df_fence_lsm *lsm = NULL;
	uint32_t btf_id = 0;
	uint64_t start = df_now_ns();
	int r = df_fence_lsm_attach(maps, &layout, cgroup_fd, &btf_id, &lsm);

	if (r < 0) {
		(void)printf("ok lsm_cgroup # SKIP %s\n",
			     r == -EOPNOTSUPP ? "bpf is not among the LSMs" : strerror(-r));
		return;
	}
	(void)printf("# load and attach lsm_cgroup: %llu us\n",
		     (unsigned long long)(df_now_ns() - start) / 1000);
	check(socket_error(AF_PACKET, SOCK_RAW) == EPERM, "lsm_cgroup refuses AF_PACKET");
	check(socket_error(AF_VSOCK, SOCK_STREAM) == EPERM, "lsm_cgroup refuses AF_VSOCK");
	check(socket_error(AF_NETLINK, SOCK_RAW) == 0, "lsm_cgroup lets netlink pass");
	check(socket_error(AF_UNIX, SOCK_STREAM) == 0, "lsm_cgroup lets Unix sockets pass");
	conf.mode = DF_MODE_AUDIT;
	(void)df_fence_configure(maps->conf, &conf);
	check(socket_error(AF_PACKET, SOCK_RAW) == 0, "lsm_cgroup refuses nothing in audit");
	conf.mode = DF_MODE_ENFORCE;
	conf.flags = DF_CONF_DISABLED;
	(void)df_fence_configure(maps->conf, &conf);
	check(socket_error(AF_PACKET, SOCK_RAW) == 0, "lsm_cgroup obeys the kill switch");
	conf.flags = 0;
	conf.bypass_until = df_now_ns() + 3600000000000ull;
	(void)df_fence_configure(maps->conf, &conf);
	check(socket_error(AF_PACKET, SOCK_RAW) == 0, "lsm_cgroup obeys a bypass");
	conf.bypass_until = 0;
	(void)df_fence_configure(maps->conf, &conf);
	check(socket_error(AF_PACKET, SOCK_DGRAM) == EPERM, "lsm_cgroup refuses again");
	df_fence_lsm_free(lsm);
	check(socket_error(AF_PACKET, SOCK_RAW) == EPERM, "lsm_cgroup outlives its loader");
	df_fence_lsm_clean(cgroup_fd);
	check(socket_error(AF_PACKET, SOCK_RAW) == 0, "lsm_cgroup is gone when it is cleaned up");
	try_lsm_again(maps, cgroup_fd, btf_id);
}

static void try_fence(const char *cgroup)
{
	struct df_conf conf = {.version = DF_ABI_VERSION,
			       .mode = DF_MODE_ENFORCE,
			       .proxy_port = htons(PROXY_PORT)};
	_cleanup_close_ int cgroup_fd = join(cgroup), before = connected(DF_DNS_PORT);
	struct df_fence_foreign lost;
	struct df_fence *fence = NULL;
	struct df_fence_maps maps;
	const struct df_fence_options options = {
		.n_nets = 16, .n_classes = 16, .wants_errno = true};
	const char *what = "";
	int r = df_fence_load(&options, &fence, &what);

	check(cgroup_fd >= 0 && before >= 0, "join %s and connect a socket", cgroup);
	check(r == 0, "load the fence as the hook does%s%s", r ? ": " : "", r ? what : "");
	if (r < 0 || cgroup_fd < 0)
		return;
	r = df_fence_attach(fence, cgroup_fd, &lost);
	check(r == 0, "attach the fence%s%s", r ? ": " : "", r ? strerror(-r) : "");
	check(connected(9) == -EPERM, "a fence that is not configured denies");
	df_fence_maps(fence, &maps);
	check(df_fence_configure(maps.conf, &conf) == 0, "configure the fence");
	check(connected(9) >= 0, "another port passes");
	check(send_error(before) == EPERM, "egress stops a query that was not redirected");
	try_lsm(&maps, cgroup_fd, conf);
	df_fence_detach(fence, cgroup_fd);
	check(send_error(before) == 0, "detached, it passes");
	df_fence_free(fence);
}

/* An octet from sender to a new socket of this process, on lo.  Whether it arrived. */
static bool arrives(int sender, uint16_t port, int priority)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = port, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(at);
	char octet;

	if (setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &priority, sizeof(priority)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) < 0 ||
	    sendto(sender, "x", 1, 0, (struct sockaddr *)&at, len) != 1)
		return false;
	return recv(fd, &octet, 1, MSG_DONTWAIT) == 1;
}

/* In a cgroup below, which has the programs of the proxy's; the sender is a socket of this one. */
static void try_proxy(const char *cgroup)
{
	const struct df_conf conf = {.version = DF_ABI_VERSION,
				     .mode = DF_MODE_ENFORCE,
				     .proxy_port = htons(PROXY_PORT)};
	const struct df_fence_options options = {.n_nets = 16, .n_classes = 16};
	_cleanup_close_ int home = join(cgroup);
	_cleanup_close_ int sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), below = -1;
	struct df_fence *fence = NULL;
	struct df_fence_maps maps;
	const char *what = "";
	char path[4096];

	if (df_fence_load(&options, &fence, &what) < 0)
		return; /* try_fence has said so */
	df_fence_maps(fence, &maps);
	(void)snprintf(path, sizeof(path), "%s/proxy", cgroup);
	(void)mkdirat(home, "proxy", 0755);
	below = join(path);
	check(df_fence_configure(maps.conf, &conf) == 0 && df_fence_attach_proxy(fence, below) == 0,
	      "attach the programs of the proxy");
	check(!arrives(sender, 0, 0), "what asks a resolver elsewhere gets nothing on lo");
	check(arrives(sender, 0, DF_PRIORITY_LOCAL), "what asks a local one gets its answer on lo");
	check(arrives(sender, htons(PROXY_PORT), 0), "the listening port gets its query on lo");
	(void)close(join(cgroup));
	(void)unlinkat(home, "proxy", AT_REMOVEDIR);
	df_fence_free(fence);
}

int main(int argc, char **argv)
{
	struct utsname u;

	if (argc != 2)
		return 64;
	(void)uname(&u);
	(void)printf("# kernel %s\n", u.release);
	try_programs();
	try_fence(argv[1]);
	try_proxy(argv[1]);
	return n_failed != 0;
}
