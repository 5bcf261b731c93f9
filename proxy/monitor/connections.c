/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/monitor/connections.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "lib/base/util.h"
#include "lib/fence/launch.h"
#include "proxy/monitor/record.h"

#define ANSWER_MAX 8192
#define ANSWER_TIMEOUT_MS 100L /* the answer is there when the request was taken */
#define DEVICES_MAX 8          /* a socket that is bound to one is found by it alone */
#define CGROUP_HANDLE 0xfe     /* FILEID_KERNFS of <linux/exportfs.h>: the id is the handle */

/* --- ending a refused connection ---------------------------------------------------- */

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 diag;
};

static int open_netlink(void)
{
	const struct timeval timeout = {.tv_usec = ANSWER_TIMEOUT_MS * 1000};
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	return fd;
}

static struct request request_for(const struct df_msg_destroy *m, bool is_after_nat, uint16_t type,
				  unsigned device)
{
	const uint8_t *to = is_after_nat ? m->daddr : m->addr;
	const bool is_ipv4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)to);
	const size_t skip = is_ipv4 ? 12 : 0; /* both find the socket if IPv4 is mapped */
	struct request q = {
		.header = {.nlmsg_len = sizeof(q),
			   .nlmsg_type = type,
			   .nlmsg_flags = NLM_F_REQUEST | (type == SOCK_DESTROY ? NLM_F_ACK : 0)},
		.diag = {.sdiag_family = is_ipv4 ? AF_INET : AF_INET6,
			 .sdiag_protocol = IPPROTO_TCP,
			 .idiag_states = ~0u},
	};

	memcpy(q.diag.id.idiag_src, m->saddr + skip, 16 - skip);
	memcpy(q.diag.id.idiag_dst, to + skip, 16 - skip);
	q.diag.id.idiag_sport = m->sport;
	q.diag.id.idiag_dport = is_after_nat ? m->dport : m->port;
	q.diag.id.idiag_if = device;
	q.diag.id.idiag_cookie[0] = (uint32_t)m->cookie;
	q.diag.id.idiag_cookie[1] = (uint32_t)(m->cookie >> 32);
	return q;
}

/* The length of the answer in buf, or what the kernel says against it. */
static ssize_t ask(int fd, const struct request *q, void *buf, size_t size)
{
	const struct nlmsghdr *h = buf;
	const struct nlmsgerr *e = NLMSG_DATA(h);
	ssize_t n;

	if (send(fd, q, sizeof(*q), 0) < 0)
		return -errno;
	n = recv(fd, buf, size, 0);
	if (n < 0)
		return -errno;
	if (!NLMSG_OK(h, (size_t)n))
		return -EBADMSG;
	if (h->nlmsg_type == NLMSG_ERROR)
		return h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)) ? -EBADMSG : e->error;
	return n;
}

/* The id of the cgroup that the socket was made in; 0: it does not say. */
static uint64_t cgroup_of(const void *buf)
{
	const struct nlmsghdr *h = buf;
	struct rtattr *a;
	int left;
	uint64_t id;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
		return 0;
	a = (struct rtattr *)((char *)NLMSG_DATA(h) + NLMSG_ALIGN(sizeof(struct inet_diag_msg)));
	left = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof(struct inet_diag_msg)));
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type != INET_DIAG_CGROUP_ID || RTA_PAYLOAD(a) != sizeof(id))
			continue;
		memcpy(&id, RTA_DATA(a), sizeof(id));
		return id;
	}
	return 0;
}

/* The path of an O_PATH descriptor; "": not known, or too long. */
static void path_of(int fd, char ret[static PATH_MAX])
{
	char link[64];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret, PATH_MAX);
	ret[n > 0 && n < PATH_MAX ? n : 0] = '\0';
}

/* The container's cgroup, or one below it: systemd in it makes such. */
static bool is_ours(struct df_connections *c, uint64_t id)
{
	char top[PATH_MAX], path[PATH_MAX];
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(id)];
	} h = {.handle = {.handle_bytes = sizeof(id), .handle_type = CGROUP_HANDLE}};
	_cleanup_close_ int mount = -1;
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (c->cgroup_id == 0 && fstat(DF_FD_CGROUP, &st) == 0)
		c->cgroup_id = st.st_ino;
	if (id == 0 || id == c->cgroup_id)
		return id != 0;
	memcpy(h.handle.f_handle, &id, sizeof(id));
	mount = openat(DF_FD_CGROUP_ROOT, ".", O_RDONLY | O_CLOEXEC);
	fd = mount < 0 ? -1 : open_by_handle_at(mount, &h.handle, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return false;
	path_of(DF_FD_CGROUP, top);
	path_of(fd, path);
	return *top && strncmp(path, top, strlen(top)) == 0 && path[strlen(top)] == '/';
}

/* Finds it and ends it, by one tuple and device. */
static int end(struct df_connections *c, int fd, const struct df_msg_destroy *m, bool is_after_nat,
	       unsigned device)
{
	struct request q = request_for(m, is_after_nat, SOCK_DIAG_BY_FAMILY, device);
	_Alignas(struct nlmsghdr) char answer[ANSWER_MAX] = {};
	ssize_t n = ask(fd, &q, answer, sizeof(answer));

	if (n < 0)
		return (int)n;
	c->is_known = true;
	if (!is_ours(c, cgroup_of(answer)))
		return -EXDEV;
	q = request_for(m, is_after_nat, SOCK_DESTROY, device);
	n = ask(fd, &q, answer, sizeof(answer));
	return n < 0 ? (int)n : 0;
}

