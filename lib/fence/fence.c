/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/fence/fence.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "fence.skel.h"
#include "lib/base/util.h"
#include "lsm.skel.h"

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

	/* Its messages would reach the container's output; ours name the step that failed. */
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

/* Whether its verdict concerns the container's own sockets, and not the proxy's. */
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

/* Attaches one.  All programs that were effective before stay so, even those of cgroups out of
 * view.
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

/* --- the layout of the kernel's structs */

#define DEPTH_MAX 4 /* of structs without a name inside of another */

static const struct btf_type *skip_modifiers(const struct btf *btf, uint32_t id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	while (t && (btf_is_mod(t) || btf_is_typedef(t)))
		t = btf__type_by_id(btf, t->type);
	return t;
}

/* A member by its name, also in members without a name.  False: there is none. */
static bool find_member(const struct btf *btf, const struct btf_type *t, const char *name,
			int depth, uint32_t *ret)
{
	const struct btf_member *m = btf_members(t);

	for (uint16_t i = 0; i < btf_vlen(t); i++) {
		const char *member = btf__name_by_offset(btf, m[i].name_off);
		const uint32_t bits = btf_member_bit_offset(t, i);
		const struct btf_type *inner;

		if (member && strcmp(member, name) == 0) {
			*ret = bits / 8;
			return bits % 8 == 0;
		}
		if ((member && *member) || depth == 0)
			continue;
		inner = skip_modifiers(btf, m[i].type);
		if (inner && btf_is_composite(inner) &&
		    find_member(btf, inner, name, depth - 1, ret)) {
			*ret += bits / 8;
			return true;
		}
	}
	return false;
}

static bool find(const struct btf *btf, const char *type, const char *name, uint32_t *ret)
{
	const int id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);

	return id >= 0 &&
	       find_member(btf, btf__type_by_id(btf, (uint32_t)id), name, DEPTH_MAX, ret);
}

static bool has_helper(const struct btf *btf, const char *name)
{
	const int id = btf__find_by_name_kind(btf, "bpf_func_id", BTF_KIND_ENUM);
	const struct btf_type *t = id < 0 ? NULL : btf__type_by_id(btf, (uint32_t)id);

	for (uint16_t i = 0; t && i < btf_vlen(t); i++) {
		const char *value = btf__name_by_offset(btf, btf_enum(t)[i].name_off);

		if (value && strcmp(value, name) == 0)
			return true;
	}
	return false;
}

static void find_who(const struct btf *btf, struct df_layout *l)
{
	if (!find(btf, "task_struct", "real_parent", &l->task_parent) ||
	    !find(btf, "task_struct", "tgid", &l->task_tgid))
		l->task_parent = 0;
	if (!find(btf, "task_struct", "group_leader", &l->task_leader) ||
	    !find(btf, "task_struct", "start_boottime", &l->task_start))
		l->task_leader = 0;
	if (!find(btf, "task_struct", "mm", &l->task_mm) ||
	    !find(btf, "mm_struct", "arg_start", &l->mm_arg_start) ||
	    !find(btf, "mm_struct", "arg_end", &l->mm_arg_end))
		l->task_mm = 0;
}

static void find_interfaces(const struct btf *btf, struct df_layout *l)
{
	uint32_t oif, addr, flow, saddr;

	/*
	 * Nothing in BTF shows that connect heeds them.  A helper of the same version does; a
	 * wrong guess refuses or drops such a query, and never lets it pass.
	 */
	l->has_connect_if = has_helper(btf, "BPF_FUNC_dynptr_data");
	(void)find(btf, "inet_sock", "uc_index", &l->sock_uc_index);
	if (!find(btf, "inet_sock", "pinet6", &l->sock_pinet6) ||
	    !find(btf, "ipv6_pinfo", "ucast_oif", &l->pinfo_ucast_oif))
		l->sock_pinet6 = 0;
	(void)find(btf, "bpf_sock_addr_kern", "t_ctx", &l->ctx_t_ctx);
	if (find(btf, "ipcm_cookie", "oif", &oif) && find(btf, "ipcm_cookie", "addr", &addr) &&
	    oif > addr)
		l->ipc_oif = oif - addr;
	/* struct flowi6 begins with struct flowi_common */
	if (find(btf, "flowi_common", "flowic_oif", &flow) &&
	    find(btf, "flowi6", "saddr", &saddr) && saddr > flow)
		l->flow_oif = saddr - flow;
}

