/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/say.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/base/util.h"

#define CMDLINE_MAX 8192
#define LINE_MAX_LEN 4000 /* with the prefix below PIPE_BUF */

/* An annotation can make crun open a file of ours (run.oci.hooks.stderr): no line must get there.
 */
static bool is_own_stderr_ours(void)
{
	static const char *const files[] = {DF_CONF_FILE, DF_DISABLED_FILE};
	static const char *const dirs[] = {DF_POLICY_DIR "/", DF_POLICY_DATA_DIR "/", DF_RUNDIR "/",
					   "/var/lib/deployfence/"};
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/fd/2", path, sizeof(path) - 1);

	path[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (strcmp(path, files[i]) == 0)
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (strncmp(path, dirs[i], strlen(dirs[i])) == 0)
			return true;
	return false;
}

static bool is_own_stderr_lost(void)
{
	struct stat st;

	return fstat(STDERR_FILENO, &st) < 0 ||
	       (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)) || is_own_stderr_ours();
}

/* runc reads it, and shows what it holds only if the hook fails: not a warning. */
static bool is_own_stderr_pipe(void)
{
	struct stat st;

	return fstat(STDERR_FILENO, &st) == 0 && S_ISFIFO(st.st_mode);
}

/*
 * The file of "crun --log-format=json --log FILE", from the runtime's command
 * line: the runtime is the hook's parent.  False: it was not started so.
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

void df_say_to_caller(pid_t pid, enum df_log_level level, const char *line)
{
	const struct df_log_target target = {.is_any_file = true};
	char prefixed[LINE_MAX_LEN];
	size_t n = 0;

	if (!is_own_stderr_lost()) {
		(void)fprintf(stderr, "deployfence: %s\n", line);
		if (level != DF_LOG_WARNING || !is_own_stderr_pipe())
			return;
	}
	if (pid <= 0 || level > DF_LOG_WARNING)
		return;
	df_append(prefixed, sizeof(prefixed), &n, "deployfence: %s", line);
	if (df_log_process_stderr(pid, &target, prefixed) == 0 && level <= DF_LOG_ERR)
		add_runtime_log_line();
}
