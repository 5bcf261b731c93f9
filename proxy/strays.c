/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers to the proxy that are no resolver's: those that the program on its cgroup has found
 * to come from inside of the network namespace, and those that match no question.  A few are
 * everyday (a late answer, a repeated one); many are somebody who guesses.
 */
#include <stdio.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lib/util.h"
#include "proxy/monitor.h"

#define FORGED_MANY 1       /* nobody sends one by accident */
#define MISMATCHED_MANY 100 /* between two looks at them */
#define EVERY_NS 10000000000ull
#define MESSAGE_MAX 512
#define CPUS_MAX 1024

/* Of all processors; 0 where it cannot be read. */
uint64_t df_kernel_count(uint32_t counter)
{
	uint64_t values[CPUS_MAX] = {}, sum = 0;
	int n = libbpf_num_possible_cpus();

	if (n <= 0 || n > CPUS_MAX || bpf_map_lookup_elem(DF_FD_COUNTERS, &counter, values) < 0)
		return 0;
	for (int i = 0; i < n; i++)
		sum += values[i];
	return sum;
}

static void tell(struct df_monitor *m, bool is_last)
{
	const uint64_t all_forged = df_kernel_count(DF_COUNT_FORGED);
	const uint64_t all_mismatched = m->counts.n_mismatched + m->past_counts.n_mismatched;
	const uint64_t n_forged = all_forged - m->strays.n_forged;
	const uint64_t n_mismatched = all_mismatched - m->strays.n_mismatched;
	const bool is_audit = m->meta->mode == DF_MODE_AUDIT;
	char text[MESSAGE_MAX];

	if (!is_last && m->now_ns < m->strays.next_ns)
		return;
	if (n_forged < FORGED_MANY && n_mismatched < MISMATCHED_MANY) {
		m->strays.n_mismatched = all_mismatched; /* as many as are everyday */
		return;
	}
	m->strays.n_forged = all_forged;
	m->strays.n_mismatched = all_mismatched;
	m->strays.next_ns = m->now_ns + EVERY_NS;
	(void)snprintf(text, sizeof(text),
		       "answers to the fence that are no resolver's: %llu came from inside of the "
		       "network namespace (a process there forges them, or a DNAT rule leads to "
		       "one) and were %s, %llu matched no question",
		       (unsigned long long)n_forged, is_audit ? "passed, as in audit" : "dropped",
		       (unsigned long long)n_mismatched);
	df_record_counted(&m->record, "forged_answers", text, n_forged + n_mismatched);
}

void df_strays_step(struct df_monitor *m)
{
	tell(m, false);
}

void df_strays_last(struct df_monitor *m)
{
	tell(m, true);
}
