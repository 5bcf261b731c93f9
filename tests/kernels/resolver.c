/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resolver ADDRESS…: a DNS server for the guest, on port 53 of each address, UDP and TCP.
 *
 * Every name has the one address 192.0.2.1, whichever is asked: github.com too, so that
 * only a fence refuses it.  Other types have no records.  Goes to the background once it
 * listens.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER 12
#define ADDRESSES_MAX 4
#define TYPE_A 1

/* RFC 1035 4.1: the answer to the query in msg, made in place.  Its length; 0: none. */
static size_t answer(uint8_t *msg, size_t len, size_t size)
{
	static const uint8_t record[] = {0xc0, HEADER, 0, TYPE_A, 0,   1, 0, 0,
					 0,    60,     0, 4,      192, 0, 2, 1};
	size_t at = HEADER;
	int is_a;

	if (len < HEADER || msg[5] != 1)
		return 0;
	while (at < len && msg[at] != 0)
		at += msg[at] + 1u;
	at += 5; /* the root label, type, class */
	if (at > len || at + sizeof(record) > size)
		return 0;
	is_a = msg[at - 4] == 0 && msg[at - 3] == TYPE_A;
	msg[2] = 0x84 | (msg[2] & 1); /* QR, AA, RD as asked */
	msg[3] = 0x80;                /* RA, NOERROR */
	memset(msg + 6, 0, 6);        /* neither authority nor additional, EDNS included */
	msg[7] = (uint8_t)is_a;
	if (is_a) {
		memcpy(msg + at, record, sizeof(record));
		at += sizeof(record);
	}
	return at;
}

static void serve_udp(int fd)
{
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	uint8_t msg[1024];
	ssize_t n = recvfrom(fd, msg, sizeof(msg), 0, (struct sockaddr *)&from, &from_len);
	size_t len = n > 0 ? answer(msg, (size_t)n, sizeof(msg)) : 0;

	if (len > 0)
		(void)sendto(fd, msg, len, 0, (struct sockaddr *)&from, from_len);
}

static int read_exactly(int fd, uint8_t *buf, size_t len)
{
	return recv(fd, buf, len, MSG_WAITALL) == (ssize_t)len ? 0 : -1;
}

/* One connection at a time, until its end; two seconds of silence end it. */
static void serve_tcp(int listener)
{
	struct timeval limit = {.tv_sec = 2};
	int fd = accept(listener, NULL, NULL);
	uint8_t msg[2 + 1024];
	size_t len;

	if (fd < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	while (read_exactly(fd, msg, 2) == 0) {
		len = (size_t)msg[0] << 8 | msg[1];
		if (len > sizeof(msg) - 2 || read_exactly(fd, msg + 2, len) < 0)
			break;
		len = answer(msg + 2, len, sizeof(msg) - 2);
		msg[0] = (uint8_t)(len >> 8);
		msg[1] = (uint8_t)len;
		if (len == 0 || send(fd, msg, len + 2, MSG_NOSIGNAL) < 0)
			break;
	}
	(void)close(fd);
}

static int open_socket(const char *address, int type)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = type}, *a;
	int fd = -1, yes = 1;

	if (getaddrinfo(address, "53", &hints, &a) != 0)
		return -1;
	fd = socket(a->ai_family, type, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 16) < 0)) {
		perror(address);
		exit(1);
	}
	freeaddrinfo(a);
	return fd;
}

int main(int argc, char **argv)
{
	struct pollfd fds[2 * ADDRESSES_MAX];
	nfds_t n = 0;

	for (int i = 1; i < argc && i <= ADDRESSES_MAX; i++) {
		fds[n++] =
			(struct pollfd){.fd = open_socket(argv[i], SOCK_DGRAM), .events = POLLIN};
		fds[n++] =
			(struct pollfd){.fd = open_socket(argv[i], SOCK_STREAM), .events = POLLIN};
	}
	if (n == 0 || daemon(0, 1) < 0)
		return 64;
	while (poll(fds, n, -1) > 0 || errno == EINTR)
		for (nfds_t i = 0; i < n; i++)
			if (fds[i].revents)
				i % 2 ? serve_tcp(fds[i].fd) : serve_udp(fds[i].fd);
	return 1;
}