/*
 * -ENOENT is said of a socket that is not there, and by a kernel that knows nothing of
 * TCP sockets.  0: the latter is not so; the fence's own listener is there to be found.
 */
static int probe(void)
{
	struct request q = {
		.header = {.nlmsg_len = sizeof(q),
			   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.diag = {.sdiag_family = AF_INET,
			 .sdiag_protocol = IPPROTO_TCP,
			 .idiag_states = 1u << TCP_LISTEN},
	};
	_Alignas(struct nlmsghdr) char answer[ANSWER_MAX] = {};
	_cleanup_close_ int fd = open_netlink(); /* of its own: the rest of the dump stays in it */
	ssize_t n = fd < 0 ? fd : ask(fd, &q, answer, sizeof(answer));

	if (n >= 0 && ((struct nlmsghdr *)answer)->nlmsg_type == SOCK_DIAG_BY_FAMILY)
		return 0;
	return n < 0 && n != -ENOENT ? (int)n : -EOPNOTSUPP;
}

static bool is_sane(const struct df_msg_destroy *m)
{
	const struct in6_addr *s = (const struct in6_addr *)m->saddr;
	const struct in6_addr *d = (const struct in6_addr *)m->daddr;
	const struct in6_addr *a = (const struct in6_addr *)m->addr;

	return m->cookie != 0 && m->cookie != UINT64_MAX && m->sport && m->dport && m->port &&
	       IN6_IS_ADDR_V4MAPPED(s) == IN6_IS_ADDR_V4MAPPED(d) &&
	       IN6_IS_ADDR_V4MAPPED(s) == IN6_IS_ADDR_V4MAPPED(a);
}

int df_connections_destroy(struct df_connections *c, const struct df_msg_destroy *m)
{
	struct if_nameindex *devices = NULL;
	int fd, r;

	if (!is_sane(m))
		return -EBADMSG;
	fd = open_netlink();
	if (fd < 0)
		return fd;
	r = end(c, fd, m, true, 0);
	if (r == -ENOENT)
		r = end(c, fd, m, false, 0); /* NAT behind the socket: it has what it asked for */
	if (r == -ENOENT)
		devices = if_nameindex();
	for (int i = 0; devices && r == -ENOENT && i < DEVICES_MAX && devices[i].if_index; i++)
		r = end(c, fd, m, true, devices[i].if_index);
	if (devices)
		if_freenameindex(devices); /* NULL is none to it */
	(void)close(fd);
	if (r == -ENOENT && !c->is_known) {
		r = probe();
		c->is_known = r == 0;
		r = r == 0 ? -ENOENT : r;
	}
	return r;
}

void df_connections_asked(struct df_connections *c, const struct df_msg_destroy *m)
{
	char text[128];
	int r;

	if (c->meta->job.mode != DF_MODE_ENFORCE)
		return;
	r = df_connections_destroy(c, m);
	if (r == 0 || r == -ENOENT || r == -EXDEV || r == -EBADMSG || c->is_reported)
		return;
	c->is_reported = true; /* once: it is the kernel's matter, not the connection's */
	(void)snprintf(text, sizeof(text),
		       "refused connections cannot be ended (%s): they wait for their time-outs",
		       strerror(-r));
	df_record_warning(c->record, "abort_unavailable", text);
}

/* --- sending what was held ----------------------------------------------------------- */

/*
 * true: this descriptor of the process was the socket.  Without TCP_CORK, since a socket that
 * the application has corked waits for the application.
 */
static bool resume(int pidfd, int fds, const char *name, uint64_t cookie)
{
	char link[sizeof("socket:") - 1];
	_cleanup_close_ int fd = -1;
	uint64_t number, own = 0;
	int is_corked = 1;
	socklen_t len = sizeof(own);

	if (readlinkat(fds, name, link, sizeof(link)) != (ssize_t)sizeof(link) ||
	    memcmp(link, "socket:", sizeof(link)) != 0 ||
	    df_parse_u64(name, INT32_MAX, &number) < 0)
		return false;
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, (int)number, 0u);
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_COOKIE, &own, &len) < 0 || own != cookie)
		return false;
	len = sizeof(is_corked);
	if (getsockopt(fd, IPPROTO_TCP, TCP_CORK, &is_corked, &len) == 0 && !is_corked)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_CORK, &is_corked, sizeof(is_corked));
	return true;
}

/* Without an allocation. */
void df_connections_resume(int pidfd, int process_fd, uint64_t cookie)
{
	_cleanup_close_ int fds = openat(process_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned n_left = DF_RESUME_DESCRIPTORS_MAX;
	char buf[4096] __attribute__((aligned(8)));
	long n;

	while (fds >= 0 && (n = syscall(SYS_getdents64, fds, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n;) {
			const struct dirent64 *e = (const void *)(buf + at);

			if (resume(pidfd, fds, e->d_name, cookie) || --n_left == 0)
				return;
			at += e->d_reclen;
		}
	}
}
