/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/start.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>

#include "hook/rundir.h"
#include "lib/base/util.h"
#include "lib/fence/fence.h"
#include "lib/fence/fill.h"

#define READY_TIMEOUT_MS 5000
#define LOCK_TIMEOUT_MS 3000
#define FOREIGN_MAX 64        /* programs that are told apart on one cgroup */
#define MOUNTS_MAX (4u << 20) /* a host with thousands of containers */

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

/*
 * Before 5.15 a mounted net_cls or net_prio hierarchy silently switches cgroup v2
 * socket matching off for the whole host (kernel commit 8520e224f547): a fence
 * would be attached without effect.  SO_NETNS_COOKIE, of 5.14, tells old kernels.
 */
static int check_net_cls(struct df_hook *h)
{
	_cleanup_free_ char *mounts = NULL;
	_cleanup_close_ int fd = -1;
	size_t len;

	if (h->listen.netns_cookie != 0)
		return 0;
	fd = open("/proc/self/mounts", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || df_read_all(fd, MOUNTS_MAX, &mounts, &len) < 0 ||
	    (!strstr(mounts, "net_cls") && !strstr(mounts, "net_prio")))
		return 0;
	return df_hook_fail(
		h, EX_UNAVAILABLE,
		"a cgroup v1 net_cls or net_prio hierarchy is mounted: on this kernel it "
		"switches cgroup v2 socket filters off; unmount it, or use 5.15 or later");
}

/* The rules of the policies for ports and addresses, for the kernel programs. */
static int collect_rules(struct df_hook *h, struct df_fill *ret)
{
	struct df_tables tables = {};
	int r;

	for (int i = 0; i < DF_TABLES; i++) {
		const struct df_hook_table *t = &h->tables[i];

		tables.tables[i] = t->policy;
		tables.modes[i] = (uint8_t)(t->is_used ? t->mode : 0);
	}
	r = df_fill_init(&tables, ret);
	if (r == -E2BIG)
		return df_hook_fail(h, EX_CONFIG,
				    "the policies of this container name more different port "
				    "ranges than a fence can tell apart (%d classes); use fewer",
				    DF_PORT_CLASSES);
	return r == 0 ? 0 : df_hook_fail(h, EX_OSERR, "collect address rules: %s", strerror(-r));
}

_Static_assert((int)DF_TABLES == DF_TABLES_BITS, "each table has its bit");

