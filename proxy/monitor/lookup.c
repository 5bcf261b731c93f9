/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who asked: requests to the reader, and what waits for its answers. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/monitor/monitor.h"
#include "proxy/monitor/reader.h"

#define PUSH_LOOKUPS_MAX 8

static void tell_worker(struct df_monitor *m, uint32_t seq)
{
	const struct df_msg_short s = {.type = DF_MSG_IDENTIFIED, .seq = seq};

	if (m->worker.pid)
		(void)send(m->worker.channel, &s, sizeof(s), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/*
 * A refusal is at once, and whoever got it may be gone: the command line is as the kernel
 * found it then.
 */
static void take_recorded_cmd(const struct df_event_task *e, struct df_identity *who)
{
	if (who->state == DF_IDENTITY_OK || e->cmd_len > sizeof(e->cmd))
		return;
	_Static_assert(sizeof(who->cmd) >= sizeof(e->cmd), "who->cmd holds it");
	memcpy(who->cmd, e->cmd, e->cmd_len);
	who->cmd_len = (uint16_t)df_reader_cmdline(who->cmd, e->cmd_len);
}

/* The line needs no more than the command, if the kernel has all of it. */
static void show_early(struct df_monitor *m, const struct df_event_task *e,
		       const struct df_token *t)
{
	struct df_identity who;

	if (!e->event.refused || e->cmd_len == 0 || e->cmd_len >= sizeof(e->cmd))
		return;
	df_reader_from_token(t, DF_IDENTITY_GONE, &who);
	take_recorded_cmd(e, &who);
	who.state = DF_IDENTITY_OK;
	df_record_kernel_early(&m->record, &e->event, &who);
}

/* The identity is there, or will not come: let go of what waited. */
static void settle(struct df_monitor *m, struct df_lookup *l, struct df_identity *who)
{
	if (l->is_kernel) {
		take_recorded_cmd(&l->event, who);
		df_record_kernel(&m->record, &l->event.event, who);
	} else {
		df_record_identity(&m->record, l->worker_seq, who);
		/* first our line on the container's stderr, then the answer and what the client
		 * says */
		if (l->has_record)
			(void)df_record_query(&m->record, &l->record);
		tell_worker(m, l->worker_seq);
	}
	l->seq = 0;
	while (m->n_lookups > 0 && m->lookups[m->n_lookups - 1].seq == 0)
		m->n_lookups--;
}

static void give_up(struct df_monitor *m, struct df_lookup *l)
{
	struct df_identity who;

	df_reader_from_token(&l->token, DF_IDENTITY_UNAVAILABLE, &who);
	settle(m, l, &who);
}

static void give_up_all(struct df_monitor *m)
{
	for (unsigned i = 0; i < m->n_lookups; i++)
		if (m->lookups[i].seq)
			give_up(m, &m->lookups[i]);
}

/* The reader parses what a hostile process shows of itself: its word is checked too. */
static void make_sane(struct df_identity *who)
{
	if (who->cmd_len > sizeof(who->cmd))
		who->cmd_len = sizeof(who->cmd);
	if (who->n_ancestors > DF_EVENT_ANCESTORS_MAX)
		who->n_ancestors = DF_EVENT_ANCESTORS_MAX;
	if (who->state > DF_IDENTITY_UNAVAILABLE)
		who->state = DF_IDENTITY_UNAVAILABLE;
	who->comm[sizeof(who->comm) - 1] = '\0';
	who->exe[sizeof(who->exe) - 1] = '\0';
	who->cwd[sizeof(who->cwd) - 1] = '\0';
}

static void reader_ready(struct df_source *s, uint32_t events)
{
	struct df_monitor *m =
		(struct df_monitor *)((char *)s - offsetof(struct df_monitor, reader.source));
	struct df_msg_identity in;
	struct df_lookup *l;

	(void)events;
	for (int k = 0; m->reader.pid && k < DF_MESSAGES_A_ROUND; k++) {
		ssize_t n = recv(m->reader.channel, &in, sizeof(in), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n != (ssize_t)sizeof(in)) {
			df_child_stop(m, &m->reader);
			give_up_all(m);
			return;
		}
		make_sane(&in.who);
		m->reader_answer_ns = m->now_ns;
		l = &m->lookups[in.seq % DF_LOOKUPS_MAX];
		if (in.seq && l->seq == in.seq)
			settle(m, l, &in.who);
	}
}

/* NULL: all places are taken. */
static struct df_lookup *take(struct df_monitor *m, const struct df_token *t)
{
	struct df_lookup *l;
	unsigned i = 0;

	while (i < m->n_lookups && m->lookups[i].seq)
		i++;
	if (i == DF_LOOKUPS_MAX)
		return NULL;
	if (i == m->n_lookups)
		m->n_lookups++;
	m->lookup_seq += DF_LOOKUPS_MAX;
	if (m->lookup_seq == 0) /* it has wrapped, and 0 is of a free place */
		m->lookup_seq = DF_LOOKUPS_MAX;
	l = &m->lookups[i];
	l->seq = m->lookup_seq | i;
	l->since_ns = m->now_ns;
	l->has_record = false;
	l->is_kernel = false;
	l->token = *t;
	return l;
}

_Static_assert((DF_LOOKUPS_MAX & (DF_LOOKUPS_MAX - 1)) == 0, "the rest of seq is a place");

/* Starts the reader with the first message: an idle fence needs none. */
static bool tell_reader(struct df_monitor *m, const void *message, size_t size)
{
	if (m->reader.pid == 0) {
		m->reader.source.ready = reader_ready;
		if (df_child_start_reader(m) < 0)
			return false;
	}
	return send(m->reader.channel, message, size, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static void ask(struct df_monitor *m, struct df_lookup *l)
{
	const struct df_msg_lookup q = {.type = DF_MSG_LOOKUP, .seq = l->seq, .token = l->token};

	if (!tell_reader(m, &q, sizeof(q)))
		give_up(m, l);
}

void df_lookup_push(struct df_monitor *m, const struct df_msg_push *push)
{
	/* who asked goes first: it waits for two milliseconds; and TCP tries again by itself */
	if (m->n_lookups < PUSH_LOOKUPS_MAX)
		(void)tell_reader(m, push, sizeof(*push));
}

void df_lookup_query(struct df_monitor *m, const struct df_msg_query *q)
{
	struct df_lookup *l = take(m, &q->token);

	if (!l) {
		tell_worker(m, q->seq);
		if (q->flags & DF_QUERY_RECORD)
			(void)df_record_query(&m->record, q);
		return;
	}
	l->worker_seq = q->seq;
	if (q->flags & DF_QUERY_RECORD) {
		l->has_record = true;
		l->record = *q;
	}
	ask(m, l);
}

void df_lookup_kernel(struct df_monitor *m, const struct df_event_task *task)
{
	const struct df_event *e = &task->event;
	struct df_token t = {.tgid = e->tgid,
			     .tid = e->tid,
			     .uid = e->uid,
			     .time = e->time,
			     .parent = task->parent,
			     .start = task->start};
	struct df_lookup *l;

	if (!e->has_identity) {
		df_record_kernel(&m->record, e, NULL);
		return;
	}
	memcpy(t.comm, e->comm, sizeof(t.comm));
	l = take(m, &t);
	if (!l) {
		struct df_identity who;

		df_reader_from_token(&t, DF_IDENTITY_UNAVAILABLE, &who);
		take_recorded_cmd(task, &who);
		df_record_kernel(&m->record, e, &who);
		return;
	}
	show_early(m, task, &t);
	l->is_kernel = true;
	l->event = *task;
	ask(m, l);
}

void df_lookup_record(struct df_monitor *m, const struct df_msg_query *q)
{
	for (unsigned i = 0; i < m->n_lookups; i++) {
		struct df_lookup *l = &m->lookups[i];

		if (l->seq && !l->is_kernel && l->worker_seq == q->seq && !l->has_record) {
			l->has_record = true;
			l->record = *q;
			return;
		}
	}
	(void)df_record_query(&m->record, q);
}

bool df_lookup_is_any_open(const struct df_monitor *m)
{
	for (unsigned i = 0; i < m->n_lookups; i++)
		if (m->lookups[i].seq)
			return true;
	return false;
}

void df_lookup_forget_worker(struct df_monitor *m)
{
	for (unsigned i = 0; i < m->n_lookups; i++)
		if (m->lookups[i].seq && !m->lookups[i].is_kernel)
			give_up(m, &m->lookups[i]);
	df_record_forget(&m->record);
}

void df_lookup_expire(struct df_monitor *m)
{
	bool is_stuck = false;

	for (unsigned i = 0; i < m->n_lookups; i++) {
		const struct df_lookup *l = &m->lookups[i];

		is_stuck |= l->seq && m->now_ns - l->since_ns >= DF_LOOKUP_DEADLINE_NS &&
			    m->now_ns - m->reader_answer_ns >= DF_LOOKUP_DEADLINE_NS;
	}
	if (!is_stuck)
		return;
	df_child_stop(m, &m->reader);
	give_up_all(m);
}
