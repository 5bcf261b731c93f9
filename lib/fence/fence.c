/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/fence/fence.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "fence.skel.h"
#include "lib/base/util.h"

/* Tokens in use at once.  An LRU evicts early with many CPUs, so it grows with them. */
#define TOKENS_MIN 2048
#define TOKENS_PER_CPU 256

/* Names of our programs as the kernel keeps them begin so; for left-overs on a cgroup. */
#define PROGRAM_PREFIX "fence_"
#define PROGRAMS_MAX 64    /* of one cgroup and type: the kernel's BPF_CGROUP_MAX_PROGS */
#define EFFECTIVE_MAX 1024 /* with those of all cgroups above */

struct df_fence {
	struct fence_bpf *skel;
};

/* Order of attachment: the backstop first. */
enum { N_PROGRAMS = 10 };

struct attachment {
	enum bpf_attach_type type;
	const char *name; /* as bpftool has it */
	const struct bpf_program *program;
};

static void attachments(const struct df_fence *f, struct attachment ret[static N_PROGRAMS])
{
	const struct attachment list[N_PROGRAMS] = {
		{BPF_CGROUP_INET_EGRESS, "egress", f->skel->progs.fence_egress},
		{BPF_CGROUP_INET_SOCK_CREATE, "sock_create", f->skel->progs.fence_sock_create},
		{BPF_CGROUP_UDP4_RECVMSG, "recvmsg4", f->skel->progs.fence_recvmsg4},
		{BPF_CGROUP_UDP6_RECVMSG, "recvmsg6", f->skel->progs.fence_recvmsg6},
		{BPF_CGROUP_INET4_GETPEERNAME, "getpeername4", f->skel->progs.fence_getpeername4},
		{BPF_CGROUP_INET6_GETPEERNAME, "getpeername6", f->skel->progs.fence_getpeername6},
		{BPF_CGROUP_UDP4_SENDMSG, "sendmsg4", f->skel->progs.fence_sendmsg4},
		{BPF_CGROUP_UDP6_SENDMSG, "sendmsg6", f->skel->progs.fence_sendmsg6},
		{BPF_CGROUP_INET4_CONNECT, "connect4", f->skel->progs.fence_connect4},
		{BPF_CGROUP_INET6_CONNECT, "connect6", f->skel->progs.fence_connect6},
	};

	memcpy(ret, list, sizeof(list));
}

static int log_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static int set_entries(struct bpf_map *map, size_t n)
{
	return bpf_map__set_max_entries(map, n > 0 ? (uint32_t)n : 1);
}

static int load(const struct df_fence_options *o, bool has_errno, bool has_layout,
		struct df_fence *f, const char **ret_what)
{
	uint32_t tokens = TOKENS_PER_CPU * (uint32_t)get_nprocs();
	int r;

	f->skel = fence_bpf__open();
	if (!f->skel) {
		*ret_what = "open the BPF object";
		return -errno;
	}
	f->skel->rodata->has_set_retval = has_errno;
	if (has_layout)
		memcpy((void *)&f->skel->rodata->layout, &o->layout, sizeof(o->layout));
	*ret_what = "load the BPF programs";
	r = bpf_map__set_max_entries(f->skel->maps.tok, tokens > TOKENS_MIN ? tokens : TOKENS_MIN);
	if (r == 0)
		r = set_entries(f->skel->maps.nets, o->n_nets);
	if (r == 0)
		r = set_entries(f->skel->maps.classes, o->n_classes);
	return r == 0 ? fence_bpf__load(f->skel) : r;
}

int df_fence_load(const struct df_fence_options *o, struct df_fence **ret, const char **ret_what)
{
	static const struct df_layout unknown = {};
	struct df_fence *f;
	int r;

	/* Its messages would reach the container's output; ours say what matters. */
	libbpf_set_print(log_nothing);
	f = calloc(1, sizeof(*f));
	if (!f) {
		*ret_what = "allocate memory";
		return -ENOMEM;
	}
	r = load(o, o->wants_errno, true, f, ret_what);
	if (r < 0 && o->wants_errno) {
		/* no bpf_set_retval (5.18) here, perhaps: refused is refused, by EPERM */
		fence_bpf__destroy(f->skel);
		r = load(o, false, true, f, ret_what);
	}
	if (r < 0 && memcmp(&o->layout, &unknown, sizeof(unknown)) != 0) {
		/* a kernel that is locked down lets no program read its memory */
		fence_bpf__destroy(f->skel);
		r = load(o, false, false, f, ret_what);
	}
	if (r < 0) {
		df_fence_free(f);
		return r;
	}
	*ret = f;
	return 0;
}

