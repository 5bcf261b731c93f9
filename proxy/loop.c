/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/loop.h"

#include <errno.h>
#include <unistd.h>

int df_loop_init(struct df_loop *ret)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return -errno;
	ret->n_ready = 0;
	ret->epoll_fd = fd;
	return 0;
}

void df_loop_done(struct df_loop *l)
{
	(void)close(l->epoll_fd);
	l->epoll_fd = -1;
}

static int control(struct df_loop *l, int op, int fd, uint32_t events, struct df_source *s)
{
	struct epoll_event e = {.events = events, .data = {.ptr = s}};

	return epoll_ctl(l->epoll_fd, op, fd, &e) < 0 ? -errno : 0;
}

int df_loop_add(struct df_loop *l, int fd, uint32_t events, struct df_source *s)
{
	return control(l, EPOLL_CTL_ADD, fd, events, s);
}

int df_loop_change(struct df_loop *l, int fd, uint32_t events, struct df_source *s)
{
	return control(l, EPOLL_CTL_MOD, fd, events, s);
}

void df_loop_remove(struct df_loop *l, int fd, const struct df_source *s)
{
	(void)control(l, EPOLL_CTL_DEL, fd, 0, NULL);
	for (int i = 0; i < l->n_ready; i++)
		if (l->ready[i].data.ptr == s)
			l->ready[i].data.ptr = NULL;
}

int df_loop_wait(struct df_loop *l, int timeout_ms)
{
	l->n_ready = epoll_wait(l->epoll_fd, l->ready, DF_LOOP_EVENTS, timeout_ms);
	if (l->n_ready >= 0)
		return 0;
	l->n_ready = 0;
	return errno == EINTR ? 0 : -errno;
}

void df_loop_dispatch(struct df_loop *l)
{
	for (int i = 0; i < l->n_ready; i++) {
		struct df_source *s = l->ready[i].data.ptr;

		if (s)
			s->ready(s, l->ready[i].events);
	}
	l->n_ready = 0;
}
