/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>

#include "hook/hook.h"
#include "hook/probe.h"
#include "hook/rundir.h"
#include "lib/base/util.h"
#include "lib/fence/fill.h"
#include "lib/fence/layout.h"

#define READY_TIMEOUT_MS 5000
#define LOCK_TIMEOUT_MS 3000
#define MOUNTS_MAX (4u << 20) /* a host with thousands of containers */

int df_hook_fail(struct df_hook *h, int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(h->reason, sizeof(h->reason), format, args);
	va_end(args);
	return status;
}

bool df_hook_asks_fail_open(const struct df_hook *h)
{
	if (h->state.annotations.fail != DF_ASK_FAIL_UNSET)
		return h->state.annotations.fail == DF_ASK_FAIL_OPEN;
	return h->conf.fail == DF_HOST_FAIL_OPEN;
}

bool df_hook_is_fail_open(const struct df_hook *h)
{
	if (h->is_final)
		return false;
	if (h->mode == DF_MODE_AUDIT || h->state.annotations.ask == DF_ASK_AUDIT)
		return true;
	return !h->sees_others && df_hook_asks_fail_open(h);
}

static int open_rundir(struct df_hook *h)
{
	if (h->run_fd < 0)
		h->run_fd = df_rundir_open(h->state.id);
	if (h->run_fd < 0)
		return df_hook_fail(h, EX_OSERR, "create " DF_RUNDIR "/%s: %s", h->state.id,
				    strerror(-h->run_fd));
	h->lock_fd = df_rundir_lock(h->run_fd, LOCK_TIMEOUT_MS);
	if (h->lock_fd == -EBUSY)
		return df_hook_fail(h, EX_OSERR,
				    "a fence of this id is still running; see " DF_RUNDIR "/%s",
				    h->state.id);
	if (h->lock_fd < 0)
		return df_hook_fail(h, EX_OSERR, "lock " DF_RUNDIR "/%s: %s", h->state.id,
				    strerror(-h->lock_fd));
	return 0;
}

static int note_fence(struct df_hook *h)
{
	struct df_rundir_fence note = {
		.init_pid = h->container.pid,
		.init_start = df_rundir_start_of(h->container.pid),
		.is_host_netns = h->container.is_host_netns,
		.is_fail_open = df_hook_is_fail_open(h),
	};
	int r;

	memcpy(note.token6_prefix, h->listen.token6_prefix, sizeof(note.token6_prefix));
	r = df_rundir_note(h->run_fd, &note);
	return r == 0 ? 0
		      : df_hook_fail(h, EX_OSERR, "write " DF_RUNDIR "/%s: %s", h->state.id,
				     strerror(-r));
}

static struct df_conf kernel_conf(const struct df_hook *h, const struct df_fill *fill)
{
	const uint8_t none[DF_TOKEN6_PREFIX_LEN] = {};
	struct df_conf c = {
		.version = DF_ABI_VERSION,
		.mode = h->mode,
		.generation = 1,
		.heartbeat = df_now_ns(),
		.netns_cookie = h->listen.netns_cookie,
		.proxy_port = htobe16(h->listen.port),
	};

	memcpy(c.token6_prefix, h->listen.token6_prefix, sizeof(c.token6_prefix));
	if (memcmp(c.token6_prefix, none, sizeof(none)) != 0)
		c.flags |= DF_CONF_IPV6;
	if (df_hook_is_fail_open(h))
		c.flags |= DF_CONF_FAIL_OPEN;
	if (h->is_docker)
		c.flags |= DF_CONF_DOCKER;
	df_fill_conf(fill, &c);
	return c;
}

