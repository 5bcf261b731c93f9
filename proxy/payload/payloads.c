/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/payload/payloads.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/util.h"
#include "proxy/learn/teach.h"
#include "proxy/payload/flows.h"
#include "proxy/worker/report.h"
#include "proxy/worker/state.h"

#define PAYLOADS_A_ROUND 16 /* a flood must not stop DNS, nor the answers to the monitor */

static int put(void *data, uint64_t cookie, const struct df_flow *flow)
{
	(void)data;
	return bpf_map_update_elem(DF_FD_FLOWS, &cookie, flow, BPF_ANY);
}

static void remove_verdict(void *data, uint64_t cookie)
{
	(void)data;
	(void)bpf_map_delete_elem(DF_FD_FLOWS, &cookie); /* the kernel may have taken it out */
}

static uint32_t report(void *data, const struct df_payload *p, const struct df_payload_judgement *g)
{
	return df_report_payload(data, p, g);
}

static void destroy(void *data, const struct df_msg_destroy *m)
{
	struct df_worker *w = data;

	if (send(w->channel, m, sizeof(*m), MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof(*m))
		w->n_dropped++; /* it is blocked without that, and waits */
}

static void push(void *data, const struct df_msg_resume *m)
{
	const struct df_worker *w = data;

	(void)send(w->channel, m, sizeof(*m), MSG_DONTWAIT | MSG_NOSIGNAL); /* else it waits */
}

static int on_payload(void *data, void *record, size_t size)
{
	static struct df_payload p; /* of the one worker of the process; too large for a stack */
	struct df_worker *w = data;

	if (size < sizeof(p))
		return 0;
	memcpy(&p, record, sizeof(p));
	df_flows_take(w->flows, &p, df_now_ns());
	return --w->n_payloads_left == 0 ? -EAGAIN
					 : 0; /* the records that are left keep epoll ready */
}

static void payloads_ready(struct df_source *s, uint32_t events)
{
	struct df_worker *w =
		(struct df_worker *)((char *)s - offsetof(struct df_worker, payloads_source));

	(void)events;
	w->n_payloads_left = PAYLOADS_A_ROUND;
	(void)ring_buffer__consume(w->payloads);
}

/* Removes the verdicts of the last worker: a connection that waits for one asks again. */
static void clear_verdicts(void)
{
	uint64_t cookie;

	for (unsigned i = 0; i < DF_FLOWS_MAX; i++) {
		if (bpf_map_get_next_key(DF_FD_FLOWS, NULL, &cookie) < 0)
			return;
		(void)bpf_map_delete_elem(DF_FD_FLOWS, &cookie);
	}
}

int df_payloads_init(struct df_worker *w)
{
	w->flows->tables = &w->tables;
	w->flows->learn = w->learn;
	w->flows->ports = &w->teach->ports;
	w->flows->ops = (struct df_flows_ops){put, remove_verdict, report, destroy, push, w};
	w->flows->start_ns = w->now_ns;
	clear_verdicts();
	w->payloads_source.ready = payloads_ready;
	w->payloads = ring_buffer__new(DF_FD_PAYLOADS, on_payload, w, NULL);
	if (!w->payloads)
		return -errno;
	return df_loop_add(&w->loop, ring_buffer__epoll_fd(w->payloads), EPOLLIN,
			   &w->payloads_source);
}
