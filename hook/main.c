/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The OCI hook: createRuntime builds a fence, poststop cleans up.
 *
 * OCI runtime-spec, config.md "POSIX-platform Hooks": the state comes on stdin,
 * a non-zero exit status stops the container's creation.  The exit statuses are
 * part of the contract: deployfence-hook(8).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

#include "hook/container.h"
#include "hook/rundir.h"
#include "hook/say.h"
#include "hook/state.h"
#include "lib/conf.h"
#include "lib/fence.h"
#include "lib/launch.h"
#include "lib/listen.h"
#include "lib/log.h"
#include "lib/policy.h"
#include "lib/policy_compile.h"
#include "lib/util.h"

#define TAG "deployfence"
#define READY_TIMEOUT_MS 5000
#define LOCK_TIMEOUT_MS 3000
#define POSTSTOP_TIMEOUT_MS 1000
#define STATE_MAX DF_STATE_JSON_MAX
#define REASON_MAX 8192

struct hook {
	bool needs_annotation; /* --require-annotation */
	struct df_state state;
	struct df_config config;
	struct df_conf_host conf;
	struct df_container container;
	struct df_policy_result compiled;
	struct df_policy policy;
	enum df_mode mode;
	struct df_listen listen;
	struct df_fence *fence;
	bool is_attached;
	int run_fd, lock_fd;
	char proxy_cgroup[DF_META_PATH_MAX];
	int proxy_cgroup_fd;
	char reason[REASON_MAX]; /* of a failure */
};

__attribute__((format(printf, 3, 4))) static int fail(struct hook *h, int status,
						      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(h->reason, sizeof(h->reason), format, args);
	va_end(args);
	return status;
}

/* Where the person who typed the command, and the one who looks later, can read it. */
static void say(struct hook *h, enum df_log_level level, char *line)
{
	/* a policy's messages have a line each: one record, whatever they hold */
	for (char *p = line; *p; p++)
		if (*p == '\n')
			*p = ' ';
	df_say_to_caller(h->state.pid, level, line);
	(void)df_log_syslog(TAG, level, line);
	if (h->run_fd < 0 && h->state.id)
		h->run_fd = df_rundir_open(h->state.id);
	if (h->run_fd >= 0)
		df_rundir_log(h->run_fd, line);
}

/* crun: every signal blocked, umask 0, the container's rlimits, the shim's oom_score_adj. */
static void reset_process(void)
{
	const struct rlimit files = {1024, 1024 * 1024}, lock = {RLIM_INFINITY, RLIM_INFINITY};
	_cleanup_close_ int oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(077);
	/* raising needs CAP_SYS_RESOURCE; the container's own limits often suffice */
	(void)setrlimit(RLIMIT_NOFILE, &files);
	(void)setrlimit(RLIMIT_MEMLOCK, &lock); /* before 5.11 BPF memory counts */
	if (oom >= 0)
		(void)df_write_all(oom, "0", 1);
}

static int read_state(struct hook *h)
{
	_cleanup_free_ char *text = NULL;
	char error[DF_STATE_ERROR_MAX] = "";
	size_t len;
	int r = df_read_all(STDIN_FILENO, STATE_MAX, &text, &len);

	if (r == -E2BIG)
		return fail(h, EX_DATAERR, "state JSON on stdin: more than %u octets", STATE_MAX);
	if (r < 0)
		return fail(h, EX_OSERR, "read the state JSON from stdin: %s", strerror(-r));
	r = df_state_parse(text, len, &h->state, error);
	if (r != 0)
		return fail(h, r, "%s", error);
	return 0;
}

static int read_config(struct hook *h)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int bundle = open(h->state.bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char error[DF_STATE_ERROR_MAX] = "";
	size_t len;
	int r;

	if (bundle < 0)
		return fail(h, EX_DATAERR, "bundle %s: %s", h->state.bundle, strerror(errno));
	r = df_read_file(bundle, "config.json", DF_STATE_JSON_MAX, &text, &len);
	if (r < 0)
		return fail(h, EX_DATAERR, "%s/config.json: %s", h->state.bundle, strerror(-r));
	r = df_config_parse(text, len, &h->config, error);
	return r == 0 ? 0 : fail(h, r, "%s: %s", h->state.bundle, error);
}

static int read_host_conf(struct hook *h)
{
	_cleanup_free_ char *messages = NULL;
	int r = df_conf_load(DF_CONF_FILE, &h->conf, &messages);

	if (r == 0)
		return 0;
	return fail(h, EX_CONFIG, "%s", messages ? messages : strerror(-r));
}

