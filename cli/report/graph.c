/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report/graph.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/text.h"
#include "lib/base/array.h"
#include "lib/base/util.h"

#define SHORT_ID 12
/* A name or address of so many containers identifies none. */
#define ALIASES_MAX 256
/* Steps of the search for chains: a dense graph has more paths than anybody would read. */
#define STEPS_MAX 200000

static void fail(struct df_graph *g, int r)
{
	if (r < 0 && g->status == 0)
		g->status = r;
}

/* In lower case and without the dot at its end, in the pool.  NULL: it is empty, or g->status. */
static const char *pool_name(struct df_graph *g, const char *name)
{
	size_t len = df_class_len(name);
	_cleanup_free_ char *lower = strndup(name, len);
	const char *pooled = NULL;

	for (size_t i = 0; lower && i < len; i++)
		lower[i] = (char)tolower((unsigned char)lower[i]);
	fail(g, lower ? df_pool_add(&g->pool, lower, &pooled) : -ENOMEM);
	return pooled;
}

/* --- services and contacts */

struct labelled {
	const char *label;
	size_t container;
};

static int compare_labelled(const void *a, const void *b)
{
	const struct labelled *x = a, *y = b;

	return strcmp(x->label, y->label)
		       ?: (x->container > y->container) - (x->container < y->container);
}

static void make_services(struct df_graph *g)
{
	const size_t n = g->all->n;
	_cleanup_free_ struct labelled *list = reallocarray(NULL, n + 1, sizeof(*list));
	char label[DF_LABEL_MAX];

	g->services = calloc(n + 1, sizeof(*g->services));
	g->service_of = calloc(n + 1, sizeof(*g->service_of));
	fail(g, list && g->services && g->service_of ? 0 : -ENOMEM);
	for (size_t i = 0; i < n && g->status == 0; i++) {
		df_aggregate_label(g->all->list[i], label, sizeof(label));
		list[i].container = i;
		fail(g, df_pool_add(&g->pool, label, &list[i].label));
	}
	if (g->status < 0)
		return;
	qsort(list, n, sizeof(*list), compare_labelled);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || strcmp(list[i].label, list[i - 1].label) != 0)
			g->services[g->n_services++].label = list[i].label;
		g->services[g->n_services - 1].n_containers++;
		g->service_of[list[i].container] = g->n_services - 1;
	}
}

static int compare_items(const void *a, const void *b)
{
	const struct df_graph_item *x = a, *y = b;

	return (x->service > y->service) - (x->service < y->service) ?: strcmp(x->name, y->name)
		?: (int)x->row->verdict - (int)y->row->verdict
		?: (int)x->row->kind - (int)y->row->kind;
}

static void add_item(struct df_graph *g, size_t container, const struct df_row *row)
{
	const char *target = row->domain ? row->domain : row->ip; /* NULL: a socket */
	struct df_graph_item new = {
		.service = g->service_of[container], .container = container, .row = row};

	/* a shadow policy that allows it adds nothing to a contact */
	if (!target || (row->kind == DF_ROW_SHADOW && row->verdict != DF_ROW_WOULD_BLOCK))
		return;
	new.name = pool_name(g, target);
	if (new.name)
		g->items[g->n_items++] = new;
}

/* A contact is made of all items with one service and name, which are neighbours once sorted. */
static void make_contacts(struct df_graph *g)
{
	struct df_graph_contact *c = NULL;

	g->items = reallocarray(NULL, g->all->n_rows + 1, sizeof(*g->items));
	g->contacts = reallocarray(NULL, g->all->n_rows + 1, sizeof(*g->contacts));
	fail(g, g->items && g->contacts ? 0 : -ENOMEM);
	if (g->status < 0)
		return;
	for (size_t i = 0; i < g->all->n; i++)
		for (size_t k = 0; k < g->all->list[i]->n; k++)
			add_item(g, i, g->all->list[i]->rows[k]);
	qsort(g->items, g->n_items, sizeof(*g->items), compare_items);
	for (size_t i = 0; i < g->n_items; i++) {
		const struct df_graph_item *item = &g->items[i];
		struct df_graph_service *s = &g->services[item->service];

		if (!c || c->service != item->service || strcmp(c->name, item->name) != 0) {
			c = &g->contacts[g->n_contacts];
			*c = (struct df_graph_contact){
				.service = item->service,
				.name = item->name,
				.items = i,
				.row = item->row, /* the worst is the first */
				.is_against = df_row_is_against(item->row->verdict),
				.blocked_for = DF_GRAPH_NONE,
			};
			if (s->n_contacts++ == 0)
				s->contacts = g->n_contacts;
			g->n_contacts++;
		}
		c->n_items++;
		if (item->row->kind != DF_ROW_SHADOW)
			df_aggregate_add(&c->count, item->row->count);
	}
}

