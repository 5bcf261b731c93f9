/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log: lines to syslog through /dev/log (RFC 3164 form, which systemd-journald reads
 * too), entries to the journal.  Never blocks, never fails aloud: a line that does
 * not fit is lost, and the caller is told.
 */
#ifndef DF_LOG_H
#define DF_LOG_H

#include <stdbool.h>
#include <stddef.h>

/* Severities of RFC 5424. */
enum df_log_level { DF_LOG_ERR = 3, DF_LOG_WARNING = 4, DF_LOG_NOTICE = 5, DF_LOG_INFO = 6 };

#define DF_LOG_LINE_MAX 8192

/* tag is the program's name.  0 or -errno. */
int df_log_syslog(const char *tag, enum df_log_level level, const char *line);

/* An entry of the journal's native protocol.  0; -ENOENT, -ECONNREFUSED: no journald. */
int df_log_journal(const void *entry, size_t len);

/*
 * Writes line and a newline to descriptor 2 of another process, by way of /proc,
 * as facts about OCI runtimes demand: looked at first with O_PATH, then that very
 * descriptor is opened, written once without blocking, and closed: conmon waits
 * for the end of that pipe.
 *
 * Accepted are a pty's slave and, if is_pipe, the one pipe with st_dev and
 * st_ino; is_any_file (the hook, before any payload runs) also takes another
 * pipe, a terminal or a regular file.  -EPERM: something else stands there, or what
 * the process may only read; -ENOENT: nothing; -ESRCH: the process has ended; -EAGAIN:
 * no room; -EPIPE: nobody reads, where SIGPIPE is ignored; other -errno.
 */
struct df_log_target {
	bool is_any_file;
	bool is_pipe;
	int pidfd; /* of the process, to be sure that the pid is still its own; 0: unknown */
	unsigned long long dev, ino;
};
int df_log_process_stderr(int pid, const struct df_log_target *target, const char *line);

/*
 * The accepted pipe as an O_PATH descriptor, or -errno: it holds no end of the pipe open, but
 * leads to it when the process has ended, as long as somebody reads.
 */
int df_log_open_stderr(int pid, const struct df_log_target *target);
/* Writes there, in the same way.  -EPIPE: nobody reads any more. */
int df_log_kept_stderr(int path_fd, const char *line);

#endif
