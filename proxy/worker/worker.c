/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/worker/worker.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "lib/base/util.h"
#include "proxy/learn/learn.h"
#include "proxy/learn/pin.h"
#include "proxy/learn/teach.h"
#include "proxy/payload/flows.h"
#include "proxy/payload/payloads.h"
#include "proxy/sandbox.h"
#include "proxy/worker/relay.h"
#include "proxy/worker/report.h"
#include "proxy/worker/state.h"
#include "proxy/worker/tcp.h"
#include "proxy/worker/udp.h"
#include "proxy/worker/upstream.h"

#define HOUSEKEEPING_MS 1000 /* while a socket or a count is open; idle costs no wake-up */

/* Large, and mostly never touched: only touched pages are charged to the sidecar. */
static struct {
	struct df_worker worker;
	struct df_teach teach;
	struct df_learn learn;
	struct df_flows flows;
	struct df_pin pin;
} the;

/* --- messages of the monitor ------------------------------------------------------------ */

static void send_pong(struct df_worker *w)
{
	const struct df_msg_pong m = {
		.type = DF_MSG_PONG,
		.n_dropped = w->n_dropped,
		.n_unknown_token = w->n_unknown_token,
		.n_malformed = w->n_malformed,
		.n_mismatched = w->n_mismatched,
		.n_untold_queries = w->n_untold_queries,
		.n_untold_refusals = w->n_untold_refusals,
		.n_unpinned = w->pin->n_failures,
	};

	(void)send(w->channel, &m, sizeof(m), MSG_NOSIGNAL);
}

/* The container's resolv.conf, read again. */
static void take_resolvers(struct df_worker *w, const struct df_msg_resolvers *m)
{
	w->n_search = m->n_search < DF_RESOLV_SEARCH_MAX ? m->n_search : DF_RESOLV_SEARCH_MAX;
	memcpy(w->search_names, m->search, w->n_search * sizeof(w->search_names[0]));
	w->search = (struct df_search_list){w->search_names, w->n_search};
	if (!w->trust.are_named)
		df_trust_replace(&w->trust, m->n_resolvers, m->resolvers);
	df_pin_again(w);
}

static void channel_ready(struct df_source *s, uint32_t events)
{
	struct df_worker *w =
		(struct df_worker *)((char *)s - offsetof(struct df_worker, channel_source));
	static union {
		struct df_msg_short brief;
		struct df_msg_resolvers resolvers;
	} in;

	(void)events;
	for (;;) {
		ssize_t n = recv(w->channel, &in, sizeof(in), MSG_DONTWAIT);
		const struct df_msg_short m = in.brief;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			_exit(0); /* the monitor is gone */
		if (n == (ssize_t)sizeof(in.resolvers) && m.type == DF_MSG_RESOLVERS)
			take_resolvers(w, &in.resolvers);
		if (n != (ssize_t)sizeof(m))
			continue;
		if (m.type == DF_MSG_PING)
			send_pong(w);
		else if (m.type == DF_MSG_IDENTIFIED) {
			df_relay_identified(w, m.seq);
			df_flows_identified(w->flows, m.seq);
		} else if (m.type == DF_MSG_FINISH) {
			w->is_finishing = true;
			(void)df_report_release(w, true);
			df_report_summaries(w, true);
			send_pong(w);
			_exit(0);
		}
	}
}

/* --- the kernel's map of learned addresses ---------------------------------------------- */

static int map_get(const uint8_t addr[static 16], struct df_learned *ret)
{
	return bpf_map_lookup_elem(DF_FD_LEARNED, addr, ret);
}

static int map_put(const uint8_t addr[static 16], const struct df_learned *value)
{
	return bpf_map_update_elem(DF_FD_LEARNED, addr, value, BPF_ANY);
}

static int map_remove(const uint8_t addr[static 16])
{
	return bpf_map_delete_elem(DF_FD_LEARNED, addr);
}

static int map_name(uint32_t slot, const struct df_dname *name)
{
	const struct df_msg_name m = {.type = DF_MSG_NAME, .slot = slot, .name = *name};
	ssize_t n = send(the.worker.channel, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);

	return n == (ssize_t)sizeof(m) ? 0 : -EAGAIN;
}