static int read_policy(struct hook *h)
{
	static const char *const dirs[] = {DF_POLICY_DIR, DF_POLICY_DATA_DIR, NULL};
	const char *name = h->state.policy ? h->state.policy : h->conf.default_policy;
	int r = df_policy_compile_name(name, dirs, &h->compiled);

	if (r < 0)
		return fail(h, EX_CONFIG, "policy %s: %s", name,
			    h->compiled.messages ? h->compiled.messages : strerror(-r));
	r = df_policy_open(h->compiled.table, h->compiled.table_size, &h->policy);
	if (r < 0)
		return fail(h, EX_SOFTWARE, "policy %s: its table is damaged", name);
	h->mode = df_policy_mode(&h->policy) == DF_POLICY_AUDIT ? DF_MODE_AUDIT : DF_MODE_ENFORCE;
	if (h->state.ask == DF_ASK_ENFORCE)
		h->mode = DF_MODE_ENFORCE;
	if (h->state.ask == DF_ASK_AUDIT)
		h->mode = DF_MODE_AUDIT;
	return 0;
}

static bool is_fail_open(const struct hook *h)
{
	if (h->mode == DF_MODE_AUDIT || h->state.ask == DF_ASK_AUDIT)
		return true;
	if (h->state.fail != DF_CHOICE_UNSET)
		return h->state.fail == DF_CHOICE_OPEN;
	return h->conf.fail == DF_HOST_FAIL_OPEN;
}

static int open_rundir(struct hook *h)
{
	if (h->run_fd < 0)
		h->run_fd = df_rundir_open(h->state.id);
	if (h->run_fd < 0)
		return fail(h, EX_OSERR, "create " DF_RUNDIR "/%s: %s", h->state.id,
			    strerror(-h->run_fd));
	h->lock_fd = df_rundir_lock(h->run_fd, LOCK_TIMEOUT_MS);
	if (h->lock_fd == -EBUSY)
		return fail(h, EX_OSERR,
			    "a fence of this id is still running; see " DF_RUNDIR "/%s",
			    h->state.id);
	if (h->lock_fd < 0)
		return fail(h, EX_OSERR, "lock " DF_RUNDIR "/%s: %s", h->state.id,
			    strerror(-h->lock_fd));
	return 0;
}

static int note_fence(struct hook *h)
{
	struct df_rundir_fence note = {
		.init_pid = h->container.pid,
		.init_start = df_rundir_start_of(h->container.pid),
		.is_host_netns = h->container.is_host_netns,
	};
	int r;

	memcpy(note.token6_prefix, h->listen.token6_prefix, sizeof(note.token6_prefix));
	r = df_rundir_note(h->run_fd, &note);
	return r == 0 ? 0
		      : fail(h, EX_OSERR, "write " DF_RUNDIR "/%s: %s", h->state.id, strerror(-r));
}

static struct df_conf kernel_conf(const struct hook *h)
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
	if (is_fail_open(h))
		c.flags |= DF_CONF_FAIL_OPEN;
	if (df_policy_refuse_dns(&h->policy) == DF_POLICY_SINKHOLE)
		c.flags |= DF_CONF_SINKHOLE;
	return c;
}

static int build_fence(struct hook *h)
{
	const char *what = "";
	struct df_fence_maps maps;
	struct df_conf conf;
	int r = df_fence_load(&h->fence, &what);

	if (r < 0)
		return fail(
			h, r == -EPERM ? EX_NOPERM : EX_UNAVAILABLE,
			"%s: %s; the kernel must be 5.10 or later with cgroup BPF, and the hook "
			"needs CAP_BPF and CAP_NET_ADMIN",
			what, strerror(-r));
	r = df_listen_open(h->container.netns_fd, &h->listen, &what);
	if (r < 0)
		return fail(h, EX_OSERR, "%s: %s", what, strerror(-r));
	r = note_fence(h);
	if (r != 0)
		return r;
	conf = kernel_conf(h);
	df_fence_maps(h->fence, &maps);
	r = df_fence_configure(maps.conf, &conf);
	if (r < 0)
		return fail(h, EX_OSERR, "configure the fence: %s", strerror(-r));
	r = df_fence_attach(h->fence, h->container.cgroup_fd);
	if (r < 0)
		return fail(h, r == -EPERM ? EX_NOPERM : EX_UNAVAILABLE,
			    "attach to cgroup %s: %s; another program may hold it exclusively",
			    h->container.cgroup, strerror(-r));
	h->is_attached = true;
	return 0;
}

static void copy_text(char *to, size_t size, const char *from)
{
	(void)snprintf(to, size, "%s", from ? from : "");
}

