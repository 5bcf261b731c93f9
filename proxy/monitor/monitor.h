/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * monitor: keeps a fence alive as long as its container lives.
 *
 * It holds all descriptors, restarts the worker and the reader, writes events,
 * beats the heart that fail=open needs, and cleans up when the container's
 * cgroup has no process left, whatever happened to runtime, conmon or poststop.
 * It parses no DNS and reads no hostile process: worker and reader do.
 */
#ifndef DF_MONITOR_H
#define DF_MONITOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "lib/base/resolv_conf.h"
#include "lib/fence/launch.h"
#include "lib/policy/table.h"
#include "proxy/channel.h"
#include "proxy/learn/learn.h"
#include "proxy/loop.h"
#include "proxy/monitor/destroy.h"
#include "proxy/monitor/record.h"
#include "proxy/tables.h"

#define DF_LOOKUPS_MAX 1024    /* at once: a burst of processes; touched as far as it needs */
#define DF_MESSAGES_A_ROUND 64 /* of each source: a flood must not stop the heart */
#define DF_LOOKUP_DEADLINE_NS 200000000ull /* then the reader is killed: something blocks it */
#define DF_STUCK_MAX 4                     /* then nobody is looked up any more */
#define DF_PING_NS 2000000000ull
#define DF_RETRY_NS 20000000ull /* a line for the container's stderr, while that is redirected */
#define DF_BEAT_NS 500000000ull
#define DF_RAW_OPEN_NS 60000000000ull /* several times what notes of a full table lie apart */
#define DF_RESTART_MIN_NS 10000000ull
#define DF_RESTART_MAX_NS 1000000000ull

struct df_child {
	struct df_source source;
	pid_t pid;   /* 0: not running */
	int channel; /* -1 then */
};

/* Somebody is being looked up; what depends on it waits here. */
struct df_lookup {
	uint32_t seq; /* 0: free; else its place in the array, and behind that a count */
	uint64_t since_ns;
	bool is_kernel;
	bool has_record;
	uint32_t worker_seq;
	struct df_token token;
	struct df_event_task event; /* is_kernel */
	struct df_msg_query record; /* has_record */
};

/* The container's resolv.conf, as far as it is known. */
struct df_resolvers {
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

struct df_monitor {
	const struct df_meta *meta;
	struct df_tables tables;
	struct df_learn_shared *learned; /* one worker leaves it to the next; never read here */
	struct df_loop loop;
	struct df_child worker, reader;
	pid_t saver; /* keeps events in report-dir; 0: not running */
	/* readers that were killed and have not ended: the kernel holds them for somebody's page */
	pid_t stuck[DF_STUCK_MAX];
	struct df_source cgroup_source, pidfd_source, ring_source, own_source;
	struct ring_buffer *ring;
	int cgroup_events;                /* cgroup.events of the container's cgroup */
	int own_events;                   /* netlink: addresses came or went */
	uint64_t own_due_ns, own_read_ns; /* due: when they are read again; 0: nothing came */
	struct df_record record;
	struct df_destroy destroy;
	struct df_resolvers resolvers;
	struct {
		uint64_t n_forged, n_mismatched; /* that an event has told */
		uint64_t next_ns;
	} strays;
	char caller_cgroup[DF_META_PATH_MAX]; /* of the hook, which waits until we are ready */
	struct df_conf conf;
	uint8_t raw_opened; /* tables whose raw-ip block is audit now: the table is full */
	uint64_t raw_open_until_ns;
	bool is_ready, is_over;
	bool is_pong_due;
	struct df_msg_pong counts;      /* of this worker, as it last said */
	struct df_msg_pong past_counts; /* of those before it */
	unsigned n_ring_left;           /* events that this round may still take */
	uint64_t now_ns, next_ping_ns, next_beat_ns, next_save_ns;
	uint64_t worker_start_ns, restart_at_ns, restart_delay_ns;
	unsigned n_restarts;
	unsigned n_address_tries;  /* left, as long as no address of the container is known */
	uint64_t reader_answer_ns; /* many questions may wait; one that blocks it stops all */
	uint32_t lookup_seq;
	unsigned n_lookups; /* places that may be taken: none from here on is */
	struct df_lookup lookups[DF_LOOKUPS_MAX];
};

/* kernel_conf: the entry of the map "conf" */
void df_kernel_conf_beat(struct df_monitor *m);
/*
 * Fail open, and an address found no room: what raw-ip would refuse passes with an event,
 * until no note has come for a while.  The shadow policy refuses nothing, and goes on.
 */
void df_kernel_conf_open_raw(struct df_monitor *m);
void df_kernel_conf_close_raw(struct df_monitor *m);

/* children */
int df_child_start_worker(struct df_monitor *m);
int df_child_start_reader(struct df_monitor *m);
/*
 * Kills it if need be and reaps it.  Not for long: a reader may hang in the kernel, on memory
 * or a file that the container made so, and is reaped later.
 */
void df_child_stop(struct df_monitor *m, struct df_child *c);
/* Those that ended since. */
void df_child_reap(struct df_monitor *m);

/*
 * own_map: the kernel's map of the container's own addresses.  Nothing where the network
 * namespace is the host's.  0 or -errno; the map is as of now when start returns.
 */
int df_own_map_start(struct df_monitor *m);
void df_own_map_step(struct df_monitor *m);

/* life: events about the fence itself */
void df_life_start(struct df_monitor *m);
/* Where the network comes up after the start: its addresses, once they are there. */
void df_life_addresses(struct df_monitor *m);
void df_life_stop(struct df_monitor *m);

/* One counter of the kernel programs: enum df_counter. */
uint64_t df_kernel_count(uint32_t counter);

/* strays: answers that are none, once there are many */
void df_strays_step(struct df_monitor *m);
/* At the end, whatever their number is. */
void df_strays_last(struct df_monitor *m);

/* resolvers: the container's resolv.conf after the hook */
void df_resolvers_init(struct df_monitor *m);
void df_resolvers_step(struct df_monitor *m);
/* To a worker that has just been started. */
void df_resolvers_hand_over(struct df_monitor *m);

/* save: events go to report-dir */
void df_save_init(struct df_monitor *m);
void df_save_step(struct df_monitor *m);
/* At the end, with the last event written. */
void df_save_last(struct df_monitor *m);

/* lookup */
void df_lookup_query(struct df_monitor *m, const struct df_msg_query *q);
void df_lookup_kernel(struct df_monitor *m, const struct df_event_task *task);
/* For the reader, too: a connection that may go on. */
void df_lookup_push(struct df_monitor *m, const struct df_msg_push *push);
/* The outcome of a query whose asker may still be looked up. */
void df_lookup_record(struct df_monitor *m, const struct df_msg_query *q);
void df_lookup_expire(struct df_monitor *m);
/* The worker is gone, and with it the meaning of its numbers. */
void df_lookup_forget_worker(struct df_monitor *m);
bool df_lookup_is_any_open(const struct df_monitor *m);

#endif
