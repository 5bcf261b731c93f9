/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The container's own addresses, as the kernel programs look them up.
 *
 * The kernel says that something has changed, and then all of them are read again: what it
 * says may be lost, if there is much of it.  A container that changes its addresses all the
 * time is read at intervals.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <bpf/bpf.h>

#include "lib/base/util.h"
#include "proxy/monitor/monitor.h"
#include "lib/base/own_addr.h"

#define READ_EVERY_NS 50000000ull

static struct df_own entered; /* what the map has */

static bool is_among(const struct df_own *o, const uint8_t addr[static 16])
{
	for (unsigned i = 0; i < o->n; i++)
		if (memcmp(o->addrs[i], addr, 16) == 0)
			return true;
	return false;
}

/* New ones first.  One that finds no room (no memory) is refused as any other address. */
static void enter(struct df_monitor *m)
{
	static struct df_own now;
	const uint32_t one = 1;

	df_own_read(&now);
	for (unsigned i = 0; i < now.n; i++)
		if (!is_among(&entered, now.addrs[i]))
			(void)bpf_map_update_elem(DF_FD_OWN, now.addrs[i], &one, BPF_ANY);
	for (unsigned i = 0; i < entered.n; i++)
		if (!is_among(&now, entered.addrs[i]))
			(void)bpf_map_delete_elem(DF_FD_OWN, entered.addrs[i]);
	entered = now;
	m->own_read_ns = m->now_ns;
	m->own_due_ns = 0;
}

static void addresses_changed(struct df_source *s, uint32_t events)
{
	struct df_monitor *m =
		(struct df_monitor *)((char *)s - offsetof(struct df_monitor, own_source));
	const uint64_t earliest = m->own_read_ns + READ_EVERY_NS;
	char message[1024]; /* what it is does not matter */

	(void)events;
	/* ENOBUFS, some were lost, is one of them */
	for (int i = 0; i < DF_MESSAGES_A_ROUND; i++)
		if (recv(m->own_events, message, sizeof(message), MSG_DONTWAIT | MSG_TRUNC) < 0 &&
		    errno != ENOBUFS)
			break;
	m->own_due_ns = earliest > m->now_ns ? earliest : m->now_ns;
}

int df_own_map_start(struct df_monitor *m)
{
	const struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
					   .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
	int r;

	m->own_events = -1;
	if (m->meta->is_host_netns)
		return 0;
	m->own_events = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (m->own_events < 0 ||
	    bind(m->own_events, (const struct sockaddr *)&groups, sizeof(groups)) < 0)
		return -errno;
	m->own_source.ready = addresses_changed;
	r = df_loop_add(&m->loop, m->own_events, EPOLLIN, &m->own_source);
	if (r == 0)
		enter(m); /* behind the line above: what changes from here on is told */
	return r;
}

void df_own_map_step(struct df_monitor *m)
{
	if (m->own_due_ns && m->now_ns >= m->own_due_ns)
		enter(m);
}
