/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * connections: which ones are not ended, with one over loopback of this process.  That
 * those of the container are is for tests/e2e/48-payload.bats.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/monitor/connections.h"

struct connection {
	int client, server;
	struct df_msg_destroy m;
};

static void mapped(const struct sockaddr_in *a, uint8_t ret[static 16])
{
	memset(ret, 0, 16);
	ret[10] = ret[11] = 0xff;
	memcpy(ret + 12, &a->sin_addr, 4);
}

static void connect_pair(struct connection *ret)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}}, from;
	socklen_t len = sizeof(to);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&to, &len), 0);
	ret->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(ret->client, (struct sockaddr *)&to, sizeof(to)), 0);
	ret->server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(ret->server >= 0);
	(void)close(listener);
	assert_int_equal(getsockname(ret->client, (struct sockaddr *)&from, &len), 0);
	ret->m = (struct df_msg_destroy){.type = DF_MSG_DESTROY,
					 .sport = from.sin_port,
					 .dport = to.sin_port,
					 .port = to.sin_port};
	mapped(&from, ret->m.saddr);
	mapped(&to, ret->m.daddr);
	mapped(&to, ret->m.addr);
	len = sizeof(ret->m.cookie);
	assert_int_equal(getsockopt(ret->client, SOL_SOCKET, SO_COOKIE, &ret->m.cookie, &len), 0);
}

static void close_pair(struct connection *c)
{
	(void)close(c->client);
	(void)close(c->server);
}

static int destroy(const struct df_msg_destroy *m)
{
	struct df_connections c = {.cgroup_id = UINT64_MAX}; /* nobody's */

	return df_connections_destroy(&c, m);
}

static bool is_alive(const struct connection *c)
{
	char octet;

	return recv(c->client, &octet, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void test_others(void **state)
{
	struct connection c;

	(void)state;
	connect_pair(&c);
	assert_int_equal(destroy(&c.m), -EXDEV); /* made in another cgroup */
	c.m.daddr[15] = 77;
	assert_int_equal(destroy(&c.m), -EXDEV); /* found, as if NAT had changed the packet */
	c.m.addr[15] = 77;
	assert_int_equal(destroy(&c.m), -ENOENT);
	c.m.daddr[15] = c.m.addr[15] = 1;
	c.m.cookie++; /* the same tuple, another socket */
	assert_int_equal(destroy(&c.m), -ENOENT);
	c.m.cookie--;
	assert_true(is_alive(&c));
	close_pair(&c);
}

static void test_nonsense(void **state)
{
	struct connection c;
	struct df_msg_destroy m;

	(void)state;
	connect_pair(&c);
	m = c.m;
	m.cookie = 0;
	assert_int_equal(destroy(&m), -EBADMSG);
	m.cookie = UINT64_MAX; /* INET_DIAG_NOCOOKIE: whoever has the tuple */
	assert_int_equal(destroy(&m), -EBADMSG);
	m = c.m;
	m.sport = 0;
	assert_int_equal(destroy(&m), -EBADMSG);
	m = c.m;
	memset(m.saddr, 1, sizeof(m.saddr)); /* IPv6 to IPv4 */
	assert_int_equal(destroy(&m), -EBADMSG);
	close_pair(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
