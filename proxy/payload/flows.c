/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/payload/flows.h"

#include <arpa/inet.h>
#include <string.h>

#define HTTPS_PORT 443
#define WORD_LEN 8 /* the kernel knows requests by so many octets; fewer may be anything */
#define WINDOW 16  /* places where a cookie may stand */
/* No request has fewer than 16 octets: "GET / HTTP/1.1" and an empty line (RFC 9112 3). */
#define REQUESTS_MAX (DF_PAYLOAD_MAX / 16)

/* --- one request: where it stands, and whether it is whole -------------------------- */

static bool is_to_proxy(const struct df_payload_target *t)
{
	return t->kind == DF_PAYLOAD_CONNECT || t->kind == DF_PAYLOAD_ABSOLUTE;
}

/* The kernel showed it because a name in it decides, not as a request to a proxy. */
static bool is_for_name(const struct df_payload *p)
{
	return p->verdict == DF_VERDICT_UNDECIDED || p->verdict == DF_VERDICT_SEEN;
}

/* An empty line in front of a request, and nothing else yet. */
static bool is_empty_lines(const struct df_payload *p)
{
	for (uint32_t i = 0; i < p->len; i++)
		if (p->data[i] != '\r' && p->data[i] != '\n')
			return false;
	return true;
}

/* Its first line ends as a request's does; the text of an upload hardly has one. */
static bool has_version(const struct df_payload *p, size_t offset)
{
	static const char version[] = " HTTP/";
	const uint8_t *line = p->data + offset, *lf = memchr(line, '\n', p->len - offset);

	return memmem(line, lf ? (size_t)(lf - line) : p->len - offset, version,
		      sizeof(version) - 1) != NULL;
}

/*
 * Where nothing is held the rest of a request will not be shown: if its fields are not whole, the
 * first line says whom it is for.
 */
static void parse_line(const struct df_payload *p, size_t offset, struct df_payload_target *t)
{
	static uint8_t copy[DF_PAYLOAD_MAX + 2];
	const uint8_t *lf;
	size_t len;

	while (offset < p->len && (p->data[offset] == '\r' || p->data[offset] == '\n'))
		offset++; /* RFC 9112 2.2 */
	lf = offset < p->len ? memchr(p->data + offset, '\n', p->len - offset) : NULL;
	if (!lf)
		return;
	len = (size_t)(lf - (p->data + offset)) + 1;
	memcpy(copy, p->data + offset, len);
	memcpy(copy + len, "\r\n", 2);
	df_payload_parse(copy, len + 2, false, t);
}

/* More octets could tell, and are worth waiting for. */
static bool is_waiting(const struct df_payload *p, size_t offset, const struct df_payload_target *t)
{
	if (t->state != DF_PAYLOAD_INCOMPLETE)
		return false;
	if (is_for_name(p))
		return true;
	if (p->is_later)
		return is_to_proxy(t) && has_version(p, offset);
	return t->kind != DF_PAYLOAD_HTTP && !is_empty_lines(p);
}

static enum df_event_at place_of(const struct df_payload_target *t, const struct df_payload *p)
{
	bool is_tls = t->kind == DF_PAYLOAD_TLS;

	if (!is_for_name(p))
		return DF_AT_PROXY;
	if (t->kind == DF_PAYLOAD_NONE) /* neither TLS nor HTTP: the port says which was expected */
		is_tls = ntohs(p->port) == HTTPS_PORT;
	return is_tls ? DF_AT_TLS : DF_AT_HTTP;
}

enum df_reason df_flows_reason(enum df_event_at at)
{
	switch (at) {
	case DF_AT_TLS:
		return DF_REASON_SNI;
	case DF_AT_HTTP:
		return DF_REASON_HOST;
	case DF_AT_PROXY:
		return DF_REASON_REQUEST;
	case DF_AT_DNS:
	case DF_AT_CONNECT:
	case DF_AT_PACKET:
	case DF_AT_END:
		break;
	}
	return DF_REASON_NO_NAME;
}

/* --- one request: its verdict, by the state of the connection ----------------------- */

/* A refusal by no rule: nothing says that the request may pass. */
static struct df_decision refusal(const struct df_flows *f, enum df_reason reason)
{
	const uint8_t *modes = f->tables->modes;
	const bool is_base =
		modes[DF_TABLE_OWN] != DF_MODE_ENFORCE && modes[DF_TABLE_BASE] == DF_MODE_ENFORCE;

