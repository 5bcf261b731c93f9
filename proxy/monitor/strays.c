/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers to the proxy that are no resolver's: those that the program on its cgroup has found
 * to come from inside of the network namespace, and those that match no question.  A few are
 * everyday (a late answer, a repeated one); many are somebody who guesses.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lib/base/util.h"
#include "proxy/monitor/monitor.h"

#define FORGED_MANY 1           /* nobody sends one by accident */
#define MISMATCHED_MANY 100     /* in EVERY_NS */
#define EVERY_NS 10000000000ull /* between two looks at them */
#define FORGED                                                                                     \
	"answers to the fence in a resolver's name from inside of the network namespace: a "       \
	"process "                                                                                 \
	"there forges them, or a DNAT rule leads to one"
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

/* The text is the same each time, so that a report counts them as one. */
static void tell(struct df_monitor *m, bool is_last)
{
	const uint64_t all_forged = df_kernel_count(DF_COUNT_FORGED);
	const uint64_t all_mismatched = m->counts.n_mismatched + m->past_counts.n_mismatched;
	const uint64_t n_forged = all_forged - m->strays.n_forged;
	const uint64_t n_mismatched = all_mismatched - m->strays.n_mismatched;

	if (!is_last && m->now_ns < m->strays.next_ns)
		return;
	m->strays.n_forged = all_forged;
	m->strays.n_mismatched = all_mismatched;
	m->strays.next_ns = m->now_ns + EVERY_NS;
	if (n_forged >= FORGED_MANY)
		df_record_counted(&m->record, "forged_answers",
				  m->meta->job.mode == DF_MODE_AUDIT ? FORGED
					  "; passed, as in audit"
								     : FORGED "; dropped",
				  n_forged);
	if (n_mismatched >= MISMATCHED_MANY)
		df_record_counted(&m->record, "forged_answers",
				  "answers to the fence that match no question: somebody guesses, "
				  "or a resolver answers twice; dropped",
				  n_mismatched);
}

void df_strays_step(struct df_monitor *m)
{
	tell(m, false);
}

void df_strays_last(struct df_monitor *m)
{
	tell(m, true);
}
