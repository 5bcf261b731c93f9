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

/* Options that are fixed when maps and programs are loaded. */
struct df_fence_options {
	size_t n_nets, n_classes; /* entries that the maps of fence_fill must hold */
	bool wants_errno;         /* df_conf.refuse_errno is to count, where the kernel can */
	struct df_layout layout;  /* all zero: not known */
};

/* Descriptors borrowed from the object; valid until df_fence_free. */
struct df_fence_maps {
	int conf, tok, events, counters;
	int learned, flows, payloads, recent, own;
	int classes, nets; /* for lib/fence/fill.h */
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
	DF_FENCE_FILTER,   /* it goes on, and judges packets of the container itself */
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

/*
 * Finds the offsets of the kernel's own structs that the programs read, in its BTF.  libbpf parses
 * all of that BTF (17 ms and some MB): so the hook does it once a boot and keeps the result.
 * An offset that is not found is 0 in *ret, and so are those of use with it only.
 * 0, or -errno: there is no BTF.
 */
int df_layout_find(struct df_layout *ret);

/*
 * The program that refuses AF_PACKET and other families which the programs of a fence do not see.
 * It is loaded where the kernel takes it (lsm_cgroup, 6.0) and asks it ("bpf" among its LSMs);
 * elsewhere there is none, which is no error.
 */
struct df_fence_lsm; /* the loaded object */

/*
 * Loads it with the maps and the layout of a fence and attaches it to the container's cgroup.
 * *btf_id: the number of the hook's function in the kernel's BTF, 0 if it is not known;
 * then it is set, for the next time: finding it costs 17 ms.
 * -EOPNOTSUPP: the kernel would not ask it; other -errno: it does not take it.
 */
int df_fence_lsm_attach(const struct df_fence_maps *maps, const struct df_layout *layout,
			int cgroup_fd, uint32_t *btf_id, struct df_fence_lsm **ret);
void df_fence_lsm_detach(const struct df_fence_lsm *lsm, int cgroup_fd); /* NULL-safe */
void df_fence_lsm_free(struct df_fence_lsm *lsm); /* NULL-safe; an attached program stays */

/* Detaches the program that an earlier fence left on a re-used cgroup: its mode would go on. */
void df_fence_lsm_clean(int cgroup_fd);

#endif
