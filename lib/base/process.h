/* SPDX-License-Identifier: GPL-2.0-or-later */
/* process: which program a process runs, to tell whether it has executed another since. */
#ifndef DF_PROCESS_H
#define DF_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/* All zero: not known. */
struct df_process_image {
	uint64_t exe_dev, exe_ino;
	uint64_t arg_start; /* another with each execve(2), even of the same file: ASLR */
};

/* 0 or -errno; *ret is set only then. */
int df_process_image(pid_t pid, struct df_process_image *ret);

#endif
