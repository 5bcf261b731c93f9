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
#include "lib/base/log.h"
#include "lib/base/proc.h"
#include "lib/base/util.h"
#include "lib/event/event.h"
#include "lib/fence/launch.h"
#include "lib/fence/listen.h"

#define DAY_S ((time_t)86400)
#define LOCK_PAUSE_US 5000
#define HOOK_LOG_MAX (256 << 10)
#define LINE_MAX_LEN 4096
/* The limit that the monitor has, too: an unfenced container that restarts for ever adds events. */
#define EVENTS_MAX ((off_t)4 << 20)
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_LEN 36
#define FACT_MAX (BOOT_ID_LEN + 11 * DF_RUNDIR_FACT_VALUES_MAX + 2)
#define FACT_PATH_MAX 128

static int open_parent(void)
{
	int fd = open(DF_RUNDIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* A descriptor or -errno. */
static int open_below(int parent, const char *id)
{
	int fd = openat(parent, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static bool has_file(int run_fd, const char *name)
{
	return faccessat(run_fd, name, F_OK, 0) == 0;
}

int df_rundir_open(const char *id)
{
	_cleanup_close_ int parent = -1;

	if (mkdir(DF_RUNDIR, 0700) < 0 && errno != EEXIST)
		return -errno;
	parent = open_parent();
	if (parent < 0)
		return parent;
	if (mkdirat(parent, id, 0700) < 0 && errno != EEXIST)
		return -errno;
	return open_below(parent, id);
}

/* The monitor removes the file at its end: the locked file must still be the one of that name. */
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
	_cleanup_close_ int parent = open_parent(), run_fd = -1, lock = -1;

	if (parent < 0)
		return;
	run_fd = open_below(parent, id);
	if (run_fd >= 0 && has_file(run_fd, "lock"))
		lock = df_rundir_lock(run_fd, timeout_ms);
	if (lock >= 0 && !has_file(run_fd, "fence"))
		(void)unlinkat(run_fd, "lock", 0); /* ours: it was made by the wait */
}

uint64_t df_rundir_start_of(int pid)
{
	_cleanup_close_ int fd = pid > 0 ? df_proc_open(pid) : -1;
	struct df_proc_stat s;

	if (fd < 0 || df_proc_stat(fd, &s) < 0 || s.state == 'Z' || s.state == 'X')
		return 0; /* a zombie has ended */
	return s.start;
}

int df_rundir_note(int run_fd, const struct df_rundir_fence *f)
{
	_cleanup_close_ int fd = openat(
		run_fd, "fence", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : df_write_all(fd, f, sizeof(*f));
}

/* The monitor that would have logged this has ended. */
static void log_dead(int run_fd, const char *id, const struct df_rundir_fence *f)
{
	static struct df_job job; /* all but the id stays unknown */
	char line[512];

	(void)snprintf(line, sizeof(line),
		       "%s container=%s: its proxy ended before it; DNS %s from then on",
		       f->is_fail_open ? "UNFENCED" : "FENCE LOST", id,
		       f->is_fail_open ? "passed unfiltered (fail=open)" : "was refused");
	df_rundir_log(run_fd, line);
	(void)df_log_syslog("deployfence", DF_LOG_WARNING, line);
	(void)snprintf(job.id, sizeof(job.id), "%s", id);
	df_rundir_event(run_fd, &job, "fence_lost", strchr(line, ':') + 2);
}

/* The lock is ours.  Events that cannot be kept now are tried again at a poststop. */
static void keep_events(struct df_rundir_reports *reports, int run_fd, const char *id)
{
	if (reports->fd >= 0 && df_reports_keep(reports->fd, run_fd, id, reports->limits) >= 0) {
		(void)unlinkat(run_fd, DF_REPORTS_UNKEPT, 0);
		return;
	}
	reports->fd = -1; /* those of other fences could not be kept, either */
	df_reports_note_unkept(run_fd);
}

/*
 * The lock is ours, so there is no monitor.  If the container is gone as well, no process is left
 * to clean up.
 */
static void clean_dead(struct df_rundir_reports *reports, int run_fd, const char *id,
		       int cgroup_root_fd)
{
	const uint8_t none[DF_TOKEN6_PREFIX_LEN] = {};
	_cleanup_close_ int fd = openat(run_fd, "fence", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char path[DF_META_PATH_MAX];
	struct df_rundir_fence f;

	if (fd < 0 || read(fd, &f, sizeof(f)) != (ssize_t)sizeof(f))
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

static void remove_logs(int parent, const char *id, int run_fd)
{
	static const char *const files[] = {"events.jsonl",   "events.jsonl.1", "events.log",
					    "events.log.1",   "hook.log",       DF_REPORTS_MARK,
					    DF_REPORTS_UNKEPT};
	char line[512];

	(void)snprintf(line, sizeof(line),
		       "container=%s: its events are removed, and could not be kept in report-dir",
		       id);
	if (has_file(run_fd, DF_REPORTS_UNKEPT))
		(void)df_log_syslog("deployfence", DF_LOG_WARNING, line);
	for (unsigned i = 0; i < ARRAY_SIZE(files); i++)
		(void)unlinkat(run_fd, files[i], 0);
	(void)unlinkat(parent, id, AT_REMOVEDIR);
}

/*
 * The next directory of a container below DF_RUNDIR, open as *ret_fd, and its id; NULL at the end.
 * Names that begin with a dot or '@' are no container's.
 */
static const char *next_id(DIR *dir, int *ret_fd)
{
	const struct dirent *entry;

	df_closep(ret_fd);
	*ret_fd = -1; /* the caller closes it, too */
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || entry->d_name[0] == '@')
			continue;
		*ret_fd = open_below(dirfd(dir), entry->d_name);
		if (*ret_fd >= 0)
			return entry->d_name;
	}
	return NULL;
}

/* Removes the logs of ended fences that are older than cutoff; how many are left. */
static unsigned sweep_logs(DIR *dir, time_t cutoff)
{
	_cleanup_close_ int run_fd = -1;
	const char *id;
	unsigned n = 0;

	rewinddir(dir);
	while ((id = next_id(dir, &run_fd))) {
		struct stat st;

		if (has_file(run_fd, "fence") || has_file(run_fd, "lock") || fstat(run_fd, &st) < 0)
			continue;
		if (st.st_mtime < cutoff)
			remove_logs(dirfd(dir), id, run_fd);
		else
			n++;
	}
	return n;
}

static void sweep_one(struct df_rundir_reports *reports, int run_fd, const char *id, int root)
{
	const bool is_dead = has_file(run_fd, "fence");
	_cleanup_close_ int lock = -1;

	if (!is_dead &&
	    (!reports->is_retrying || reports->fd < 0 || !has_file(run_fd, DF_REPORTS_UNKEPT)))
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
	_cleanup_close_ int root = df_container_cgroup_root(), run_fd = -1, parent = open_parent();
	_cleanup_closedir_ DIR *dir = parent < 0 ? NULL : fdopendir(parent);
	const char *id;

	if (!dir)
		return;
	(void)TAKE_FD(parent); /* it is closed with dir */
	while ((id = next_id(dir, &run_fd)))
		sweep_one(reports, run_fd, id, root);
	if (root >= 0)
		df_launch_cgroup_tidy(root);
	/* few ended fences keep their logs for a week, many for less */
	for (unsigned i = 0; i < ARRAY_SIZE(ages); i++)
		if (sweep_logs(dir, time(NULL) - ages[i]) <= DF_RUNDIR_KEEP)
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

void df_rundir_event(int run_fd, const struct df_job *job, const char *event, const char *message)
{
	static char text[DF_EVENT_JSON_MAX + 1];
	const struct df_event_line e = {.event = event, .message = message, .is_warning = true};
	_cleanup_close_ int fd =
		openat(run_fd, "events.jsonl",
		       O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	size_t n = df_event_json(&e, job, text, sizeof(text) - 1);
	struct stat st;

	if (fd < 0 || n == 0 || fstat(fd, &st) < 0 || st.st_size + (off_t)n >= EVENTS_MAX)
		return;
	text[n++] = '\n';
	if (df_write_all(fd, text, n) == 0)
		df_reports_note_unkept(run_fd); /* a poststop takes it to report-dir */
}

/* An '@': lists and sweeps of fences leave it out. */
static void path_of(const char *name, const char *suffix, char ret[static FACT_PATH_MAX])
{
	(void)snprintf(ret, FACT_PATH_MAX, DF_RUNDIR "/@%s%s", name, suffix);
}

/* -errno */
static int read_boot_id(char ret[static BOOT_ID_LEN + 2])
{
	ssize_t n = df_read_small(AT_FDCWD, BOOT_ID, ret, BOOT_ID_LEN + 2);

	if (n < BOOT_ID_LEN)
		return n < 0 ? (int)n : -EBADMSG;
	ret[BOOT_ID_LEN] = '\0';
	return 0;
}

bool df_rundir_get_fact(const char *name, uint32_t *values, size_t n)
{
	char path[FACT_PATH_MAX], boot_id[BOOT_ID_LEN + 2], line[FACT_MAX], *next = NULL;
	uint32_t read[DF_RUNDIR_FACT_VALUES_MAX];
	uint64_t value;

	path_of(name, "", path);
	if (n > ARRAY_SIZE(read) || df_read_small(AT_FDCWD, path, line, sizeof(line)) < 0 ||
	    read_boot_id(boot_id) < 0 || strcmp(strtok_r(line, " ", &next), boot_id) != 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		const char *word = strtok_r(NULL, " ", &next);

		if (!word || df_parse_u64(word, UINT32_MAX, &value) < 0)
			return false;
		read[i] = (uint32_t)value;
	}
	if (strtok_r(NULL, " ", &next))
		return false; /* of another version */
	memcpy(values, read, n * sizeof(*values));
	return true;
}

void df_rundir_set_fact(const char *name, const uint32_t *values, size_t n)
{
	char path[FACT_PATH_MAX], new[FACT_PATH_MAX], suffix[32];
	char boot_id[BOOT_ID_LEN + 2], line[FACT_MAX];
	_cleanup_close_ int fd = -1;
	size_t len = 0;

	if (read_boot_id(boot_id) < 0)
		return;
	df_append(line, sizeof(line), &len, "%s", boot_id);
	for (size_t i = 0; i < n; i++)
		df_append(line, sizeof(line), &len, " %u", values[i]);
	(void)snprintf(suffix, sizeof(suffix), ".%d", (int)getpid());
	path_of(name, "", path);
	path_of(name, suffix, new);
	fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (df_write_all(fd, line, len) < 0 || rename(new, path) < 0)
		(void)unlink(new);
}
