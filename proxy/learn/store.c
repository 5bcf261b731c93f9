/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proxy/learn/store.h"

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

static uint32_t hash_of(const struct df_learn *l, const void *data, size_t len)
{
	return df_hash_fold(df_hash_bytes(l->seed, data, len));
}

static uint32_t hash_of_pair(const struct df_learn *l, uint16_t addr, uint16_t name)
{
	const uint16_t both[] = {addr, name};

	return hash_of(l, both, sizeof(both));
}

/* --- pools ------------------------------------------------------------------ */

static struct df_learn_slot *slot_at(const struct df_learn_pool *p, uint32_t i)
{
	return (struct df_learn_slot *)(void *)(p->slots + i * p->stride);
}

static void link_slot(struct df_learn_pool *p, uint32_t i)
{
	struct df_learn_slot *s = slot_at(p, i);
	uint16_t *head = &p->heads[s->hash & (p->n_buckets - 1)];

	s->hash_next = *head;
	*head = (uint16_t)i;
}

static void unlink_slot(struct df_learn_pool *p, uint32_t i)
{
	uint16_t *link = &p->heads[slot_at(p, i)->hash & (p->n_buckets - 1)];

	while (*link != i)
		link = &slot_at(p, *link)->hash_next;
	*link = slot_at(p, i)->hash_next;
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
	if (*p->n_ever >= p->max)
		return 0;
	return (*p->n_ever)++;
}

/* What stands in the slot counts from now on, even if we die the next moment. */
static void use_slot(struct df_learn_pool *p, uint32_t i, uint32_t hash)
{
	struct df_learn_slot *s = slot_at(p, i);

	s->hash = hash;
	__atomic_store_n(&s->is_used, 1, __ATOMIC_RELEASE);
	link_slot(p, i);
	if (++p->n_used > p->n_buckets && p->n_buckets < p->max)
		grow(p);
}

static void free_slot(struct df_learn_pool *p, uint32_t i)
{
	struct df_learn_slot *s = slot_at(p, i);

	unlink_slot(p, i);
	__atomic_store_n(&s->is_used, 0, __ATOMIC_RELEASE);
	s->hash_next = (uint16_t)p->free;
	p->free = i;
	p->n_used--;
}

static uint32_t first_of(const struct df_learn_pool *p, uint32_t hash)
{
	return p->heads[hash & (p->n_buckets - 1)];
}

static void init_pool(struct df_learn_pool *p, void *slots, size_t stride, uint32_t max,
		      uint32_t *n_ever, uint16_t *heads)
{
	*p = (struct df_learn_pool){
		.slots = slots,
		.stride = stride,
		.max = max,
		.n_ever = n_ever,
		.n_buckets = DF_LEARN_FEW,
		.heads = p->few,
		.all_heads = heads,
	};
	if (*n_ever < 1 || *n_ever > max)
		*n_ever = *n_ever ? max : 1; /* a fresh table, or nonsense: all is looked at */
}

/* --- find and add ------------------------------------------------------------- */

uint16_t df_learn_find_name(const struct df_learn *l, const struct df_dname *name)
{
	const uint32_t hash = hash_of(l, name->wire, name->len);
	uint32_t i = first_of(&l->names, hash);

	while (i && !(slot_at(&l->names, i)->hash == hash &&
		      df_dname_is_equal(&df_learn_name_at(l, i)->name, name)))
		i = slot_at(&l->names, i)->hash_next;
	return (uint16_t)i;
}

uint16_t df_learn_find_addr(const struct df_learn *l, const uint8_t addr[static 16])
{
	const uint32_t hash = hash_of(l, addr, 16);
	uint32_t i = first_of(&l->addrs, hash);

	while (i && memcmp(df_learn_addr_at(l, i)->addr, addr, 16) != 0)
		i = slot_at(&l->addrs, i)->hash_next;
	return (uint16_t)i;
}

uint16_t df_learn_find_pair(const struct df_learn *l, uint16_t addr, uint16_t name)
{
	uint32_t i = first_of(&l->pairs, hash_of_pair(l, addr, name));

	while (i && !(df_learn_pair_at(l, i)->addr == addr && df_learn_pair_at(l, i)->name == name))
		i = slot_at(&l->pairs, i)->hash_next;
	return (uint16_t)i;
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
	use_slot(&l->names, i, hash_of(l, name->wire, name->len));
	return (uint16_t)i;
}