/* --- addresses, as 16 octets; of IPv4 in the mapped form of RFC 4291 2.5.5.2 */

static bool read_addr(const char *text, uint8_t ret[static 16])
{
	memset(ret, 0, 10);
	memset(ret + 10, 0xff, 2);
	return inet_pton(AF_INET, text, ret + 12) == 1 || inet_pton(AF_INET6, text, ret) == 1;
}

struct net {
	uint8_t addr[16];
	unsigned len;
};

static bool is_in(const uint8_t addr[static 16], const struct net *nets, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const unsigned whole = nets[i].len / 8, rest = nets[i].len % 8;

		if (memcmp(addr, nets[i].addr, whole) == 0 &&
		    (rest == 0 || (addr[whole] ^ nets[i].addr[whole]) >> (8 - rest) == 0))
			return true;
	}
	return false;
}

#define MAPPED(a, b)                                                                               \
	{                                                                                          \
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b                                     \
	}

/* Unspecified, loopback, link-local: each machine means another one by it. */
static bool is_local(const uint8_t addr[static 16])
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

/* RFC 1918, RFC 6598, RFC 4193: other hosts may use it for another container. */
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

/* --- aliases: the names and addresses of each container */

struct alias {
	const char *name; /* NULL: an address */
	uint8_t addr[16];
	size_t container;
	bool is_declared; /* by an annotation */
};

struct aliases {
	struct df_graph *g;
	struct alias *list;
	size_t n, cap;
};

static int compare_targets(const void *a, const void *b)
{
	const struct alias *x = a, *y = b;

	if (!x->name != !y->name)
		return x->name ? -1 : 1;
	return x->name ? strcmp(x->name, y->name) : memcmp(x->addr, y->addr, sizeof(x->addr));
}

static int compare_aliases(const void *a, const void *b)
{
	const struct alias *x = a, *y = b;

	return compare_targets(a, b)
		       ?: (x->container > y->container) - (x->container < y->container);
}

/* One with a name, or with an address that is not local. */
static void add_alias(struct aliases *w, size_t container, const char *name, const char *addr,
		      bool is_declared)
{
	struct alias new = {.container = container, .is_declared = is_declared};

	if (name)
		new.name = pool_name(w->g, name);
	if (!new.name && !(addr && read_addr(addr, new.addr) && !is_local(new.addr)))
		return;
	fail(w->g, df_array_reserve(&w->list, &w->cap, w->n + 1, sizeof(*w->list)));
	if (w->n < w->cap)
		w->list[w->n++] = new;
}

/* x-names: published names and addresses, separated by commas or blanks. */
static void add_published(struct aliases *w, size_t container, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, ", ");
		_cleanup_free_ char *word = strndup(text, len);
		uint8_t addr[16];

		fail(w->g, word ? 0 : -ENOMEM);
		if (word && read_addr(word, addr))
			add_alias(w, container, NULL, word, true);
		else
			add_alias(w, container, word, NULL, true);
		text += len;
		text += strspn(text, ", ");
	}
}

static void add_aliases(struct aliases *w, size_t container)
{
	const struct df_report_container *c = w->g->all->list[container];
	char id[SHORT_ID + 1];

	for (size_t i = 0; i < c->n_x; i++) {
		if (strcmp(c->x[i].key, "x-service") == 0)
			add_alias(w, container, c->x[i].value, NULL, true);
		else if (strcmp(c->x[i].key, "x-names") == 0)
			add_published(w, container, c->x[i].value);
	}
	(void)snprintf(id, sizeof(id), "%.*s", (int)df_text_id_len(c->id), c->id);
	add_alias(w, container, id, NULL, false);
	add_alias(w, container, c->name, NULL, false);
	add_alias(w, container, c->hostname, NULL, false);
	add_alias(w, container, c->pod, NULL, false);
	for (size_t i = 0; i < c->addresses.n; i++)
		add_alias(w, container, NULL, c->addresses.list[i], false);
}

