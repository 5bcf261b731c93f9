/* SPDX-License-Identifier: GPL-2.0-or-later */
/* identity: who asked, from a directory that looks like /proc.  A number is never taken for a
 * process. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "proxy/monitor/identity.h"

#define CGROUP "/machine/4f1c"
#define INIT 100

static struct df_meta meta; /* large */
static char directory[] = "/tmp/deployfence-proc-XXXXXX";
static int proc_fd = -1;

static void write_file(uint32_t pid, const char *name, const void *data, size_t len)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "%u", pid);
	if (mkdirat(proc_fd, path, 0755) < 0)
		assert_int_equal(errno, EEXIST);
	(void)snprintf(path, sizeof(path), "%u/%s", pid, name);
	fd = openat(proc_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(df_write_all(fd, data, len), 0);
	(void)close(fd);
}

/* A process of the container; start in ticks, as in /proc. */
static void process(uint32_t pid, uint32_t parent, unsigned start, const char *pids,
		    const char *cmd)
{
	char text[256];

	(void)snprintf(text, sizeof(text),
		       "%u (a) b (c) S %u 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %u 1 1\n", pid,
		       parent, start);
	write_file(pid, "stat", text, strlen(text));
	(void)snprintf(text, sizeof(text), "Name:\ta\nUid:\t7\t7\t7\t7\nNSpid:\t%s\nx:\t1\n", pids);
	write_file(pid, "status", text, strlen(text));
	(void)snprintf(text, sizeof(text), "1:name=systemd:/x\n0::%s\n", CGROUP);
	write_file(pid, "cgroup", text, strlen(text));
	write_file(pid, "cmdline", cmd, strlen(cmd) + 1);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	proc_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	meta.init_pid = INIT;
	(void)snprintf(meta.cgroup, sizeof(meta.cgroup), CGROUP);
	process(INIT, 9, 1000, "100\t1",
		"sh"); /* the container's init, below the runtime's monitor */
	process(200, INIT, 2000, "200\t7", "bash"); /* a script */
	process(300, 200, 3000, "300\t8", "curl");
	process(400, 200, 3000, "400\t9\t2", "nested"); /* in a pid namespace further in */
	return proc_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	(void)close(proc_fd);
	(void)snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command); /* NOLINT(cert-env33-c): a directory of our own */
}

static struct df_identity ask(struct df_token t)
{
	struct df_identity who;

	df_identity_read(&meta, proc_fd, &t, &who);
	return who;
}

static void test_asker(void **state)
{
	struct df_identity who = ask((struct df_token){.tgid = 300, .start = 3000});

	(void)state;
	assert_int_equal(who.state, DF_IDENTITY_OK);
	assert_memory_equal(who.cmd, "curl ", 5);
	assert_int_equal(who.container_pid, 8);
	assert_int_equal(who.n_ancestors, 2);
	assert_string_equal(who.ancestors[0].cmd, "bash ");
	assert_int_equal(who.ancestors[1].pid, INIT);
}

/* Of another start it is another process; its parents are those that the kernel recorded. */
static void test_reused(void **state)
{
	struct df_identity who = ask((struct df_token){.tgid = 300, .start = 2999, .parent = 200});

	(void)state;
	assert_int_equal(who.state, DF_IDENTITY_GONE);
	assert_int_equal(who.cmd_len, 0);
	assert_int_equal(who.container_pid, 0);
	assert_int_equal(who.n_ancestors, 2);
	/* where the kernel did not tell: whoever is younger than the question is another */
	who = ask((struct df_token){.tgid = 300, .time = 3000 * DF_TICK_NS - 1});
	assert_int_equal(who.state, DF_IDENTITY_GONE);
	who = ask((struct df_token){.tgid = 300, .time = 3000 * DF_TICK_NS});
	assert_int_equal(who.state, DF_IDENTITY_OK);
}

static void test_gone(void **state)
{
	struct df_identity who =
		ask((struct df_token){.tgid = 301, .start = 3001, .parent = 200, .comm = "dig"});

	(void)state;
	assert_int_equal(who.state, DF_IDENTITY_GONE);
	assert_string_equal(who.comm, "dig");
	assert_int_equal(who.n_ancestors, 2);
	assert_string_equal(who.ancestors[0].cmd, "bash ");
	/* the parent ended too, and somebody younger has its number */
	who = ask((struct df_token){.tgid = 301, .start = 1999, .parent = 200});
	assert_int_equal(who.n_ancestors, 0);
	/* nothing was recorded, or what was is not the container's */
	who = ask((struct df_token){.tgid = 301, .start = 3001});
	assert_int_equal(who.n_ancestors, 0);
	write_file(200, "cgroup", "0::/elsewhere\n", 14);
	who = ask((struct df_token){.tgid = 301, .start = 3001, .parent = 200});
	assert_int_equal(who.n_ancestors, 0);
	process(200, INIT, 2000, "200\t7", "bash");
}

/* The number that the container's init sees, wherever the process stands. */
static void test_nested(void **state)
{
	(void)state;
	assert_int_equal(ask((struct df_token){.tgid = 400, .start = 3000}).container_pid, 9);
	assert_int_equal(ask((struct df_token){.tgid = INIT, .start = 1000}).container_pid, 1);
	/* podman exec --pid=host, or so: not in the container's namespace */
	process(500, INIT, 3000, "500", "outside");
	assert_int_equal(ask((struct df_token){.tgid = 500, .start = 3000}).container_pid, 0);
}

static void test_not_of_the_container(void **state)
{
	struct df_identity who;

	(void)state;
	process(600, INIT, 3000, "600\t10", "secret");
	write_file(600, "cgroup", "0::/machine/4f1c0/x\n", 20);
	who = ask((struct df_token){.tgid = 600, .start = 3000});
	assert_int_equal(who.state, DF_IDENTITY_UNAVAILABLE);
	assert_int_equal(who.cmd_len, 0);
	assert_int_equal(ask((struct df_token){}).state, DF_IDENTITY_UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asker),
		cmocka_unit_test(test_reused),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_not_of_the_container),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