	return (struct df_decision){
		.is_refusal = true,
		.is_enforced = is_base || modes[DF_TABLE_OWN] == DF_MODE_ENFORCE,
		.table = is_base ? DF_TABLE_BASE : DF_TABLE_OWN,
		.reason = reason,
	};
}

/* Adds the rule of the blocked name that has this address, if its table is the one that refuses. */
static void add_rule(const struct df_flows *f, const uint8_t *addr, struct df_decision *d)
{
	const uint8_t *modes = f->tables->modes;
	const struct df_policy_rule *rule;
	struct df_learned learned;
	enum df_table_id table;

	if (!d->is_refusal || d->rule || df_learn_blocker(f->learn->map->get, addr, &learned) < 0 ||
	    df_tables_rule(f->tables, learned.rule, &table, &rule) < 0)
		return;
	if (modes[table] == modes[d->table] && table != DF_TABLE_SHADOW) {
		d->table = table;
		d->rule = rule;
	}
}

static void judge_undecided(const struct df_flows *f, const struct df_payload *p,
			    struct df_payload_judgement *g)
{
	const struct df_payload_target *t = &g->target;
	struct df_decision unlearned = refusal(f, DF_REASON_NOT_LEARNED);

	if (t->state != DF_PAYLOAD_READ || !t->host.has_name) {
		g->decision = refusal(f, DF_REASON_NO_NAME);
		add_rule(f, p->addr, &g->decision);
	} else {
		g->decision =
			df_verdict_request(f->tables, DF_TABLES_FENCE, &t->host.name, IPPROTO_TCP,
					   ntohs(p->port), df_flows_reason(g->at));
		if (df_verdict_strictness(&g->decision) < df_verdict_strictness(&unlearned) &&
		    !df_learn_has(f->learn, p->addr, &t->host.name)) {
			add_rule(f, p->addr, &unlearned);
			g->decision = unlearned;
		}
	}
	g->is_seen = g->decision.is_refusal;
}

/* The target that a proxy is asked for. */
static void judge_target(const struct df_flows *f, struct df_payload_judgement *g)
{
	const struct df_payload_host *host = &g->target.host;
	unsigned class;

	if (g->target.state != DF_PAYLOAD_READ) {
		g->decision = refusal(f, DF_REASON_NO_NAME);
		return;
	}
	if (host->has_name) {
		g->decision = df_verdict_request(f->tables, DF_TABLES_FENCE, &host->name,
						 IPPROTO_TCP, host->port, df_flows_reason(g->at));
		return;
	}
	class = df_ports_class(f->ports, IPPROTO_TCP, host->port);
	g->decision =
		df_verdict_addr(f->tables, DF_TABLES_FENCE, host->addr, IPPROTO_TCP, host->port,
				df_learn_bits(f->learn, host->addr, class, f->now_ns));
	if (g->decision.reason == DF_REASON_PINNED || g->decision.reason == DF_REASON_SHARED)
		add_rule(f, host->addr, &g->decision);
}

static void judge_seen(const struct df_flows *f, const struct df_payload *p,
		       struct df_payload_judgement *g)
{
	const struct df_payload_target *t = &g->target;
	const enum df_reason reason = df_flows_reason(g->at);

	if (t->state != DF_PAYLOAD_READ)
		return;
	if (t->host.has_name) {
		g->decision = df_verdict_request(f->tables, DF_TABLES_FENCE, &t->host.name,
						 IPPROTO_TCP, ntohs(p->port), reason);
		if (g->decision.reason != reason || !p->is_enforced)
			g->decision.is_enforced = false; /* no rule names it: raw-ip decides */
		g->is_seen =
			g->decision.is_refusal || !df_learn_has(f->learn, p->addr, &t->host.name);
	} else if (is_to_proxy(t)) { /* for an address, which is refused as at any other port */
		g->at = DF_AT_PROXY;
		judge_target(f, g);
		g->decision.is_enforced &= p->is_enforced;
		g->is_seen = g->decision.is_refusal;
	}
}

