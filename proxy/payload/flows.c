/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/payload/flows.h"

#include <string.h>

#define WINDOW 16 /* places where a cookie may stand */

static struct df_flow_mark *place(struct df_flows *f, uint64_t cookie, unsigned i)
{
	/* cookies count up: multiplied, neighbours stand apart (Knuth 6.4) */
	const uint64_t h = cookie * 0x9e3779b97f4a7c15ull >> 32;

	return &f->marks[(h + i) % DF_FLOWS_MAX];
}

static struct df_flow_mark *find(struct df_flows *f, uint64_t cookie)
{
	for (unsigned i = 0; i < WINDOW; i++) {
		struct df_flow_mark *m = place(f, cookie, i);

		if (m->cookie == cookie)
			return m;
	}
	return NULL;
}

static void send_destroy(struct df_flows *f, struct df_flow_mark *m)
{
	if (!m->is_destroy_due)
		return;
	m->is_destroy_due = false;
	f->n_due--;
	f->ops.destroy(f->ops.data, &m->destroy);
}

static void forget(struct df_flows *f, struct df_flow_mark *m)
{
	send_destroy(f, m);
	if (m->verdict != DF_VERDICT_NONE)
		f->ops.remove(f->ops.data, m->cookie);
	m->cookie = 0;
	f->n_used--;
}

/* What may go first: nothing, what only waits, what has a verdict. */
static unsigned rank(const struct df_flow_mark *m)
{
	if (m->cookie == 0)
		return 0;
	return m->verdict == DF_VERDICT_NONE ? 1 : 2;
}

/* A place for it: its own, a free one, or that of the oldest of the lowest rank. */
static struct df_flow_mark *take_place(struct df_flows *f, const struct df_payload *p)
{
	const uint64_t cookie = p->cookie;
	struct df_flow_mark *best = find(f, cookie);

	if (best)
		return best;
	for (unsigned i = 0; i < WINDOW; i++) {
		struct df_flow_mark *m = place(f, cookie, i);

		if (!best || rank(m) < rank(best) ||
		    (rank(m) == rank(best) && m->until_ns < best->until_ns))
			best = m;
	}
	if (best->cookie)
		forget(f, best);
	*best = (struct df_flow_mark){.cookie = cookie, .connect_time = p->connect_time};
	f->n_used++;
	return best;
}

static void wait_for_more(struct df_flows *f, const struct df_payload *p, uint64_t now_ns)
{
	struct df_flow_mark *m = take_place(f, p);

	if (m->verdict != DF_VERDICT_NONE) /* of an earlier request, or of fewer octets */
		m->len = 0;
	m->verdict = DF_VERDICT_NONE;
	if (p->total_len > m->len)
		m->len = p->total_len;
	else
		m->n_tries++;
	m->until_ns = now_ns + DF_FLOWS_KEEP_NS;
}

static void refuse(struct df_flows *f, struct df_flow_mark *m, const struct df_payload *p,
		   uint32_t seq)
{
	m->destroy = (struct df_msg_destroy){
		.type = DF_MSG_DESTROY,
		.cookie = p->cookie,
		.sport = p->sport,
		.dport = p->dport,
		.port = p->port,
	};
	memcpy(m->destroy.saddr, p->saddr, sizeof(p->saddr));
	memcpy(m->destroy.daddr, p->daddr, sizeof(p->daddr));
	memcpy(m->destroy.addr, p->addr, sizeof(p->addr));
	f->n_due += !m->is_destroy_due;
	m->is_destroy_due = true;
	m->seq = seq;
	if (seq == 0)
		send_destroy(f, m);
}

static void decide(struct df_flows *f, const struct df_payload *p, enum df_verdict verdict,
		   uint32_t seq, uint64_t now_ns)
{
	struct df_flow_mark *m = take_place(f, p);
	const uint64_t keep =
		verdict == DF_VERDICT_BLOCK ? DF_FLOWS_KEEP_BLOCK_NS : DF_FLOWS_KEEP_NS;
	const struct df_flow flow = {
		.verdict = verdict, .len = p->total_len, .connect_time = p->connect_time};

	m->verdict = verdict;
	m->decided_ns = now_ns;
	m->until_ns = now_ns + keep;
	m->n_tries = 0;
	m->len = p->total_len;
	if (f->ops.put(f->ops.data, p->cookie, &flow) < 0)
		f->n_lost++; /* it is dropped as long as there is none */
	if (verdict == DF_VERDICT_BLOCK) {
		refuse(f, m, p, seq);
	} else {
		const struct df_msg_push push = {.type = DF_MSG_PUSH,
						 .tgid = p->tgid,
						 .cookie = p->cookie,
						 .connect_time = p->connect_time};

		f->ops.push(f->ops.data, &push);
	}
}