uint16_t df_learn_add_addr(struct df_learn *l, const uint8_t addr[static 16])
{
	const uint32_t i = take_slot(&l->addrs);
	struct df_learn_addr *a = df_learn_addr_at(l, i);

	if (!i)
		return 0;
	a->until_ns = a->seen_ns = 0;
	a->first_pair = a->blocker = 0;
	a->is_entered = false;
	a->is_dirty = true;
	a->is_shrunk = false;
	memset(a->bits, 0, sizeof(a->bits));
	memcpy(a->addr, addr, sizeof(a->addr));
	use_slot(&l->addrs, i, hash_of(l, addr, 16));
	return (uint16_t)i;
}

/* Into the chains of its address and its name. */
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

static void unchain(struct df_learn *l, const struct df_learn_pair *p)
{
	if (p->addr_prev)
		df_learn_pair_at(l, p->addr_prev)->addr_next = p->addr_next;
	else
		df_learn_addr_at(l, p->addr)->first_pair = p->addr_next;
	if (p->addr_next)
		df_learn_pair_at(l, p->addr_next)->addr_prev = p->addr_prev;
	if (p->name_prev)
		df_learn_pair_at(l, p->name_prev)->name_next = p->name_next;
	else
		df_learn_name_at(l, p->name)->first_pair = p->name_next;
	if (p->name_next)
		df_learn_pair_at(l, p->name_next)->name_prev = p->name_prev;
}

uint16_t df_learn_add_pair(struct df_learn *l, uint16_t addr, uint16_t name)
{
	const uint32_t i = take_slot(&l->pairs);
	struct df_learn_pair *p = df_learn_pair_at(l, i);
	const struct df_learn_slot slot = p->slot;

	if (!i)
		return 0;
	*p = (struct df_learn_pair){.slot = slot, .addr = addr, .name = name};
	chain(l, (uint16_t)i);
	use_slot(&l->pairs, i, hash_of_pair(l, addr, name));
	return (uint16_t)i;
}

void df_learn_drop_addr(struct df_learn *l, uint16_t i)
{
	free_slot(&l->addrs, i);
}

void df_learn_drop_name(struct df_learn *l, uint16_t i)
{
	free_slot(&l->names, i);
}

void df_learn_drop_pair(struct df_learn *l, uint16_t i)
{
	static const struct df_learn_state none;
	struct df_learn_pair *p = df_learn_pair_at(l, i);
	const uint16_t name = p->name;

	df_learn_set(l, i, &none);
	unchain(l, p);
	free_slot(&l->pairs, i);
	if (!df_learn_name_at(l, name)->first_pair)
		df_learn_drop_name(l, name);
}

/* --- bits ------------------------------------------------------------------- */

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

/* The union, and who blocks: one that blocked before goes on to. */
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

/* What a pair gained needs no look at the others: an address may have thousands. */
static void join(struct df_learn *l, uint16_t i)
{
	const struct df_learn_pair *p = df_learn_pair_at(l, i);
	struct df_learn_addr *a = df_learn_addr_at(l, p->addr);

	for (unsigned k = 0; k < DF_PORT_CLASSES; k++) {
		a->is_dirty |= (p->bits[k] & ~a->bits[k]) != 0;
		a->bits[k] |= p->bits[k];
	}
	if (!a->blocker && df_learn_has_any(p->bits, DF_LEARN_BLOCKED)) {
		a->blocker = i;
		a->is_dirty = true;
	}
}

void df_learn_set(struct df_learn *l, uint16_t i, const struct df_learn_state *state)
{
	struct df_learn_pair *p = df_learn_pair_at(l, i);
	struct df_learn_addr *a = df_learn_addr_at(l, p->addr);
	bool is_shrunk = false, is_grown = false;

	for (unsigned k = 0; k < DF_PORT_CLASSES; k++) {
		is_shrunk |= (p->bits[k] & ~state->bits[k]) != 0;
		is_grown |= (state->bits[k] & ~p->bits[k]) != 0;
	}
	count(l, p, -1);
	if (p->rule != state->rule && i == a->blocker)
		a->is_dirty = true;
	p->is_pinned = state->is_pinned;
	p->rule = state->rule;
	memcpy(p->bits, state->bits, sizeof(p->bits));
	count(l, p, 1);
	a->is_shrunk |= is_shrunk;
	if (is_grown)
		join(l, i);
}

