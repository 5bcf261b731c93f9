/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitor's modules that have no header of their own: children.c, network.c, save.c and
 * fence_events.c.  Each has its own state, which the monitor's main (monitor.c) holds; all
 * pointers in it are borrowed and outlive it.  record_worker.c, record_kernel.c and show.c are
 * in record.h.
 */
#ifndef DF_MONITOR_INTERNAL_H
#define DF_MONITOR_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "bpf/abi.h"
#include "lib/base/resolv_conf.h"
#include "lib/fence/launch.h"
#include "proxy/channel.h"
#include "proxy/loop.h"

#define DF_MESSAGES_A_ROUND 64 /* of each source: a flood must not stop the heart */

struct df_learn_shared;
struct df_record;
struct df_tables;

/* --- children: the processes that the monitor forks and restarts --- */

#define DF_STUCK_MAX 4 /* readers that do not end; with so many nobody is looked up any more */

struct df_child {
	struct df_source source;
	pid_t pid;   /* 0: not running */
	int channel; /* -1 then */
};

struct df_children {
	const struct df_meta *meta;
	const struct df_tables *tables;
	struct df_learn_shared *learned; /* one worker leaves it to the next; never read here */
	struct df_loop *loop;
	/* readers that were killed and have not ended: the kernel holds them for somebody's page */
	pid_t stuck[DF_STUCK_MAX];
};

/* 0 or -errno.  The child's source is in the loop then; its function must be set before. */
int df_children_start_worker(struct df_children *c, struct df_child *child);
int df_children_start_reader(struct df_children *c, struct df_child *child);
/*
 * Kills it if it runs, and reaps it.  Not for long: a reader may hang in the kernel, on memory
 * or a file that the container made so, and is reaped later.
 */
void df_children_stop(struct df_children *c, struct df_child *child);
/* One message.  0; -ESRCH: it does not run; other -errno: it did not take the message. */
int df_child_send(const struct df_child *c, const void *message, size_t size);

/* --- network: the container's addresses and its resolv.conf --- */

/*
 * The kernel's map of the container's own addresses.  Nothing where the network namespace is
 * the host's.
 */
struct df_own_map {
	struct df_source source;
	int events;               /* netlink: addresses came or went; -1: not watched */
	uint64_t due_ns, read_ns; /* due: when they are read again; 0: nothing came */
};

/* 0 or -errno; the map is as of now when it returns. */
int df_own_map_start(struct df_own_map *o, const struct df_meta *meta, struct df_loop *loop);
void df_own_map_step(struct df_own_map *o, uint64_t now_ns);

/* The container's resolv.conf after the hook, as far as it is known. */
struct df_resolvers {
	const struct df_meta *meta;
	struct df_loop *loop;
	struct df_record *record;
	const struct df_child *worker; /* who is told */
	struct df_source source;
	int fd;                /* inotify, until the payload runs; or -1 */
	bool is_started;       /* the payload runs */
	bool has_changed;      /* counts is not what the hook read … */
	bool is_unsent;        /* … and the worker has not been told */
	bool is_due;           /* there is something to tell */
	struct timespec ctime; /* of what was read last */
	struct df_resolv_conf counts, told;
	uint64_t next_tell_ns;
};

/* meta, loop, record and worker are set. */
void df_resolvers_init(struct df_resolvers *r);
void df_resolvers_step(struct df_resolvers *r);
/* To a worker that has just been started. */
void df_resolvers_hand_over(struct df_resolvers *r);

/* --- save: events go from /run to report-dir --- */

struct df_save {
	const struct df_meta *meta;
	struct df_record *record;
	pid_t child; /* 0: not running */
	uint64_t next_ns;
};

/* meta and record are set.  Takes SIGTERM. */
void df_save_init(struct df_save *s, uint64_t now_ns);
void df_save_step(struct df_save *s, uint64_t now_ns);
/* At the end, with the last event written. */
void df_save_last(struct df_save *s);

/* --- fence_events: events about the fence itself --- */

struct df_fence_events {
	const struct df_meta *meta;
	const struct df_tables *tables;
	struct df_record *record;
	unsigned n_address_tries;        /* left, as long as no address of the container is known */
	uint64_t n_forged, n_mismatched; /* that an event has told */
	uint64_t next_answers_ns;
};

void df_fence_events_start(struct df_fence_events *f);
/*
 * Events of later: addresses of a network that is set up after the start, and stray answers to
 * the proxy, once there are many.  counts: of all workers so far.
 */
void df_fence_events_step(struct df_fence_events *f, const struct df_msg_pong *counts,
			  uint64_t now_ns);
/* The last of those, whatever their number is, and the totals. */
void df_fence_events_stop(struct df_fence_events *f, const struct df_msg_pong *counts,
			  uint64_t now_ns);

#endif
