/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/hook.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "hook/rundir.h"
#include "lib/base/util.h"

#define CMDLINE_MAX 8192
#define LINE_MAX_LEN (DF_HOOK_REASON_MAX + 512)
#define SHOWN_MAX 4000 /* with the prefix below PIPE_BUF */

int df_hook_fail(struct df_hook *h, int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(h->reason, sizeof(h->reason), format, args);
	va_end(args);
	/* the messages of a policy end with a newline */
	for (size_t n = strlen(h->reason); n > 0 && h->reason[n - 1] == '\n';)
		h->reason[--n] = '\0';
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

/* An annotation can make crun open a file of ours (run.oci.hooks.stderr): no line must get there.
 */
static bool is_own_stderr_ours(void)
{
	/* with a slash at the end all that is below */
	static const char *const ours[] = {DF_CONF_FILE,      DF_DISABLED_FILE,
					   DF_POLICY_DIR "/", DF_POLICY_DATA_DIR "/",
					   DF_RUNDIR "/",     "/var/lib/deployfence/"};
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/fd/2", path, sizeof(path) - 1);

	path[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		const size_t len = strlen(ours[i]);

		if (strncmp(path, ours[i], len) == 0 && (ours[i][len - 1] == '/' || !path[len]))
			return true;
	}
	return false;
}

/*
 * The file of "crun --log-format=json --log FILE", from the runtime's command
 * line: the runtime is the hook's parent.  False: it was started without these options.
 */
static bool find_runtime_log(char *ret, size_t size)
{
	char path[64], args[CMDLINE_MAX];
	bool is_json = false, is_found = false;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)getppid());
	n = df_read_small(AT_FDCWD, path, args, sizeof(args));
	for (const char *arg = args, *end = args + (n > 0 ? n : 0); arg < end;
	     arg += strlen(arg) + 1) {
		const char *value = NULL;

		if (strcmp(arg, "--log-format=json") == 0)
			is_json = true;
		else if (strncmp(arg, "--log=", 6) == 0 ||
			 (strcmp(arg, "--log") == 0 && arg + 6 < end))
			value = arg + 6; /* behind the '=', or the next argument */
		if (value && value[0] == '/' && strlen(value) < size) {
			(void)snprintf(ret, size, "%s", value);
			is_found = true;
		}
	}
	return is_json && is_found;
}

/*
 * Podman shows conmon's text, where our line is, only if it cannot read the
 * runtime's log as one JSON document; crun writes exactly one.  A second line
 * keeps the file what it is, JSON lines, and lets podman fall back to the text.
 */
static void add_runtime_log_line(void)
{
	char path[PATH_MAX], now[32], line[256];
	_cleanup_close_ int fd = -1;
	struct stat st;
	int n;

	if (!find_runtime_log(path, sizeof(path)))
		return;
	fd = open(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != 0)
		return;
	df_time_text(now);
	n = snprintf(line, sizeof(line),
		     "{\"msg\":\"deployfence refused the container; its own line says why\","
		     "\"level\":\"error\",\"time\":\"%s\"}\n",
		     now);
	(void)df_write_all(fd, line, (size_t)n);
}

/* Below DF_LOG_WARNING only stderr is used. */
static void show(const struct df_hook *h, enum df_log_level level, const char *line)
{
	const struct df_log_target target = {.is_any_file = true};
	char prefixed[SHOWN_MAX];
	struct stat st;
	size_t n = 0;

	if (fstat(STDERR_FILENO, &st) == 0 &&
	    !(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)) && !is_own_stderr_ours()) {
		(void)fprintf(stderr, "deployfence: %s\n", line);
		/* runc shows a pipe's contents only if the hook fails: not a warning */
		if (level != DF_LOG_WARNING || !S_ISFIFO(st.st_mode))
			return;
	}
	if (h->state.pid <= 0 || level > DF_LOG_WARNING)
		return;
	df_append(prefixed, sizeof(prefixed), &n, "deployfence: %s", line);
	if (df_log_process_stderr(h->state.pid, &target, prefixed) == 0 && level <= DF_LOG_ERR)
		add_runtime_log_line();
}

/* One line: the messages of a policy, which have a line each, are joined. */
__attribute__((format(printf, 4, 0))) static void log_line(struct df_hook *h,
							   enum df_log_level level, bool is_shown,
							   const char *format, va_list args)
{
	char line[LINE_MAX_LEN];

	(void)vsnprintf(line, sizeof(line), format, args);
	for (char *p = line; *p; p++)
		if (*p == '\n')
			*p = ' ';
	if (is_shown)
		show(h, level, line);
	(void)df_log_syslog("deployfence", level, line);
	if (h->run_fd < 0 && h->state.id)
		h->run_fd = df_rundir_open(h->state.id);
	if (h->run_fd >= 0)
		df_rundir_log(h->run_fd, line);
}

void df_hook_note(struct df_hook *h, enum df_log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(h, level, false, format, args);
	va_end(args);
}

void df_hook_say(struct df_hook *h, enum df_log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(h, level, true, format, args);
	va_end(args);
}