static void judge_proxied(const struct df_flows *f, const struct df_payload *p,
			  struct df_payload_judgement *g)
{
	const struct df_payload_target *t = &g->target;
	/* so much of a request to a proxy that nothing else begins so */
	const bool is_begun = t->state == DF_PAYLOAD_INCOMPLETE && t->kind == DF_PAYLOAD_NONE &&
			      p->len - g->offset >= WORD_LEN;

	if (is_empty_lines(p)) {
		g->verdict = DF_VERDICT_PROXY; /* it may go, and the next payload is looked at */
		return;
	}
	if (!is_to_proxy(t) && !is_begun)
		return;
	if (p->is_later && t->state != DF_PAYLOAD_READ && !has_version(p, g->offset)) {
		g->verdict = DF_VERDICT_PROXY;
		return;
	}
	judge_target(f, g);
	g->is_seen = true;
	if (t->next)
		g->next = g->offset + t->next;
}

/* One of the two hosts that a request may name. */
static void judge_host(const struct df_flows *f, const struct df_payload *p,
		       struct df_payload_judgement *g)
{
	if (p->verdict == DF_VERDICT_UNDECIDED)
		judge_undecided(f, p, g);
	else if (p->verdict == DF_VERDICT_SEEN)
		judge_seen(f, p, g);
	else
		judge_proxied(f, p, g);
}

/*
 * The request at offset.  is_last: no more octets will be awaited.  A refusal that is not
 * enforced has the verdict of a request that passes.
 */
static void judge_request(const struct df_flows *f, const struct df_payload *p, size_t offset,
			  bool is_last, struct df_payload_judgement *ret)
{
	const bool is_undecided = p->verdict == DF_VERDICT_UNDECIDED;
	struct df_payload_judgement g = {.offset = offset}, other;

	df_payload_parse(p->data + offset, p->len - offset, p->total_len > p->len, &g.target);
	if (!p->is_held && g.target.state == DF_PAYLOAD_INCOMPLETE && is_to_proxy(&g.target))
		parse_line(p, offset, &g.target);
	g.at = place_of(&g.target, p);
	if (!is_last && is_waiting(p, offset, &g.target)) {
		g.verdict = DF_VERDICT_NONE;
		*ret = g;
		return;
	}
	/* behind a request to a server one to a proxy may follow */
	g.verdict = g.target.kind == DF_PAYLOAD_ABSOLUTE ||
				    (g.target.kind == DF_PAYLOAD_HTTP && !is_undecided)
			    ? DF_VERDICT_PROXY
			    : DF_VERDICT_ALLOW;
	judge_host(f, p, &g);
	if (g.target.other.has_name || g.target.other.has_addr) {
		other = g;
		other.is_seen = false;
		other.decision = (struct df_decision){};
		other.target.host = g.target.other;
		judge_host(f, p, &other);
		if (df_verdict_strictness(&other.decision) > df_verdict_strictness(&g.decision))
			g = other;
	}
	if (g.decision.is_enforced)
		g.verdict = DF_VERDICT_BLOCK;
	*ret = g;
}

/* --- the verdicts of connections ---------------------------------------------------- */

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

/* The order in which marks make room: free, waiting for octets, with a verdict. */
static unsigned rank(const struct df_flow_mark *m)
{
	if (m->cookie == 0)
		return 0;
	return m->verdict == DF_VERDICT_NONE ? 1 : 2;
}

/* A place for it: its own, a free one, or that of the oldest of the lowest rank. */
static struct df_flow_mark *take_place(struct df_flows *f, const struct df_payload *p)
{
	struct df_flow_mark *best = find(f, p->cookie);

	if (best)
		return best;
	for (unsigned i = 0; i < WINDOW; i++) {
		struct df_flow_mark *m = place(f, p->cookie, i);

		if (!best || rank(m) < rank(best) ||
		    (rank(m) == rank(best) && m->until_ns < best->until_ns))
			best = m;
	}
	if (best->cookie)
		forget(f, best);
	*best = (struct df_flow_mark){.cookie = p->cookie, .connect_time = p->connect_time};
	f->n_used++;
	return best;
}