static void fill_meta(const struct hook *h, struct df_meta *m)
{
	m->version = DF_META_VERSION;
	m->size = sizeof(*m);
	m->init_pid = h->container.pid;
	m->mode = h->mode;
	m->is_fail_open = is_fail_open(h);
	m->is_logged_to_stderr = h->state.log != DF_LOG_NONE;
	m->is_stderr_pipe = h->container.is_stderr_pipe;
	m->stderr_dev = h->container.stderr_dev;
	m->stderr_ino = h->container.stderr_ino;
	m->log_to_journal = (h->conf.log & (DF_CONF_LOG_JOURNAL | DF_CONF_LOG_SYSLOG)) != 0;
	m->port = h->listen.port;
	memcpy(m->token6_prefix, h->listen.token6_prefix, sizeof(m->token6_prefix));
	copy_text(m->id, sizeof(m->id), h->state.id);
	copy_text(m->policy, sizeof(m->policy), df_policy_name(&h->policy));
	copy_text(m->name, sizeof(m->name), h->config.name);
	copy_text(m->image, sizeof(m->image), h->config.image);
	copy_text(m->pod, sizeof(m->pod), h->config.pod);
	copy_text(m->k8s_namespace, sizeof(m->k8s_namespace), h->config.k8s_namespace);
	copy_text(m->owner, sizeof(m->owner), h->state.owner);
	copy_text(m->cgroup, sizeof(m->cgroup), h->container.cgroup);
	copy_text(m->proxy_cgroup, sizeof(m->proxy_cgroup), h->proxy_cgroup);
	m->n_search = h->container.n_search;
	memcpy(m->search, h->container.search, m->n_search * sizeof(m->search[0]));
	m->n_x = (uint32_t)h->state.n_x;
	for (size_t i = 0; i < h->state.n_x; i++) {
		copy_text(m->x[i].key, sizeof(m->x[i].key), h->state.x[i].key);
		copy_text(m->x[i].value, sizeof(m->x[i].value), h->state.x[i].value);
	}
}

/* Sparse: only the pages that hold something are ever charged. */
static int make_meta(const struct hook *h)
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

static int prepare_proxy_cgroup(struct hook *h)
{
	int r;

	h->proxy_cgroup_fd = df_launch_cgroup(h->container.cgroup_root_fd, h->state.id,
					      h->proxy_cgroup, sizeof(h->proxy_cgroup));
	if (h->proxy_cgroup_fd < 0)
		return fail(h, EX_OSERR, "create the proxy's cgroup: %s",
			    strerror(-h->proxy_cgroup_fd));
	r = df_fence_attach_proxy(h->fence, h->proxy_cgroup_fd);
	return r == 0 ? 0 : fail(h, EX_OSERR, "fence the proxy's cgroup: %s", strerror(-r));
}

static int start_proxy(struct hook *h)
{
	_cleanup_close_ int policy_fd = -1, meta_fd = -1;
	struct df_launch l = {.program = DF_PROXY_PATH, .id = h->state.id};
	struct df_fence_maps maps;
	int r = prepare_proxy_cgroup(h);

	if (r != 0)
		return r;
	policy_fd =
		df_launch_memfd("deployfence-policy", h->compiled.table, h->compiled.table_size);
	meta_fd = make_meta(h);
	if (policy_fd < 0 || meta_fd < 0)
		return fail(h, EX_OSERR, "hand the policy over: %s",
			    strerror(policy_fd < 0 ? -policy_fd : -meta_fd));
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
	l.fds[DF_FD_POLICY - DF_FD_FIRST] = policy_fd;
	l.fds[DF_FD_META - DF_FD_FIRST] = meta_fd;
	l.fds[DF_FD_PIDFD - DF_FD_FIRST] = h->container.pidfd;
	l.fds[DF_FD_CGROUP - DF_FD_FIRST] = h->container.cgroup_fd;
	l.fds[DF_FD_CGROUP_ROOT - DF_FD_FIRST] = h->container.cgroup_root_fd;
	l.fds[DF_FD_RUN - DF_FD_FIRST] = h->run_fd;
	l.fds[DF_FD_LOCK - DF_FD_FIRST] = h->lock_fd;
	l.fds[DF_FD_NETNS - DF_FD_FIRST] = h->container.netns_fd;
	r = df_launch(&l, READY_TIMEOUT_MS);
	if (r < 0)
		return fail(h, EX_TEMPFAIL, "the proxy " DF_PROXY_PATH " %s",
			    r == -ETIMEDOUT ? "was not ready within 5 s"
			    : r == -ECHILD  ? "ended before it was ready"
					    : strerror(-r));
	return 0;
}