/* The aliases with this name or address, at most ALIASES_MAX: their number, *ret the first. */
static size_t find_aliases(const struct aliases *w, const struct alias *target,
			   const struct alias **ret)
{
	const struct alias *found =
		w->n == 0 ? NULL
			  : bsearch(target, w->list, w->n, sizeof(*w->list), compare_targets);
	size_t n = 1;

	if (!found)
		return 0;
	for (size_t i = 0; i < ALIASES_MAX && found > w->list; i++)
		if (compare_targets(found - 1, target) == 0)
			found--;
	while (n < ALIASES_MAX && found + n < w->list + w->n &&
	       compare_targets(found + n, target) == 0)
		n++;
	w->g->is_cut |= n == ALIASES_MAX;
	*ret = found;
	return n;
}

/* --- links */

/* Of two links to one service the certain one stays. */
static void add_link(struct df_graph *g, size_t contact, size_t container, enum df_graph_by by,
		     bool is_guess)
{
	struct df_graph_contact *c = &g->contacts[contact];
	const size_t to = g->service_of[container];

	if (to == c->service) { /* the container itself, or another of the same service */
		c->is_itself = true;
		return;
	}
	if (c->n_links == 0)
		c->links = g->n_links;
	for (size_t i = c->links; i < c->links + c->n_links; i++) {
		struct df_graph_link *l = &g->links[i];

		if (l->to != to)
			continue;
		if (l->is_guess && !is_guess)
			*l = (struct df_graph_link){contact, to, by, false};
		return;
	}
	g->is_cut |= c->n_links == ALIASES_MAX;
	fail(g, df_array_reserve(&g->links, &g->cap_links, g->n_links + 1, sizeof(*g->links)));
	if (c->n_links == ALIASES_MAX || g->n_links == g->cap_links)
		return;
	g->links[g->n_links++] = (struct df_graph_link){contact, to, by, is_guess};
	c->n_links++;
	g->services[to].is_called = true;
}

/* Top-level domains of private networks (RFC 6762 appendix G, RFC 6761, and container engines). */
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

/* By the whole name, then by its first label. */
static void link_name(const struct aliases *w, size_t contact, const char *name)
{
	const size_t len = strcspn(name, ".");
	_cleanup_free_ char *label = strndup(name, len);
	struct alias target = {.name = name};
	const struct alias *found;
	size_t n = find_aliases(w, &target, &found);

	for (size_t i = 0; i < n; i++)
		add_link(w->g, contact, found[i].container, DF_GRAPH_BY_NAME,
			 !found[i].is_declared);
	fail(w->g, label ? 0 : -ENOMEM);
	if (!label || name[len] != '.')
		return;
	target.name = label;
	n = find_aliases(w, &target, &found);
	for (size_t i = 0; i < n; i++) {
		const bool is_sure =
			found[i].is_declared &&
			is_in_namespace(name + len + 1, w->g->all->list[found[i].container]);

		if (is_sure || is_internal(name))
			add_link(w->g, contact, found[i].container, DF_GRAPH_BY_NAME, !is_sure);
	}
}

/* Whether the container existed when the row's answers were given; true if a time is unknown. */
static bool was_there(const struct df_report_container *c, const struct df_row *row)
{
	if (!*row->last || !*c->first)
		return true;
	return strcmp(row->last, c->first) >= 0 &&
	       (!c->is_ended || strcmp(row->first, c->last) <= 0);
}

static void link_addr(const struct aliases *w, size_t contact, const struct df_graph_item *item,
		      const char *text)
{
	struct df_report_container *const *all = w->g->all->list;
	const struct df_report_container *caller = all[item->container];
	struct alias target = {.name = NULL};
	size_t n, first = DF_GRAPH_NONE;
	const struct alias *found;
	bool is_shared = false;

	if (!read_addr(text, target.addr) || is_local(target.addr))
		return;
	n = find_aliases(w, &target, &found);
	for (size_t i = 0; i < n; i++) {
		size_t service = w->g->service_of[found[i].container];

		if (!was_there(all[found[i].container], item->row))
			continue;
		if (first == DF_GRAPH_NONE)
			first = service;
		is_shared |= service != first;
	}
	for (size_t i = 0; i < n; i++) {
		const struct df_report_container *c = all[found[i].container];
		const bool is_certain =
			found[i].is_declared || !is_private(target.addr) ||
			(caller->host && c->host && strcmp(caller->host, c->host) == 0);

		if (was_there(c, item->row))
			add_link(w->g, contact, found[i].container, DF_GRAPH_BY_ADDRESS,
				 is_shared || !is_certain);
	}
}