void df_fence_free(struct df_fence *f)
{
	if (!f)
		return;
	fence_bpf__destroy(f->skel);
	free(f);
}

void df_fence_maps(const struct df_fence *f, struct df_fence_maps *ret)
{
	ret->conf = bpf_map__fd(f->skel->maps.conf);
	ret->tok = bpf_map__fd(f->skel->maps.tok);
	ret->events = bpf_map__fd(f->skel->maps.events);
	ret->counters = bpf_map__fd(f->skel->maps.counters);
	ret->learned = bpf_map__fd(f->skel->maps.learned);
	ret->flows = bpf_map__fd(f->skel->maps.flows);
	ret->payloads = bpf_map__fd(f->skel->maps.payloads);
	ret->recent = bpf_map__fd(f->skel->maps.recent);
	ret->own = bpf_map__fd(f->skel->maps.own_addrs);
	ret->classes = bpf_map__fd(f->skel->maps.classes);
	ret->nets = bpf_map__fd(f->skel->maps.nets);
}

int df_fence_configure(int conf_map, const struct df_conf *conf)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(conf_map, &zero, conf, BPF_ANY);
}

static int program_id(int fd, uint32_t *ret)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	int r = bpf_obj_get_info_by_fd(fd, &info, &len);

	if (r == 0)
		*ret = info.id;
	return r;
}

/* Named as one of a fence: 15 octets of the name are kept. */
static bool is_of_a_fence(const struct bpf_prog_info *info)
{
	return strncmp(info->name, PROGRAM_PREFIX, strlen(PROGRAM_PREFIX)) == 0;
}

/* 0; -errno: it is gone. */
static int read_program(uint32_t id, const char *type, struct bpf_prog_info *info,
			struct df_fence_foreign *ret)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	uint32_t len = sizeof(*info);
	int r = fd < 0 ? fd : bpf_obj_get_info_by_fd(fd, info, &len);

	if (r < 0)
		return r;
	*ret = (struct df_fence_foreign){.type = type, .id = id};
	memcpy(ret->name, info->name, sizeof(ret->name) - 1);
	return 0;
}

/* Whether what it says holds for the container's own sockets, and not for the proxy's. */
static bool is_filter(enum bpf_attach_type type)
{
	return type == BPF_CGROUP_INET_EGRESS || type == BPF_CGROUP_INET4_CONNECT ||
	       type == BPF_CGROUP_INET6_CONNECT || type == BPF_CGROUP_UDP4_SENDMSG ||
	       type == BPF_CGROUP_UDP6_SENDMSG;
}

static enum df_fence_foreign_kind kind_of(enum bpf_attach_type type, uint32_t flags,
					  const struct bpf_prog_info *info)
{
	if (is_of_a_fence(info))
		return DF_FENCE_NESTED;
	if (flags & BPF_F_ALLOW_MULTI)
		return is_filter(type) ? DF_FENCE_FILTER : DF_FENCE_HARMLESS;
	return flags & BPF_F_ALLOW_OVERRIDE ? DF_FENCE_OVERRIDE : DF_FENCE_EXCLUSIVE;
}

int df_fence_foreign(const struct df_fence *f, int cgroup_fd, struct df_fence_foreign *ret,
		     unsigned max)
{
	struct attachment list[N_PROGRAMS];
	unsigned n_found = 0;

	attachments(f, list);
	for (unsigned i = 0; i < N_PROGRAMS; i++) {
		uint32_t ids[PROGRAMS_MAX], n = PROGRAMS_MAX, flags = 0, own = 0;
		int r = bpf_prog_query(cgroup_fd, list[i].type, 0, &flags, ids, &n);

		if (r < 0)
			return r;
		(void)program_id(bpf_program__fd(list[i].program), &own);
		for (uint32_t k = 0; k < n; k++) {
			struct bpf_prog_info info = {};
			struct df_fence_foreign one;

			if (ids[k] == own || read_program(ids[k], list[i].name, &info, &one) < 0)
				continue;
			one.kind = kind_of(list[i].type, flags, &info);
			if (n_found < max)
				ret[n_found] = one;
			n_found++;
		}
	}
	return (int)n_found;
}

