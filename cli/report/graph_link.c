/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is meant by a name or an address: deployfence(1), TRANSIENT DEPENDENCIES. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report/graph.h"
#include "cli/text.h"
#include "lib/base/array.h"
#include "lib/base/util.h"

#define SHORT_ID 12
/* One name or address of so many containers tells nobody apart. */
#define WAYS_MAX 256

/* A way to reach a container: a name, or an address in the one form of 16 octets. */
struct way {
	const char *name; /* NULL: an address */
	uint8_t addr[16];
	size_t container;
	bool is_declared; /* by an annotation */
};

struct ways {
	struct df_graph *g;
	struct way *list;
	size_t n, cap;
};

/* --- addresses */

static bool read_addr(const char *text, uint8_t ret[static 16])
{
	memset(ret, 0, 10);
	memset(ret + 10, 0xff, 2);
	if (inet_pton(AF_INET, text, ret + 12) == 1)
		return true;
	return inet_pton(AF_INET6, text, ret) == 1;
}

static bool has_prefix(const uint8_t addr[static 16], const uint8_t net[static 16], unsigned len)
{
	unsigned whole = len / 8, rest = len % 8;

	return memcmp(addr, net, whole) == 0 &&
	       (rest == 0 || (addr[whole] ^ net[whole]) >> (8 - rest) == 0);
}

struct net {
	uint8_t addr[16];
	unsigned len;
};

static bool is_in(const uint8_t addr[static 16], const struct net *nets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (has_prefix(addr, nets[i].addr, nets[i].len))
			return true;
	return false;
}

#define MAPPED(a, b)                                                                               \
	{                                                                                          \
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b                                     \
	}

/* The same text means another machine everywhere: unspecified, loopback, link-local. */
static bool is_nobody(const uint8_t addr[static 16])
{
	static const struct net nets[] = {
		{MAPPED(0, 0), 104},
		{MAPPED(127, 0), 104},
		{MAPPED(169, 254), 112},
		{{0xfe, 0x80}, 10},
		{{0}, 127},
	};

	return is_in(addr, nets, ARRAY_SIZE(nets));
}

/* RFC 1918, RFC 6598, RFC 4193: other hosts may use it for somebody else. */
static bool is_private(const uint8_t addr[static 16])
{
	static const struct net nets[] = {
		{MAPPED(10, 0), 104},
		{MAPPED(172, 16), 108},
		{MAPPED(192, 168), 112},
		{MAPPED(100, 64), 106},
		{{0xfc}, 7},
	};

	return is_in(addr, nets, ARRAY_SIZE(nets));
}

/* --- the ways to each container */

static int add_way(struct ways *w, const struct way *way)
{
	int r = df_array_reserve(&w->list, &w->cap, w->n + 1, sizeof(*w->list));

	if (r == 0)
		w->list[w->n++] = *way;
	return r;
}

static int add_name(struct ways *w, size_t container, const char *name, bool is_declared)
{
	struct way new = {.container = container, .is_declared = is_declared};
	int r;

	if (!name || !*name)
		return 0;
	r = df_graph_name(w->g, name, &new.name);
	return r == 0 && new.name ? add_way(w, &new) : r;
}

static int add_addr(struct ways *w, size_t container, const char *text, bool is_declared)
{
	struct way new = {.container = container, .is_declared = is_declared};

	if (!read_addr(text, new.addr) || is_nobody(new.addr))
		return 0;
	return add_way(w, &new);
}

/* x-names: names and addresses under which it is published, parted by commas or blanks. */
static int add_published(struct ways *w, size_t container, const char *text)
{
	int r = 0;

	while (r == 0 && *text) {
		size_t len = strcspn(text, ", ");
		_cleanup_free_ char *word = strndup(text, len);
		uint8_t addr[16];

		if (!word)
			return -ENOMEM;
		r = read_addr(word, addr) ? add_addr(w, container, word, true)
					  : add_name(w, container, word, true);
		text += len;
		text += strspn(text, ", ");
	}
	return r;
}

