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
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

#include "hook/findings/on_leak.h"
#include "hook/hook.h"
#include "hook/policy.h"
#include "hook/rundir.h"
#include "hook/start.h"
#include "lib/base/log.h"
#include "lib/base/util.h"

#define POSTSTOP_TIMEOUT_MS 1000

static const char *id_of(const struct df_hook *h)
{
	return h->state.id ? h->state.id : "(unknown)";
}

/* UNFENCED, or in audit mode UNOBSERVED: the container runs on without a fence. */
static void say_unfenced(struct df_hook *h, enum df_log_level level, bool is_audit,
			 const char *reason)
{
	static struct df_job job;

	df_hook_say(h, level, "%s container=%s: %s", is_audit ? "UNOBSERVED" : "UNFENCED", id_of(h),
		    reason);
	if (h->run_fd < 0)
		return;
	df_start_describe(h, &job);
	job.mode = is_audit ? DF_MODE_AUDIT : 0;
	df_rundir_event(h->run_fd, &job, "unfenced", reason);
}

/*
 * crun: every signal blocked, umask 0, the container's rlimits, the shim's oom_score_adj.  Each
 * limit to the most that is allowed: raising the hard limit needs CAP_SYS_RESOURCE.
 */
static void reset_process(void)
{
	_cleanup_close_ int oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* a write then fails with EFBIG instead */
	(void)umask(077);
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit want = {RLIM_INFINITY, RLIM_INFINITY}, now;

		if (i == RLIMIT_NOFILE) /* unlimited is refused */
			want = (struct rlimit){1 << 10, 1 << 20};
		if (i == RLIMIT_CORE) /* a crash must not fill the host's root directory */
			want = (struct rlimit){0, 0};
		if (i == RLIMIT_STACK) /* unlimited weakens ASLR on some architectures */
			want = (struct rlimit){8 << 20, RLIM_INFINITY};
		if (setrlimit((__rlimit_resource_t)i, &want) == 0 ||
		    getrlimit((__rlimit_resource_t)i, &now) < 0)
			continue;
		now.rlim_cur = now.rlim_max;
		(void)setrlimit((__rlimit_resource_t)i, &now);
	}
	/* the process holds the fence's maps: no process with fewer capabilities may trace it */
	(void)prctl(PR_SET_DUMPABLE, 0);
	if (oom >= 0)
		(void)df_write_all(oom, "0", 1);
}

static int read_state(struct df_hook *h)
{
	_cleanup_free_ char *text = NULL;
	char error[DF_OCI_ERROR_MAX] = "";
	size_t len;
	int r = df_read_all(STDIN_FILENO, DF_OCI_JSON_MAX, &text, &len);

	if (r == -E2BIG)
		return df_hook_fail(h, EX_DATAERR, "state JSON on stdin: more than %u octets",
				    DF_OCI_JSON_MAX);
	if (r < 0)
		return df_hook_fail(h, EX_OSERR, "read the state JSON from stdin: %s",
				    strerror(-r));
	r = df_state_parse(text, len, &h->state, error);
	return r == 0 ? 0 : df_hook_fail(h, r, "%s", error);
}

static int read_config(struct df_hook *h)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int bundle = open(h->state.bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char error[DF_OCI_ERROR_MAX] = "";
	size_t len;
	int r;

	if (bundle < 0)
		return df_hook_fail(h, EX_DATAERR, "bundle %s: %s", h->state.bundle,
				    strerror(errno));
	r = df_read_file(bundle, "config.json", DF_OCI_JSON_MAX, &text, &len);
	if (r < 0)
		return df_hook_fail(h, EX_DATAERR, "%s/config.json: %s", h->state.bundle,
				    strerror(-r));
	r = df_config_parse(text, len, &h->config, error);
	return r == 0 ? 0 : df_hook_fail(h, r, "%s: %s", h->state.bundle, error);
}

