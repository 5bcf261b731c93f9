/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events about the fence itself: its start, the addresses of its container, answers to the proxy
 * that are none, its end.
 */
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lib/base/addr.h"
#include "lib/base/own_addr.h"
#include "lib/base/util.h"
#include "lib/policy/finding.h"
#include "proxy/monitor/internal.h"
#include "proxy/monitor/record.h"

#define MESSAGE_MAX 512
#define ADDRESS_TRIES 30 /* one at each step: engines set networks up at once, or never */
#define CPUS_MAX 1024

#define FORGED_MANY 1             /* nobody sends one by accident */
#define MISMATCHED_MANY 100       /* in ANSWERS_NS */
#define ANSWERS_NS 10000000000ull /* between two looks at them */
#define FORGED                                                                                     \
	"answers to the fence in a resolver's name from inside of the network namespace: a "       \
	"process "                                                                                 \
	"there forges them, or a DNAT rule leads to one"

/* One counter of the kernel programs (enum df_counter), of all processors; 0: not readable. */
static uint64_t kernel_count(uint32_t counter)
{
	uint64_t values[CPUS_MAX] = {}, sum = 0;
	int n = libbpf_num_possible_cpus();

	if (n <= 0 || n > CPUS_MAX || bpf_map_lookup_elem(DF_FD_COUNTERS, &counter, values) < 0)
		return 0;
	for (int i = 0; i < n; i++)
		sum += values[i];
	return sum;
}

/*
 * With the container's addresses, but those that every namespace has: loopback, and IPv6
 * link-local.  Their number; without any the event is written if it is wanted all the same.
 */
static unsigned record_addresses(struct df_fence_events *f, const char *event, const char *message,
				 bool is_wanted)
{
	static struct df_own own;
	struct df_event_line e = {.event = event, .message = message, .own = own.addrs};

	df_own_read(&own);
	for (unsigned i = 0; i < own.n && e.n_own < DF_EVENT_OWN_MAX; i++) {
		const enum df_addr_kind kind = df_addr_kind(own.addrs[i]);

		if (kind != DF_ADDR_LOOPBACK &&
		    !(kind == DF_ADDR_LINK_LOCAL && own.addrs[i][0] == 0xfe))
			memmove(own.addrs[e.n_own++], own.addrs[i], sizeof(own.addrs[i]));
	}
	if (e.n_own > 0 || is_wanted)
		df_record_emit(f->record, &e, true);
	return e.n_own;
}

void df_fence_events_start(struct df_fence_events *f)
{
	static const char *const kinds[DF_TABLES] = {"policy", "base policy", "shadow policy"};
	char text[MESSAGE_MAX];
	size_t n = 0;

	df_append(text, sizeof(text), &n, "fenced: mode %s",
		  f->meta->job.mode == DF_MODE_AUDIT ? "audit" : "enforce");
	for (int i = 0; i < DF_TABLES; i++)
		if (df_tables_has(f->tables, i))
			df_append(text, sizeof(text), &n, ", %s %s", kinds[i],
				  df_policy_name(&f->tables->tables[i]));
	if (record_addresses(f, "start", text, true) == 0)
		f->n_address_tries = ADDRESS_TRIES;
	if (*f->meta->stale)
		df_record_warning(f->record, "stale_policy", f->meta->stale);
	/* what the hook found that lets the container around its fence */
	for (unsigned i = 0; i < DF_FINDINGS; i++) {
		const struct df_event_line e = {
			.event = "finding",
			.is_warning = true,
			.finding = df_finding_name(i),
			.seen = f->meta->findings[i],
			.remedy = df_finding_remedy(i),
		};

		if (*e.seen)
			df_record_emit(f->record, &e, true);
	}
}

/*
 * Answers to the proxy that are no resolver's: those that the program on its cgroup has found
 * to come from inside of the network namespace, and those that match no question.  A few are
 * everyday (a late answer, a repeated one); many are somebody who guesses.  The text is the
 * same each time, so that a report counts them as one.
 */
