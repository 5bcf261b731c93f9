// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lsm: refuses sockets of families that the fence's other programs never see.
 *
 * cgroup/sock_create is asked for IPv4 and IPv6 alone; AF_PACKET, AF_XDP and AF_VSOCK
 * pass it, and egress too.  The LSM's socket_create is asked for all.  An object of its
 * own: loading it makes libbpf parse the kernel's BTF (17 ms), and many kernels do not
 * take it at all (before 6.0, or "bpf" not among the LSMs).  It shares the maps of the
 * fence, and so its mode, bypass and kill switch.
 */
#include "bpf/report.bpf.h"

/* Families as <linux/socket.h> counts them, which has no names for user space. */
#define FAMILY_UNIX 1
#define FAMILY_INET 2
#define FAMILY_INET6 10
#define FAMILY_NETLINK 16
#define FAMILY_ALG 38

/* family, type, protocol, kern: of <linux/lsm_hook_defs.h>. */
SEC("lsm_cgroup/socket_create")
int fence_lsm_socket(__u64 *ctx)
{
	/*
	 * Families that are harmless or judged elsewhere; any other is refused, also one that the
	 * kernel gets one day.  socket(2) has checked that it is below 64.
	 */
	const __u64 known = 1ull << FAMILY_UNIX | 1ull << FAMILY_INET | 1ull << FAMILY_INET6 |
			    1ull << FAMILY_NETLINK | 1ull << FAMILY_ALG;
	__u32 family = (__u32)ctx[0], type = (__u32)ctx[1], kern = (__u32)ctx[3];
	__u64 protocol = (__u16)ctx[2];
	struct df_conf *c;
	__u32 enforcing;

	if (kern || (family < 64 && (known >> (family & 63) & 1)))
		return PASS;
	c = conf_get();
	if (!c || c->mode == DF_MODE_DENY)
		return REFUSE;
	enforcing = is_enforcing(c);
	if (enforcing)
		count(DF_COUNT_SOCK_REFUSED);
	report_task(DF_SOCKET_KIND(family, type), 0,
		    report_rest(protocol << 16, DF_EVENT_SOCKET_FAMILY, enforcing, 0), 0);
	return verdict(enforcing);
}

char LICENSE[] SEC("license") = "GPL";
