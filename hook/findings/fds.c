/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * findings_fds: what the payload inherits: a socket from outside was made under no
 * fence, and no program of this one ever sees it connect.
 *
 * The container's init is still the runtime, with descriptors of its own.  The payload
 * gets 0, 1 and 2, and behind them as many as the runtime was told to hand on: by
 * --preserve-fds and LISTEN_FDS, in crun and runc alike.  crun's init holds the others
 * too and closes them before the payload runs; runc's tells the first of its own in its
 * environment.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "hook/findings/findings.h"
#include "lib/base/util.h"

#define TEXT_MAX (1u << 20) /* of a command line or an environment */
#define FDS_MAX 1024
#define TUN_DEVICE makedev(10, 200)

static unsigned number(const char *text)
{
	uint64_t n;

	return df_parse_u64(text, FDS_MAX, &n) == 0 ? (unsigned)n : 0;
}

/* The strings of /proc/PID/NAME, each with its NUL; else "", 0. */
static char *read_strings(pid_t pid, const char *name, size_t *ret_len)
{
	char path[64];
	_cleanup_close_ int fd = -1;
	char *text = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	*ret_len = 0;
	if (fd < 0 || df_read_all(fd, TEXT_MAX, &text, ret_len) < 0)
		return NULL;
	return text;
}

/* "--preserve-fds N" or "--preserve-fds=N" */
static unsigned preserved_by_option(pid_t pid)
{
	static const char option[] = "--preserve-fds";
	size_t len;
	_cleanup_free_ char *text = read_strings(pid, "cmdline", &len);
	const char *end = text ? text + len : NULL;

	for (const char *arg = text; arg < end; arg += strlen(arg) + 1) {
		const char *value = arg + strlen(option);

		if (strncmp(arg, option, strlen(option)) != 0)
			continue;
		if (*value == '=')
			return number(value + 1);
		if (*value == '\0' && value + 1 < end)
			return number(value + 1);
	}
	return 0;
}

/* runc: the first descriptor of its own that its init is told of, less the three. */
static void note_own(const char *variable, unsigned *first)
{
	static const char *const own[] = {
		"_LIBCONTAINER_CONSOLE=", "_LIBCONTAINER_INITPIPE=", "_LIBCONTAINER_SYNCPIPE=",
		"_LIBCONTAINER_LOGPIPE=", "_LIBCONTAINER_FIFOFD=",
	};

	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		unsigned n;

		if (strncmp(variable, own[i], strlen(own[i])) != 0)
			continue;
		n = number(variable + strlen(own[i]));
		if (n >= 3 && (*first == 0 || n < *first))
			*first = n;
	}
}

static unsigned preserved_by_environment(pid_t pid)
{
	size_t len;
	_cleanup_free_ char *text = read_strings(pid, "environ", &len);
	const char *end = text ? text + len : NULL;
	unsigned listen = 0, first_own = 0;

	for (const char *variable = text; variable < end; variable += strlen(variable) + 1) {
		if (strncmp(variable, "LISTEN_FDS=", 11) == 0)
			listen = number(variable + 11);
		note_own(variable, &first_own);
	}
	return first_own > 3 + listen ? first_own - 3 : listen;
}

static unsigned most(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

/* The runtime that waits for this hook, and its init, whose command line crun's shares. */
static unsigned preserved(const struct df_config *config, pid_t init)
{
	const pid_t runtime = getppid();
	unsigned n = config->listen_fds;

	n = most(n, preserved_by_option(runtime) + preserved_by_environment(runtime));
	return most(n, preserved_by_option(init) + preserved_by_environment(init));
}

/* "TCP", "UNIX-STREAM"; "" where it cannot be told. */
static void protocol_of(const char *path, char *ret, size_t size)
{
	ssize_t n = getxattr(path, "system.sockprotoname", ret, size - 1);

	ret[n > 0 ? n : 0] = '\0';
}

static void look_at(pid_t init, unsigned fd, bool is_preserved, struct df_findings *f)
{
	char path[64], protocol[32];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%u", (int)init, fd);
	if (stat(path, &st) < 0)
		return;
	if (S_ISSOCK(st.st_mode)) {
		protocol_of(path, protocol, sizeof(protocol));
		/* stdout to the journal is one, too */
		if (is_preserved || strncmp(protocol, "UNIX", 4) != 0)
			df_findings_add(f, DF_FINDING_PASSED_FDS, "descriptor %u: socket%s%s", fd,
					*protocol ? " " : "", protocol);
	} else if (is_preserved && S_ISDIR(st.st_mode)) {
		df_findings_add(f, DF_FINDING_PASSED_FDS, "descriptor %u: directory", fd);
	} else if (is_preserved && S_ISCHR(st.st_mode) && st.st_rdev == TUN_DEVICE) {
		df_findings_add(f, DF_FINDING_PASSED_FDS, "descriptor %u: /dev/net/tun", fd);
	}
}

/*
 * Sockets that a restored init has open already.  runc calls the hook before CRIU opens the
 * sockets of the image, so their connects are judged like any other; CRIU's own sockets are not
 * counted.
 */
void df_findings_of_restored(pid_t init, struct df_findings *f)
{
	for (unsigned fd = 0; fd < FDS_MAX; fd++) {
		char path[64], protocol[32];
		struct stat st;

		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%u", (int)init, fd);
		if (stat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
			continue;
		protocol_of(path, protocol, sizeof(protocol));
		if (strncmp(protocol, "UNIX", 4) != 0 && strcmp(protocol, "NETLINK") != 0)
			df_findings_add(f, DF_FINDING_PASSED_FDS,
					"descriptor %u: socket %s, open before the fence", fd,
					protocol);
	}
}

void df_findings_of_fds(const struct df_config *config, pid_t init, struct df_findings *f)
{
	const unsigned n = preserved(config, init);

	for (unsigned fd = 0; fd < 3 + n && fd < FDS_MAX; fd++)
		look_at(init, fd, fd >= 3, f);
}