static void record_answers(struct df_fence_events *f, const struct df_msg_pong *counts,
			   uint64_t now_ns)
{
	const uint64_t all_forged = kernel_count(DF_COUNT_FORGED);
	struct df_event_line e = {.event = "forged_answers", .is_warning = true};

	f->next_answers_ns = now_ns + ANSWERS_NS;
	e.count = all_forged - f->n_forged;
	f->n_forged = all_forged;
	e.message = f->meta->job.mode == DF_MODE_AUDIT ? FORGED "; passed, as in audit"
						       : FORGED "; dropped";
	if (e.count >= FORGED_MANY)
		df_record_emit(f->record, &e, true);
	e.count = counts->n_mismatched - f->n_mismatched;
	f->n_mismatched = counts->n_mismatched;
	e.message = "answers to the fence that match no question: somebody guesses, "
		    "or a resolver answers twice; dropped";
	if (e.count >= MISMATCHED_MANY)
		df_record_emit(f->record, &e, true);
}

void df_fence_events_step(struct df_fence_events *f, const struct df_msg_pong *counts,
			  uint64_t now_ns)
{
	if (f->n_address_tries > 0) {
		f->n_address_tries--;
		if (record_addresses(f, "addresses", "the container's network came up", false) > 0)
			f->n_address_tries = 0;
	}
	if (now_ns >= f->next_answers_ns)
		record_answers(f, counts, now_ns);
}

static void record_totals(const struct df_fence_events *f, const struct df_msg_pong *counts)
{
	const struct df_record *r = f->record;
	const struct df_event_totals t = {
		.queries = r->n_queries + counts->n_untold_queries,
		.refused = r->n_refusals + counts->n_untold_refusals,
		.search_attempts = r->n_search,
		.lost = r->n_lost + r->n_suppressed + kernel_count(DF_COUNT_EVENT_LOST),
		.dropped = counts->n_dropped,
		.malformed = counts->n_malformed,
		.mismatched = counts->n_mismatched,
		.stray = counts->n_unknown_token,
		.unlogged = r->n_unlogged,
		.unshown = r->n_unshown,
		.pin_failures = counts->n_unpinned,
		.sinkhole_probes = kernel_count(DF_COUNT_SINKHOLE_PROBE),
	};
	const struct {
		const char *before, *behind;
		uint64_t count;
	} more[] = {
		{"", "attempts of the search list besides", t.search_attempts},
		{"", "lines not logged", t.unlogged},
		{"", "refusals not shown on stderr", t.unshown},
		{"pinning failed ", "times", t.pin_failures},
		{"", "UDP sockets for sorting addresses met the sinkhole", t.sinkhole_probes},
	};
	char text[MESSAGE_MAX];
	const struct df_event_line e = {.event = "stop", .message = text, .totals = &t};
	size_t n = 0;

	df_append(text, sizeof(text), &n,
		  "container ended: %llu queries, %llu %s; lost: %llu events, %llu dropped, "
		  "%llu malformed, %llu mismatched, %llu stray",
		  (unsigned long long)t.queries, (unsigned long long)t.refused,
		  f->meta->job.mode == DF_MODE_AUDIT ? "would have been refused" : "refused",
		  (unsigned long long)t.lost, (unsigned long long)t.dropped,
		  (unsigned long long)t.malformed, (unsigned long long)t.mismatched,
		  (unsigned long long)t.stray);
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		if (more[i].count > 0)
			df_append(text, sizeof(text), &n, "; %s%llu %s", more[i].before,
				  (unsigned long long)more[i].count, more[i].behind);
	df_record_emit(f->record, &e, true);
}

void df_fence_events_stop(struct df_fence_events *f, const struct df_msg_pong *counts,
			  uint64_t now_ns)
{
	record_answers(f, counts, now_ns);
	record_totals(f, counts);
}