static int add_ways(struct ways *w, size_t container)
{
	const struct df_report_container *c = w->g->all->list[container];
	char id[SHORT_ID + 1];
	int r = 0;

	for (size_t i = 0; i < c->n_x && r == 0; i++) {
		if (strcmp(c->x[i].key, "x-service") == 0)
			r = add_name(w, container, c->x[i].value, true);
		else if (strcmp(c->x[i].key, "x-names") == 0)
			r = add_published(w, container, c->x[i].value);
	}
	(void)snprintf(id, sizeof(id), "%.*s", (int)df_text_id_len(c->id), c->id);
	if (r == 0)
		r = add_name(w, container, id, false);
	if (r == 0)
		r = add_name(w, container, c->name, false);
	if (r == 0)
		r = add_name(w, container, c->hostname, false);
	if (r == 0)
		r = add_name(w, container, c->pod, false);
	for (size_t i = 0; i < c->addresses.n && r == 0; i++)
		r = add_addr(w, container, c->addresses.list[i], false);
	return r;
}

static int compare_targets(const void *a, const void *b)
{
	const struct way *x = a, *y = b;

	if (!x->name != !y->name)
		return x->name ? -1 : 1;
	return x->name ? strcmp(x->name, y->name) : memcmp(x->addr, y->addr, sizeof(x->addr));
}

static int compare_ways(const void *a, const void *b)
{
	const struct way *x = a, *y = b;
	int r = compare_targets(a, b);

	return r ? r : (x->container > y->container) - (x->container < y->container);
}

/* The ways to the same target: *ret is the first; their number, or so many that it is cut. */
static size_t find_ways(const struct ways *w, const struct way *target, const struct way **ret)
{
	const struct way *found;
	size_t n = 1;

	if (w->n == 0)
		return 0;
	found = bsearch(target, w->list, w->n, sizeof(*w->list), compare_targets);
	if (!found)
		return 0;
	for (size_t i = 0; i < WAYS_MAX && found > w->list; i++)
		if (compare_targets(found - 1, target) == 0)
			found--;
	while (n < WAYS_MAX && found + n < w->list + w->n &&
	       compare_targets(found + n, target) == 0)
		n++;
	w->g->is_cut |= n == WAYS_MAX;
	*ret = found;
	return n;
}

/* --- links */

/* The better of two links to one service stays: a certain one. */
static int add_link(struct df_graph *g, size_t contact, size_t container, enum df_graph_by by,
		    bool is_guess)
{
	struct df_graph_contact *c = &g->contacts[contact];
	const size_t to = g->service_of[container];
	int r;

	if (to == c->service) { /* or another of its kind */
		c->is_itself = true;
		return 0;
	}
	if (c->n_links == 0)
		c->links = g->n_links;
	for (size_t i = c->links; i < c->links + c->n_links; i++) {
		struct df_graph_link *l = &g->links[i];

		if (l->to != to)
			continue;
		if (l->is_guess && !is_guess)
			*l = (struct df_graph_link){contact, to, by, false};
		return 0;
	}
	if (c->n_links == WAYS_MAX) {
		g->is_cut = true;
		return 0;
	}
	r = df_array_reserve(&g->links, &g->cap_links, g->n_links + 1, sizeof(*g->links));
	if (r < 0)
		return r;
	g->links[g->n_links++] = (struct df_graph_link){contact, to, by, is_guess};
	c->n_links++;
	g->services[to].is_called = true;
	return 0;
}

/* RFC 6762 appendix G, RFC 6761, and what engines use: nobody else's service is meant. */
static bool is_internal(const char *name)
{
	static const char *const ends[] = {"internal", "intranet", "private",     "corp",
					   "home",     "lan",      "localdomain", "local",
					   "test",     "svc",      "podman"};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < ARRAY_SIZE(ends); i++)
		if (strcmp(dot + 1, ends[i]) == 0)
			return true;
	return false;
}

/* "artifacts.team.svc.cluster.local" of a declared "artifacts" in the namespace "team". */
static bool is_in_namespace(const char *rest, const struct df_report_container *c)
{
	const size_t len = c->k8s_namespace ? strlen(c->k8s_namespace) : 0;

	return len > 0 && strncasecmp(rest, c->k8s_namespace, len) == 0 &&
	       strncmp(rest + len, ".svc", 4) == 0 &&
	       (rest[len + 4] == '\0' || rest[len + 4] == '.');
}

