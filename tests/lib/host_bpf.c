/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/host_bpf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* clang's flags for the programs are others than those of the host's compiler */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpointer-arith"
#include "bpf/connect.bpf.h"
#pragma GCC diagnostic pop

#define ENTRIES_MAX 4096

static struct {
	struct df_port_key key;
	__u32 class;
} class_entries[ENTRIES_MAX];
static struct {
	struct df_net_key key;
	struct df_net net;
} net_entries[ENTRIES_MAX];
static struct {
	__u8 addr[16];
	struct df_learned value;
} learned_entries[ENTRIES_MAX];
static unsigned n_classes, n_nets, n_learned;
static struct df_conf the_conf;
static struct df_sock the_sock;
static __u8 own[16];
static __u32 has_own;

void df_host_clear(void)
{
	n_classes = n_nets = n_learned = 0;
	has_own = 0;
	memset(&the_conf, 0, sizeof(the_conf));
}

struct df_conf *df_host_conf(void)
{
	return &the_conf;
}

/* Whether the first bits of both are the same: what an LPM trie asks. */
static bool is_prefix(const __u8 *entry, const __u8 *key, unsigned bits)
{
	const unsigned octets = bits / 8, rest = bits % 8;

	return memcmp(entry, key, octets) == 0 &&
	       (rest == 0 || (entry[octets] ^ key[octets]) >> (8 - rest) == 0);
}

static void *look_up_class(const struct df_port_key *key)
{
	__u32 *best = NULL;
	unsigned len = 0;

	for (unsigned i = 0; i < n_classes; i++) {
		const struct df_port_key *entry = &class_entries[i].key;

		if (entry->prefix_len >= len &&
		    is_prefix(&entry->proto, &key->proto, entry->prefix_len)) {
			best = &class_entries[i].class;
			len = entry->prefix_len;
		}
	}
	return best;
}

static void *look_up_net(const struct df_net_key *key)
{
	struct df_net *best = NULL;
	unsigned len = 0;

	for (unsigned i = 0; i < n_nets; i++) {
		const struct df_net_key *entry = &net_entries[i].key;

		if (entry->prefix_len >= len &&
		    is_prefix(entry->addr, key->addr, entry->prefix_len)) {
			best = &net_entries[i].net;
			len = entry->prefix_len;
		}
	}
	return best;
}

static struct df_learned *look_up_learned(const void *addr)
{
	for (unsigned i = 0; i < n_learned; i++)
		if (memcmp(learned_entries[i].addr, addr, 16) == 0)
			return &learned_entries[i].value;
	return NULL;
}

static void *bpf_map_lookup_elem(const void *map, const void *key)
{
	if (map == &conf)
		return &the_conf;
	if (map == &classes)
		return look_up_class(key);
	if (map == &nets)
		return look_up_net(key);
	if (map == &learned)
		return look_up_learned(key);
	if (map == &own_addrs && has_own && memcmp(own, key, sizeof(own)) == 0)
		return &has_own;
	return NULL;
}

/* The tokens. */
static long bpf_map_update_elem(const void *map, const void *key, const void *value, __u64 flags)
{
	(void)key;
	(void)value;
	(void)flags;
	return map == &tok ? 0 : -ENOENT;
}

int __wrap_bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags);

/* libbpf's, for the code that fills the maps. */
int __wrap_bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
	(void)flags;
	if (n_classes == ENTRIES_MAX || n_nets == ENTRIES_MAX)
		return -E2BIG;
	if (fd == DF_HOST_CLASSES) {
		memcpy(&class_entries[n_classes].key, key, sizeof(struct df_port_key));
		memcpy(&class_entries[n_classes++].class, value, sizeof(__u32));
	} else {
		memcpy(&net_entries[n_nets].key, key, sizeof(struct df_net_key));
		memcpy(&net_entries[n_nets++].net, value, sizeof(struct df_net));
	}
	return 0;
}

int df_host_learned_get(const uint8_t addr[static 16], struct df_learned *ret)
{
	const struct df_learned *l = look_up_learned(addr);

	if (!l)
		return -ENOENT;
	*ret = *l;
	return 0;
}

