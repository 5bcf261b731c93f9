/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * uring HOW ADDRESS PORT: one exchange with an echo server by io_uring, without liburing.
 *
 * HOW: connect, connect-async (in a worker thread), connect-sqpoll (by the kernel's polling
 * thread), socket (IORING_OP_SOCKET, then connect), sendmsg and sendmsg-async (UDP).
 * Prints "ok", "silence", an errno by name, or "unavailable ENAME".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static const char text[] = "escape\n";

struct ring {
	int fd, is_polled;
	unsigned *sq_tail, *sq_mask, *sq_array, *sq_flags, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

static void end(const char *prefix, int error)
{
	printf("%s%s\n", prefix, error ? strerrorname_np(error) : "ok");
	exit(0);
}

static void ring_open(struct ring *r, unsigned flags)
{
	struct io_uring_params p = {.flags = flags, .sq_thread_idle = 1000};
	uint8_t *sq, *cq;

	r->fd = (int)syscall(SYS_io_uring_setup, 4, &p);
	if (r->fd < 0)
		end("unavailable ", errno);
	r->is_polled = (flags & IORING_SETUP_SQPOLL) != 0;
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * sizeof(unsigned), PROT_READ | PROT_WRITE,
		  MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe),
		  PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_CQ_RING);
	r->sqes = mmap(NULL, p.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
		       MAP_SHARED, r->fd, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || r->sqes == MAP_FAILED)
		end("mmap ", errno);
	r->sq_tail = (unsigned *)(sq + p.sq_off.tail);
	r->sq_mask = (unsigned *)(sq + p.sq_off.ring_mask);
	r->sq_array = (unsigned *)(sq + p.sq_off.array);
	r->sq_flags = (unsigned *)(sq + p.sq_off.flags);
	r->cq_head = (unsigned *)(cq + p.cq_off.head);
	r->cq_tail = (unsigned *)(cq + p.cq_off.tail);
	r->cq_mask = (unsigned *)(cq + p.cq_off.ring_mask);
	r->cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
}

/* Submits one entry and waits for what comes of it. */
static int ring_do(struct ring *r, const struct io_uring_sqe *sqe)
{
	unsigned tail = *r->sq_tail, head = *r->cq_head, flags = IORING_ENTER_GETEVENTS;
	int result;

	r->sqes[tail & *r->sq_mask] = *sqe;
	r->sq_array[tail & *r->sq_mask] = tail & *r->sq_mask;
	__atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(r->sq_flags, __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP)
		flags |= IORING_ENTER_SQ_WAKEUP;
	while (__atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE) == head) {
		if (syscall(SYS_io_uring_enter, r->fd, r->is_polled ? 0 : 1, 1, flags, NULL, 0) < 0)
			return -errno;
		flags |= r->is_polled ? IORING_ENTER_SQ_WAKEUP : 0;
	}
	result = r->cqes[head & *r->cq_mask].res;
	__atomic_store_n(r->cq_head, head + 1, __ATOMIC_RELEASE);
	return result;
}

static int new_socket(struct ring *r, int type, int by_ring)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_SOCKET, .fd = AF_INET, .off = (uint64_t)type};
	int fd = by_ring ? ring_do(r, &sqe) : socket(AF_INET, type, 0);

	if (fd < 0)
		end("unavailable ", by_ring ? -fd : errno);
	return fd;
}

static void expect_echo(int fd)
{
	struct timeval timeout = {.tv_sec = 1};
	char answer[4096];
	size_t len = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	do {
		ssize_t n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0);

		if (n <= 0) {
			puts(n < 0 && errno == EAGAIN ? "silence" : "closed");
			exit(0);
		}
		len += (size_t)n;
		answer[len] = '\0';
	} while (!strstr(answer, text));
	end("", 0);
}

static void by_connect(struct ring *r, const char *how, struct sockaddr_in *to)
{
	int fd = new_socket(r, SOCK_STREAM, strcmp(how, "socket") == 0), result;
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_CONNECT, .fd = fd, .addr = (uintptr_t)to, .off = sizeof(*to)};
	struct io_uring_sqe send = {.opcode = IORING_OP_SEND,
				    .fd = fd,
				    .addr = (uintptr_t)text,
				    .len = sizeof(text) - 1};

	if (strstr(how, "async"))
		sqe.flags = send.flags = IOSQE_ASYNC;
	result = ring_do(r, &sqe);
	if (result >= 0)
		result = ring_do(r, &send);
	if (result < 0)
		end("", -result);
	expect_echo(fd);
}

static void by_sendmsg(struct ring *r, const char *how, struct sockaddr_in *to)
{
	int fd = new_socket(r, SOCK_DGRAM, 0), result;
	struct iovec iov = {(void *)text, sizeof(text) - 1};
	struct msghdr msg = {
		.msg_name = to, .msg_namelen = sizeof(*to), .msg_iov = &iov, .msg_iovlen = 1};
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_SENDMSG, .fd = fd, .addr = (uintptr_t)&msg, .len = 1};

	if (strstr(how, "async"))
		sqe.flags = IOSQE_ASYNC;
	result = ring_do(r, &sqe);
	if (result < 0)
		end("", -result);
	expect_echo(fd);
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct ring r;

	if (argc != 4 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1)
		return 64;
	to.sin_port = htons((uint16_t)atoi(argv[3]));
	ring_open(&r, strstr(argv[1], "sqpoll") ? IORING_SETUP_SQPOLL : 0);
	if (strncmp(argv[1], "sendmsg", 7) == 0)
		by_sendmsg(&r, argv[1], &to);
	by_connect(&r, argv[1], &to);
	return 0;
}