static int link_whole_name(const struct ways *w, size_t contact, const char *name)
{
	const struct way target = {.name = name}, *found;
	size_t n = find_ways(w, &target, &found);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = add_link(w->g, contact, found[i].container, DF_GRAPH_BY_NAME,
			     !found[i].is_declared);
	return r;
}

static int link_first_label(const struct ways *w, size_t contact, const char *name)
{
	const size_t len = strcspn(name, ".");
	_cleanup_free_ char *label = strndup(name, len);
	const struct way target = {.name = label}, *found;
	size_t n;
	int r = 0;

	if (!label)
		return -ENOMEM;
	n = name[len] == '.' ? find_ways(w, &target, &found) : 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct df_report_container *c = w->g->all->list[found[i].container];
		const bool is_sure = found[i].is_declared && is_in_namespace(name + len + 1, c);

		if (is_sure || is_internal(name))
			r = add_link(w->g, contact, found[i].container, DF_GRAPH_BY_NAME, !is_sure);
	}
	return r;
}

static int link_name(const struct ways *w, size_t contact, const char *name)
{
	int r = link_whole_name(w, contact, name);

	return r == 0 ? link_first_label(w, contact, name) : r;
}

/* Whether the container was there when the row's answers were given; without times it was. */
static bool was_there(const struct df_report_container *c, const struct df_row *row)
{
	if (!*row->last || !*c->first)
		return true;
	return strcmp(row->last, c->first) >= 0 &&
	       (!c->is_ended || strcmp(row->first, c->last) <= 0);
}

/* It can only be this container. */
static bool is_certain(const struct ways *w, const struct way *way,
		       const struct df_graph_item *item)
{
	const struct df_report_container *caller = w->g->all->list[item->container];
	const struct df_report_container *c = w->g->all->list[way->container];

	return way->is_declared || !is_private(way->addr) ||
	       (caller->host && c->host && strcmp(caller->host, c->host) == 0);
}

static int link_addr(const struct ways *w, size_t contact, const struct df_graph_item *item,
		     const char *text)
{
	struct way target = {.name = NULL};
	const struct way *found;
	size_t n, first = DF_GRAPH_NONE;
	bool is_shared = false;
	int r = 0;

	if (!read_addr(text, target.addr) || is_nobody(target.addr))
		return 0;
	n = find_ways(w, &target, &found);
	for (size_t i = 0; i < n; i++) {
		size_t service = w->g->service_of[found[i].container];

		if (!was_there(w->g->all->list[found[i].container], item->row))
			continue;
		if (first == DF_GRAPH_NONE)
			first = service;
		is_shared |= service != first;
	}
	for (size_t i = 0; i < n && r == 0; i++)
		if (was_there(w->g->all->list[found[i].container], item->row))
			r = add_link(w->g, contact, found[i].container, DF_GRAPH_BY_ADDRESS,
				     is_shared || !is_certain(w, &found[i], item));
	return r;
}

static int link_item(const struct ways *w, size_t contact, const struct df_graph_item *item)
{
	const struct df_row *row = item->row;
	const char *alias;
	int r = link_name(w, contact, item->name);

	for (size_t i = 0; i < row->aliases.n && r == 0; i++) {
		r = df_graph_name(w->g, row->aliases.list[i], &alias);
		if (r == 0 && alias)
			r = link_name(w, contact, alias);
	}
	for (size_t i = 0; i < row->answers.n && r == 0; i++)
		r = link_addr(w, contact, item, row->answers.list[i]);
	if (r == 0 && row->ip)
		r = link_addr(w, contact, item, row->ip);
	return r;
}

int df_graph_link(struct df_graph *g)
{
	struct ways w = {.g = g};
	int r = 0;

	for (size_t i = 0; i < g->all->n && r == 0; i++)
		r = add_ways(&w, i);
	if (w.n > 1)
		qsort(w.list, w.n, sizeof(*w.list), compare_ways);
	for (size_t i = 0; i < g->n_contacts && r == 0; i++) {
		const struct df_graph_contact *c = &g->contacts[i];

		/* what was refused reached nobody */
		for (size_t k = c->items; k < c->items + c->n_items && r == 0; k++)
			if (g->items[k].row->verdict != DF_ROW_BLOCKED &&
			    g->items[k].row->kind != DF_ROW_SHADOW)
				r = link_item(&w, i, &g->items[k]);
	}
	free(w.list);
	return r;
}
