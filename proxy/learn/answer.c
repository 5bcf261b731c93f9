/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/learn/answer.h"

#include <errno.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/util.h"
#include "proxy/learn/learn.h"
#include "proxy/learn/teach.h"
#include "proxy/worker/report.h"
#include "proxy/worker/state.h"

/* RFC 2181 8 lets a TTL be 68 years; the next answer is learned anew. */
#define TTL_MAX_S (7u * 24 * 3600)
#define NS_PER_S 1000000000ull

/* Itself, or an IPv4 address that it holds. */
static bool is_own(struct df_worker *w, const struct df_taught *taught, const uint8_t *addr)
{
	uint8_t embedded[DF_EMBEDDED_MAX][16];
	bool is_same_host, is_any;
	unsigned n;

	if (!df_teach_has(taught, DF_LEARN_BLOCKED))
		return false;
	is_any = df_own_has(&w->own, addr, w->now_ns);
	n = df_addr_embedded(addr, embedded, &is_same_host);
	for (unsigned i = 0; i < n; i++)
		is_any |= df_own_has(&w->own, embedded[i], w->now_ns);
	return is_any;
}

/* 1: no room for it. */
static unsigned put(struct df_worker *w, const uint8_t *addr, struct df_lesson *lesson,
		    const struct df_taught *taught)
{
	const uint64_t n_unstuck = w->learn->n_unstuck;
	int r;

	lesson->rule = taught->rule;
	memcpy(lesson->bits, taught->bits, sizeof(lesson->bits));
	r = df_learn_put(w->learn, addr, lesson, w->now_ns);
	if (r < 0)
		df_report_note(w, DF_NOTE_UNLEARNED, DF_LEVER_NONE, addr, lesson->name);
	if (w->learn->n_unstuck > n_unstuck)
		df_report_many(w, lesson->name, DF_LEARN_STICKY_MAX + 1);
	return r < 0;
}

/* Enters one name's bits of one address, but for those that teach.h does not let it set.  1: no
 * room. */
static unsigned teach(struct df_worker *w, const struct df_dns_addr *a, struct df_lesson lesson,
		      struct df_taught taught)
{
	const bool own = is_own(w, &taught, a->addr);
	enum df_lever why = df_teach_limit_refusal(w->teach, a->addr, own, &taught);

	if (why != DF_LEVER_NONE)
		df_report_note(w, DF_NOTE_PIN_IGNORED, why, a->addr, lesson.name);
	why = df_teach_limit_permission(w->teach, a->addr, lesson.name, &taught);
	if (why != DF_LEVER_NONE)
		df_report_note(w, DF_NOTE_REBINDING_IGNORED, why, a->addr, lesson.name);
	lesson.ttl_ns = (a->ttl < TTL_MAX_S ? a->ttl : TTL_MAX_S) * NS_PER_S;
	return put(w, a->addr, &lesson, &taught);
}

static unsigned teach_all(struct df_worker *w, const struct df_dns_answer *answer,
			  const struct df_lesson *lesson, const struct df_taught *taught)
{
	unsigned n = 0;

	for (unsigned i = 0; i < answer->n_addrs; i++)
		n += teach(w, &answer->addrs[i], *lesson, *taught);
	return n;
}

unsigned df_learn_answer(struct df_worker *w, const struct df_dname *qname,
			 const struct df_dns_answer *answer, const struct df_learn_scope *scope)
{
	struct df_lesson lesson = {
		.name = qname, .is_refusal = scope->is_refusal, .is_pinned = scope->is_pinned};
	struct df_taught question, chain;
	unsigned n = 0;

	if (answer->n_addrs == 0 || answer->rcode != DF_DNS_RCODE_NOERROR || !scope->tables)
		return 0;
	df_teach_question(w->teach, scope->tables, qname, &question);
	for (unsigned i = 0; i < answer->n_chain; i++) {
		const struct df_lesson refusal = {.name = &answer->chain[i], .is_refusal = true};

		df_teach_chain(w->teach, scope->tables, &answer->chain[i], &chain);
		if (!df_teach_has(&chain, DF_LEARN_BLOCKED))
			continue;
		df_teach_withdraw(&question, &chain);
		df_teach_unpin(w->teach, &answer->chain[i], &chain);
		n += teach_all(w, answer, &refusal, &chain);
	}
	df_teach_unpin(w->teach, qname, &question);
	return n + teach_all(w, answer, &lesson, &question);
}
