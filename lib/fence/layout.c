/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/fence/layout.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <bpf/btf.h>

#include "lib/base/util.h"

#define DEPTH_MAX 4 /* of structs without a name inside of another */

static const struct btf_type *skip_modifiers(const struct btf *btf, uint32_t id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	while (t && (btf_is_mod(t) || btf_is_typedef(t)))
		t = btf__type_by_id(btf, t->type);
	return t;
}

/* A member by its name, also of what has no name itself.  False: there is none. */
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