/* Detaches programs named like ours, but not ours, from a cgroup that is used again. */
static void detach_left_over(int cgroup_fd, const struct attachment *ours)
{
	uint32_t ids[PROGRAMS_MAX], n = PROGRAMS_MAX, flags = 0, own = 0;

	if (program_id(bpf_program__fd(ours->program), &own) < 0 ||
	    bpf_prog_query(cgroup_fd, ours->type, 0, &flags, ids, &n) < 0)
		return;
	for (uint32_t i = 0; i < n; i++) {
		struct bpf_prog_info info = {};
		uint32_t len = sizeof(info);
		_cleanup_close_ int fd = -1;

		if (ids[i] == own)
			continue;
		fd = bpf_prog_get_fd_by_id(ids[i]);
		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && is_of_a_fence(&info))
			(void)bpf_prog_detach2(fd, cgroup_fd, ours->type);
	}
}

/* The programs that judge the processes of a cgroup, whichever cgroup they are attached to. */
struct effective {
	uint32_t n, ids[EFFECTIVE_MAX];
};

static int read_effective(int cgroup_fd, enum bpf_attach_type type, struct effective *ret)
{
	uint32_t flags;

	ret->n = EFFECTIVE_MAX;
	return bpf_prog_query(cgroup_fd, type, BPF_F_QUERY_EFFECTIVE, &flags, ret->ids, &ret->n);
}

static bool is_in(const struct effective *list, uint32_t id)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (list->ids[i] == id)
			return true;
	return false;
}

/* Attaches one.  What counted before counts on, wherever it is attached: no cgroup is out of view.
 */
static int attach_one(const struct attachment *a, int cgroup_fd, struct df_fence_foreign *ret_lost)
{
	struct effective before, after;
	int r = read_effective(cgroup_fd, a->type, &before);

	if (r == 0)
		r = bpf_prog_attach(bpf_program__fd(a->program), cgroup_fd, a->type,
				    BPF_F_ALLOW_MULTI);
	if (r == 0)
		r = read_effective(cgroup_fd, a->type, &after);
	for (uint32_t i = 0; r == 0 && i < before.n; i++) {
		struct bpf_prog_info info = {};

		/* one that its owner has taken away meanwhile is no loss */
		if (is_in(&after, before.ids[i]) ||
		    read_program(before.ids[i], a->name, &info, ret_lost) < 0)
			continue;
		ret_lost->kind = DF_FENCE_OVERRIDE;
		r = -EEXIST;
	}
	return r;
}

int df_fence_attach(const struct df_fence *f, int cgroup_fd, struct df_fence_foreign *ret_lost)
{
	struct attachment list[N_PROGRAMS];

	attachments(f, list);
	for (unsigned i = 0; i < N_PROGRAMS; i++) {
		int r = attach_one(&list[i], cgroup_fd, ret_lost);

		if (r < 0) {
			df_fence_detach(f, cgroup_fd);
			return r;
		}
	}
	for (unsigned i = 0; i < N_PROGRAMS; i++)
		detach_left_over(cgroup_fd, &list[i]);
	return 0;
}

void df_fence_detach(const struct df_fence *f, int cgroup_fd)
{
	struct attachment list[N_PROGRAMS];

	attachments(f, list);
	for (unsigned i = N_PROGRAMS; i-- > 0;)
		(void)bpf_prog_detach2(bpf_program__fd(list[i].program), cgroup_fd, list[i].type);
}

int df_fence_attach_proxy(const struct df_fence *f, int cgroup_fd)
{
	int r = bpf_prog_attach(bpf_program__fd(f->skel->progs.proxy_egress), cgroup_fd,
				BPF_CGROUP_INET_EGRESS, BPF_F_ALLOW_MULTI);

	if (r < 0)
		return r;
	return bpf_prog_attach(bpf_program__fd(f->skel->progs.proxy_ingress), cgroup_fd,
			       BPF_CGROUP_INET_INGRESS, BPF_F_ALLOW_MULTI);
}