int df_layout_find(struct df_layout *ret)
{
	struct df_layout l = {};
	struct btf *btf = btf__load_vmlinux_btf();

	if (!btf)
		return -errno;
	find_who(btf, &l);
	find_interfaces(btf, &l);
	btf__free(btf);
	*ret = l;
	return 0;
}

/* --- the LSM program */

#define LSM_LIST "/sys/kernel/security/lsm" /* "landlock,lockdown,yama,apparmor,bpf" */
#define LSM_PREFIX "fence_lsm_"             /* for programs that an earlier fence left */
#define SECTION "lsm_cgroup/socket_create"  /* of bpf/lsm.bpf.c */
#define FUNCTION "socket_create"            /* libbpf puts bpf_lsm_ in front */

struct df_fence_lsm {
	struct lsm_bpf *skel;
};

/* For libbpf's callback, whose cookie is set once. */
static uint32_t known_btf_id;

/* Otherwise it attaches, and is never asked. */
static bool is_lsm_asked(void)
{
	char list[1024], *next = NULL;

	if (df_read_small(AT_FDCWD, LSM_LIST, list, sizeof(list)) < 0)
		return false;
	for (char *word = strtok_r(list, ",\n", &next); word; word = strtok_r(NULL, ",\n", &next))
		if (strcmp(word, "bpf") == 0)
			return true;
	return false;
}

void df_fence_lsm_clean(int cgroup_fd)
{
	uint32_t ids[PROGRAMS_MAX], flags[PROGRAMS_MAX];
	struct bpf_prog_query_opts query = {.sz = sizeof(query),
					    .prog_ids = ids,
					    .prog_attach_flags = flags,
					    .prog_cnt = PROGRAMS_MAX};

	if (bpf_prog_query_opts(cgroup_fd, BPF_LSM_CGROUP, &query) < 0)
		return;
	for (uint32_t i = 0; i < query.prog_cnt && i < PROGRAMS_MAX; i++) {
		_cleanup_close_ int fd = bpf_prog_get_fd_by_id(ids[i]);
		struct bpf_prog_info info = {};
		uint32_t len = sizeof(info);

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
		    strncmp(info.name, LSM_PREFIX, strlen(LSM_PREFIX)) == 0)
			(void)bpf_prog_detach2(fd, cgroup_fd, BPF_LSM_CGROUP);
	}
}

/* The headers bring all maps of a fence: those that no program here uses are not made. */
static int share_lsm_maps(const struct df_fence_maps *maps, struct lsm_bpf *skel)
{
	struct bpf_map *map;
	int r = 0;

	bpf_object__for_each_map(
		map, skel->obj) if (map != skel->maps.conf && map != skel->maps.events &&
				    map != skel->maps.counters && map != skel->maps.recent &&
				    map != skel->maps.rodata && r == 0) r =
		bpf_map__set_autocreate(map, false);
	if (r == 0)
		r = bpf_map__reuse_fd(skel->maps.conf, maps->conf);
	if (r == 0)
		r = bpf_map__reuse_fd(skel->maps.events, maps->events);
	if (r == 0)
		r = bpf_map__reuse_fd(skel->maps.counters, maps->counters);
	return r == 0 ? bpf_map__reuse_fd(skel->maps.recent, maps->recent) : r;
}

/*
 * libbpf parses all of the kernel's BTF for an object with a program of the LSM type.
 * So it is of another one until the last moment, if the number is known.
 */
static int prepare_lsm(struct bpf_program *program, struct bpf_prog_load_opts *opts, long cookie)
{
	(void)cookie;
	if (!known_btf_id)
		return 0; /* find_lsm_function was there before */
	opts->attach_btf_id = known_btf_id;
	opts->expected_attach_type = BPF_LSM_CGROUP;
	return bpf_program__set_type(program, BPF_PROG_TYPE_LSM);
}

