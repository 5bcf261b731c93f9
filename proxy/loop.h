/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop: epoll with a function for each descriptor.
 *
 * A source is embedded in what owns the descriptor and must outlive the loop:
 * sources come from fixed pools.  Once removed, a source gets no event, not even
 * of the round that is being dispatched: its memory may be in other use by then.
 */
#ifndef DF_LOOP_H
#define DF_LOOP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

/* The struct of that type in which member is *ptr. */
#define DF_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

struct df_source {
	void (*ready)(struct df_source *s, uint32_t events);
};

#define DF_LOOP_EVENTS 64 /* handled in one round */

struct df_loop {
	int epoll_fd;
	int n_ready;
	struct epoll_event ready[DF_LOOP_EVENTS];
};

int df_loop_init(struct df_loop *ret);
void df_loop_done(struct df_loop *l);

/* events: EPOLLIN, … .  0 or -errno. */
int df_loop_add(struct df_loop *l, int fd, uint32_t events, struct df_source *s);
int df_loop_change(struct df_loop *l, int fd, uint32_t events, struct df_source *s);
void df_loop_remove(struct df_loop *l, int fd, const struct df_source *s);

/* Waits (timeout_ms -1: for ever), so that the caller can look at the clock; 0 or -errno. */
int df_loop_wait(struct df_loop *l, int timeout_ms);
/* Calls the functions of what df_loop_wait found. */
void df_loop_dispatch(struct df_loop *l);

#endif
