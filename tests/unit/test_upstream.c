/* SPDX-License-Identifier: GPL-2.0-or-later */
/* upstream: a query leaves by a socket that is open, also where no other can be had. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "proxy/worker/upstream.h"
#include "tests/lib/dns_msg.h"

static struct df_worker w;

/* A resolver on 127.0.0.1: its socket, and where it is. */
static int listen_udp(struct df_resolver *ret)
{
	static const uint8_t loopback[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1};
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const void *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (void *)&at, &len), 0);
	memcpy(ret->addr, loopback, sizeof(ret->addr));
	ret->port = at.sin_port;
	return fd;
}

static bool is_asked(int resolver)
{
	uint8_t packet[512];

	return recv(resolver, packet, sizeof(packet), MSG_DONTWAIT) > DF_DNS_HEADER_LEN;
}

/* Every place is taken, and the socket that idles longest is that resolver's only one. */
static void test_none_to_be_had(void **state)
{
	static const struct df_meta meta = {.job.mode = DF_MODE_ENFORCE};
	static struct df_msg msg;
	static struct df_query asked;
	struct df_upstream *own = &w.upstreams[7];
	int resolver;
	uint16_t id;

	(void)state;
	resolver = listen_udp(&asked.to);
	asked.to.may_be_local = true;
	df_msg_init(&msg, 1, 0x0100, "ok.example", 1);
	assert_int_equal(df_dns_parse_query(msg.b, msg.len, &asked.msg, &id), 0);
	w.meta = &meta;
	assert_int_equal(df_loop_init(&w.loop), 0);
	df_upstream_init(&w);
	for (int i = 0; i < DF_UPSTREAMS_MAX; i++) {
		w.upstreams[i].fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		assert_true(w.upstreams[i].fd >= 0);
		w.upstreams[i].n_in_flight = 1;
	}
	(void)close(own->fd);
	own->fd = -1;

	assert_int_equal(df_upstream_send(&w, &asked, NULL, 0),
			 0); /* by the only place that is free */
	assert_int_equal(asked.peer, own - w.upstreams);
	assert_true(is_asked(resolver));
	df_upstream_settled(&w, asked.peer);

	df_loop_done(&w.loop); /* nothing can be added any more */
	assert_int_equal(df_upstream_send(&w, &asked, NULL, 0), 0);
	assert_int_equal(asked.peer, own - w.upstreams);
	assert_true(is_asked(resolver));
	df_upstream_settled(&w, asked.peer);

	assert_int_equal(df_loop_init(&w.loop), 0);
	own->to.port ^= 1; /* somebody else's: it makes room */
	assert_int_equal(df_upstream_send(&w, &asked, NULL, 0), 0);
	assert_int_equal(asked.peer, own - w.upstreams);
	assert_true(is_asked(resolver));

	/* and without an idle one there is none */
	own->to.port ^= 1;
	assert_true(df_upstream_send(&w, &asked, NULL, 0) < 0);
	for (int i = 0; i < DF_UPSTREAMS_MAX; i++)
		(void)close(w.upstreams[i].fd);
	df_loop_done(&w.loop);
	(void)close(resolver);
}

/* A resolver that the namespace itself has: loopback, and what leads there. */
static void test_local_is_refused(void **state)
{
	static const struct df_resolver rows[] = {
		{{[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}, 0x3500, false},
		{{[10] = 0xff, [11] = 0xff, [12] = 127, [13] = 1, [15] = 53}, 0x3500, false},
		{{[10] = 0xff, [11] = 0xff}, 0x3500, false},
		{{[15] = 1}, 0x3500, false},
		{{0}, 0x3500, false},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_resolver to = rows[i];
		int fd = df_upstream_connect(&to, SOCK_DGRAM);

		if (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT || fd == -ENETUNREACH)
			continue; /* no IPv6 here */
		assert_int_equal(fd, -ELOOP);
		to.may_be_local = true;
		fd = df_upstream_connect(&to, SOCK_DGRAM);
		assert_true(fd >= 0);
		(void)close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none_to_be_had),
		cmocka_unit_test(test_local_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