/* Nothing of a fence that was not finished stays. */
static void undo(struct hook *h)
{
	if (h->is_attached)
		df_fence_detach(h->fence, h->container.cgroup_fd);
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

static int fence(struct hook *h)
{
	char error[DF_CONTAINER_ERROR_MAX] = "";
	int r = read_host_conf(h);

	if (r == 0)
		r = read_policy(h);
	if (r == 0)
		r = read_config(h);
	if (r != 0)
		return r;
	r = df_container_open(&h->state, &h->config, &h->container, error);
	if (r != 0)
		return fail(h, r, "%s", error);
	r = open_rundir(h);
	if (r == 0)
		r = build_fence(h);
	return r == 0 ? start_proxy(h) : r;
}

/* No fence was asked for, or somebody switched it off: exit 0. */
static bool is_unfenced(struct hook *h)
{
	char reason[DF_CONF_DISABLED_REASON_MAX], line[REASON_MAX];

	if (h->state.ask == DF_ASK_NONE && h->needs_annotation)
		return true;
	if (df_conf_is_disabled(DF_DISABLED_FILE, time(NULL), reason)) {
		(void)snprintf(line, sizeof(line),
			       "UNFENCED container=%s: " DF_DISABLED_FILE " exists%s%s",
			       h->state.id, *reason ? ": " : "", reason);
		say(h, DF_LOG_NOTICE, line);
		return true;
	}
	if (h->state.ask == DF_ASK_OFF) {
		(void)snprintf(line, sizeof(line),
			       "UNFENCED container=%s: annotation deployfence=off", h->state.id);
		say(h, DF_LOG_NOTICE, line);
		return true;
	}
	return false;
}

/* Messages of a policy end each line with a newline; the last one would stand alone. */
static void trim(char *text)
{
	size_t n = strlen(text);

	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
}

static int create_runtime(struct hook *h)
{
	char line[REASON_MAX + 256];
	int status;

	if (is_unfenced(h))
		return 0;
	df_rundir_sweep();
	status = fence(h);
	if (status == 0)
		return 0;
	undo(h);
	trim(h->reason);
	if (is_fail_open(h)) {
		(void)snprintf(line, sizeof(line), "%s container=%s: %s",
			       h->state.ask == DF_ASK_AUDIT || h->mode == DF_MODE_AUDIT
				       ? "UNOBSERVED"
				       : "UNFENCED",
			       h->state.id, h->reason);
		say(h, DF_LOG_WARNING, line);
		return 0;
	}
	(void)snprintf(line, sizeof(line), "container %s refused: %s", h->state.id, h->reason);
	say(h, DF_LOG_ERR, line);
	return status;
}

static void usage(FILE *to)
{
	(void)fputs("usage: deployfence [--require-annotation] < STATE-JSON\n"
		    "\n"
		    "OCI hook (createRuntime and poststop) that fences a container's network.\n"
		    "Runtimes call it; see deployfence-hook(8).\n"
		    "\n"
		    "  --require-annotation  do nothing for a container that has no annotation\n"
		    "                        whose key begins with \"deployfence\"\n"
		    "  --help                this text\n"
		    "  --version             the version\n",
		    to);
}

/* 0: go on; else exit with *ret_status. */
static int parse_arguments(int argc, char **argv, struct hook *h, int *ret_status)
{
	static const struct option options[] = {
		{"require-annotation", no_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			h->needs_annotation = true;
			break;
		case 'h':
			usage(stdout);
			*ret_status = 0;
			return 1;
		case 'v':
			(void)puts("deployfence " PACKAGE_VERSION);
			*ret_status = 0;
			return 1;
		default:
			usage(stderr);
			*ret_status = EX_CONFIG;
			return 1;
		}
	}
	if (optind == argc)
		return 0;
	usage(stderr);
	*ret_status = EX_CONFIG;
	return 1;
}

static int run(struct hook *h)
{
	char line[REASON_MAX + 256];
	int status = read_state(h);

	if (status != 0) {
		(void)snprintf(line, sizeof(line), "container %s refused: %s",
			       h->state.id ? h->state.id : "(unknown)", h->reason);
		say(h, DF_LOG_ERR, line);
		return status;
	}
	if (h->state.status == DF_STATUS_STOPPED) {
		df_rundir_wait(h->state.id, POSTSTOP_TIMEOUT_MS);
		df_rundir_sweep();
		return 0;
	}
	return create_runtime(h);
}

int main(int argc, char **argv)
{
	static struct hook h = {
		.run_fd = -1,
		.lock_fd = -1,
		.proxy_cgroup_fd = -1,
		.container = {.pidfd = -1, .netns_fd = -1, .cgroup_root_fd = -1, .cgroup_fd = -1},
		.listen = {.udp4 = -1, .udp6 = -1, .tcp4 = -1, .tcp6 = -1}};
	int status;

	reset_process();
	df_conf_init(&h.conf);
	if (parse_arguments(argc, argv, &h, &status) != 0)
		return status;
	status = run(&h);
	/* the kernel takes back memory and descriptors; attached programs stay */
	return status;
}