static int read_host_conf(struct df_hook *h)
{
	_cleanup_free_ char *messages = NULL;
	char error[DF_OCI_ERROR_MAX] = "";
	int r = df_conf_load(DF_CONF_FILE, &h->conf, &messages);

	if (r == 0) {
		r = df_annotations_check(&h->conf, &h->state.annotations, error);
		h->is_final = r != 0;
		return r == 0 ? 0 : df_hook_fail(h, r, "%s", error);
	}
	h->is_final = true; /* the demands of the host are not known */
	return df_hook_fail(h, r == -ENOMEM ? EX_OSERR : EX_CONFIG, "%s",
			    messages ? messages : strerror(-r));
}

/* The host's kill switch is thrown: said once, with the container's name as far as it is known. */
static bool is_disabled(struct df_hook *h)
{
	char text[DF_CONF_SWITCH_TEXT_MAX], reason[DF_HOOK_REASON_MAX];

	switch (df_conf_switch(DF_DISABLED_FILE, time(NULL), text)) {
	case DF_CONF_SWITCH_NONE:
		break;
	case DF_CONF_SWITCH_VOID:
		if (!h->is_void_switch_said)
			df_hook_say(h, DF_LOG_WARNING,
				    "container=%s: " DF_DISABLED_FILE
				    " does not count as kill switch: %s; " DF_CONF_SWITCH_REMEDY
				    "" DF_DISABLED_FILE ", else remove it",
				    id_of(h), text);
		h->is_void_switch_said = true;
		break;
	case DF_CONF_SWITCH_THROWN:
		(void)snprintf(reason, sizeof(reason), DF_DISABLED_FILE " exists: %s", text);
		say_unfenced(h, DF_LOG_NOTICE, false, reason);
		return true;
	}
	return false;
}

static int read_mode(struct df_hook *h)
{
	char demand[DF_OCI_ERROR_MAX] = "";
	int r = df_hook_read_policy(h);

	if (r == 0)
		r = read_config(h);
	if (r == 0)
		return df_hook_settle_mode(h);
	/* whether audit weakens is not known: an error must not open a fence that the host demands
	 */
	h->is_final |=
		df_annotations_check_audit(&h->conf, &h->state.annotations, true, demand) != 0;
	return r;
}

/*
 * podman build and buildah look for hooks by the annotations of the image that a step begins
 * with: none before the first step, those of --annotation behind it.  The containers
 * themselves have none, so that no value arrives.  A build of which some steps are fenced, by a
 * policy that nobody named, would pass for a fenced build.
 */
static int check_build(struct df_hook *h)
{
	static const char id[] = "buildah-buildah";

	if (h->fences_builds || h->state.annotations.ask != DF_ASK_NONE ||
	    strncmp(h->state.id, id, sizeof(id) - 1) != 0)
		return 0;
	return df_hook_fail(
		h, EX_CONFIG,
		"a step of podman build: --annotation is for the image, and no value of it "
		"reaches the build's containers; to fence all steps by the host's default "
		"policy see --build in deployfence-hook(8), else remove the annotation from "
		"the command or the base image");
}

static int fence(struct df_hook *h)
{
	char error[DF_CONTAINER_ERROR_MAX] = "";
	int status = df_container_check_privilege(error);
	int r = read_mode(h); /* first, since audit refuses nothing */

	if (status != 0) /* also the cause if a file could not be read */
		return df_hook_fail(h, status, "%s", error);
	if (r == 0)
		r = check_build(h);
	if (r != 0)
		return r;
	r = df_container_open(&h->state, &h->config, &h->container, error);
	if (r != 0)
		return df_hook_fail(h, r, "%s", error);
	df_findings_collect(&h->state, &h->config, &h->container, h->is_docker, &h->findings);
	r = df_start_fence(h);
	if (r != 0)
		return r;
	h->is_switched_off = is_disabled(h);
	if (h->is_switched_off)
		return 0;
	r = df_on_leak_judge(h);
	return r == 0 ? df_start_proxy(h) : r;
}

