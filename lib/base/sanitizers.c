/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fault ends the program, and is written where the end-to-end tests look: runtimes, the hook and
 * the proxy hand down no environment and often no stderr, so that neither ASAN_OPTIONS nor a report
 * on descriptor 2 would ever be seen.  Without that directory the report goes to stderr as usual.
 */
#include "lib/base/sanitizers.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Called while the runtimes set themselves up: nothing of theirs works yet. */
#define EARLY __attribute__((no_sanitize("address", "undefined")))

/* Where reports go. */
enum place { UNDECIDED, STDERR, STDERR_TO_FILE, OWN_FILE };

static enum place the_place;

/* As the proxy is started, and never the hook, to which a null descriptor 2 means something. */
EARLY static bool is_all_null(void)
{
	struct stat st;

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
			return false;
	return true;
}

/*
 * A file that is opened at the first report would need a file system, which a sandbox
 * takes away; a descriptor that is opened early is closed by programs that keep only
 * those of their list.  So descriptor 2 is taken, if it is not in use.
 */
EARLY static enum place place(void)
{
	if (the_place == UNDECIDED && access(DF_FAULTS_DIR, W_OK) < 0)
		the_place = STDERR;
	if (the_place == UNDECIDED)
		the_place = is_all_null() ? STDERR_TO_FILE : OWN_FILE;
	return the_place;
}

#define REPORTS DF_FAULTS_DIR "/fault" /* the runtimes append the pid */
/* handle_abort: a failed assert() is a fault too. */
#define ASAN_OPTIONS                                                                               \
	"exitcode=99:detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:"       \
	"handle_abort=1"

EARLY const char *__asan_default_options(void)
{
	return place() == OWN_FILE ? ASAN_OPTIONS ":log_path=" REPORTS : ASAN_OPTIONS;
}

EARLY const char *__ubsan_default_options(void)
{
	return "exitcode=99:print_stacktrace=1";
}

/* gcc's is a library of its own, whose call of this function ends in that of the other one. */
static void tell_ubsan(void)
{
	void *library = dlopen("libubsan.so.1", RTLD_LAZY | RTLD_NOLOAD), *function;
	void (*set_report_path)(const char *path);

	function = library ? dlsym(library, "__sanitizer_set_report_path") : NULL;
	if (!function)
		return;
	memcpy(&set_report_path, &function, sizeof(function)); /* ISO C knows no such cast */
	set_report_path(REPORTS);
}

__attribute__((constructor)) static void collect_faults(void)
{
	char path[256];
	int fd;

	if (place() == OWN_FILE)
		tell_ubsan();
	if (place() != STDERR_TO_FILE)
		return;
	(void)snprintf(path, sizeof(path), REPORTS ".%d", (int)getpid());
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		(void)dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}