/* Goes on where the last worker stopped. */
static int start_learning(struct df_worker *w, struct df_learn_shared *learned)
{
	static const struct df_learn_map map = {map_get, map_put, map_remove, map_name};
	const uint32_t zero = 0;
	struct df_conf conf;
	uint8_t raw_passes = 0;
	int r = bpf_map_lookup_elem(DF_FD_CONF, &zero, &conf);

	(void)close(DF_FD_CONF); /* its holder can open the fence */
	if (r < 0)
		return r;
	for (unsigned t = 0; t < DF_TABLES; t++)
		if (!df_tables_has(&w->tables, t) ||
		    df_policy_raw_ip(&w->tables.tables[t]) != DF_POLICY_RAW_BLOCK)
			raw_passes |= (uint8_t)(1u << t);
	df_learn_start(w->learn, learned, &map, conf.keep_learned_ns, raw_passes);
	return 0;
}

/* --- start and rounds ------------------------------------------------------------------- */

static int init(struct df_worker *w, const struct df_meta *meta, struct df_learn_shared *learned,
		int channel)
{
	static const int fds[] = {DF_FD_UDP4, DF_FD_UDP6, DF_FD_TCP4, DF_FD_TCP6};
	const uint8_t none[DF_TOKEN6_PREFIX_LEN] = {};
	const bool has_ipv6 = memcmp(meta->token6_prefix, none, sizeof(none)) != 0;
	int r;

	w->meta = meta;
	w->channel = channel;
	w->search = (struct df_search_list){meta->search, meta->n_search};
	w->now_ns = df_now_ns();
	w->teach = &the.teach;
	w->learn = &the.learn;
	w->flows = &the.flows;
	w->pin = &the.pin;
	df_relay_init(w);
	df_trust_init(&w->trust, meta, &w->own);
	w->teach->trust = &w->trust;
	df_random(&w->history.seed, sizeof(w->history.seed));
	df_upstream_init(w);
	r = df_tables_open(meta, &w->tables);
	if (r == 0)
		r = df_teach_init(w->teach, &w->tables, &w->search);
	if (r == 0)
		r = start_learning(w, learned);
	if (r == 0)
		df_pin_init(w);
	if (r < 0)
		return r;
	r = df_loop_init(&w->loop);
	if (r < 0)
		return r;
	w->channel_source.ready = channel_ready;
	r = df_loop_add(&w->loop, channel, EPOLLIN, &w->channel_source);
	for (int i = 0; r == 0 && i < 4; i++) {
		struct df_listener *l = &w->listeners[i];

		l->source.ready = i < 2 ? df_udp_ready : df_tcp_accept;
		l->worker = w;
		l->is_ipv6 = i % 2 == 1;
		l->fd = l->is_ipv6 && !has_ipv6 ? -1 : fds[i];
		if (l->fd >= 0)
			r = df_loop_add(&w->loop, l->fd, EPOLLIN, &l->source);
	}
	return r == 0 ? df_payloads_init(w) : r;
}

/* Of two waits, -1: for ever. */
static int sooner(int a_ms, int b_ms)
{
	return b_ms >= 0 && (a_ms < 0 || b_ms < a_ms) ? b_ms : a_ms;
}

/*
 * Ends and closes whatever is due.  Returns the milliseconds that epoll may sleep.  The walks over
 * whole pools wait for their second: a round may serve a single query.
 */
static int housekeeping(struct df_worker *w)
{
	int ms;

	if (w->n_connections > 0)
		df_tcp_expire(w); /* first: it may take queries that wait */
	ms = df_relay_expire(w);
	if (w->now_ns >= w->next_housekeeping_ns) {
		df_report_summaries(w, false);
		df_learn_sweep(w->learn, w->now_ns);
		(void)df_flows_expire(w->flows, w->now_ns);
		w->is_any_upstream_open = df_upstream_expire(w);
		w->next_housekeeping_ns = w->now_ns + HOUSEKEEPING_MS * 1000000ull;
	}
	ms = sooner(ms, df_pin_run(w));
	ms = sooner(ms, df_report_release(w, false));
	if (w->is_any_upstream_open || w->flows->n_used > 0 || w->n_connections > 0 ||
	    w->history.n_repeated > 0)
		ms = sooner(ms, HOUSEKEEPING_MS);
	return ms;
}

_Noreturn void df_worker_run(const struct df_meta *meta, struct df_learn_shared *learned,
			     int channel)
{
	const struct df_msg_short ready = {.type = DF_MSG_READY};
	struct df_worker *w = &the.worker;
	int r;

	(void)prctl(PR_SET_NAME, "df-worker");
	r = init(w, meta, learned, channel);
	if (r == 0)
		r = df_sandbox_worker(DF_FD_LEARNED);
	if (r == 0 && send(channel, &ready, sizeof(ready), MSG_NOSIGNAL) < 0)
		_exit(1);
	while (r == 0) {
		r = df_loop_wait(&w->loop, housekeeping(w));
		w->now_ns = df_now_ns();
		df_loop_dispatch(&w->loop);
	}
	_exit(1);
}