static int read_mounts(char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = open("/proc/self/mounts", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : df_read_all(fd, MOUNTS_MAX, ret, ret_len);
}

/*
 * Before 5.15 a mounted net_cls or net_prio hierarchy silently switches cgroup v2
 * socket matching off for the whole host (kernel commit 8520e224f547): a fence
 * would be attached and bite nothing.  SO_NETNS_COOKIE, of 5.14, tells old kernels.
 */
static int check_net_cls(struct df_hook *h)
{
	_cleanup_free_ char *mounts = NULL;
	size_t len;

	if (h->listen.netns_cookie != 0 || read_mounts(&mounts, &len) < 0 || !mounts)
		return 0;
	if (!strstr(mounts, "net_cls") && !strstr(mounts, "net_prio"))
		return 0;
	return df_hook_fail(
		h, EX_UNAVAILABLE,
		"a cgroup v1 net_cls or net_prio hierarchy is mounted: on this kernel it "
		"switches cgroup v2 socket filters off; unmount it, or use 5.15 or later");
}

/* What the policies say of ports and addresses, for the kernel programs. */
static int collect_rules(struct df_hook *h, struct df_fill *ret)
{
	struct df_fill_table tables[DF_TABLES];
	int r;

	for (int i = 0; i < DF_TABLES; i++) {
		const struct df_hook_table *t = &h->tables[i];

		tables[i] = (struct df_fill_table){.policy = &t->policy,
						   .mode = t->is_used ? t->mode : 0};
	}
	r = df_fill_init(tables, ret);
	if (r == -E2BIG)
		return df_hook_fail(h, EX_CONFIG,
				    "the policies of this container name more different port "
				    "ranges than a fence can tell apart (%d classes); use fewer",
				    DF_PORT_CLASSES);
	return r == 0 ? 0 : df_hook_fail(h, EX_OSERR, "collect address rules: %s", strerror(-r));
}

_Static_assert((int)DF_TABLES == DF_TABLES_BITS, "each table has its bit");

/* Once a boot; without BTF each time again, since then it costs nothing. */
static void find_layout(struct df_layout *ret)
{
	uint32_t values[sizeof(*ret) / sizeof(uint32_t)];

	if (df_probe_get("layout", values, ARRAY_SIZE(values))) {
		memcpy(ret, values, sizeof(*ret));
		return;
	}
	if (df_layout_find(ret) < 0)
		return;
	memcpy(values, ret, sizeof(*ret));
	df_probe_set("layout", values, ARRAY_SIZE(values));
}

static int load_fence(struct df_hook *h, const struct df_fill *fill)
{
	struct df_fence_options options = {
		.n_nets = fill->n_nets,
		.n_classes = fill->n_classes,
		.wants_errno = df_policy_refuse_errno(&h->tables[DF_TABLE_OWN].policy) != EPERM,
	};
	const char *what = "";
	struct df_fence_maps maps;
	int r;

	find_layout(&h->layout);
	options.layout = h->layout;
	r = df_fence_load(&options, &h->fence, &what);
	if (r < 0)
		return df_hook_fail(
			h, r == -EPERM ? EX_NOPERM : EX_UNAVAILABLE,
			"%s: %s; the kernel must be 5.10 or later with cgroup BPF, and the hook "
			"needs CAP_BPF and CAP_NET_ADMIN",
			what, strerror(-r));
	df_fence_maps(h->fence, &maps);
	r = df_fill_maps(fill, maps.classes, maps.nets);
	return r == 0 ? 0 : df_hook_fail(h, EX_OSERR, "enter address rules: %s", strerror(-r));
}

static int attach_fence(struct df_hook *h, const struct df_fill *fill)
{
	const struct df_conf conf = kernel_conf(h, fill);
	struct df_fence_foreign lost = {};
	struct df_fence_maps maps;
	int r;

	df_fence_maps(h->fence, &maps);
	r = df_fence_configure(maps.conf, &conf);
	if (r < 0)
		return df_hook_fail(h, EX_OSERR, "configure the fence: %s", strerror(-r));
	r = df_hook_look_above(h);
	if (r != 0)
		return r;
	r = df_fence_attach(h->fence, h->container.cgroup_fd, &lost);
	if (r == -EEXIST)
		return df_hook_fail(
			h, EX_UNAVAILABLE,
			"program %s (id %u) at %s of a cgroup above %s would no longer hold for "
			"this container, since it is attached with BPF_F_ALLOW_OVERRIDE: attach it "
			"with BPF_F_ALLOW_MULTI, or start the container outside of that cgroup",
			lost.name, lost.id, lost.type, h->container.cgroup);
	if (r < 0)
		return df_hook_fail(
			h, EX_UNAVAILABLE,
			"attach to cgroup %s: %s; another program may hold one above it "
			"exclusively",
			h->container.cgroup, strerror(-r));
	h->is_attached = true;
	return df_hook_look_above(h); /* what was attached meanwhile */
}

static int build_fence(struct df_hook *h)
{
	__attribute__((cleanup(df_fill_done))) struct df_fill fill = {};
	const char *what = "";
	int r = collect_rules(h, &fill);

	if (r == 0)
		r = load_fence(h, &fill);
	if (r != 0)
		return r;
	r = df_listen_open(h->container.netns_fd, !h->config.is_ipv6_disabled, &h->listen, &what);
	if (r < 0)
		return df_hook_fail(h, EX_OSERR, "%s: %s", what, strerror(-r));
	r = check_net_cls(h);
	if (r == 0)
		r = note_fence(h);
	return r == 0 ? attach_fence(h, &fill) : r;
}

static int prepare_proxy_cgroup(struct df_hook *h)
{
	int r;

	h->proxy_cgroup_fd = df_launch_cgroup(h->container.cgroup_root_fd, h->state.id,
					      h->proxy_cgroup, sizeof(h->proxy_cgroup));
	if (h->proxy_cgroup_fd < 0)
		return df_hook_fail(h, EX_OSERR, "create the proxy's cgroup: %s",
				    strerror(-h->proxy_cgroup_fd));
	r = df_fence_attach_proxy(h->fence, h->proxy_cgroup_fd);
	return r == 0 ? 0 : df_hook_fail(h, EX_OSERR, "fence the proxy's cgroup: %s", strerror(-r));
}

/* The descriptors live as long as the hook.  0 or -errno. */
static int hand_over_tables(struct df_hook *h, struct df_launch *l)
{
	static const int fds[DF_TABLES] = {DF_FD_POLICY, DF_FD_POLICY_BASE, DF_FD_POLICY_SHADOW};

	for (int i = 0; i < DF_TABLES; i++) {
		const struct df_hook_table *t = &h->tables[i];
		int fd = t->is_used ? t->shared.fd : -1;

		if (t->is_used && fd < 0) {
			fd = df_launch_memfd("deployfence-policy", t->compiled.table,
					     t->compiled.table_size);
			if (fd < 0)
				return fd;
		}
		l->fds[fds[i] - DF_FD_FIRST] = fd;
	}
	return 0;
}

int df_hook_start_proxy(struct df_hook *h)
{
	_cleanup_close_ int meta_fd = -1;
	struct df_launch l = {.program = DF_PROXY_PATH, .id = h->state.id};
	struct df_fence_maps maps;
	int r = prepare_proxy_cgroup(h);

	if (r != 0)
		return r;
	r = hand_over_tables(h, &l);
	if (r == 0)
		r = meta_fd = df_hook_make_meta(h);
	if (r < 0)
		return df_hook_fail(h, EX_OSERR, "hand the policy over: %s", strerror(-r));
	df_fence_maps(h->fence, &maps);
	l.proxy_cgroup_fd = h->proxy_cgroup_fd;
	l.fds[DF_FD_UDP4 - DF_FD_FIRST] = h->listen.udp4;
	l.fds[DF_FD_UDP6 - DF_FD_FIRST] = h->listen.udp6;
	l.fds[DF_FD_TCP4 - DF_FD_FIRST] = h->listen.tcp4;
	l.fds[DF_FD_TCP6 - DF_FD_FIRST] = h->listen.tcp6;
	l.fds[DF_FD_CONF - DF_FD_FIRST] = maps.conf;
	l.fds[DF_FD_TOK - DF_FD_FIRST] = maps.tok;
	l.fds[DF_FD_EVENTS - DF_FD_FIRST] = maps.events;
	l.fds[DF_FD_COUNTERS - DF_FD_FIRST] = maps.counters;
	l.fds[DF_FD_LEARNED - DF_FD_FIRST] = maps.learned;
	l.fds[DF_FD_FLOWS - DF_FD_FIRST] = maps.flows;
	l.fds[DF_FD_PAYLOADS - DF_FD_FIRST] = maps.payloads;
	l.fds[DF_FD_RECENT - DF_FD_FIRST] = maps.recent;
	l.fds[DF_FD_OWN - DF_FD_FIRST] = maps.own;
	l.fds[DF_FD_META - DF_FD_FIRST] = meta_fd;
	l.fds[DF_FD_PIDFD - DF_FD_FIRST] = h->container.pidfd;
	l.fds[DF_FD_CGROUP - DF_FD_FIRST] = h->container.cgroup_fd;
	l.fds[DF_FD_CGROUP_ROOT - DF_FD_FIRST] = h->container.cgroup_root_fd;
	l.fds[DF_FD_RUN - DF_FD_FIRST] = h->run_fd;
	l.fds[DF_FD_LOCK - DF_FD_FIRST] = h->lock_fd;
	l.fds[DF_FD_NETNS - DF_FD_FIRST] = h->container.netns_fd;
	l.fds[DF_FD_REPORTS - DF_FD_FIRST] = h->reports_fd;
	l.fds[DF_FD_RESOLV_CONF - DF_FD_FIRST] = h->container.resolv_conf_fd;
	r = df_launch(&l, READY_TIMEOUT_MS);
	if (r < 0)
		return df_hook_fail(h, EX_TEMPFAIL, "the proxy " DF_PROXY_PATH " %s",
				    r == -ETIMEDOUT ? "was not ready within 5 s"
				    : r == -ECHILD  ? "ended before it was ready"
						    : strerror(-r));
	return 0;
}

/* Nothing of a fence that was not finished stays. */
void df_hook_undo(struct df_hook *h)
{
	if (h->is_attached)
		df_fence_detach(h->fence, h->container.cgroup_fd);
	df_fence_lsm_detach(h->lsm, h->container.cgroup_fd);
	if (h->proxy_cgroup_fd >= 0)
		df_launch_cgroup_remove(h->container.cgroup_root_fd, h->proxy_cgroup);
	if (h->container.netns_fd >= 0)
		df_listen_done(&h->listen, h->container.netns_fd);
	if (h->lock_fd >= 0) {
		(void)unlinkat(h->run_fd, "fence", 0);
		(void)unlinkat(h->run_fd, "pid", 0);
		(void)unlinkat(h->run_fd, "lock", 0);
	}
}

int df_hook_build(struct df_hook *h)
{
	int r = open_rundir(h);

	return r == 0 ? build_fence(h) : r;
}
