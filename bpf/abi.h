/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * abi: the structs that the kernel programs and user space share.
 *
 * Only <linux/types.h>: fixed width, explicit padding, sizes asserted.  An
 * address is always 16 bytes in network byte order, IPv4 as ::ffff:a.b.c.d.
 * A field says its byte order where it is not the host's.  Times are
 * nanoseconds of the clock named at the field.
 *
 * A configuration entry that is missing or all zero means deny (mode
 * DF_MODE_DENY), so no order of set-up opens a fence.
 */
#ifndef DF_ABI_H
#define DF_ABI_H

#include <linux/types.h>

#define DF_ABI_VERSION 4
#define DF_ABI_SIZE(type, size)                                                                    \
	_Static_assert(sizeof(struct type) == (size), #type ": both sides have this layout")

/* 127.192.0.0/10: the low 22 bits are the token.  RFC 1122 3.2.1.3(g): loopback. */
#define DF_TOKEN4_NET 0x7fc00000u
#define DF_TOKEN4_MASK 0xffc00000u
#define DF_TOKEN_BITS 22
#define DF_TOKEN_MAX ((1u << DF_TOKEN_BITS) - 1)
/* IPv6: a /96 of an RFC 4193 prefix, drawn for each fence; the low 32 bits are the token. */
#define DF_TOKEN6_PREFIX_LEN 12
#define DF_TOKEN6_NET 0xfd646670u /* first 32 bits of every fence's prefix */

#define DF_DNS_PORT 53
#define DF_PRIORITY_LOCAL 5 /* SO_PRIORITY of a proxy's socket that expects answers on lo */
#define DF_COMM_LEN 16
#define DF_TICK_NS 10000000ull /* USER_HZ: start times in /proc/PID/stat; 32 bits last 497 days */

enum df_mode {
	DF_MODE_DENY = 0, /* not configured: everything is refused */
	DF_MODE_ENFORCE = 1,
	DF_MODE_AUDIT = 2, /* inert: judges and logs, refuses nothing */
};

enum df_conf_flag {
	DF_CONF_FAIL_OPEN = 1 << 0, /* pass when the heartbeat is stale */
	DF_CONF_IPV6 = 1 << 1,      /* the token prefix is routed in the namespace */
	DF_CONF_SINKHOLE = 1 << 2,  /* refuse-dns sinkhole: connect to 0.0.0.0 and :: is refused */
	DF_CONF_NESTED_NETNS = 1 << 3, /* nested-netns allow */
	DF_CONF_DISABLED = 1 << 4,     /* kill switch: judge and log, refuse nothing */
	DF_CONF_PORTS = 1 << 5,        /* map "classes" has entries */
	DF_CONF_DOCKER = 1 << 6,       /* 127.0.0.11 is the engine's resolver */
};

/* Up to three policies judge side by side.  In a set of tables bit t is table t's. */
enum df_table_id {
	DF_TABLE_OWN,
	DF_TABLE_BASE,   /* the stricter verdict of the two counts */
	DF_TABLE_SHADOW, /* judged, never enforced */
	DF_TABLES,
};

#define DF_TABLES_BITS 3
#define DF_TABLES_ALL ((1u << DF_TABLES_BITS) - 1)
#define DF_TABLE_SHADOW_BIT (1u << 2)

/*
 * Ports as classes: all ports of a class are alike to every rule of every table
 * (lib/policy/ports.h), so that a verdict is one octet a class, whatever ranges the rules have.
 */
#define DF_PORT_CLASSES 32
#define DF_CLASS_TCP 0   /* TCP ports that no rule names */
#define DF_CLASS_OTHER 1 /* protocols without ports */
#define DF_CLASS_UDP 2   /* UDP ports that no rule names */

/* The only entry of the map "conf".  Written by the hook and the monitor alone. */
struct df_conf {
	__u32 version;      /* DF_ABI_VERSION */
	__u32 mode;         /* enum df_mode; the strictest of own and base */
	__u32 flags;        /* enum df_conf_flag */
	__u32 generation;   /* of the policy; rises with each reload */
	__u64 bypass_until; /* CLOCK_BOOTTIME; 0: none */
	__u64 heartbeat;    /* CLOCK_BOOTTIME of the monitor's last beat; for DF_CONF_FAIL_OPEN */
	__u64 netns_cookie; /* SO_NETNS_COOKIE of the container's namespace; 0: unknown (< 5.14) */
	__u64 keep_learned_ns; /* a permission that is used lives on for so long */
	__u8 token6_prefix[DF_TOKEN6_PREFIX_LEN];
	__u16 proxy_port;   /* network byte order */
	__u16 refuse_errno; /* positive errno of a refused connect; 0: EPERM */
	/* sets of tables */
	__u8 tables;       /* that there are */
	__u8 enforcing;    /* whose verdict is enforced; the others would block */
	__u8 raw_block;    /* raw-ip block: an address that no rule and no answer names */
	__u8 raw_audit;    /* raw-ip audit */
	__u8 shared_sni;   /* shared-address sni */
	__u8 shared_allow; /* shared-address allow; in neither: block */
	__u8 pad[2];       /* zero */
	__u64 reserved[2]; /* zero */
};

DF_ABI_SIZE(df_conf, 88);

/* Map "classes", an LPM trie: range of ports (as prefixes) -> class (__u32). */
struct df_port_key {
	__u32 prefix_len; /* 8 to 24: the protocol's octet and bits of the port */
	__u8 proto;       /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 port[2];     /* network byte order */
	__u8 pad;
};

/* Map "nets", an LPM trie: network -> the verdicts of address rules, by class. */
struct df_net_key {
	__u32 prefix_len; /* 0 to 128; of IPv4 networks 96 more than written */
	__u8 addr[16];
};

/*
 * For each class the tables that allow (bits 0 to 2) and block (3 to 5); rules of
 * shorter prefixes are in it where this one says nothing.  In neither: no rule.
 */
struct df_net {
	__u8 verdicts[DF_PORT_CLASSES];
};

/*
 * Map "own_addrs": address (16 octets) -> 1, those of the container's network namespace.  Written
 * by the monitor; empty where the namespace is the host's.
 */
#define DF_OWN_MAX 1024 /* a node of a cluster may have hundreds; those beyond are not seen */

#define DF_LEARNED_MAX 4096 /* addresses in map "learned"; its buckets cost 16 octets each */
#define DF_FLOWS_MAX 1024

/* Sets in an element of df_learned.bits: shifts. */
#define DF_LEARNED_ALLOWED 0 /* by an allow rule that names it */
#define DF_LEARNED_BLOCKED 3 /* by name, sticky */
#define DF_LEARNED_DEFAULT 6 /* by default allow alone */

/* Map "learned": address (16 octets) -> the names that answers of trusted resolvers gave it. */
struct df_learned {
	__u64 until; /* CLOCK_BOOTTIME: permissions end; programs move it with each use */
	__u32 slot;  /* of the name that blocks, else allows (proxy/learn/learn.h) */
	__u32 rule;  /* the number of its rule (proxy/tables.h) */
	__u16 bits[DF_PORT_CLASSES];
};

DF_ABI_SIZE(df_learned, 80);

enum df_verdict {
	DF_VERDICT_NONE = 0, /* not judged */
	DF_VERDICT_ALLOW = 1,
	DF_VERDICT_BLOCK = 2,
	DF_VERDICT_UNDECIDED = 3, /* payload is dropped until the worker has read a name in it */
	DF_VERDICT_PROXY = 4, /* allowed, and speaks HTTP: each request to a proxy is looked at */
	DF_VERDICT_SEEN = 5,  /* passes, unless its payload has a name that a rule blocks */
};

/*
 * Map "tok": token (host byte order, 1..DF_TOKEN_MAX) -> where the query was
 * going and who sent it.  Identity is that of the task in connect or sendmsg.
 */
struct df_token {
	__u8 addr[16]; /* the resolver asked; network byte order */
	__u16 port;    /* network byte order */
	__u8 proto;    /* IPPROTO_UDP or IPPROTO_TCP */
	__u8 flags;    /* zero */
	__u32 tgid;    /* initial pid namespace; 0: kernel thread (MPTCP subflow) */
	__u32 tid;
	__u32 uid;
	__u32 parent;           /* tgid of the task's parent; 0: not known */
	__u32 start;            /* of the process, CLOCK_BOOTTIME in DF_TICK_NS; 0: not known */
	__u64 time;             /* CLOCK_BOOTTIME of the connect or sendmsg */
	char comm[DF_COMM_LEN]; /* of the thread, NUL-terminated */
};

DF_ABI_SIZE(df_token, 64);

/* The first payload that has passed. */
enum df_read {
	DF_READ_NONE = 0,  /* none has */
	DF_READ_OTHER = 1, /* not the next one */
	DF_READ_HTTP = 2,  /* a request to a server: later payloads may be its body */
};

/* Socket storage "sks": the decision of connect or sendmsg for this socket. */
struct df_sock {
	__u8 addr[16];  /* original destination; network byte order */
	__u16 port;     /* network byte order */
	__u8 verdict;   /* enum df_verdict; by it egress passes the socket whatever NAT did since */
	__u8 connected; /* 1: by connect, 0: by sendmsg */
	__u32 token;    /* 0: this socket was never redirected */
	/* of the connect, for events of its payload */
	__u32 tgid, tid;
	__u64 time;    /* CLOCK_BOOTTIME */
	__u8 is_read;  /* enum df_read */
	__u8 is_named; /* a rule allows the address, or a name that has it */
	__u8 is_own;   /* passed as an address of the container alone: it leaves by lo, or not */
	__u8 pad[5];
};

DF_ABI_SIZE(df_sock, 48);

/*
 * Record of the ring buffer "payloads": the start of the octets that a socket is about to
 * send, held meanwhile.  TCP sends it again after its retransmission time-out
 * (200 ms), more of it if the application has written more, and finds the verdict
 * in "flows"; without one there is another record.
 */
#define DF_PAYLOAD_MAX 2048

struct df_payload {
	__u64 cookie;             /* of the socket; key of "flows" */
	__u64 time;               /* CLOCK_BOOTTIME of this packet */
	__u8 addr[16];            /* as the application connected; network byte order */
	__u8 saddr[16];           /* of the packet, as daddr: for SOCK_DESTROY */
	__u8 daddr[16];           /* after NAT */
	__u16 port, sport, dport; /* network byte order */
	__u8 verdict;         /* UNDECIDED: needs a learned name; SEEN; else a proxy's request */
	__u8 is_held;         /* 1: dropped meanwhile; 0: passed on, in audit and bypass */
	__u32 tgid, tid;      /* who connected */
	__u64 connect_time;   /* CLOCK_BOOTTIME */
	__u32 len, total_len; /* octets in data; octets that this packet has */
	__u8 is_enforced;     /* 0: in audit and bypass, nothing is */
	__u8 is_later;        /* behind a request to a server: may be the body of one */
	__u8 pad[6];          /* zero */
	__u8 data[DF_PAYLOAD_MAX];
};

DF_ABI_SIZE(df_payload, 104 + DF_PAYLOAD_MAX);

/*
 * Map "flows": socket cookie -> verdict, one of ALLOW (this socket is not looked at
 * again), PROXY (each later request is) and BLOCK (nothing of it leaves).  Written by
 * the worker; ALLOW and PROXY are taken out by the program that reads them.
 */
struct df_flow {
	__u32 verdict; /* enum df_verdict */
	__u32 len;     /* with PROXY: of the payload that was judged; more octets are not */
	/* of the connection that it is for: a socket keeps its cookie when it connects again */
	__u64 connect_time;
};

enum df_event_kind {
	DF_EVENT_EGRESS_DNS = 1, /* port 53 left in a way that was not redirected */
	DF_EVENT_EGRESS_UNPARSABLE = 2,
	DF_EVENT_EGRESS_TOKEN = 3, /* token or loopback destination on another interface than lo */
	DF_EVENT_RAW_SOCKET = 4,
	DF_EVENT_NESTED_NETNS = 5,  /* DNS from another network namespace */
	DF_EVENT_TOKEN_ADDRESS = 6, /* a token address that is not this socket's own */
	DF_EVENT_NO_IPV6 = 7,       /* IPv6 resolver, but the namespace has no IPv6 */
	DF_EVENT_PROTOCOL = 8,      /* port 53 over neither UDP nor TCP */
	DF_EVENT_SINKHOLE = 9,      /* connect to 0.0.0.0 or :: under refuse-dns sinkhole */
	DF_EVENT_PASSED_OPEN = 10,  /* fail=open, no heartbeat: port 53 passed unfiltered */
	DF_EVENT_TABLE_FULL = 11,   /* no token to be had */
	DF_EVENT_CONNECT = 12,      /* an address refused at connect or sendmsg */
	DF_EVENT_BOUND_DEVICE = 13, /* port 53 of a socket bound to a device: no redirect */
	DF_EVENT_LINK_LOCAL = 14,   /* a resolver at fe80::/10: the redirect would lose its scope */
	DF_EVENT_EGRESS_ADDRESS = 15, /* the same, of a packet that no call has announced */
	DF_EVENT_UDP_CONNECT = 16,    /* the same at connect of a UDP socket: nothing is sent yet */
	DF_EVENT_SHARED = 17,         /* passes by an allow rule; a blocked name has it, too */
	DF_EVENT_SOCKET_FAMILY = 18,  /* a socket that no other program would see */
	DF_EVENT_NESTED_PASSED = 19,  /* NESTED_NETNS, with nested-netns allow */
	/* SINKHOLE at connect of a UDP socket: counted, and never a record */
	DF_EVENT_SINKHOLE_PROBE = 20,
};

/*
 * With DF_EVENT_RAW_SOCKET and SOCKET_FAMILY the first 8 octets of df_event.addr are
 * this, a __u64 in the host's byte order, and proto is the protocol.
 */
#define DF_SOCKET_KIND(family, type) ((__u64)(__u32)(family) | (__u64)(__u32)(type) << 32)

/* Record of the ring buffer "events".  All of it is initialised. */
struct df_event {
	__u32 kind;        /* enum df_event_kind */
	__u32 refused;     /* 1: refused, 0: passed (audit, bypass) */
	__u64 time;        /* CLOCK_BOOTTIME */
	__u8 addr[16];     /* destination; network byte order */
	__u16 port;        /* network byte order; 0: none */
	__u8 has_identity; /* 0 in egress, where the current task is often somebody else */
	__u8 is_connect;   /* by connect, not sendmsg */
	__u32 proto;       /* IPPROTO_… */
	__u32 tgid;
	__u32 tid;
	__u32 uid;
	__u32 count; /* how many of its kind it stands for, itself included */
	/* where an address is the matter */
	__u8 against; /* tables that are against it */
	__u8 said;    /* verdicts of map "nets" */
	__u16 bits;   /* of map "learned"; permissions only while they last */
	__u32 pad;
	char comm[DF_COMM_LEN];
};

DF_ABI_SIZE(df_event, 80);

/*
 * The record where the task is known (has_identity): one that is refused at once may be
 * gone before anybody can read its command line in /proc.
 */
#define DF_EVENT_CMD_MAX 256

struct df_event_task {
	struct df_event event;
	__u32 parent, start;        /* as in df_token */
	__u32 pad;                  /* zero */
	__u32 cmd_len;              /* 0: not known */
	char cmd[DF_EVENT_CMD_MAX]; /* arguments, each ended by NUL; cut */
};

DF_ABI_SIZE(df_event_task, 96 + DF_EVENT_CMD_MAX);

/*
 * The places of facts that no helper tells, from this kernel's BTF (lib/fence/fence.h): offsets
 * in octets.  Read-only data of the programs, set before loading; 0: not known, and the code
 * that needs it is left out.
 */
struct df_layout {
	/* who: struct task_struct, struct mm_struct */
	__u32 task_parent; /* real_parent */
	__u32 task_tgid;
	__u32 task_leader; /* group_leader */
	__u32 task_start;  /* start_boottime */
	__u32 task_mm;
	__u32 mm_arg_start, mm_arg_end;
	/* the interface a socket sends by: struct inet_sock, struct ipv6_pinfo */
	__u32 has_connect_if; /* 1: connect heeds them, too (0e4d354762ce, 5.19) */
	__u32 sock_uc_index;  /* IP_UNICAST_IF */
	__u32 sock_pinet6;
	__u32 pinfo_ucast_oif; /* IPV6_UNICAST_IF */
	/* the same of one message: from bpf_sock_addr_kern.t_ctx, which points at saddr */
	__u32 ctx_t_ctx;
	__u32 ipc_oif;  /* ipcm_cookie.oif behind .addr; IP_PKTINFO */
	__u32 flow_oif; /* flowi6's oif before .saddr; IPV6_PKTINFO */
};

/*
 * Map "recent": the events of the last second, and how often each came again since.
 * The monitor reports the rest at the end.
 */
#define DF_RECENT_MAX 64

struct df_recent {
	__u64 start; /* CLOCK_BOOTTIME */
	__u64 key;   /* 0: empty */
	__u32 held_back;
	__u32 pad;
	struct df_event last;
};

DF_ABI_SIZE(df_recent, 104);

/* Per-CPU array "counters". */
enum df_counter {
	DF_COUNT_REDIRECT_UDP,
	DF_COUNT_REDIRECT_TCP,
	DF_COUNT_EGRESS_DROP,
	DF_COUNT_SOCK_REFUSED,
	DF_COUNT_CONNECT_REFUSED,
	DF_COUNT_EVENT_LOST,
	DF_COUNT_TOKEN_FULL,
	DF_COUNT_PASSED_OPEN,
	DF_COUNT_SINKHOLE_PROBE,
	DF_COUNT_FORGED,    /* packets for the proxy that a resolver elsewhere cannot have sent */
	DF_N_COUNTERS = 16, /* room for later ones: the map keeps its size */
};

/* A heartbeat older than this counts as gone (fail=open only). */
#define DF_HEARTBEAT_MAX_NS 2000000000ull

#endif
