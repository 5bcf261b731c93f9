/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The facts about a container that its proxy is told: struct df_meta. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hook/hook.h"
#include "lib/base/util.h"

static void copy_text(char *to, size_t size, const char *from)
{
	(void)snprintf(to, size, "%s", from ? from : "");
}

static void add_resolver(struct df_meta *m, const uint8_t addr[static 16])
{
	for (uint32_t i = 0; i < m->n_resolvers; i++)
		if (memcmp(m->resolvers[i], addr, 16) == 0)
			return;
	if (m->n_resolvers < DF_META_RESOLVERS_MAX)
		memcpy(m->resolvers[m->n_resolvers++], addr, 16);
}

/*
 * Resolvers: those of the policies, else those of the container's resolv.conf.  The proxy believes
 * none of the latter that the container can be itself (proxy/worker/trust.h).
 */
static void fill_resolvers(const struct df_hook *h, struct df_meta *m)
{
	for (int t = 0; t < DF_TABLE_SHADOW; t++) {
		const struct df_policy *p = &h->tables[t].policy;

		for (uint32_t i = 0; h->tables[t].is_used && i < df_policy_n_resolvers(p); i++) {
			uint8_t addr[16];

			df_policy_resolver_at(p, i, addr);
			add_resolver(m, addr);
		}
	}
	m->are_resolvers_named = m->n_resolvers > 0;
	for (unsigned i = 0; !m->are_resolvers_named && i < h->container.dns.n_resolvers; i++)
		add_resolver(m, h->container.dns.resolvers[i]);
}

/* Below the directory, or it. */
static bool is_below(const char *path, const char *directory)
{
	size_t len = strlen(directory);

	while (len > 1 && directory[len - 1] == '/')
		len--;
	return strncmp(path, directory, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0' || len == 1);
}

/* Whether a mount shows the file at path writable. */
static bool shows_writable(const struct df_hook *h, const struct df_config_mount *m,
			   const char *path)
{
	char source[PATH_MAX], real[PATH_MAX];

	if (m->is_readonly || m->is_cgroup)
		return false;
	(void)snprintf(source, sizeof(source), "%s%s%s", m->source[0] == '/' ? "" : h->state.bundle,
		       m->source[0] == '/' ? "" : "/", m->source);
	return !realpath(source, real) || is_below(path, real);
}

/*
 * A later change of the file counts if nobody inside can write it: by no mount of this container,
 * not by another container that shares its network and so its file, and not by a remount.
 */
static bool is_resolv_conf_trusted(const struct df_hook *h)
{
	char path[PATH_MAX];

	if (h->container.resolv_conf_fd < 0 || !realpath(h->config.resolv_conf, path) ||
	    h->config.is_in_pod || *h->findings.seen[DF_FINDING_SHARED_NETNS] ||
	    (h->config.caps >> CAP_SYS_ADMIN & 1))
		return false;
	for (size_t i = 0; i < h->config.n_mounts; i++)
		if (shows_writable(h, &h->config.mounts[i], path))
			return false;
	return true;
}

static void fill_resolv_conf(const struct df_hook *h, struct df_meta *m)
{
	const struct df_container *c = &h->container;

	m->has_resolv_conf = c->resolv_conf_fd >= 0;
	m->resolv_conf_s = c->resolv_conf_ctime.tv_sec;
	m->resolv_conf_ns = c->resolv_conf_ctime.tv_nsec;
	m->is_resolv_conf_trusted = is_resolv_conf_trusted(h);
	m->init_exe_dev = c->image.exe_dev;
	m->init_exe_ino = c->image.exe_ino;
	m->init_arg_start = c->image.arg_start;
}

/* With host networking podman gives the host's, which tells no container from another. */
static void fill_hostname(const struct df_hook *h, struct df_meta *m)
{
	char host[HOST_NAME_MAX + 1] = "";

	(void)gethostname(host, sizeof(host) - 1);
	if (h->config.hostname && strcmp(h->config.hostname, host) != 0)
		copy_text(m->hostname, sizeof(m->hostname), h->config.hostname);
}

void df_hook_describe(const struct df_hook *h, struct df_meta *m)
{
	copy_text(m->id, sizeof(m->id), h->state.id);
	copy_text(m->name, sizeof(m->name), h->config.name);
	copy_text(m->image, sizeof(m->image), h->config.image);
	copy_text(m->pod, sizeof(m->pod), h->config.pod);
	copy_text(m->k8s_namespace, sizeof(m->k8s_namespace), h->config.k8s_namespace);
	fill_hostname(h, m);
	copy_text(m->owner, sizeof(m->owner), h->state.annotations.owner);
	m->n_x = (uint32_t)h->state.annotations.n_x;
	for (size_t i = 0; i < h->state.annotations.n_x; i++) {
		copy_text(m->x[i].key, sizeof(m->x[i].key), h->state.annotations.x[i].key);
		copy_text(m->x[i].value, sizeof(m->x[i].value), h->state.annotations.x[i].value);
	}
}

static void fill_meta(const struct df_hook *h, struct df_meta *m)
{
	df_hook_describe(h, m);
	m->version = DF_META_VERSION;
	m->size = sizeof(*m);
	m->init_pid = h->container.pid;
	m->mode = h->mode;
	for (int i = 0; i < DF_TABLES; i++)
		m->table_modes[i] = (uint8_t)h->tables[i].mode;
	m->is_fail_open = df_hook_is_fail_open(h);
	m->is_logged_to_stderr = h->state.annotations.log != DF_ASK_LOG_NONE;
	m->is_stderr_pipe = h->container.is_stderr_pipe;
	m->stderr_dev = h->container.stderr_dev;
	m->stderr_ino = h->container.stderr_ino;
	m->log_to_journal = (h->conf.log & DF_CONF_LOG_JOURNAL) != 0;
	m->log_to_syslog = (h->conf.log & DF_CONF_LOG_SYSLOG) != 0;
	m->has_reports = h->reports_fd >= 0;
	m->report_limits = h->conf.report_limits;
	m->port = h->listen.port;
	memcpy(m->token6_prefix, h->listen.token6_prefix, sizeof(m->token6_prefix));
	copy_text(m->policy, sizeof(m->policy), df_policy_name(&h->tables[DF_TABLE_OWN].policy));
	copy_text(m->stale, sizeof(m->stale), h->stale);
	copy_text(m->cgroup, sizeof(m->cgroup), h->container.cgroup);
	copy_text(m->proxy_cgroup, sizeof(m->proxy_cgroup), h->proxy_cgroup);
	m->is_host_netns = h->container.is_host_netns;
	m->is_docker = h->is_docker;
	fill_resolvers(h, m);
	fill_resolv_conf(h, m);
	m->ndots = h->container.dns.ndots;
	m->n_search = h->container.dns.n_search;
	memcpy(m->search, h->container.dns.search, m->n_search * sizeof(m->search[0]));
	for (int i = 0; i < DF_FINDINGS; i++)
		if (*h->findings.seen[i]) /* else no page is touched */
			copy_text(m->findings[i], sizeof(m->findings[i]), h->findings.seen[i]);
}

/* Sparse: only the pages that hold something are ever charged. */
int df_hook_make_meta(const struct df_hook *h)
{
	_cleanup_close_ int fd = memfd_create("deployfence-meta", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct df_meta *m;

	if (fd < 0 || ftruncate(fd, sizeof(*m)) < 0)
		return -errno;
	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m == MAP_FAILED)
		return -errno;
	fill_meta(h, m);
	(void)munmap(m, sizeof(*m));
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return -errno;
	return TAKE_FD(fd);
}
