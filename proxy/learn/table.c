/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/learn/table.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/hash.h"
#include "lib/base/util.h"

struct df_learn_shared *df_learn_new(void)
{
	void *s = mmap(NULL, sizeof(struct df_learn_shared), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return s == MAP_FAILED ? NULL : s;
}

void df_learn_free(struct df_learn_shared *s)
{
	if (s)
		(void)munmap(s, sizeof(*s));
}

/* --- pools: slots and their hash index ---------------------------------------------- */

static uint32_t hash_of(const struct df_learn *l, const void *key, size_t len)
{
	return df_hash_fold(df_hash_bytes(l->seed, key, len));
}

static struct df_learn_slot *slot_at(const struct df_learn_pool *p, uint32_t i)
{
	return (struct df_learn_slot *)(void *)(p->slots + i * p->stride);
}

static const void *key_at(const struct df_learn_pool *p, uint32_t i, size_t *ret_len)
{
	const uint8_t *key = p->slots + i * p->stride + p->key_at;

	*ret_len = p->key_len;
	if (p->key_len)
		return key;
	*ret_len = ((const struct df_dname *)(const void *)key)->len;
	return ((const struct df_dname *)(const void *)key)->wire;
}

static void link_slot(struct df_learn_pool *p, uint32_t i)
{
	struct df_learn_slot *s = slot_at(p, i);
	uint16_t *head = &p->heads[s->hash & (p->n_buckets - 1)];

	s->hash_next = *head;
	*head = (uint16_t)i;
}

static void grow(struct df_learn_pool *p)
{
	p->n_buckets *= 2;
	p->heads = p->all_heads;
	memset(p->heads, 0, p->n_buckets * sizeof(p->heads[0]));
	for (uint32_t i = 1; i < *p->n_ever; i++)
		if (slot_at(p, i)->is_used)
			link_slot(p, i);
}

/* A free slot, not in use yet.  0: there is none. */
static uint32_t take_slot(struct df_learn_pool *p)
{
	uint32_t i = p->free;

	if (i) {
		p->free = slot_at(p, i)->hash_next;
		return i;
	}
	return *p->n_ever < p->max ? (*p->n_ever)++ : 0;
}

/* The slot counts from now on, even if we die the next moment. */
static uint16_t use_slot(struct df_learn *l, struct df_learn_pool *p, uint32_t i)
{
	struct df_learn_slot *s = slot_at(p, i);
	size_t len;
	const void *key = key_at(p, i, &len);

	s->hash = hash_of(l, key, len);
	__atomic_store_n(&s->is_used, 1, __ATOMIC_RELEASE);
	link_slot(p, i);
	if (++p->n_used > p->n_buckets && p->n_buckets < p->max)
		grow(p);
	return (uint16_t)i;
}

static void free_slot(struct df_learn_pool *p, uint32_t i)
{
	struct df_learn_slot *s = slot_at(p, i);
	uint16_t *link = &p->heads[s->hash & (p->n_buckets - 1)];

	while (*link != i)
		link = &slot_at(p, *link)->hash_next;
	*link = s->hash_next;
	__atomic_store_n(&s->is_used, 0, __ATOMIC_RELEASE);
	s->hash_next = (uint16_t)p->free;
	p->free = i;
	p->n_used--;
}

static uint16_t find(const struct df_learn *l, const struct df_learn_pool *p, const void *key,
		     size_t len)
{
	const uint32_t hash = hash_of(l, key, len);
	uint32_t i = p->heads[hash & (p->n_buckets - 1)];

	for (; i; i = slot_at(p, i)->hash_next) {
		size_t other_len;
		const void *other = key_at(p, i, &other_len);

		if (slot_at(p, i)->hash == hash && other_len == len && memcmp(other, key, len) == 0)
			break;
	}
	return (uint16_t)i;
}

/* --- names, addresses, and the pairs in the chains of both --------------------------- */

uint16_t df_learn_find_name(const struct df_learn *l, const struct df_dname *name)
{
	return find(l, &l->names, name->wire, name->len);
}

uint16_t df_learn_find_addr(const struct df_learn *l, const uint8_t addr[static 16])
{
	return find(l, &l->addrs, addr, 16);
}

uint16_t df_learn_find_pair(const struct df_learn *l, uint16_t addr, uint16_t name)
{
	const uint16_t both[] = {addr, name};

	return find(l, &l->pairs, both, sizeof(both));
}

uint16_t df_learn_add_name(struct df_learn *l, const struct df_dname *name)
{
	const uint32_t i = take_slot(&l->names);
	struct df_learn_name *n = df_learn_name_at(l, i);

	if (!i)
		return 0;
	n->generation++;
	n->first_pair = n->n_sticky = n->is_told = 0;
	n->name = *name;
	return use_slot(l, &l->names, i);
}

uint16_t df_learn_add_addr(struct df_learn *l, const uint8_t addr[static 16])
{
	const uint32_t i = take_slot(&l->addrs);
	struct df_learn_addr *a = df_learn_addr_at(l, i);

	if (!i)
		return 0;
	*a = (struct df_learn_addr){.slot = a->slot, .is_dirty = true};
	memcpy(a->addr, addr, sizeof(a->addr));
	return use_slot(l, &l->addrs, i);
}

static void chain(struct df_learn *l, uint16_t i)
{
	struct df_learn_pair *p = df_learn_pair_at(l, i);
	struct df_learn_addr *a = df_learn_addr_at(l, p->addr);
	struct df_learn_name *n = df_learn_name_at(l, p->name);

	p->addr_prev = p->name_prev = 0;
	p->addr_next = a->first_pair;
	p->name_next = n->first_pair;
	if (p->addr_next)
		df_learn_pair_at(l, p->addr_next)->addr_prev = i;
	if (p->name_next)
		df_learn_pair_at(l, p->name_next)->name_prev = i;
	a->first_pair = n->first_pair = i;
}

uint16_t df_learn_add_pair(struct df_learn *l, uint16_t addr, uint16_t name)
{
	const uint32_t i = take_slot(&l->pairs);
	struct df_learn_pair *p = df_learn_pair_at(l, i);

	if (!i)
		return 0;
	*p = (struct df_learn_pair){.slot = p->slot, .addr = addr, .name = name};
	chain(l, (uint16_t)i);
	return use_slot(l, &l->pairs, i);
}

void df_learn_drop_addr(struct df_learn *l, uint16_t i)
{
	free_slot(&l->addrs, i);
}

void df_learn_drop_pair(struct df_learn *l, uint16_t i)
{
	static const uint16_t none[DF_PORT_CLASSES];
	struct df_learn_pair *p = df_learn_pair_at(l, i);
	struct df_learn_name *n = df_learn_name_at(l, p->name);

	df_learn_set(l, i, none, 0, false);
	*(p->addr_prev ? &df_learn_pair_at(l, p->addr_prev)->addr_next
		       : &df_learn_addr_at(l, p->addr)->first_pair) = p->addr_next;
	if (p->addr_next)
		df_learn_pair_at(l, p->addr_next)->addr_prev = p->addr_prev;
	*(p->name_prev ? &df_learn_pair_at(l, p->name_prev)->name_next : &n->first_pair) =
		p->name_next;
	if (p->name_next)
		df_learn_pair_at(l, p->name_next)->name_prev = p->name_prev;
	free_slot(&l->pairs, i);
	if (!n->first_pair)
		free_slot(&l->names, p->name);
}

/* --- bits: of a pair, and the union of an address ------------------------------------- */

bool df_learn_has_any(const uint16_t bits[static DF_PORT_CLASSES], uint16_t mask)
{
	for (unsigned i = 0; i < DF_PORT_CLASSES; i++)
		if (bits[i] & mask)
			return true;
	return false;
}

/* Sticky pairs are counted for their name and, if the policy does not pin it, for all. */
static void count(struct df_learn *l, const struct df_learn_pair *p, int by)
{
	struct df_learn_name *n = df_learn_name_at(l, p->name);

	if (!df_learn_has_any(p->bits, DF_LEARN_BLOCKED))
		return;
	n->n_sticky = (uint16_t)(n->n_sticky + by);
	if (!p->is_pinned)
		l->n_unpinned += (uint32_t)by;
}

/* A pair that was the blocker before stays it while it blocks. */
void df_learn_unite(struct df_learn *l, struct df_learn_addr *a)
{
	uint16_t bits[DF_PORT_CLASSES] = {}, blocker = 0;

	a->is_shrunk = false;
	for (uint16_t i = a->first_pair; i; i = df_learn_pair_at(l, i)->addr_next) {
		const struct df_learn_pair *p = df_learn_pair_at(l, i);

		for (unsigned k = 0; k < DF_PORT_CLASSES; k++)
			bits[k] |= p->bits[k];
		if ((!blocker || i == a->blocker) && df_learn_has_any(p->bits, DF_LEARN_BLOCKED))
			blocker = i;
	}
	if (blocker != a->blocker || memcmp(bits, a->bits, sizeof(bits)) != 0)
		a->is_dirty = true;
	memcpy(a->bits, bits, sizeof(bits));
	a->blocker = blocker;
}

void df_learn_set(struct df_learn *l, uint16_t i, const uint16_t bits[static DF_PORT_CLASSES],
		  uint32_t rule, bool is_pinned)
{
	struct df_learn_pair *p = df_learn_pair_at(l, i);
	struct df_learn_addr *a = df_learn_addr_at(l, p->addr);
	bool is_grown = false;

	count(l, p, -1);
	if (p->rule != rule && i == a->blocker)
		a->is_dirty = true;
	p->is_pinned = is_pinned;
	p->rule = rule;
	/* bits that a pair gains need no look at the others: an address may have thousands */
	for (unsigned k = 0; k < DF_PORT_CLASSES; k++) {
		const uint16_t gained = bits[k] & (uint16_t)~p->bits[k];

		is_grown |= gained != 0;
		a->is_shrunk |= (p->bits[k] & ~bits[k]) != 0;
		a->is_dirty |= (gained & ~a->bits[k]) != 0;
		a->bits[k] |= gained;
		p->bits[k] = bits[k];
	}
	count(l, p, 1);
	if (is_grown && !a->blocker && df_learn_has_any(p->bits, DF_LEARN_BLOCKED)) {
		a->blocker = i;
		a->is_dirty = true;
	}
}

/* --- a new worker --------------------------------------------------------------------- */

/* A pool whose slots in use make sense; the others are free. */
static void open_pool(struct df_learn *l, struct df_learn_pool *p)
{
	for (uint32_t i = 1; i < *p->n_ever; i++)
		p->n_used += slot_at(p, i)->is_used;
	while (p->n_buckets < p->n_used && p->n_buckets < p->max) {
		p->n_buckets *= 2;
		p->heads = p->all_heads; /* of a new worker, hence zero */
	}
	for (uint32_t i = *p->n_ever; i-- > 1;) { /* so that the first ones are used first */
		struct df_learn_slot *s = slot_at(p, i);
		size_t len;
		const void *key = key_at(p, i, &len);

		if (s->is_used) {
			s->hash = hash_of(l, key, len);
			link_slot(p, i);
		} else {
			s->hash_next = (uint16_t)p->free;
			p->free = i;
		}
	}
}

static void init_pool(struct df_learn_pool *p, uint32_t *n_ever, uint16_t *heads)
{
	p->n_ever = n_ever;
	p->n_buckets = DF_LEARN_FEW;
	p->heads = p->few;
	p->all_heads = heads;
	if (*n_ever < 1 || *n_ever > p->max)
		*n_ever = *n_ever ? p->max : 1; /* a fresh table, or nonsense: all is looked at */
}

#define POOL(array, key, len)                                                                      \
	{                                                                                          \
		.slots = (uint8_t *)(array), .stride = sizeof((array)[0]),                         \
		.max = ARRAY_SIZE(array), .key_at = offsetof(__typeof__((array)[0]), key),         \
		.key_len = (len)                                                                   \
	}

void df_learn_load(struct df_learn *l)
{
	struct df_learn_shared *s = l->shared;

	l->names = (struct df_learn_pool)POOL(s->names, name, 0);
	l->addrs = (struct df_learn_pool)POOL(s->addrs, addr, sizeof(s->addrs[0].addr));
	l->pairs = (struct df_learn_pool)POOL(s->pairs, addr, 2 * sizeof(s->pairs[0].addr));
	init_pool(&l->names, &s->n_names, l->name_heads);
	init_pool(&l->addrs, &s->n_addrs, l->addr_heads);
	init_pool(&l->pairs, &s->n_pairs, l->pair_heads);
	for (uint32_t i = 1; i < s->n_names; i++) {
		struct df_learn_name *n = &s->names[i];

		n->slot.is_used = n->slot.is_used && df_dname_is_sane(&n->name);
		n->first_pair = n->n_sticky = n->is_told = 0;
	}
	for (uint32_t i = 1; i < s->n_addrs; i++) {
		struct df_learn_addr *a = &s->addrs[i];

		a->slot.is_used = a->slot.is_used != 0;
		a->until_ns = 0; /* unknown: the kernel is asked */
		a->first_pair = a->blocker = 0;
		a->is_entered = a->is_dirty = true;
		a->is_shrunk = false;
	}
	for (uint32_t i = s->n_pairs; i-- > 1;) {
		struct df_learn_pair *p = &s->pairs[i];

		p->slot.is_used = p->slot.is_used && p->addr && p->addr < s->n_addrs &&
				  s->addrs[p->addr].slot.is_used && p->name &&
				  p->name < s->n_names && s->names[p->name].slot.is_used;
		if (!p->slot.is_used)
			continue;
		p->is_pinned = p->is_pinned != 0;
		for (unsigned k = 0; k < DF_PORT_CLASSES; k++)
			p->bits[k] &= DF_LEARN_PERMITS | DF_LEARN_BLOCKED;
		chain(l, (uint16_t)i);
		count(l, p, 1);
	}
	for (uint32_t i = 1; i < s->n_names; i++)
		s->names[i].slot.is_used &= s->names[i].first_pair != 0;
	open_pool(l, &l->names);
	open_pool(l, &l->addrs);
	open_pool(l, &l->pairs);
	for (uint32_t i = 1; i < s->n_addrs; i++)
		if (s->addrs[i].slot.is_used)
			df_learn_unite(l, &s->addrs[i]);
}
