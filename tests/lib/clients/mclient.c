/*
 * mclient NAME                     getaddrinfo(), one address a line
 * mclient -HOW RESOLVER[#PORT] NAME [TYPE]   one hand-made query, no libc resolver between
 *
 * HOW is two letters. How it is sent: u (sendto/recvfrom), m (sendmsg/recvmsg), c (connect,
 * send/recv), t (TCP). Over what: 4, 6, or m (an AF_INET6 socket and the resolver's IPv4-mapped
 * address).
 *
 * Prints "peer=ADDRESS#PORT" (getpeername, c and t), "from=ADDRESS#PORT" (source of the reply, u
 * and m), "rcode=N", "id=ok|wrong" and one "address=A" per A or AAAA record; on failure "CALL:
 * ENAME (text)" and exit status 1, "timeout" and exit status 2 after two seconds without a reply.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

static const uint8_t query_id[2] = {0x4d, 0x43};

struct client {
	char how, over;
	int fd;
	struct sockaddr_storage to;
	socklen_t to_len;
	uint8_t query[300], reply[65536];
	size_t query_len, reply_len;
};

static void fail(const char *call)
{
	if (errno == EAGAIN) {
		puts("timeout");
		exit(2);
	}
	const char *name = errno == EPERM          ? "EPERM"
			   : errno == EACCES       ? "EACCES"
			   : errno == ECONNREFUSED ? "ECONNREFUSED"
			   : errno == EHOSTUNREACH ? "EHOSTUNREACH"
			   : errno == ENETUNREACH  ? "ENETUNREACH"
						   : "error";
	printf("%s: %s (%s)\n", call, name, strerror(errno));
	exit(1);
}

static void print_address(const char *what, const struct sockaddr_storage *addr, socklen_t len)
{
	char host[INET6_ADDRSTRLEN], port[8];

	if (getnameinfo((const struct sockaddr *)addr, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		printf("%s=%s#%s\n", what, host, port);
}

static int look_up(const char *name)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	int r = getaddrinfo(name, NULL, &hints, &list);

	if (r != 0) {
		printf("getaddrinfo: %s\n", gai_strerror(r));
		return 1;
	}
	for (struct addrinfo *a = list; a != NULL; a = a->ai_next) {
		char host[INET6_ADDRSTRLEN];

		getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST);
		puts(host);
	}
	freeaddrinfo(list);
	return 0;
}

static void parse_resolver(struct client *c, char *text)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_DGRAM}, *list;
	char mapped[64], *port = strchr(text, '#');

	if (port != NULL)
		*port++ = '\0';
	snprintf(mapped, sizeof(mapped), "%s%s", c->over == 'm' ? "::ffff:" : "", text);
	if (getaddrinfo(mapped, port != NULL ? port : "53", &hints, &list) != 0) {
		printf("not an address: %s\n", mapped);
		exit(64);
	}
	memcpy(&c->to, list->ai_addr, list->ai_addrlen);
	c->to_len = list->ai_addrlen;
	freeaddrinfo(list);
}

static void build_query(struct client *c, const char *name, int type)
{
	uint8_t *at = c->query + 12;

	memcpy(c->query, query_id, 2);
	c->query[2] = 1; /* RD */
	c->query[5] = 1; /* one question */
	while (*name != '\0' && at < c->query + 200) {
		size_t label = strcspn(name, ".");

		*at++ = (uint8_t)label;
		memcpy(at, name, label);
		at += label;
		name += label + (name[label] == '.');
	}
	memcpy(at, (uint8_t[]){0, (uint8_t)(type >> 8), (uint8_t)type, 0, 1}, 5);
	c->query_len = (size_t)(at + 5 - c->query);
}

static void open_socket(struct client *c)
{
	struct timeval limit = {.tv_sec = 2};
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	c->fd = socket(c->over == '4' ? AF_INET : AF_INET6,
		       c->how == 't' ? SOCK_STREAM : SOCK_DGRAM, 0);
	if (c->fd < 0)
		fail("socket");
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (c->how != 'c' && c->how != 't')
		return;
	if (connect(c->fd, (struct sockaddr *)&c->to, c->to_len) != 0)
		fail("connect");
	if (getpeername(c->fd, (struct sockaddr *)&peer, &len) != 0)
		fail("getpeername");
	print_address("peer", &peer, len);
}

