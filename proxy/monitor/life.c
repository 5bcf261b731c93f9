/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events about the fence itself: its start, the addresses it stands before, its end. */
#include <string.h>

#include "lib/base/util.h"
#include "proxy/monitor/monitor.h"
#include "lib/base/own_addr.h"

#define MESSAGE_MAX 512
#define ADDRESS_TRIES 30 /* one every DF_PING_NS: engines set networks up at once, or never */

/* What every namespace has: loopback, and IPv6 link-local. */
static bool is_anybodys(const uint8_t addr[static 16])
{
	static const uint8_t mapped127[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
	static const uint8_t loopback6[16] = {[15] = 1};

	return memcmp(addr, mapped127, sizeof(mapped127)) == 0 ||
	       memcmp(addr, loopback6, sizeof(loopback6)) == 0 ||
	       (addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80);
}

/* Their number; *ret is valid until the next call. */
static unsigned own_addresses(const uint8_t (**ret)[16])
{
	static struct df_own own;
	unsigned n = 0;

	df_own_read(&own);
	for (unsigned i = 0; i < own.n && n < DF_EVENT_OWN_MAX; i++)
		if (!is_anybodys(own.addrs[i]))
			memmove(own.addrs[n++], own.addrs[i], sizeof(own.addrs[i]));
	*ret = own.addrs;
	return n;
}

void df_life_start(struct df_monitor *m)
{
	static const char *const what[DF_TABLES] = {"policy", "base policy", "shadow policy"};
	const uint8_t(*addrs)[16];
	unsigned n = own_addresses(&addrs);
	char text[MESSAGE_MAX];
	size_t pos = 0;

	df_append(text, sizeof(text), &pos, "fenced: mode %s",
		  m->meta->job.mode == DF_MODE_AUDIT ? "audit" : "enforce");
	for (int i = 0; i < DF_TABLES; i++)
		if (df_tables_has(&m->tables, i))
			df_append(text, sizeof(text), &pos, ", %s %s", what[i],
				  df_policy_name(&m->tables.tables[i]));
	m->n_address_tries = n == 0 ? ADDRESS_TRIES : 0;
	df_record_addresses(&m->record, "start", text, addrs, n);
	if (*m->meta->stale)
		df_record_warning(&m->record, "stale_policy", m->meta->stale);
	df_record_findings(&m->record);
}

void df_life_addresses(struct df_monitor *m)
{
	const uint8_t(*addrs)[16];
	unsigned n;

	if (m->n_address_tries == 0)
		return;
	m->n_address_tries--;
	n = own_addresses(&addrs);
	if (n == 0)
		return;
	m->n_address_tries = 0;
	df_record_addresses(&m->record, "addresses", "the container's network came up", addrs, n);
}

void df_life_stop(struct df_monitor *m)
{
	const struct df_record *r = &m->record;
	const struct df_msg_pong *now = &m->counts, *past = &m->past_counts;
	const struct df_event_totals t = {
		.queries = r->n_queries + now->n_untold_queries + past->n_untold_queries,
		.refused = r->n_refusals + now->n_untold_refusals + past->n_untold_refusals,
		.search_attempts = r->n_search,
		.lost = r->n_lost + r->n_suppressed + df_kernel_count(DF_COUNT_EVENT_LOST),
		.dropped = now->n_dropped + past->n_dropped,
		.malformed = now->n_malformed + past->n_malformed,
		.mismatched = now->n_mismatched + past->n_mismatched,
		.stray = now->n_unknown_token + past->n_unknown_token,
		.unlogged = r->n_unlogged,
		.unshown = r->n_unshown,
		.pin_failures = now->n_unpinned + past->n_unpinned,
		.sinkhole_probes = df_kernel_count(DF_COUNT_SINKHOLE_PROBE),
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
	size_t n = 0;

	df_append(text, sizeof(text), &n,
		  "container ended: %llu queries, %llu %s; lost: %llu events, %llu dropped, "
		  "%llu malformed, %llu mismatched, %llu stray",
		  (unsigned long long)t.queries, (unsigned long long)t.refused,
		  m->meta->job.mode == DF_MODE_AUDIT ? "would have been refused" : "refused",
		  (unsigned long long)t.lost, (unsigned long long)t.dropped,
		  (unsigned long long)t.malformed, (unsigned long long)t.mismatched,
		  (unsigned long long)t.stray);
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		if (more[i].count > 0)
			df_append(text, sizeof(text), &n, "; %s%llu %s", more[i].before,
				  (unsigned long long)more[i].count, more[i].behind);
	df_record_stop(&m->record, text, &t);
}