/* Once, and for good: before libbpf 1.3 registering again after the last one is gone corrupts. */
static int register_lsm_handler(void)
{
	const struct libbpf_prog_handler_opts opts = {.sz = sizeof(opts),
						      .prog_prepare_load_fn = prepare_lsm};
	static int handler = -ENOENT;

	if (handler < 0)
		handler = libbpf_register_prog_handler(SECTION, BPF_PROG_TYPE_CGROUP_SKB,
						       BPF_CGROUP_INET_EGRESS, &opts);
	return handler;
}

/* By its name; libbpf parses the kernel's BTF for it. */
static int find_lsm_function(struct bpf_program *program)
{
	int r = bpf_program__set_type(program, BPF_PROG_TYPE_LSM);

	if (r == 0)
		r = bpf_program__set_expected_attach_type(program, BPF_LSM_CGROUP);
	return r == 0 ? bpf_program__set_attach_target(program, 0, FUNCTION) : r;
}

/* btf_id 0: not known; layout NULL: neither. */
static int load_lsm(const struct df_fence_maps *maps, const struct df_layout *layout,
		    uint32_t btf_id, struct lsm_bpf **ret)
{
	struct lsm_bpf *skel;
	int r = register_lsm_handler();

	if (r < 0)
		return r;
	known_btf_id = btf_id;
	skel = lsm_bpf__open();
	r = skel ? share_lsm_maps(maps, skel) : -errno;
	if (r == 0 && layout)
		memcpy((void *)&skel->rodata->layout, layout, sizeof(*layout));
	if (r == 0 && btf_id == 0)
		r = find_lsm_function(skel->progs.fence_lsm_socket);
	if (r == 0)
		r = lsm_bpf__load(skel);
	if (r < 0)
		lsm_bpf__destroy(skel);
	else
		*ret = skel;
	return r;
}

static int load_and_attach_lsm(const struct df_fence_maps *maps, const struct df_layout *layout,
			       int cgroup_fd, uint32_t *btf_id, struct df_fence_lsm *lsm)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	int r = *btf_id ? load_lsm(maps, layout, *btf_id, &lsm->skel) : -ENOENT, fd;

	if (r < 0)
		r = load_lsm(maps, layout, 0, &lsm->skel);
	if (r < 0) /* a kernel that lets no program read its memory: as lib/fence has it */
		r = load_lsm(maps, NULL, 0, &lsm->skel);
	if (r < 0)
		return r;
	fd = bpf_program__fd(lsm->skel->progs.fence_lsm_socket);
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
		*btf_id = info.attach_btf_id;
	return bpf_prog_attach(fd, cgroup_fd, BPF_LSM_CGROUP, BPF_F_ALLOW_MULTI);
}

int df_fence_lsm_attach(const struct df_fence_maps *maps, const struct df_layout *layout,
			int cgroup_fd, uint32_t *btf_id, struct df_fence_lsm **ret)
{
	struct df_fence_lsm *lsm;
	int r;

	if (!is_lsm_asked())
		return -EOPNOTSUPP;
	lsm = calloc(1, sizeof(*lsm));
	if (!lsm)
		return -ENOMEM;
	r = load_and_attach_lsm(maps, layout, cgroup_fd, btf_id, lsm);
	if (r < 0) {
		df_fence_lsm_free(lsm);
		return r;
	}
	*ret = lsm;
	return 0;
}

void df_fence_lsm_detach(const struct df_fence_lsm *lsm, int cgroup_fd)
{
	if (lsm)
		(void)bpf_prog_detach2(bpf_program__fd(lsm->skel->progs.fence_lsm_socket),
				       cgroup_fd, BPF_LSM_CGROUP);
}

void df_fence_lsm_free(struct df_fence_lsm *lsm)
{
	if (!lsm)
		return;
	lsm_bpf__destroy(lsm->skel);
	free(lsm);
}