/*
 * All requests of a record: the first that is refused is the verdict.  ret_seq NULL: they
 * are not reported, as the verdict may be that there is none yet.
 */
static enum df_verdict judge(struct df_flows *f, const struct df_payload *p, bool is_last,
			     uint64_t now_ns, uint32_t *ret_seq)
{
	enum df_verdict verdict = DF_VERDICT_ALLOW;
	struct df_judgement g;
	size_t offset = 0;

	do {
		uint32_t seq = 0;

		df_judge_payload(&f->judge, p, offset, is_last, now_ns, &g);
		if (g.verdict == DF_VERDICT_NONE)
			return DF_VERDICT_NONE;
		if (g.is_seen && ret_seq)
			seq = f->ops.report(f->ops.data, p, &g);
		if (g.verdict == DF_VERDICT_BLOCK) {
			if (ret_seq)
				*ret_seq = seq;
			return DF_VERDICT_BLOCK;
		}
		if (g.verdict == DF_VERDICT_PROXY)
			verdict = DF_VERDICT_PROXY;
		offset = g.next;
	} while (offset);
	return verdict;
}

/* It has left already: all that can be done is to end its connection. */
static void take_seen(struct df_flows *f, const struct df_payload *p, uint64_t now_ns)
{
	uint32_t seq = 0;

	if (judge(f, p, true, now_ns, &seq) == DF_VERDICT_BLOCK)
		decide(f, p, DF_VERDICT_BLOCK, seq, now_ns);
}

void df_flows_take(struct df_flows *f, const struct df_payload *p, uint64_t now_ns)
{
	struct df_flow_mark *m = find(f, p->cookie);
	enum df_verdict verdict;
	uint32_t seq = 0;
	unsigned tries;
	bool is_last;

	if (p->cookie == 0 || p->len == 0 || p->len > DF_PAYLOAD_MAX)
		return;
	if (m && m->connect_time != p->connect_time) { /* connected anew */
		if (p->connect_time < m->connect_time)
			return; /* this one is of the connection before */
		forget(f, m);
		m = NULL;
	}
	if (p->verdict == DF_VERDICT_SEEN && !p->is_held) {
		take_seen(f, p, now_ns);
		return;
	}
	if (p->is_held && p->time < f->start_ns)
		return; /* the last worker may have decided it */
	if (m && m->verdict != DF_VERDICT_NONE && p->total_len <= m->len &&
	    p->time < m->decided_ns + DF_FLOWS_SLACK_NS)
		return;
	tries = p->verdict == DF_VERDICT_SEEN ? DF_FLOWS_TRIES_SEEN : DF_FLOWS_TRIES;
	is_last = !p->is_held || (m && m->verdict == DF_VERDICT_NONE && p->total_len <= m->len &&
				  m->n_tries + 2 >= tries);
	if (judge(f, p, is_last, now_ns, NULL) == DF_VERDICT_NONE) {
		wait_for_more(f, p, now_ns);
		return;
	}
	verdict = judge(f, p, is_last, now_ns, &seq);
	if (p->is_held)
		decide(f, p, verdict, seq, now_ns);
}

void df_flows_identified(struct df_flows *f, uint32_t seq)
{
	for (unsigned i = 0; f->n_due > 0 && i < DF_FLOWS_MAX; i++) {
		struct df_flow_mark *m = &f->marks[i];

		if (m->cookie && m->is_destroy_due && m->seq == seq)
			send_destroy(f, m);
	}
}

bool df_flows_expire(struct df_flows *f, uint64_t now_ns)
{
	for (unsigned i = 0; f->n_used > 0 && i < DF_FLOWS_MAX; i++) {
		struct df_flow_mark *m = &f->marks[i];

		if (!m->cookie)
			continue;
		/* the caller's clock may be older than what was decided in the same round */
		if (m->is_destroy_due && now_ns >= m->decided_ns + DF_FLOWS_HOLD_NS)
			send_destroy(f, m);
		if (now_ns >= m->until_ns)
			forget(f, m);
	}
	return f->n_used > 0;
}
