/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/sandbox.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>

/* The worker has no capability more than root of a container: this alone keeps that one out. */
int df_sandbox_hide(void)
{
	return prctl(PR_SET_DUMPABLE, 0) < 0 ? -errno : 0;
}

#ifndef DF_WITH_SANITIZERS

#include <linux/bpf.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <seccomp.h>
#include <sys/capability.h>

#include "lib/base/util.h"

/* Its number, which libcap of before 5.8 kernels has no name for. */
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

/* Each process needs these to run, to wait and to end. */
static const int common_calls[] = {
	SCMP_SYS(read),          SCMP_SYS(write),
	SCMP_SYS(close),         SCMP_SYS(recvmsg),
	SCMP_SYS(recvfrom),      SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),       SCMP_SYS(exit),
	SCMP_SYS(exit_group),    SCMP_SYS(rt_sigreturn),
	SCMP_SYS(clock_gettime), SCMP_SYS(getrandom),
	SCMP_SYS(getpid),        SCMP_SYS(restart_syscall),
	SCMP_SYS(brk),           SCMP_SYS(munmap),
	SCMP_SYS(futex),
};

static const int worker_calls[] = {
	SCMP_SYS(epoll_wait),  SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl),  SCMP_SYS(recvmmsg),
	SCMP_SYS(sendmmsg),    SCMP_SYS(bind),        SCMP_SYS(connect),    SCMP_SYS(shutdown),
	SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(accept4),     SCMP_SYS(fcntl),       SCMP_SYS(poll),       SCMP_SYS(ppoll),
	SCMP_SYS(fstat),       SCMP_SYS(newfstatat),
};

static const int reader_calls[] = {
	SCMP_SYS(openat),
	SCMP_SYS(open),
	SCMP_SYS(readlinkat),
	SCMP_SYS(readlink),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fstat),
	SCMP_SYS(pread64),
	SCMP_SYS(lseek),
	SCMP_SYS(fcntl),
	SCMP_SYS(stat),
	/* connections: what was held is sent */
	SCMP_SYS(pidfd_open),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(getdents64),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
};

/* Calls that are allowed with one of these values as their first argument. */
static const struct {
	int call, value;
} worker_first[] = {
	/* sockets to resolvers, and netlink to see which addresses are the container's own */
	{SCMP_SYS(socket), AF_INET},           {SCMP_SYS(socket), AF_INET6},
	{SCMP_SYS(socket), AF_NETLINK},        {SCMP_SYS(bpf), BPF_MAP_LOOKUP_ELEM},
	{SCMP_SYS(bpf), BPF_MAP_UPDATE_ELEM},  {SCMP_SYS(bpf), BPF_MAP_DELETE_ELEM},
	{SCMP_SYS(bpf), BPF_MAP_GET_NEXT_KEY},
};

static int allow(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	return r;
}

static int allow_first(scmp_filter_ctx ctx)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(worker_first); i++) {
		const struct scmp_arg_cmp first = {.arg = 0,
						   .op = SCMP_CMP_EQ,
						   .datum_a = (scmp_datum_t)worker_first[i].value};

		r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, worker_first[i].call, 1, &first);
	}
	return r;
}

static int filter_calls(bool is_worker)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r;

	if (!ctx)
		return -ENOMEM;
	r = allow(ctx, common_calls, ARRAY_SIZE(common_calls));
	if (r == 0 && is_worker)
		r = allow(ctx, worker_calls, ARRAY_SIZE(worker_calls));
	if (r == 0 && is_worker)
		r = allow_first(ctx);
	if (r == 0 && !is_worker)
		r = allow(ctx, reader_calls, ARRAY_SIZE(reader_calls));
	if (r == 0)
		r = seccomp_load(ctx); /* sets no_new_privs first */
	seccomp_release(ctx);
	return r;
}

static bool is_permitted(cap_value_t value)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t is_set = CAP_CLEAR;

	if (caps && cap_get_flag(caps, value, CAP_PERMITTED, &is_set) < 0)
		is_set = CAP_CLEAR;
	(void)cap_free(caps);
	return is_set == CAP_SET;
}

/*
 * Only these stay, as permitted and effective, as far as this process has them; none can come
 * back by an exec.
 */
static int keep_capabilities(const cap_value_t *values, size_t n)
{
	cap_t caps = cap_init(); /* empty */
	int r = 0;

	if (!caps)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++)
		if (is_permitted(values[i]) &&
		    (cap_set_flag(caps, CAP_PERMITTED, 1, &values[i], CAP_SET) < 0 ||
		     cap_set_flag(caps, CAP_EFFECTIVE, 1, &values[i], CAP_SET) < 0))
			r = -errno;
	if (r == 0 && (cap_set_proc(caps) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0))
		r = -errno;
	(void)cap_free(caps);
	/* other credentials may set it to fs.suid_dumpable (credentials(7)) */
	return r == 0 ? df_sandbox_hide() : r;
}

int df_sandbox_monitor(void)
{
	/*
	 * Processes of other users, files and cgroups; routes and SOCK_DESTROY; elements of
	 * maps before 5.19; and of what the children need, all that they keep themselves.
	 */
	static const cap_value_t values[] = {CAP_SYS_PTRACE, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH,
					     CAP_NET_ADMIN,  CAP_KILL,         CAP_BPF,
					     CAP_SYS_ADMIN};

	/* CAP_SYS_ADMIN stands in for CAP_BPF before 5.8, where the latter is not permitted */
	return keep_capabilities(values, ARRAY_SIZE(values) - is_permitted(CAP_BPF));
}

int df_sandbox_worker(int map_fd)
{
	static const cap_value_t bpf[] = {CAP_BPF};
	cap_t before = cap_get_proc(), none = cap_init();
	uint8_t key[16] = {}, value[256];
	bool needs_bpf = false;
	int r = 0;

	/* Without capabilities for a moment: does the kernel want CAP_BPF for elements? */
	if (!before || !none || cap_fill_flag(none, CAP_PERMITTED, before, CAP_PERMITTED) < 0 ||
	    cap_set_proc(none) < 0)
		r = -errno;
	else
		needs_bpf = bpf_map_lookup_elem(map_fd, key, value) == -EPERM;
	(void)cap_free(before);
	(void)cap_free(none);
	if (r == 0)
		r = keep_capabilities(bpf, needs_bpf);
	return r == 0 ? filter_calls(true) : r;
}

int df_sandbox_reader(void)
{
	static const cap_value_t values[] = {CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH};
	int r = keep_capabilities(values, ARRAY_SIZE(values));

	return r == 0 ? filter_calls(false) : r;
}

#else

int df_sandbox_monitor(void)
{
	return 0;
}

int df_sandbox_worker(int map_fd)
{
	(void)map_fd;
	return 0;
}

int df_sandbox_reader(void)
{
	return 0;
}

#endif
