// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * policy DIRECTORY NAME: what the policy DIRECTORY/NAME.policy costs, as one line:
 * names, table in bytes and per name, compilation in ms of processor time and its memory
 * in MB, full check in ms, finding the shared table in µs, and a lookup in ns: of a listed
 * name, of one below a listed name, of one that is not listed.  Names to ask for stand in
 * DIRECTORY/NAME.ask and NAME.miss, one a line.  Called by bench/policy.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/policy/cache.h"
#include "lib/policy/compile.h"
#include "lib/policy/table.h"

#define ROUNDS 7
#define ASKED_MAX 100000
#define LOOKUPS 1000000

static struct df_dname *asked;
static size_t n_asked;

static double now_ns(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, ROUNDS, sizeof(*values), compare);
	return values[ROUNDS / 2];
}

static void die(const char *what)
{
	(void)fprintf(stderr, "policy: %s\n", what);
	exit(1);
}

static void read_asked(const char *path)
{
	FILE *f = fopen(path, "re");
	char line[300];

	free(asked);
	n_asked = 0;
	asked = calloc(ASKED_MAX, sizeof(*asked));
	if (!f || !asked)
		die(path);
	while (n_asked < ASKED_MAX && fgets(line, sizeof(line), f))
		if (df_dname_from_text(line, strcspn(line, "\n"), &asked[n_asked], NULL) == 0)
			n_asked++;
	(void)fclose(f);
	if (n_asked == 0)
		die("nothing to ask for");
}

/* With prefix in front of each name; ns each.  want: of those that rules decide. */
static double time_lookups(const struct df_policy *p, const char *prefix, int want)
{
	struct df_dname *names = calloc(n_asked, sizeof(*names));
	double best[ROUNDS];
	size_t hits = 0;

	if (!names)
		die("memory");
	for (size_t i = 0; i < n_asked; i++) {
		char text[DF_DNAME_TEXT_MAX + 64];
		size_t n = (size_t)snprintf(text, sizeof(text), "%s", prefix);

		n += df_dname_to_text(&asked[i], text + n);
		if (df_dname_from_text(text, n, &names[i], NULL) < 0)
			names[i] = asked[i];
	}
	for (int round = 0; round < ROUNDS; round++) {
		double begin = now_ns(CLOCK_PROCESS_CPUTIME_ID);

		hits = 0;
		for (size_t i = 0; i < LOOKUPS; i++)
			hits += df_policy_lookup(p, &names[i % n_asked]) != NULL;
		best[round] = (now_ns(CLOCK_PROCESS_CPUTIME_ID) - begin) / LOOKUPS;
	}
	free(names);
	if (want && hits != LOOKUPS)
		die("a listed name is not found");
	if (!want && hits != 0)
		die("a name that is not listed is found");
	return median(best);
}

/* In a process of its own, for its memory. */
static long compile_memory_kb(const char *name, const char *const *dirs)
{
	struct rusage use;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct df_policy_result r;

		_exit(df_policy_compile_name(name, dirs, DF_POLICY_TRUST_ANY, &r) < 0);
	}
	if (wait4(pid, &status, 0, &use) != pid || status != 0)
		die("cannot compile");
	return use.ru_maxrss;
}

static double time_find(const struct df_policy_result *result, const char *name,
			const char *const *dirs)
{
	char path[] = "/tmp/df-bench-XXXXXX", command[64];
	struct df_policy_mapped m = DF_POLICY_MAPPED_NONE;
	double times[ROUNDS];
	int dir;

	if (!mkdtemp(path) || (dir = df_policy_cache_open(path, true)) < 0 ||
	    df_policy_cache_put(dir, name, result, 0, &m) < 0)
		die("cannot share the table");
	df_policy_mapped_done(&m);
	for (int round = 0; round < ROUNDS; round++) {
		double begin = now_ns(CLOCK_MONOTONIC);

		if (df_policy_cache_find(dir, name, dirs, &m) < 0)
			die("cannot find the table");
		times[round] = (now_ns(CLOCK_MONOTONIC) - begin) / 1e3;
		df_policy_mapped_done(&m);
	}
	(void)close(dir);
	(void)snprintf(command, sizeof(command), "rm -r %s", path);
	if (system(command) != 0)
		die("cannot remove the directory");
	return median(times);
}

int main(int argc, char **argv)
{
	const char *dirs[] = {argc > 1 ? argv[1] : "", NULL};
	const char *name = argc > 2 ? argv[2] : "";
	double compile_ms[ROUNDS], check_ms[ROUNDS];
	struct df_policy_result result = {0};
	struct df_policy p;
	double listed, below;
	char path[512];
	long memory_kb;

	if (argc != 4)
		die("usage: policy DIRECTORY NAME NAMES");
	(void)snprintf(path, sizeof(path), "%s/%s.ask", dirs[0], name);
	memory_kb = compile_memory_kb(name, dirs);
	read_asked(path);
	for (int round = 0; round < ROUNDS; round++) {
		double begin = now_ns(CLOCK_PROCESS_CPUTIME_ID), middle;

		df_policy_result_done(&result);
		if (df_policy_compile_name(name, dirs, DF_POLICY_TRUST_ANY, &result) < 0)
			die("cannot compile");
		middle = now_ns(CLOCK_PROCESS_CPUTIME_ID);
		if (df_policy_open(result.table, result.table_size, &p) < 0)
			die("a bad table");
		compile_ms[round] = (middle - begin) / 1e6;
		check_ms[round] = (now_ns(CLOCK_PROCESS_CPUTIME_ID) - middle) / 1e6;
	}
	listed = time_lookups(&p, "", 1);
	below = time_lookups(&p, "a.b.", 1);
	(void)snprintf(path, sizeof(path), "%s/%s.miss", dirs[0], name);
	read_asked(path);
	(void)printf("%s %zu %.1f %.1f %.1f %.1f %.0f %.0f %.0f %.0f\n", argv[3], result.table_size,
		     (double)result.table_size / atof(argv[3]), median(compile_ms),
		     (double)memory_kb / 1024, median(check_ms), time_find(&result, name, dirs),
		     listed, below, time_lookups(&p, "www.", 0));
	return 0;
}