/* Searched once a boot; without BTF at each start, since the search is short then. */
static void find_layout(struct df_layout *ret)
{
	uint32_t values[sizeof(*ret) / sizeof(uint32_t)];

	if (df_rundir_get_fact("layout", values, ARRAY_SIZE(values))) {
		memcpy(ret, values, sizeof(*ret));
		return;
	}
	if (df_layout_find(ret) < 0)
		return;
	memcpy(values, ret, sizeof(*ret));
	df_rundir_set_fact("layout", values, ARRAY_SIZE(values));
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

/*
 * --- programs above the fence ---
 *
 * The kernel runs the programs of a cgroup and those of all cgroups above it, but of one that was
 * not attached with BPF_F_ALLOW_MULTI a program further down takes the place (kernel/bpf/cgroup.c,
 * compute_effective_progs): the host's rule would silently be gone for this container.
 */

/* "program sd_fw_egress (id 7) at egress of cgroup /machine.slice" */
static void describe_program(const struct df_hook *h, unsigned level,
			     const struct df_fence_foreign *p, char *ret, size_t size)
{
	size_t len = strlen(h->container.cgroup), pos = 0;

	while (level-- > 0)
		while (len > 0 && h->container.cgroup[--len] != '/')
			;
	df_append(ret, size, &pos, "program %s (id %u) at %s of cgroup %.*s",
		  *p->name ? p->name : "without a name", p->id, p->type, len > 0 ? (int)len : 1,
		  len > 0 ? h->container.cgroup : "/");
}

static int judge_program(struct df_hook *h, unsigned level, const struct df_fence_foreign *p)
{
	/* programs on the root bind the proxy's own cgroup as well */
	const bool is_root = level == h->container.n_above;
	char text[DF_META_PATH_MAX + 256];
	const char *why = NULL;

	describe_program(h, level, p, text, sizeof(text));
	switch (p->kind) {
	case DF_FENCE_HARMLESS:
		break;
	case DF_FENCE_FILTER:
		if (!is_root)
			df_findings_add(&h->findings, DF_FINDING_PARENT_FILTER, "%s", text);
		break;
	case DF_FENCE_NESTED:
		if (level > 0) /* else an earlier fence left it; it is detached */
			why = "is of another fence, and one would refuse the DNS of the other:";
		break;
	case DF_FENCE_OVERRIDE:
		why = "is attached with BPF_F_ALLOW_OVERRIDE: the fence would take its place, and "
		      "its rule would no longer hold for this container; attach it with "
		      "BPF_F_ALLOW_MULTI, or";
		break;
	case DF_FENCE_EXCLUSIVE:
		why = "is attached exclusively and admits no fence: attach it with "
		      "BPF_F_ALLOW_MULTI, or";
		break;
	}
	return why ? df_hook_fail(h, EX_UNAVAILABLE,
				  "%s %s start the container outside of that cgroup", text, why)
		   : 0;
}

static int look_above(struct df_hook *h)
{
	const struct df_container *c = &h->container;

	for (unsigned level = 0; level <= c->n_above; level++) {
		struct df_fence_foreign list[FOREIGN_MAX];
		int n = df_fence_foreign(h->fence,
					 level == 0 ? c->cgroup_fd : c->above_fds[level - 1], list,
					 FOREIGN_MAX);

		if (n < 0)
			return df_hook_fail(
				h, EX_UNAVAILABLE,
				"ask for the programs of the cgroups above %s (BPF_PROG_QUERY): %s",
				c->cgroup, strerror(-n));
		for (int i = 0; i < n && i < FOREIGN_MAX; i++) {
			int status = judge_program(h, level, &list[i]);

			if (status != 0)
				return status;
		}
	}
	return 0;
}

static int attach_fence(struct df_hook *h, const struct df_fill *fill)
{
	const uint8_t none[DF_TOKEN6_PREFIX_LEN] = {};
	struct df_conf conf = {
		.version = DF_ABI_VERSION,
		.mode = h->mode,
		.generation = 1,
		.heartbeat = df_now_ns(),
		.netns_cookie = h->listen.netns_cookie,
		.proxy_port = htobe16(h->listen.port),
		.flags = (df_hook_is_fail_open(h) ? DF_CONF_FAIL_OPEN : 0) |
			 (h->is_docker ? DF_CONF_DOCKER : 0),
	};
	struct df_fence_foreign lost = {};
	struct df_fence_maps maps;
	int r;

	memcpy(conf.token6_prefix, h->listen.token6_prefix, sizeof(conf.token6_prefix));
	if (memcmp(conf.token6_prefix, none, sizeof(none)) != 0)
		conf.flags |= DF_CONF_IPV6;
	df_fill_conf(fill, &conf);
	df_fence_maps(h->fence, &maps);
	r = df_fence_configure(maps.conf, &conf);
	if (r < 0)
		return df_hook_fail(h, EX_OSERR, "configure the fence: %s", strerror(-r));
	r = look_above(h);
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
	return look_above(h); /* programs that were attached meanwhile */
}

int df_start_fence(struct df_hook *h)
{
	__attribute__((cleanup(df_fill_done))) struct df_fill fill = {};
	struct df_rundir_fence note = {
		.init_pid = h->container.pid,
		.init_start = df_rundir_start_of(h->container.pid),
		.is_host_netns = h->container.is_host_netns,
		.is_fail_open = df_hook_is_fail_open(h),
	};
	const char *what = "";
	int r = open_rundir(h);

	if (r == 0)
		r = collect_rules(h, &fill);
	if (r == 0)
		r = load_fence(h, &fill);
	if (r != 0)
		return r;
	r = df_listen_open(h->container.netns_fd, !h->config.is_ipv6_disabled, &h->listen, &what);
	if (r < 0)
		return df_hook_fail(h, EX_OSERR, "%s: %s", what, strerror(-r));
	r = check_net_cls(h);
	if (r != 0)
		return r;
	memcpy(note.token6_prefix, h->listen.token6_prefix, sizeof(note.token6_prefix));
	r = df_rundir_note(h->run_fd, &note);
	if (r < 0)
		return df_hook_fail(h, EX_OSERR, "write " DF_RUNDIR "/%s: %s", h->state.id,
				    strerror(-r));
	return attach_fence(h, &fill);
}

/* --- the facts about a container for its proxy: struct df_meta --- */

static void copy_text(char *to, size_t size, const char *from)
{
	(void)snprintf(to, size, "%s", from ? from : "");
}

static void add_resolver(struct df_meta *m, const uint8_t addr[static 16])
{
	for (uint32_t i = 0; i < m->n_resolvers; i++)
		if (memcmp(m->resolvers[i], addr, 16) == 0)
			return;
	if (m->n_resolvers < DF_RESOLV_SERVERS_MAX)
		memcpy(m->resolvers[m->n_resolvers++], addr, 16);
}

/*
 * Resolvers: those of the policies, else those of the container's resolv.conf.  The proxy believes
 * none of the latter that the container can be itself (proxy/worker/trust.h).
 */
static void fill_resolvers(const struct df_hook *h, struct df_meta *m)
{
	for (int t = 0; t < DF_TABLE_SHADOW; t++) {
		const struct df_policy *p = &h->tables[t].policy;

		for (uint32_t i = 0; h->tables[t].is_used && i < df_policy_n_resolvers(p); i++) {
			uint8_t addr[16];

			df_policy_resolver_at(p, i, addr);
			add_resolver(m, addr);
		}
	}
	m->are_resolvers_named = m->n_resolvers > 0;
	for (unsigned i = 0; !m->are_resolvers_named && i < h->container.dns.n_resolvers; i++)
		add_resolver(m, h->container.dns.resolvers[i]);
}

/* Whether a mount shows the file at path writable. */
static bool shows_writable(const struct df_hook *h, const struct df_config_mount *m,
			   const char *path)
{
	char source[PATH_MAX], real[PATH_MAX];

	if (m->is_readonly || m->is_cgroup)
		return false;
	(void)snprintf(source, sizeof(source), "%s%s%s", m->source[0] == '/' ? "" : h->state.bundle,
		       m->source[0] == '/' ? "" : "/", m->source);
	return !realpath(source, real) || df_path_is_above(real, path);
}

/*
 * A later change of the file counts if nobody inside can write it: by no mount of this container,
 * not by another container that shares its network and so its file, and not by a remount.
 */
static bool is_resolv_conf_trusted(const struct df_hook *h)
{
	char path[PATH_MAX];

	if (h->container.resolv_conf_fd < 0 || !realpath(h->config.resolv_conf, path) ||
	    h->config.is_in_pod || *h->findings.seen[DF_FINDING_SHARED_NETNS] ||
	    (h->config.caps >> CAP_SYS_ADMIN & 1))
		return false;
	for (size_t i = 0; i < h->config.n_mounts; i++)
		if (shows_writable(h, &h->config.mounts[i], path))
			return false;
	return true;
}

void df_start_describe(const struct df_hook *h, struct df_job *job)
{
	const struct df_annotations *a = &h->state.annotations;
	char host[HOST_NAME_MAX + 1] = "";

	copy_text(job->id, sizeof(job->id), h->state.id);
	copy_text(job->name, sizeof(job->name), h->config.name);
	copy_text(job->image, sizeof(job->image), h->config.image);
	copy_text(job->pod, sizeof(job->pod), h->config.pod);
	copy_text(job->k8s_namespace, sizeof(job->k8s_namespace), h->config.k8s_namespace);
	/* with host networking podman gives the host's, which tells no container from another */
	(void)gethostname(host, sizeof(host) - 1);
	if (h->config.hostname && strcmp(h->config.hostname, host) != 0)
		copy_text(job->hostname, sizeof(job->hostname), h->config.hostname);
	copy_text(job->owner, sizeof(job->owner), a->owner);
	job->n_x = (uint32_t)a->n_x;
	for (size_t i = 0; i < a->n_x; i++) {
		copy_text(job->x[i].key, sizeof(job->x[i].key), a->x[i].key);
		copy_text(job->x[i].value, sizeof(job->x[i].value), a->x[i].value);
	}
}

static void fill_meta(const struct df_hook *h, struct df_meta *m)
{
	const struct df_container *c = &h->container;

	df_start_describe(h, &m->job);
	m->version = DF_META_VERSION;
	m->size = sizeof(*m);
	m->init_pid = c->pid;
	m->job.mode = h->mode;
	for (int i = 0; i < DF_TABLES; i++)
		m->table_modes[i] = (uint8_t)h->tables[i].mode;
	m->is_fail_open = df_hook_is_fail_open(h);
	m->is_logged_to_stderr = h->state.annotations.log != DF_ASK_LOG_NONE;
	m->is_stderr_pipe = c->is_stderr_pipe;
	m->stderr_dev = c->stderr_dev;
	m->stderr_ino = c->stderr_ino;
	m->log_to_journal = (h->conf.log & DF_CONF_LOG_JOURNAL) != 0;
	m->log_to_syslog = (h->conf.log & DF_CONF_LOG_SYSLOG) != 0;
	m->has_reports = h->reports_fd >= 0;
	m->report_limits = (struct df_report_limits){h->conf.report_age_s, h->conf.report_octets};
	m->port = h->listen.port;
	memcpy(m->token6_prefix, h->listen.token6_prefix, sizeof(m->token6_prefix));
	copy_text(m->job.policy, sizeof(m->job.policy),
		  df_policy_name(&h->tables[DF_TABLE_OWN].policy));
	copy_text(m->stale, sizeof(m->stale), h->stale);
	copy_text(m->cgroup, sizeof(m->cgroup), c->cgroup);
	copy_text(m->proxy_cgroup, sizeof(m->proxy_cgroup), h->proxy_cgroup);
	m->is_host_netns = c->is_host_netns;
	m->is_docker = h->is_docker;
	fill_resolvers(h, m);
	m->has_resolv_conf = c->resolv_conf_fd >= 0;
	m->resolv_conf_s = c->resolv_conf_ctime.tv_sec;
	m->resolv_conf_ns = c->resolv_conf_ctime.tv_nsec;
	m->is_resolv_conf_trusted = is_resolv_conf_trusted(h);
	m->init_exe_dev = c->image.exe_dev;
	m->init_exe_ino = c->image.exe_ino;
	m->init_arg_start = c->image.arg_start;
	m->ndots = c->dns.ndots;
	m->n_search = c->dns.n_search;
	memcpy(m->search, c->dns.search, m->n_search * sizeof(m->search[0]));
	for (int i = 0; i < DF_FINDINGS; i++)
		if (*h->findings.seen[i]) /* else its page stays untouched */
			copy_text(m->findings[i], sizeof(m->findings[i]), h->findings.seen[i]);
}

/* Sparse: only the pages that hold something are ever charged. */
static int make_meta(const struct df_hook *h)
{
	_cleanup_close_ int fd = memfd_create("deployfence-meta", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct df_meta *m;

	if (fd < 0 || ftruncate(fd, sizeof(*m)) < 0)
		return -errno;
	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m == MAP_FAILED)
		return -errno;
	fill_meta(h, m);
	(void)munmap(m, sizeof(*m));
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* --- the proxy --- */

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

int df_start_proxy(struct df_hook *h)
{
	_cleanup_close_ int meta_fd = -1;
	struct df_launch l = {.program = DF_PROXY_PATH, .id = h->state.id};
	struct df_fence_maps maps;
	int r;

	h->proxy_cgroup_fd = df_launch_cgroup(h->container.cgroup_root_fd, h->state.id,
					      h->proxy_cgroup, sizeof(h->proxy_cgroup));
	if (h->proxy_cgroup_fd < 0)
		return df_hook_fail(h, EX_OSERR, "create the proxy's cgroup: %s",
				    strerror(-h->proxy_cgroup_fd));
	r = df_fence_attach_proxy(h->fence, h->proxy_cgroup_fd);
	if (r < 0)
		return df_hook_fail(h, EX_OSERR, "fence the proxy's cgroup: %s", strerror(-r));
	r = hand_over_tables(h, &l);
	if (r == 0)
		r = meta_fd = make_meta(h);
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

void df_start_undo(struct df_hook *h)
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
