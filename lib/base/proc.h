/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * proc: facts about a process from the files of /proc/PID, see proc(5).
 *
 * All but df_proc_open take a descriptor of the directory /proc/PID: so all that is read is of one
 * process, even if its number is in use again.  Nothing here reads memory of the process (cmdline,
 * environ), which can block.  Functions return 0, or -errno and leave *ret alone; -EBADMSG: the
 * file is not as proc(5) has it.
 */
#ifndef DF_PROC_H
#define DF_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DF_PROC_COMM_LEN 16 /* TASK_COMM_LEN of the kernel, NUL included */

/* The directory of a process in proc_fd, itself a descriptor of /proc; or -errno. */
int df_proc_open_at(int proc_fd, pid_t pid);
/* The same in /proc. */
int df_proc_open(pid_t pid);

struct df_proc_stat {
	pid_t pid, parent;
	char state;                  /* 'Z' and 'X': it has ended */
	uint64_t start;              /* ticks of 10 ms since boot, rounded down */
	uint64_t arg_start;          /* address of its arguments; 0 without leave to trace it */
	char comm[DF_PROC_COMM_LEN]; /* octets of the process's choice, padded with NULs */
};

int df_proc_stat(int fd, struct df_proc_stat *ret);

/* The value of one line of "status", such as "Uid", as it stands there.  -ENOENT, -ENOSPC. */
int df_proc_status(int fd, const char *key, char *ret, size_t size);

/* The path of its cgroup v2.  -ENOENT: it is in none; -ENAMETOOLONG. */
int df_proc_cgroup(int fd, char *ret, size_t size);

/* Which program a process runs, to tell whether it has executed another since.  Zeros: unknown. */
struct df_proc_image {
	uint64_t exe_dev, exe_ino;
	uint64_t arg_start; /* another with each execve(2), even of the same file: ASLR */
};

int df_proc_image(int fd, struct df_proc_image *ret);

#endif