/* --- a new worker --------------------------------------------------------------- */

static bool is_name_sane(const struct df_learn *l, uint32_t i)
{
	return df_dname_is_sane(&df_learn_name_at(l, i)->name);
}

static bool is_addr_sane(const struct df_learn *l, uint32_t i)
{
	(void)l;
	(void)i;
	return true; /* any 16 octets are an address */
}

static bool is_pair_sane(const struct df_learn *l, uint32_t i)
{
	const struct df_learn_pair *p = df_learn_pair_at(l, i);

	return p->addr && p->addr < *l->addrs.n_ever && slot_at(&l->addrs, p->addr)->is_used &&
	       p->name && p->name < *l->names.n_ever && slot_at(&l->names, p->name)->is_used;
}

static uint32_t rehash_name(struct df_learn *l, uint32_t i)
{
	struct df_learn_name *n = df_learn_name_at(l, i);

	n->first_pair = n->n_sticky = n->is_told = 0;
	return hash_of(l, n->name.wire, n->name.len);
}

static uint32_t rehash_addr(struct df_learn *l, uint32_t i)
{
	struct df_learn_addr *a = df_learn_addr_at(l, i);

	a->until_ns = 0; /* unknown: the kernel is asked */
	a->first_pair = a->blocker = 0;
	a->is_entered = a->is_dirty = true;
	a->is_shrunk = false;
	return hash_of(l, a->addr, sizeof(a->addr));
}

static uint32_t rehash_pair(struct df_learn *l, uint32_t i)
{
	struct df_learn_pair *p = df_learn_pair_at(l, i);

	p->is_pinned = p->is_pinned != 0;
	for (unsigned k = 0; k < DF_PORT_CLASSES; k++)
		p->bits[k] &= DF_LEARN_PERMITS | DF_LEARN_BLOCKED;
	chain(l, (uint16_t)i);
	count(l, p, 1);
	return hash_of_pair(l, p->addr, p->name);
}

static void load_pool(struct df_learn *l, struct df_learn_pool *p,
		      bool (*is_sane)(const struct df_learn *l, uint32_t i),
		      uint32_t (*rehash)(struct df_learn *l, uint32_t i))
{
	for (uint32_t i = 1; i < *p->n_ever; i++) {
		struct df_learn_slot *s = slot_at(p, i);

		s->is_used = s->is_used && is_sane(l, i);
		p->n_used += s->is_used;
	}
	while (p->n_buckets < p->n_used && p->n_buckets < p->max) {
		p->n_buckets *= 2;
		p->heads = p->all_heads; /* of a new worker, hence zero */
	}
	for (uint32_t i = *p->n_ever; i-- > 1;) { /* so that the first ones are used first */
		struct df_learn_slot *s = slot_at(p, i);

		if (s->is_used) {
			s->hash = rehash(l, i);
			link_slot(p, i);
		} else {
			s->hash_next = (uint16_t)p->free;
			p->free = i;
		}
	}
}

void df_learn_load(struct df_learn *l)
{
	struct df_learn_shared *s = l->shared;

	init_pool(&l->names, s->names, sizeof(s->names[0]), DF_LEARN_NAMES, &s->n_names,
		  l->name_heads);
	init_pool(&l->addrs, s->addrs, sizeof(s->addrs[0]), DF_LEARN_ADDRS, &s->n_addrs,
		  l->addr_heads);
	init_pool(&l->pairs, s->pairs, sizeof(s->pairs[0]), DF_LEARN_PAIRS, &s->n_pairs,
		  l->pair_heads);
	load_pool(l, &l->names, is_name_sane, rehash_name);
	load_pool(l, &l->addrs, is_addr_sane, rehash_addr);
	load_pool(l, &l->pairs, is_pair_sane, rehash_pair);
	for (uint32_t i = 1; i < s->n_names; i++)
		if (s->names[i].slot.is_used && !s->names[i].first_pair)
			df_learn_drop_name(l, (uint16_t)i);
	for (uint32_t i = 1; i < s->n_addrs; i++)
		if (s->addrs[i].slot.is_used)
			df_learn_unite(l, &s->addrs[i]);
}
