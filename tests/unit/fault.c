/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fault of each sort that the sanitizers are there for; tests/unit/faults.sh looks for the
 * report. */
#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_LOST 64 /* a pointer may stay in a register, not so many */

static volatile int zero;
static volatile char *volatile block; /* of a size that the compiler does not know */

static void read_past_the_end(void)
{
	block = calloc(1, 1);
	zero = block[1 + zero];
	free((void *)block);
}

static void overflow(void)
{
	zero = INT_MAX + (1 + zero);
}

static void lose(void)
{
	for (int i = 0; i < N_LOST; i++)
		block = calloc(1, 1);
	block = NULL;
}

/* As the proxy does it: the child keeps no descriptor but 0 to 2. */
static int in_child(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		for (int fd = 3; fd < 64; fd++)
			(void)close(fd);
		read_past_the_end();
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "heap") == 0)
		read_past_the_end();
	else if (strcmp(what, "undefined") == 0)
		overflow();
	else if (strcmp(what, "leak") == 0)
		lose();
	else if (strcmp(what, "assertion") == 0)
		assert(zero);
	else if (strcmp(what, "child") == 0)
		return in_child();
	return 0;
}