int __wrap_bpf_map_lookup_elem(int fd, const void *key, void *value);

/* libbpf's, for the code that reads map "learned". */
int __wrap_bpf_map_lookup_elem(int fd, const void *key, void *value)
{
	(void)fd;
	return df_host_learned_get(key, value);
}

int df_host_learned_put(const uint8_t addr[static 16], const struct df_learned *value)
{
	struct df_learned *l = look_up_learned(addr);

	if (!l) {
		if (n_learned == ENTRIES_MAX)
			return -E2BIG;
		memcpy(learned_entries[n_learned].addr, addr, 16);
		l = &learned_entries[n_learned++].value;
	}
	*l = *value;
	return 0;
}

int df_host_learned_remove(const uint8_t addr[static 16])
{
	for (unsigned i = 0; i < n_learned; i++) {
		if (memcmp(learned_entries[i].addr, addr, 16) != 0)
			continue;
		learned_entries[i] = learned_entries[--n_learned];
		return 0;
	}
	return -ENOENT;
}

void df_host_own(const uint8_t *addr)
{
	has_own = addr != NULL;
	if (addr)
		memcpy(own, addr, sizeof(own));
}

static void *bpf_sk_storage_get(const void *map, struct bpf_sock *sk, void *value, __u64 flags)
{
	(void)map;
	(void)sk;
	(void)value;
	(void)flags;
	return &the_sock;
}

static void *bpf_ringbuf_reserve(const void *map, __u64 size, __u64 flags)
{
	(void)map;
	(void)size;
	(void)flags;
	return NULL;
}

static void bpf_ringbuf_submit(void *data, __u64 flags)
{
	(void)data;
	(void)flags;
}

static __u64 bpf_ktime_get_boot_ns(void)
{
	return DF_HOST_NOW_NS;
}

static __u64 bpf_get_netns_cookie(const void *ctx)
{
	(void)ctx;
	return 0;
}

static __u64 bpf_get_current_pid_tgid(void)
{
	return 0;
}

static __u64 bpf_get_current_uid_gid(void)
{
	return 0;
}

static __u64 bpf_get_current_task(void)
{
	return 0;
}

static __u32 bpf_get_prandom_u32(void)
{
	return 1;
}

static long bpf_get_current_comm(void *buf, __u32 size)
{
	memset(buf, 0, size);
	return 0;
}

static long bpf_probe_read_kernel(void *dst, __u32 size, const void *src)
{
	(void)src;
	memset(dst, 0, size);
	return -EFAULT;
}

static long bpf_probe_read_user(void *dst, __u32 size, const void *src)
{
	return bpf_probe_read_kernel(dst, size, src);
}

struct df_host_outcome df_host_judge(const uint8_t addr[static 16], uint16_t proto, uint16_t port)
{
	static struct bpf_sock sk;
	struct bpf_sock_addr ctx = {.sk = &sk};
	struct dest d = {.port = bpf_htons(port), .proto = proto};
	struct dest_args a;
	__u64 outcome;

	memcpy(d.addr, addr, sizeof(d.addr));
	memset(&the_sock, 0, sizeof(the_sock));
	a = pack(&d);
	outcome = judge(&ctx, a.high, a.low, a.rest | 1ull << 40);
	if (outcome >> OUTCOME_REDIRECT)
		return (struct df_host_outcome){.is_redirected = true};
	return (struct df_host_outcome){
		.against = (uint8_t)opinion_set(outcome, OPINION_AGAINST),
		.undecided = (uint8_t)opinion_set(outcome, OPINION_UNDECIDED),
		.noted = (uint8_t)opinion_set(outcome, OPINION_NOTED),
		.enforced = (uint8_t)opinion_set(outcome, OPINION_ENFORCED),
		.bits = (uint16_t)(outcome >> OPINION_BITS),
		.said = (uint8_t)(outcome >> OPINION_SAID),
		.kind = (uint8_t)(outcome >> OUTCOME_KIND),
		.is_refused = outcome >> OUTCOME_REFUSE & 1,
	};
}