static void link_item(const struct aliases *w, size_t contact, const struct df_graph_item *item)
{
	const struct df_row *row = item->row;

	link_name(w, contact, item->name);
	for (size_t i = 0; i < row->aliases.n; i++) {
		const char *name = pool_name(w->g, row->aliases.list[i]);

		if (name)
			link_name(w, contact, name);
	}
	for (size_t i = 0; i < row->answers.n; i++)
		link_addr(w, contact, item, row->answers.list[i]);
	if (row->ip)
		link_addr(w, contact, item, row->ip);
}

static void make_links(struct df_graph *g)
{
	struct aliases w = {.g = g};

	for (size_t i = 0; i < g->all->n; i++)
		add_aliases(&w, i);
	if (w.n > 1)
		qsort(w.list, w.n, sizeof(*w.list), compare_aliases);
	for (size_t i = 0; i < g->n_contacts && g->status == 0; i++) {
		const struct df_graph_contact *c = &g->contacts[i];

		/* a refused contact reached no container */
		for (size_t k = c->items; k < c->items + c->n_items; k++)
			if (g->items[k].row->verdict != DF_ROW_BLOCKED &&
			    g->items[k].row->kind != DF_ROW_SHADOW)
				link_item(&w, i, &g->items[k]);
	}
	free(w.list);
}

/* --- blocked names */

/* A name that a rule is against. */
struct zone {
	const char *name;
	bool is_wide; /* with all names below it */
	size_t service;
};

