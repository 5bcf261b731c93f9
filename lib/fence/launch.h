/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * launch: starts the proxy of a fence and hands everything over.
 *
 * The proxy opens nothing by name that it can be given: every descriptor it
 * needs stands at a fixed number.  Facts about the container come in a sealed
 * memfd, struct df_meta; programs of one build only, hence a plain struct.
 */
#ifndef DF_LAUNCH_H
#define DF_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/abi.h"
#include "lib/base/dname.h"
#include "lib/base/job.h"
#include "lib/base/report_limits.h"
#include "lib/base/resolv_conf.h"
#include "lib/policy/finding.h"

/* Numbers of the handed-over descriptors.  Those that do not exist are closed. */
enum df_fd {
	DF_FD_FIRST = 3,
	DF_FD_UDP4 = DF_FD_FIRST,
	DF_FD_UDP6,
	DF_FD_TCP4,
	DF_FD_TCP6,
	DF_FD_CONF, /* BPF maps */
	DF_FD_TOK,
	DF_FD_EVENTS,
	DF_FD_COUNTERS,
	DF_FD_LEARNED,
	DF_FD_FLOWS,
	DF_FD_PAYLOADS,
	DF_FD_RECENT,
	DF_FD_OWN,
	DF_FD_POLICY,        /* sealed memfd: the table of policy.h */
	DF_FD_META,          /* sealed memfd: struct df_meta */
	DF_FD_PIDFD,         /* of the container's init */
	DF_FD_CGROUP,        /* O_PATH directory of the container's cgroup */
	DF_FD_CGROUP_ROOT,   /* O_PATH directory of the cgroup2 mount */
	DF_FD_RUN,           /* directory /run/deployfence/ID */
	DF_FD_LOCK,          /* flock held as long as the fence lives */
	DF_FD_NETNS,         /* of the container */
	DF_FD_POLICY_BASE,   /* the same, of base-policy */
	DF_FD_POLICY_SHADOW, /* the same, of the shadow policy */
	DF_FD_REPORTS,       /* directory of report-dir; if has_reports */
	DF_FD_RESOLV_CONF,   /* the file mounted at its /etc/resolv.conf; if has_resolv_conf */
	DF_FD_READY,         /* pipe: one octet when queries are answered */
	DF_FD_END,
};

#define DF_LAUNCH_CGROUP_PARENT "deployfence" /* below the cgroup2 mount, for the proxies */

#define DF_META_VERSION 7
#define DF_META_TEXT_MAX 1025
#define DF_META_PATH_MAX 4096
#define DF_META_SEEN_MAX 512 /* octets of the evidence of a finding */

/* Strings are NUL-terminated, "" where unknown.  Large and rare members come last. */
struct df_meta {
	uint32_t version; /* DF_META_VERSION */
	uint32_t size;    /* sizeof(struct df_meta) */
	int32_t init_pid;
	/* the program that init is, before it executes the payload: see proxy/monitor/network.c
	 */
	uint64_t init_exe_dev, init_exe_ino, init_arg_start;
	int64_t resolv_conf_s, resolv_conf_ns; /* st_ctim of that file when the hook read it */
	uint8_t has_resolv_conf;
	uint8_t pad_init[7];
	uint8_t table_modes[DF_TABLES]; /* enum df_mode of each table; 0: there is none */
	uint8_t pad_modes;
	uint8_t is_fail_open; /* always in audit */
	uint8_t is_logged_to_stderr;
	uint8_t is_stderr_pipe; /* then this very pipe: */
	uint8_t log_to_journal; /* where journald runs; else as: */
	uint16_t port;          /* host byte order */
	uint8_t log_to_syslog;
	uint8_t has_reports;
	struct df_report_limits report_limits;
	uint64_t stderr_dev, stderr_ino;
	uint8_t token6_prefix[DF_TOKEN6_PREFIX_LEN]; /* all zero: no IPv6 */
	char stale[DF_META_TEXT_MAX];        /* why a last good table is in use; "": none is */
	char cgroup[DF_META_PATH_MAX];       /* as in /proc/PID/cgroup */
	char proxy_cgroup[DF_META_PATH_MAX]; /* relative to the mount, no leading slash */
	uint8_t is_host_netns;
	uint8_t are_resolvers_named;    /* by `resolver`; else those of its resolv.conf */
	uint8_t is_docker;              /* --engine=docker: 127.0.0.11 is its resolver */
	uint8_t is_resolv_conf_trusted; /* the container cannot write it: it counts later, too */
	uint8_t ndots; /* a client asks for names with fewer dots with the search list first */
	uint8_t pad_resolvers[3];
	uint32_t n_resolvers; /* only they may teach addresses; proxy/worker/trust.h */
	uint8_t resolvers[DF_RESOLV_SERVERS_MAX][16];
	uint32_t n_search;
	struct df_dname search[DF_RESOLV_SEARCH_MAX];
	char findings[DF_FINDINGS][DF_META_SEEN_MAX]; /* the evidence; "": no finding */
	struct df_job job;
};

/* Descriptors to hand over; index with DF_FD_… - DF_FD_FIRST; -1: none.  Borrowed. */
struct df_launch {
	int fds[DF_FD_END - DF_FD_FIRST];
	int proxy_cgroup_fd; /* directory to move into; -1: stay */
	const char *program; /* absolute path of deployfence-proxy */
	const char *id;      /* shown by ps */
};

/* A sealed, read-only memfd with these octets.  fd or -errno. */
int df_launch_memfd(const char *name, const void *data, size_t len);

/*
 * Creates deployfence/ID below the cgroup2 mount root_fd; an empty one of an
 * earlier fence is replaced.  Returns a directory descriptor, or -errno; *ret_path
 * gets the path relative to the mount.
 */
int df_launch_cgroup(int root_fd, const char *id, char *ret_path, size_t size);

/* Removes it again (and the parent, if it was the last).  Kills the processes inside. */
void df_launch_cgroup_remove(int root_fd, const char *path);

/*
 * The cgroup v2 of a process, relative to the mount and without the leading slash; "" is the
 * root.  -ENOENT: none, or outside of this cgroup namespace; other -errno of /proc.
 */
int df_launch_cgroup_of(pid_t pid, char *ret, size_t size);

/*
 * For the last process of the cgroup at path, before it exits: forks a child that
 * stands outside, waits for that exit and removes the cgroup.  caller is the cgroup of
 * the process that started the fence, as df_launch_cgroup_of tells it; "": unknown.
 * Returns like fork: in the child 0, when that is done; in the parent its pid; or -errno.
 */
pid_t df_launch_cgroup_leave(int root_fd, const char *path, const char *caller);

/* Removes directories that processes could not remove when they left: empty ones only. */
void df_launch_cgroup_tidy(int root_fd);

/*
 * Starts the program in its own session, cgroup and the namespace of DF_FD_NETNS,
 * and waits until it is ready.  0; -ETIMEDOUT after timeout_ms; -ECHILD: it ended
 * first; other -errno.  On error nothing of it runs any more.
 */
int df_launch(const struct df_launch *l, int timeout_ms);

#endif