/* An annotation says off, or leaves this container out. */
static bool is_unfenced(struct df_hook *h)
{
	const struct df_annotations *a = &h->state.annotations;
	char line[DF_HOOK_REASON_MAX], name[DF_ANNOTATIONS_TEXT_MAX];
	size_t len = 0, pos = 0;
	const char *near = NULL;

	if (a->ask == DF_ASK_OFF) {
		say_unfenced(h, DF_LOG_NOTICE, false, "annotation deployfence=off");
		return true;
	}
	if (!a->is_left_out)
		return false;
	df_append(line, sizeof(line), &pos, "annotation deployfence.containers=%s does not name ",
		  a->containers);
	if (a->name) {
		(void)df_escape(a->name, strlen(a->name), name, sizeof(name));
		df_append(line, sizeof(line), &pos, "this container, \"%s\"", name);
	} else {
		df_append(line, sizeof(line), &pos, "a pod's sandbox");
	}
	near = df_annotations_near_name(a, &len);
	if (near)
		df_append(line, sizeof(line), &pos, "; is it \"%.*s\" in that list?", (int)len,
			  near);
	say_unfenced(h, near ? DF_LOG_WARNING : DF_LOG_NOTICE, false, line);
	return true;
}

static void sweep(struct df_hook *h, bool is_retrying)
{
	const struct df_report_limits limits = {h->conf.report_age_s, h->conf.report_octets};
	struct df_rundir_reports reports = {
		.fd = h->reports_fd, .limits = &limits, .is_retrying = is_retrying};

	df_rundir_sweep(&reports);
}

/* Without report-dir the fence is as good, but its events end with /run. */
static void open_reports(struct df_hook *h)
{
	h->reports_fd = df_reports_open(h->conf.report_dir, true);
	if (h->reports_fd < 0)
		df_hook_note(h, DF_LOG_WARNING,
			     "container=%s: report-dir %s: %s; no report is kept", h->state.id,
			     h->conf.report_dir,
			     h->reports_fd == -EPERM ? "others than root own it or a directory "
						       "above it, or may write there"
						     : strerror(-h->reports_fd));
}

static int refuse(struct df_hook *h, int status)
{
	df_hook_say(h, DF_LOG_ERR, "container %s refused: %s%s", id_of(h), h->reason,
		    h->sees_others && !h->is_final && df_hook_asks_fail_open(h)
			    ? "; fail=open does not count for a container that sees the processes "
			      "of others (its pid namespace)"
			    : "");
	return status;
}

static int create_runtime(struct df_hook *h)
{
	int status = read_host_conf(h);

	h->sees_others = df_container_pidns(h->state.pid) != DF_PIDNS_OWN;
	if (status == 0 && is_unfenced(h))
		return 0;
	if (status == 0)
		open_reports(h);
	sweep(h, false);
	if (status == 0 && h->state.annotations.containers && !h->state.annotations.name)
		df_hook_note(h, DF_LOG_WARNING,
			     "container=%s: its runtime tells no name that "
			     "deployfence.containers=%s could be compared with; it is fenced",
			     h->state.id, h->state.annotations.containers);
	if (status == 0)
		status = fence(h);
	/* read again now that the programs are attached: a switch thrown meanwhile counts */
	if (status == 0 && !h->is_switched_off)
		return 0;
	df_start_undo(h);
	if (status == 0)
		return 0;
	if (df_hook_is_fail_open(h)) {
		say_unfenced(h, DF_LOG_WARNING,
			     h->state.annotations.ask == DF_ASK_AUDIT || h->mode == DF_MODE_AUDIT,
			     h->reason);
		return 0;
	}
	return refuse(h, status);
}

static void usage(FILE *to)
{
	(void)fputs("usage: deployfence [--build] [--engine=docker] [--require-annotation] < "
		    "STATE-JSON\n"
		    "\n"
		    "OCI hook (createRuntime and poststop) that fences a container's network.\n"
		    "Runtimes call it; see deployfence-hook(8).\n"
		    "\n"
		    "  --build               fence the steps of podman build, too\n"
		    "  --require-annotation  do nothing for a container that has no annotation\n"
		    "                        whose key begins with \"deployfence\"\n"
		    "  --engine=docker       127.0.0.11 is the resolver of Docker, which calls\n"
		    "                        this; else the container could be that itself\n"
		    "  --help                this text\n"
		    "  --version             the version\n",
		    to);
}