static int compare_zone_names(const void *a, const void *b)
{
	const struct zone *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Wide ones first. */
static int compare_zones(const void *a, const void *b)
{
	const struct zone *x = a, *y = b;

	return compare_zone_names(a, b) ?: (int)y->is_wide - (int)x->is_wide
		?: (x->service > y->service) - (x->service < y->service);
}

/* "github.com" of "default.policy:3 block github.com", if the contact is covered by it. */
static struct zone make_zone(struct df_graph *g, const struct df_graph_contact *c)
{
	static const char block[] = " block ";
	const char *found = c->row->rule ? strstr(c->row->rule, block) : NULL, *name = NULL;

	if (found && c->row->domain && df_class_covers(found + strlen(block), c->name))
		name = pool_name(g, found + strlen(block));
	return (struct zone){name ? name : c->name, name != NULL, c->service};
}

/* The zone of the whole name, else of the nearest parent. */
static void find_zone(struct df_graph_contact *c, const struct zone *zones, size_t n)
{
	for (const char *p = c->name; p && *p; p = strchr(p, '.') ? strchr(p, '.') + 1 : NULL) {
		const struct zone probe = {.name = p};
		const struct zone *z =
			bsearch(&probe, zones, n, sizeof(*zones), compare_zone_names);

		if (!z)
			continue;
		while (z > zones && compare_zone_names(z - 1, &probe) == 0)
			z--;
		if (p != c->name && !z->is_wide)
			continue;
		c->blocked_for = z->service;
		c->is_blocked_guess = p != c->name;
		return;
	}
}

static void find_blocked(struct df_graph *g)
{
	_cleanup_free_ struct zone *zones = reallocarray(NULL, g->n_contacts + 1, sizeof(*zones));
	size_t n = 0;

	fail(g, zones ? 0 : -ENOMEM);
	if (!zones)
		return;
	for (size_t i = 0; i < g->n_contacts; i++)
		if (g->contacts[i].is_against)
			zones[n++] = make_zone(g, &g->contacts[i]);
	qsort(zones, n, sizeof(*zones), compare_zones);
	for (size_t i = 0; i < g->n_contacts; i++) {
		struct df_graph_contact *c = &g->contacts[i];

		/* the name of a service is not blocked with the zone above it */
		if (!c->is_against && c->n_links == 0 && !c->is_itself)
			find_zone(c, zones, n);
	}
}

/* --- chains: from a service without callers to a blocked name */

struct walk {
	struct df_graph *g;
	bool *is_on_path, *is_seen; /* services */
	struct df_graph_chain now;
	size_t n_steps;
};

static void add_chain(struct walk *w, size_t end)
{
	struct df_graph *g = w->g;

	g->is_cut |= g->n_chains == DF_GRAPH_CHAINS_MAX;
	fail(g, df_array_reserve(&g->chains, &g->cap_chains, g->n_chains + 1, sizeof(*g->chains)));
	if (g->n_chains == DF_GRAPH_CHAINS_MAX || g->n_chains == g->cap_chains)
		return;
	g->chains[g->n_chains] = w->now;
	g->chains[g->n_chains++].end = end;
}

/* As deep as DF_GRAPH_DEPTH_MAX. */
static void visit(struct walk *w, size_t service)
{
	const struct df_graph *g = w->g;
	const struct df_graph_service *s = &g->services[service];

	w->is_on_path[service] = w->is_seen[service] = true;
	for (size_t i = s->contacts; i < s->contacts + s->n_contacts; i++) {
		const struct df_graph_contact *c = &g->contacts[i];

		if (w->now.n > 0 && (c->is_against || c->blocked_for != DF_GRAPH_NONE))
			add_chain(w, i);
		for (size_t k = c->links; k < c->links + c->n_links; k++) {
			if (w->is_on_path[g->links[k].to])
				continue;
			if (w->now.n == DF_GRAPH_DEPTH_MAX || w->n_steps++ >= STEPS_MAX) {
				w->g->is_cut = true;
				continue;
			}
			w->now.links[w->now.n++] = k;
			visit(w, g->links[k].to);
			w->now.n--;
		}
	}
	w->is_on_path[service] = false;
}

static void find_chains(struct df_graph *g)
{
	struct walk w = {.g = g,
			 .is_on_path = calloc(g->n_services + 1, sizeof(bool)),
			 .is_seen = calloc(g->n_services + 1, sizeof(bool))};

	fail(g, w.is_on_path && w.is_seen ? 0 : -ENOMEM);
	/* first from services without callers, then from circles without an entry */
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < g->n_services && g->status == 0; i++)
			if (pass == 0 ? !g->services[i].is_called : !w.is_seen[i])
				visit(&w, i);
	free(w.is_on_path);
	free(w.is_seen);
}

int df_graph_build(struct df_graph *g)
{
	static void (*const steps[])(struct df_graph * g) = {make_services, make_contacts,
							     make_links, find_blocked, find_chains};

	for (size_t i = 0; i < ARRAY_SIZE(steps) && g->status == 0; i++)
		steps[i](g);
	return g->status;
}

void df_graph_done(struct df_graph *g)
{
	free(g->service_of);
	free(g->services);
	free(g->items);
	free(g->contacts);
	free(g->links);
	free(g->chains);
	df_pool_done(&g->pool);
	*g = (struct df_graph){0};
}

/* --- texts */

const char *df_graph_by_name(enum df_graph_by by)
{
	return by == DF_GRAPH_BY_NAME ? "name" : "address";
}

const char *df_graph_verdict(const struct df_graph_contact *c)
{
	return c->row->kind == DF_ROW_SHADOW ? "shadow-would-block"
					     : df_row_verdict_name(c->row->verdict);
}

char *df_graph_chain_text(const struct df_graph *g, const struct df_graph_chain *chain)
{
	const struct df_graph_contact *start = &g->contacts[g->links[chain->links[0]].contact];
	const struct df_graph_contact *end = &g->contacts[chain->end];
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	(void)fputs(g->services[start->service].label, out);
	for (size_t i = 0; i < chain->n; i++) {
		const struct df_graph_link *l = &g->links[chain->links[i]];

		(void)fprintf(out, " → %s%s", g->contacts[l->contact].name, l->is_guess ? "?" : "");
	}
	(void)fprintf(out, " → %s%s", end->name, end->is_blocked_guess ? "?" : "");
	return fclose(out) == 0 ? text : NULL;
}