static void exchange_tcp(struct client *c)
{
	uint8_t size[2] = {(uint8_t)(c->query_len >> 8), (uint8_t)c->query_len};
	struct iovec parts[2] = {{size, 2}, {c->query, c->query_len}};

	if (writev(c->fd, parts, 2) < 0)
		fail("writev");
	if (recv(c->fd, size, 2, MSG_WAITALL) != 2)
		fail("recv");
	c->reply_len = (size_t)size[0] << 8 | size[1];
	if (recv(c->fd, c->reply, c->reply_len, MSG_WAITALL) != (ssize_t)c->reply_len)
		fail("recv");
}

static void exchange_udp(struct client *c)
{
	struct sockaddr_storage from = {0};
	struct iovec out = {c->query, c->query_len}, in = {c->reply, sizeof(c->reply)};
	struct msghdr sent = {
		.msg_name = &c->to, .msg_namelen = c->to_len, .msg_iov = &out, .msg_iovlen = 1};
	struct msghdr got = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &in, .msg_iovlen = 1};
	socklen_t len = sizeof(from);
	ssize_t n;

	if (c->how == 'c') {
		if (send(c->fd, c->query, c->query_len, 0) < 0)
			fail("send");
		n = recv(c->fd, c->reply, sizeof(c->reply), 0);
	} else if (c->how == 'u') {
		if (sendto(c->fd, c->query, c->query_len, 0, (struct sockaddr *)&c->to, c->to_len) <
		    0)
			fail("sendto");
		n = recvfrom(c->fd, c->reply, sizeof(c->reply), 0, (struct sockaddr *)&from, &len);
	} else {
		if (sendmsg(c->fd, &sent, 0) < 0)
			fail("sendmsg");
		n = recvmsg(c->fd, &got, 0);
		len = got.msg_namelen;
	}
	if (n < 0)
		fail("recv");
	c->reply_len = (size_t)n;
	if (c->how != 'c')
		print_address("from", &from, len);
}

/* Names in answers are only stepped over; the servers of the tests compress nothing but whole
 * names. */
static const uint8_t *skip_name(const uint8_t *at, const uint8_t *end)
{
	while (at < end && *at != 0 && *at < 0xc0)
		at += 1 + *at;
	return at < end && *at == 0 ? at + 1 : at + 2;
}

static void print_reply(const struct client *c)
{
	const uint8_t *at = c->reply + c->query_len, *end = c->reply + c->reply_len;

	if (c->reply_len < c->query_len) {
		printf("short reply: %zu octets\n", c->reply_len);
		exit(1);
	}
	printf("rcode=%d\nid=%s\n", c->reply[3] & 15,
	       memcmp(c->reply, query_id, 2) == 0 ? "ok" : "wrong");
	for (int left = c->reply[6] << 8 | c->reply[7]; left > 0; left--) {
		char text[INET6_ADDRSTRLEN];

		at = skip_name(at, end);
		if (end - at < 10 || end - at < 10 + (at[8] << 8 | at[9]))
			return;
		if (at[1] == 1 || at[1] == 28)
			printf("address=%s\n", inet_ntop(at[1] == 1 ? AF_INET : AF_INET6, at + 10,
							 text, sizeof(text)));
		at += 10 + (at[8] << 8 | at[9]);
	}
}

int main(int argc, char **argv)
{
	static struct client c;

	if (argc == 2)
		return look_up(argv[1]);
	if (argc < 4 || strlen(argv[1]) != 3 || strchr("umct", argv[1][1]) == NULL ||
	    strchr("46m", argv[1][2]) == NULL) {
		fputs("usage: mclient NAME | mclient -{u|m|c|t}{4|6|m} RESOLVER[#PORT] NAME "
		      "[TYPE]\n",
		      stderr);
		return 64;
	}
	c.how = argv[1][1];
	c.over = argv[1][2];
	parse_resolver(&c, argv[2]);
	build_query(&c, argv[3], argc > 4 ? atoi(argv[4]) : 1);
	open_socket(&c);
	if (c.how == 't')
		exchange_tcp(&c);
	else
		exchange_udp(&c);
	print_reply(&c);
	return 0;
}