/* 0: go on; 1: exit with success; else an exit status, for wrong arguments. */
static int parse_arguments(int argc, char **argv, struct df_hook *h)
{
	static const struct option options[] = {
		{"build", no_argument, NULL, 'b'},
		{"require-annotation", no_argument, NULL, 'r'},
		{"engine", required_argument, NULL, 'e'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'b':
			h->fences_builds = true;
			break;
		case 'r':
			h->needs_annotation = true;
			break;
		case 'e':
			h->is_docker = strcmp(optarg, "docker") == 0;
			if (h->is_docker)
				break;
			(void)fprintf(stderr, "deployfence: --engine=%s: only docker is known\n",
				      optarg);
			return EX_CONFIG;
		case 'h':
			usage(stdout);
			return 1;
		case 'v':
			(void)puts("deployfence " PACKAGE_VERSION);
			return 1;
		default:
			usage(stderr);
			return EX_CONFIG;
		}
	}
	if (optind == argc)
		return 0;
	usage(stderr);
	return EX_CONFIG;
}

/*
 * The purpose of this call.  The status alone does not tell: runc restore calls createRuntime hooks
 * with the status "stopped" and the pid of the init that it restores; crun and runc call poststop
 * hooks with the same status, and with pid 0 or none (crun do_hooks, runc runPoststopHooks and
 * criuNotifications).
 */
enum stage {
	STAGE_START, /* there is an init to be fenced */
	STAGE_STOP,  /* nothing runs any more */
	/*
	 * "stopped", with a process that is older than the caller: nobody's init, or a number that
	 * was used again.  It is neither fenced nor left alone.
	 */
	STAGE_UNCLEAR,
};

static enum stage stage_of(const struct df_state *s)
{
	uint64_t start;

	if (!s->id || s->status == DF_STATUS_CREATE) /* without an id the state was not read */
		return STAGE_START;
	start = s->pid > 0 ? df_rundir_start_of(s->pid) : 0;
	if (start == 0)
		return STAGE_STOP;
	/* a runtime that restores a container has made its init, and so is older */
	return start >= df_rundir_start_of(getppid()) ? STAGE_START : STAGE_UNCLEAR;
}

static void clean_up(struct df_hook *h)
{
	_cleanup_free_ char *messages = NULL;

	df_rundir_wait(h->state.id, POSTSTOP_TIMEOUT_MS);
	/* no message: with a configuration that has errors, events wait where they are */
	if (df_conf_load(DF_CONF_FILE, &h->conf, &messages) == 0)
		h->reports_fd = df_reports_open(h->conf.report_dir, true);
	sweep(h, true);
	df_hook_sweep_policies();
}

/* status: of the arguments. */
static int run(struct df_hook *h, int status)
{
	int r = read_state(h);
	const enum stage stage = stage_of(&h->state);

	if (stage == STAGE_STOP) {
		clean_up(h);
		return 0;
	}
	if (stage == STAGE_UNCLEAR) {
		clean_up(h);
		r = df_hook_fail(
			h, EX_DATAERR,
			"state: status \"stopped\" with pid %d, which lives and is older "
			"than the runtime; a container that ended has no pid, and one that is "
			"restored a new one",
			(int)h->state.pid);
	}
	if (r == 0 && status == 0 && h->needs_annotation && h->state.annotations.ask == DF_ASK_NONE)
		return 0;
	/* the kill switch counts before any error of arguments, state, configuration or policy */
	if (is_disabled(h))
		return 0;
	if (r != 0)
		return refuse(h, r);
	if (status != 0) {
		(void)df_hook_fail(
			h, status,
			"unknown arguments of the hook, in whatever calls it (a JSON file "
			"of hooks.d?); deployfence-hook(8) lists those that it has");
		return refuse(h, status);
	}
	return create_runtime(h);
}

int main(int argc, char **argv)
{
	static struct df_hook h = {
		.run_fd = -1,
		.lock_fd = -1,
		.reports_fd = -1,
		.proxy_cgroup_fd = -1,
		.container = {.pidfd = -1, .netns_fd = -1, .cgroup_root_fd = -1, .cgroup_fd = -1},
		.listen = {.udp4 = -1, .udp6 = -1, .tcp4 = -1, .tcp6 = -1}};
	int status;

	reset_process();
	df_conf_init(&h.conf);
	status = parse_arguments(argc, argv, &h);
	/* the kernel takes back memory and descriptors; attached programs stay */
	return status == 1 ? 0 : run(&h, status);
}
