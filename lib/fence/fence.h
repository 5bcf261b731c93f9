/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fence: the kernel programs of one container: load, configure, attach.
 *
 * Attached by BPF_PROG_ATTACH with BPF_F_ALLOW_MULTI: the fence survives the
 * death of every process and goes with the cgroup.  Egress first; a
 * configuration entry that is missing means deny, so that the order of the
 * other steps opens nothing.
 */
#ifndef DF_FENCE_H
#define DF_FENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

struct df_fence; /* the loaded object; owns its descriptors */

/* What is fixed when maps and programs are loaded. */
struct df_fence_options {
	size_t n_nets, n_classes; /* entries that the maps of fence_fill must hold */
	bool wants_errno;         /* df_conf.refuse_errno is to count, where the kernel can */
	struct df_layout layout;  /* all zero: not known */
};

/* Descriptors borrowed from the object; valid until df_fence_free. */
struct df_fence_maps {
	int conf, tok, events, counters;
	int learned, flows, payloads, recent, own;
	int classes, nets; /* for lib/fence_fill */
};

/*
 * Loads programs and maps.  -errno; *ret_what then says which step failed
 * (static text).  -EPERM: no privilege; others mean the kernel cannot.
 */
int df_fence_load(const struct df_fence_options *options, struct df_fence **ret,
		  const char **ret_what);
void df_fence_free(struct df_fence *f); /* NULL-safe; attached programs stay attached */

void df_fence_maps(const struct df_fence *f, struct df_fence_maps *ret);

/* Writes the configuration entry.  0 or -errno. */
int df_fence_configure(int conf_map, const struct df_conf *conf);

/* The effect of a foreign program, on the cgroup of a fence or on one above it. */
enum df_fence_foreign_kind {
	DF_FENCE_HARMLESS, /* it goes on beside the fence, for the proxy as well or whatever it does
			    */
	DF_FENCE_FILTER,   /* it goes on, and judges what the container itself sends */
	DF_FENCE_NESTED,   /* it is of another fence */
	DF_FENCE_OVERRIDE, /* a program below takes its place (BPF_F_ALLOW_OVERRIDE) */
	DF_FENCE_EXCLUSIVE, /* it admits none below */
};

struct df_fence_foreign {
	const char *type; /* "connect4", as bpftool calls it; static */
	enum df_fence_foreign_kind kind;
	uint32_t id;
	char name[16]; /* BPF_OBJ_NAME_LEN; the kernel admits letters, digits, '_' and '.' */
};

/*
 * The programs that are attached to this very cgroup, of the types that a fence has, without
 * those of f.  Their number, of which at most max are in ret; or -errno.
 */
int df_fence_foreign(const struct df_fence *f, int cgroup_fd, struct df_fence_foreign *ret,
		     unsigned max);

/*
 * Attaches all programs of the container's fence to cgroup_fd; then detaches
 * programs that an earlier fence left on a re-used cgroup.  On error nothing of
 * ours stays attached.  -EEXIST: ours would take the place of *ret_lost, which is attached
 * to some cgroup above.
 */
int df_fence_attach(const struct df_fence *f, int cgroup_fd, struct df_fence_foreign *ret_lost);
void df_fence_detach(const struct df_fence *f, int cgroup_fd);

/*
 * The programs that confine the proxy and keep out what others send it, on the proxy's
 * own cgroup, which is removed when this fails.
 */
int df_fence_attach_proxy(const struct df_fence *f, int cgroup_fd);

#endif
