/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events about the fence itself: its start, the addresses it stands before, its end. */
#include <string.h>

#include "lib/base/util.h"
#include "proxy/monitor/monitor.h"
#include "proxy/own.h"

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
	const uint64_t queries = r->n_queries + now->n_untold_queries + past->n_untold_queries;
	const uint64_t refusals = r->n_refusals + now->n_untold_refusals + past->n_untold_refusals;
	const uint64_t lost = r->n_lost + r->n_suppressed + df_kernel_count(DF_COUNT_EVENT_LOST);
	const uint64_t probes = df_kernel_count(DF_COUNT_SINKHOLE_PROBE);
	char text[MESSAGE_MAX];
	size_t n = 0;

	df_append(text, sizeof(text), &n,
		  "container ended: %llu queries, %llu %s; lost: %llu events, %llu dropped, "
		  "%llu malformed, %llu mismatched, %llu stray",
		  (unsigned long long)queries, (unsigned long long)refusals,
		  m->meta->job.mode == DF_MODE_AUDIT ? "would have been refused" : "refused",
		  (unsigned long long)lost, (unsigned long long)(now->n_dropped + past->n_dropped),
		  (unsigned long long)(now->n_malformed + past->n_malformed),
		  (unsigned long long)(now->n_mismatched + past->n_mismatched),
		  (unsigned long long)(now->n_unknown_token + past->n_unknown_token));
	if (r->n_search > 0)
		df_append(text, sizeof(text), &n, "; %llu attempts of the search list besides",
			  (unsigned long long)r->n_search);
	if (r->n_unlogged > 0)
		df_append(text, sizeof(text), &n, "; %llu lines not logged",
			  (unsigned long long)r->n_unlogged);
	if (r->n_unshown > 0)
		df_append(text, sizeof(text), &n, "; %llu refusals not shown on stderr",
			  (unsigned long long)r->n_unshown);
	if (now->n_unpinned + past->n_unpinned > 0)
		df_append(text, sizeof(text), &n, "; pinning failed %llu times",
			  (unsigned long long)(now->n_unpinned + past->n_unpinned));
	if (probes > 0)
		df_append(text, sizeof(text), &n,
			  "; %llu UDP sockets for sorting addresses met the sinkhole",
			  (unsigned long long)probes);
	df_record_stop(&m->record, text, lost);
}
