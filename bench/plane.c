// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * plane ADDRESS: what one call costs, in ns: connect() of a UDP socket, sendto() of 64
 * octets on an unconnected one, send() on a connected one, connect and close of TCP.
 * One line: the medians of ROUNDS rounds.  Called by bench/plane, in containers.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 15
#define CALLS 4000
#define TCP_CALLS 50
#define PORT 9999

static struct sockaddr_in to = {.sin_family = AF_INET};
static char payload[64];

static double now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int udp(void)
{
	return socket(AF_INET, SOCK_DGRAM, 0);
}

static int do_connect(int fd)
{
	return connect(fd, (const struct sockaddr *)&to, sizeof(to));
}

static int do_sendto(int fd)
{
	return sendto(fd, payload, sizeof(payload), 0, (const struct sockaddr *)&to, sizeof(to)) <
	       0;
}

static int do_send(int fd)
{
	return send(fd, payload, sizeof(payload), 0) < 0;
}

static int do_tcp(int unused)
{
	const struct linger at_once = {.l_onoff = 1};
	int fd = socket(AF_INET, SOCK_STREAM, 0), r;

	(void)unused;
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	r = connect(fd, (const struct sockaddr *)&to, sizeof(to));
	(void)close(fd);
	return r;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double measure(int (*call)(int), int fd, int n)
{
	double ns[ROUNDS];

	for (int round = 0; round < ROUNDS; round++) {
		const double begin = now_ns();

		for (int i = 0; i < n; i++)
			if (call(fd) != 0) {
				perror("plane");
				exit(1);
			}
		ns[round] = (now_ns() - begin) / n;
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), compare);
	return ns[ROUNDS / 2];
}

int main(int argc, char **argv)
{
	int connected = udp();

	if (argc != 2 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 64;
	to.sin_port = htons(PORT);
	if (do_connect(connected) < 0)
		return 1;
	(void)printf("%.0f %.0f %.0f ", measure(do_connect, udp(), CALLS),
		     measure(do_sendto, udp(), CALLS), measure(do_send, connected, CALLS));
	to.sin_port = htons(80);
	(void)printf("%.0f\n", measure(do_tcp, -1, TCP_CALLS));
	return 0;
}
