/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "hook/container.h"
#include "hook/event.h"
#include "lib/base/log.h"
#include "lib/base/proc.h"
#include "lib/base/util.h"
#include "lib/fence/launch.h"
#include "lib/fence/listen.h"

#define DAY_S ((time_t)86400)
#define LOCK_PAUSE_US 5000
#define HOOK_LOG_MAX (256 << 10)
#define LINE_MAX_LEN 4096

static int open_parent(bool create)
{
	int fd;

	if (create && mkdir(DF_RUNDIR, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(DF_RUNDIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int df_rundir_open(const char *id)
{
	_cleanup_close_ int parent = open_parent(true);
	int fd;

	if (parent < 0)
		return parent;
	if (mkdirat(parent, id, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(parent, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The monitor removes the file at its end: what was locked must still be what stands there. */
static bool is_current(int run_fd, int fd)
{
	struct stat held, named;

	return fstat(fd, &held) == 0 && fstatat(run_fd, "lock", &named, 0) == 0 &&
	       held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

int df_rundir_lock(int run_fd, int timeout_ms)
{
	for (int waited_us = 0;; waited_us += LOCK_PAUSE_US) {
		_cleanup_close_ int fd =
			openat(run_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_current(run_fd, fd))
			return TAKE_FD(fd);
		if (waited_us >= timeout_ms * 1000)
			return -EBUSY;
		(void)usleep(LOCK_PAUSE_US);
	}
}

void df_rundir_wait(const char *id, int timeout_ms)
{
	_cleanup_close_ int parent = open_parent(false), run_fd = -1, lock = -1;

	if (parent < 0)
		return;
	run_fd = openat(parent, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (run_fd >= 0 && faccessat(run_fd, "lock", F_OK, 0) == 0)
		lock = df_rundir_lock(run_fd, timeout_ms);
	if (lock >= 0 && faccessat(run_fd, "fence", F_OK, 0) != 0)
		(void)unlinkat(run_fd, "lock", 0); /* ours: it was made by the wait */
}

uint64_t df_rundir_start_of(int pid)
{
	_cleanup_close_ int fd = pid > 0 ? df_proc_open(pid) : -1;
	struct df_proc_stat s;

	if (fd < 0 || df_proc_stat(fd, &s) < 0 || s.state == 'Z' || s.state == 'X')
		return 0; /* a zombie waits for a parent that may be gone too */
	return s.start;
}

int df_rundir_note(int run_fd, const struct df_rundir_fence *f)
{
	_cleanup_close_ int fd = openat(
		run_fd, "fence", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : df_write_all(fd, f, sizeof(*f));
}

static bool read_note(int run_fd, struct df_rundir_fence *ret)
{
	_cleanup_close_ int fd = openat(run_fd, "fence", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd >= 0 && read(fd, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret);
}

/* Nobody was left to say so when it happened. */
static void log_dead(int run_fd, const char *id, const struct df_rundir_fence *f)
{
	static struct df_meta m; /* large, and all but the id stays unknown */
	char line[512];

	(void)snprintf(line, sizeof(line),
		       "%s container=%s: its proxy ended before it; DNS %s from then on",
		       f->is_fail_open ? "UNFENCED" : "FENCE LOST", id,
		       f->is_fail_open ? "passed unfiltered (fail=open)" : "was refused");
	df_rundir_log(run_fd, line);
	(void)df_log_syslog("deployfence", DF_LOG_WARNING, line);
	(void)snprintf(m.id, sizeof(m.id), "%s", id);
	df_hook_event(run_fd, &m, "fence_lost", strchr(line, ':') + 2);
}

/* The lock is ours.  What cannot be kept now is tried again at a poststop. */
static void keep_events(struct df_rundir_reports *reports, int run_fd, const char *id)
{
	if (reports->fd >= 0 && df_reports_keep(reports->fd, run_fd, id, reports->limits) >= 0) {
		(void)unlinkat(run_fd, DF_REPORTS_UNKEPT, 0);
		return;
	}
	reports->fd = -1; /* the others would fare no better */
	df_reports_note_unkept(run_fd);
}

/* The lock is ours: no monitor.  Without a container either, nobody else will clean up. */
static void clean_dead(struct df_rundir_reports *reports, int run_fd, const char *id,
		       int cgroup_root_fd)
{
	const uint8_t none[DF_TOKEN6_PREFIX_LEN] = {};
	char path[DF_META_PATH_MAX];
	struct df_rundir_fence f;

	if (!read_note(run_fd, &f))
		return;
	if (df_rundir_start_of(f.init_pid) == f.init_start && f.init_start)
		return; /* the container lives: its fence holds, `restart` may bring a proxy back */
	if (f.is_host_netns && memcmp(f.token6_prefix, none, sizeof(none)) != 0)
		(void)df_listen_remove_route(f.token6_prefix);
	(void)snprintf(path, sizeof(path), DF_LAUNCH_CGROUP_PARENT "/%s", id);
	if (cgroup_root_fd >= 0)
		df_launch_cgroup_remove(cgroup_root_fd, path);
	log_dead(run_fd, id, &f);
	keep_events(reports, run_fd, id);
	(void)unlinkat(run_fd, "pid", 0);
	(void)unlinkat(run_fd, "fence", 0);
	(void)unlinkat(run_fd, "lock", 0);
}

static bool has_state(int run_fd)
{
	return faccessat(run_fd, "fence", F_OK, 0) == 0 || faccessat(run_fd, "lock", F_OK, 0) == 0;
}

static void log_unkept(const char *id)
{
	char line[512];

	(void)snprintf(line, sizeof(line),
		       "container=%s: its events are removed, and could not be kept in report-dir",
		       id);
	(void)df_log_syslog("deployfence", DF_LOG_WARNING, line);
}

static void remove_logs(int parent, const char *id, int run_fd)
{
	static const char *const files[] = {"events.jsonl",   "events.jsonl.1", "events.log",
					    "events.log.1",   "hook.log",       DF_REPORTS_MARK,
					    DF_REPORTS_UNKEPT};

	if (faccessat(run_fd, DF_REPORTS_UNKEPT, F_OK, 0) == 0)
		log_unkept(id);
	for (unsigned i = 0; i < ARRAY_SIZE(files); i++)
		(void)unlinkat(run_fd, files[i], 0);
	(void)unlinkat(parent, id, AT_REMOVEDIR);
}

/* No container's: ids begin with neither. */
static bool is_own_name(const char *name)
{
	return name[0] == '.' || name[0] == '@';
}

/* Removes the logs of ended fences that are older than cutoff; how many are left. */
static unsigned sweep_logs(int parent, time_t cutoff)
{
	_cleanup_closedir_ DIR *dir = fdopendir(fcntl(parent, F_DUPFD_CLOEXEC, 0));
	const struct dirent *entry;
	unsigned n = 0;

	if (!dir)
		return 0;
	rewinddir(dir);
	while ((entry = readdir(dir))) {
		_cleanup_close_ int run_fd = -1;
		struct stat st;

		if (is_own_name(entry->d_name))
			continue;
		run_fd = openat(parent, entry->d_name,
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (run_fd < 0 || has_state(run_fd) || fstat(run_fd, &st) < 0)
			continue;
		if (st.st_mtime < cutoff)
			remove_logs(parent, entry->d_name, run_fd);
		else
			n++;
	}
	return n;
}

static void sweep_one(struct df_rundir_reports *reports, int run_fd, const char *id, int root)
{
	const bool is_dead = faccessat(run_fd, "fence", F_OK, 0) == 0;
	_cleanup_close_ int lock = -1;

	if (!is_dead && (!reports->is_retrying || reports->fd < 0 ||
			 faccessat(run_fd, DF_REPORTS_UNKEPT, F_OK, 0) != 0))
		return;
	lock = df_rundir_lock(run_fd, 0);
	if (lock < 0)
		return;
	if (is_dead) {
		clean_dead(reports, run_fd, id, root);
	} else {
		keep_events(reports, run_fd, id);
		(void)unlinkat(run_fd, "lock", 0); /* ours: there was none */
	}
}

void df_rundir_sweep(struct df_rundir_reports *reports)
{
	static const time_t ages[] = {DAY_S * 7, DAY_S, 3600, 60};
	_cleanup_close_ int parent = open_parent(false), root = df_container_cgroup_root();
	_cleanup_closedir_ DIR *dir =
		parent < 0 ? NULL : fdopendir(fcntl(parent, F_DUPFD_CLOEXEC, 0));
	const struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		_cleanup_close_ int run_fd = -1;

		if (is_own_name(entry->d_name))
			continue;
		run_fd = openat(parent, entry->d_name,
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (run_fd >= 0)
			sweep_one(reports, run_fd, entry->d_name, root);
	}
	if (root >= 0)
		df_launch_cgroup_tidy(root);
	/* few ended fences keep their logs for a week, many for less */
	for (unsigned i = 0; i < ARRAY_SIZE(ages); i++)
		if (sweep_logs(parent, time(NULL) - ages[i]) <= DF_RUNDIR_KEEP)
			break;
}

void df_rundir_log(int run_fd, const char *line)
{
	_cleanup_close_ int fd = openat(
		run_fd, "hook.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	char text[LINE_MAX_LEN], now[32];
	struct stat st;
	size_t n = 0;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size > HOOK_LOG_MAX)
		return;
	df_time_text(now);
	df_append(text, sizeof(text) - 1, &n, "%s %s", now, line);
	text[n++] = '\n';
	(void)df_write_all(fd, text, n);
}
