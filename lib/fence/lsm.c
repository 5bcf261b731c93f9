/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/fence/lsm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lib/base/util.h"
#include "lsm.skel.h"

#define LSM_LIST "/sys/kernel/security/lsm" /* "landlock,lockdown,yama,apparmor,bpf" */
#define PROGRAM_PREFIX "fence_lsm_"         /* for what an earlier fence left */
#define PROGRAMS_MAX 64
#define SECTION "lsm_cgroup/socket_create" /* of bpf/lsm.bpf.c */
#define FUNCTION "socket_create"           /* libbpf puts bpf_lsm_ in front */

struct df_fence_lsm {
	struct lsm_bpf *skel;
};

/* For libbpf's callback, whose cookie is set once. */
static uint32_t known_btf_id;

/* Otherwise it attaches, and is never asked. */
static bool is_asked(void)
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
		    strncmp(info.name, PROGRAM_PREFIX, strlen(PROGRAM_PREFIX)) == 0)
			(void)bpf_prog_detach2(fd, cgroup_fd, BPF_LSM_CGROUP);
	}
}

static int share(struct bpf_map *map, int fd)
{
	return bpf_map__reuse_fd(map, fd);
}

/* The headers bring all maps of a fence: those that no program here uses are not made. */
static int share_maps(const struct df_fence_maps *maps, struct lsm_bpf *skel)
{
	struct bpf_map *map;
	int r = 0;

	bpf_object__for_each_map(
		map, skel->obj) if (map != skel->maps.conf && map != skel->maps.events &&
				    map != skel->maps.counters && map != skel->maps.recent &&
				    map != skel->maps.rodata && r == 0) r =
		bpf_map__set_autocreate(map, false);
	if (r == 0)
		r = share(skel->maps.conf, maps->conf);
	if (r == 0)
		r = share(skel->maps.events, maps->events);
	if (r == 0)
		r = share(skel->maps.counters, maps->counters);
	return r == 0 ? share(skel->maps.recent, maps->recent) : r;
}

/*
 * libbpf parses all of the kernel's BTF for an object with a program of the LSM type.
 * So it is of another one until the last moment, if the number is known.
 */
static int prepare(struct bpf_program *program, struct bpf_prog_load_opts *opts, long cookie)
{
	(void)cookie;
	if (!known_btf_id)
		return 0; /* find_function was there before */
	opts->attach_btf_id = known_btf_id;
	opts->expected_attach_type = BPF_LSM_CGROUP;
	return bpf_program__set_type(program, BPF_PROG_TYPE_LSM);
}

/* Once, and for good: before libbpf 1.3 registering again after the last one is gone corrupts. */
static int register_handler(void)
{
	const struct libbpf_prog_handler_opts opts = {.sz = sizeof(opts),
						      .prog_prepare_load_fn = prepare};
	static int handler = -ENOENT;

	if (handler < 0)
		handler = libbpf_register_prog_handler(SECTION, BPF_PROG_TYPE_CGROUP_SKB,
						       BPF_CGROUP_INET_EGRESS, &opts);
	return handler;
}

/* By its name; libbpf parses the kernel's BTF for it. */
static int find_function(struct bpf_program *program)
{
	int r = bpf_program__set_type(program, BPF_PROG_TYPE_LSM);

	if (r == 0)
		r = bpf_program__set_expected_attach_type(program, BPF_LSM_CGROUP);
	return r == 0 ? bpf_program__set_attach_target(program, 0, FUNCTION) : r;
}

/* btf_id 0: not known; layout NULL: neither. */
static int load(const struct df_fence_maps *maps, const struct df_layout *layout, uint32_t btf_id,
		struct lsm_bpf **ret)
{
	struct lsm_bpf *skel;
	int r = register_handler();

	if (r < 0)
		return r;
	known_btf_id = btf_id;
	skel = lsm_bpf__open();
	r = skel ? share_maps(maps, skel) : -errno;
	if (r == 0 && layout)
		memcpy((void *)&skel->rodata->layout, layout, sizeof(*layout));
	if (r == 0 && btf_id == 0)
		r = find_function(skel->progs.fence_lsm_socket);
	if (r == 0)
		r = lsm_bpf__load(skel);
	if (r < 0)
		lsm_bpf__destroy(skel);
	else
		*ret = skel;
	return r;
}

static int load_and_attach(const struct df_fence_maps *maps, const struct df_layout *layout,
			   int cgroup_fd, uint32_t *btf_id, struct df_fence_lsm *lsm)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	int r = *btf_id ? load(maps, layout, *btf_id, &lsm->skel) : -ENOENT, fd;

	if (r < 0)
		r = load(maps, layout, 0, &lsm->skel);
	if (r < 0) /* a kernel that lets no program read its memory: as lib/fence has it */
		r = load(maps, NULL, 0, &lsm->skel);
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

	if (!is_asked())
		return -EOPNOTSUPP;
	lsm = calloc(1, sizeof(*lsm));
	if (!lsm)
		return -ENOMEM;
	r = load_and_attach(maps, layout, cgroup_fd, btf_id, lsm);
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