static void wait_for_more(struct df_flows *f, const struct df_payload *p)
{
	struct df_flow_mark *m = take_place(f, p);

	if (m->verdict != DF_VERDICT_NONE) /* of an earlier request, or of fewer octets */
		m->len = 0;
	m->verdict = DF_VERDICT_NONE;
	if (p->total_len > m->len)
		m->len = p->total_len;
	else
		m->n_tries++;
	m->until_ns = f->now_ns + DF_FLOWS_KEEP_NS;
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
		   uint32_t seq)
{
	struct df_flow_mark *m = take_place(f, p);
	const bool is_block = verdict == DF_VERDICT_BLOCK;
	const struct df_flow flow = {
		.verdict = verdict, .len = p->total_len, .connect_time = p->connect_time};
	const struct df_msg_resume push = {.type = DF_MSG_RESUME,
					   .tgid = p->tgid,
					   .cookie = p->cookie,
					   .connect_time = p->connect_time};

	m->verdict = verdict;
	m->decided_ns = f->now_ns;
	m->until_ns = f->now_ns + (is_block ? DF_FLOWS_KEEP_BLOCK_NS : DF_FLOWS_KEEP_NS);
	m->n_tries = 0;
	m->len = p->total_len;
	if (f->ops.put(f->ops.data, p->cookie, &flow) < 0)
		f->n_lost++; /* it is dropped as long as there is none */
	if (is_block)
		refuse(f, m, p, seq);
	else
		f->ops.push(f->ops.data, &push);
}

/*
 * The verdict on all requests of a record: the first that is refused ends it.  Reports them if
 * none waits for more octets.  *ret_seq: of the last report, which is the refusal if there is one.
 */
static enum df_verdict judge(struct df_flows *f, const struct df_payload *p, bool is_last,
			     uint32_t *ret_seq)
{
	/* of the one worker of the process; too large for a stack */
	static struct df_payload_judgement seen[REQUESTS_MAX];
	enum df_verdict verdict = DF_VERDICT_ALLOW;
	unsigned n_seen = 0;
	size_t offset = 0;

	do {
		struct df_payload_judgement *g = &seen[n_seen];

		judge_request(f, p, offset, is_last, g);
		if (g->verdict == DF_VERDICT_NONE)
			return DF_VERDICT_NONE;
		if (g->verdict != DF_VERDICT_ALLOW)
			verdict = g->verdict;
		offset = g->next;
		n_seen += g->is_seen && n_seen + 1 < REQUESTS_MAX;
	} while (offset && verdict != DF_VERDICT_BLOCK);
	for (unsigned i = 0; i < n_seen; i++)
		*ret_seq = f->ops.report(f->ops.data, p, &seen[i]);
	return verdict;
}

void df_flows_take(struct df_flows *f, const struct df_payload *p, uint64_t now_ns)
{
	/* it has left already: all that can be done is to end its connection */
	const bool is_seen_only = p->verdict == DF_VERDICT_SEEN && !p->is_held;
	const unsigned tries = p->verdict == DF_VERDICT_SEEN ? DF_FLOWS_TRIES_SEEN : DF_FLOWS_TRIES;
	struct df_flow_mark *m = find(f, p->cookie);
	bool is_repeated, is_last;
	enum df_verdict verdict;
	uint32_t seq = 0;

	f->now_ns = now_ns;
	if (p->cookie == 0 || p->len == 0 || p->len > DF_PAYLOAD_MAX)
		return;
	if (m && m->connect_time != p->connect_time) { /* connected anew */
		if (p->connect_time < m->connect_time)
			return; /* this one is of the connection before */
		forget(f, m);
		m = NULL;
	}
	if (p->is_held && p->time < f->start_ns)
		return; /* the last worker may have decided it */
	is_repeated = m && p->total_len <= m->len;
	if (!is_seen_only && is_repeated && m->verdict != DF_VERDICT_NONE &&
	    p->time < m->decided_ns + DF_FLOWS_SLACK_NS)
		return;
	is_last = !p->is_held ||
		  (is_repeated && m->verdict == DF_VERDICT_NONE && m->n_tries + 2 >= tries);
	verdict = judge(f, p, is_last, &seq);
	if (verdict == DF_VERDICT_NONE)
		wait_for_more(f, p);
	else if (p->is_held || (is_seen_only && verdict == DF_VERDICT_BLOCK))
		decide(f, p, verdict, seq);
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
		/* the caller's clock may be older than a decision of the same round */
		if (m->is_destroy_due && now_ns >= m->decided_ns + DF_FLOWS_HOLD_NS)
			send_destroy(f, m);
		if (now_ns >= m->until_ns)
			forget(f, m);
	}
	return f->n_used > 0;
}
