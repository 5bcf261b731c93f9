/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chains of links, from a service that nobody calls to a name that somebody blocks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report/graph.h"
#include "lib/base/array.h"
#include "lib/base/util.h"

/* Steps of the walk: a dense graph has more ways through it than anybody would read. */
#define STEPS_MAX 200000

/* A name that a rule is against: alone, or with all below it. */
struct zone {
	const char *name;
	bool is_wide;
	size_t service;
};

struct zones {
	struct zone *list;
	size_t n;
};

static int compare_names(const void *a, const void *b)
{
	const struct zone *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int compare_zones(const void *a, const void *b)
{
	const struct zone *x = a, *y = b;
	int r = compare_names(a, b);

	if (r == 0)
		r = (int)y->is_wide - (int)x->is_wide;
	return r ? r : (x->service > y->service) - (x->service < y->service);
}

/* "github.com" of "default.policy:3 block github.com", if the contact is covered by it. */
static int make_zone(struct df_graph *g, const struct df_graph_contact *c, struct zone *ret)
{
	static const char block[] = " block ";
	const char *rule = c->row->rule ? c->row->rule : "", *found = strstr(rule, block);

	*ret = (struct zone){.name = c->name, .service = c->service};
	if (!found || !c->row->domain || !df_class_covers(found + strlen(block), c->name))
		return 0;
	ret->is_wide = true;
	return df_graph_name(g, found + strlen(block), &ret->name);
}

static void find_zone(struct df_graph_contact *c, const struct zones *zones)
{
	/* the whole name first, then what is above it */
	for (const char *p = c->name; p && *p; p = strchr(p, '.') ? strchr(p, '.') + 1 : NULL) {
		const struct zone probe = {.name = p};
		const struct zone *z =
			bsearch(&probe, zones->list, zones->n, sizeof(*zones->list), compare_names);

		if (!z)
			continue;
		while (z > zones->list && compare_names(z - 1, &probe) == 0)
			z--; /* wide ones stand first */
		if (p != c->name && !z->is_wide)
			continue;
		c->blocked_for = z->service;
		c->is_blocked_guess = p != c->name;
		return;
	}
}

int df_graph_find_blocked(struct df_graph *g)
{
	struct zones zones = {.list = reallocarray(NULL, g->n_contacts + 1, sizeof(struct zone))};
	int r = zones.list ? 0 : -ENOMEM;

	for (size_t i = 0; i < g->n_contacts && r == 0; i++)
		if (g->contacts[i].is_against)
			r = make_zone(g, &g->contacts[i], &zones.list[zones.n++]);
	if (r == 0)
		qsort(zones.list, zones.n, sizeof(*zones.list), compare_zones);
	for (size_t i = 0; i < g->n_contacts && r == 0; i++) {
		struct df_graph_contact *c = &g->contacts[i];

		/* a service is not what its name is below of */
		if (!c->is_against && c->n_links == 0 && !c->is_itself)
			find_zone(c, &zones);
	}
	free(zones.list);
	return r;
}

/* --- the walk */

struct walk {
	struct df_graph *g;
	bool *is_on_way, *is_seen; /* services */
	struct df_graph_chain now;
	size_t n_steps;
};

static int add_chain(struct walk *w, size_t end)
{
	struct df_graph *g = w->g;
	int r;

	if (g->n_chains == DF_GRAPH_CHAINS_MAX) {
		g->is_cut = true;
		return 0;
	}
	r = df_array_reserve(&g->chains, &g->cap_chains, g->n_chains + 1, sizeof(*g->chains));
	if (r < 0)
		return r;
	g->chains[g->n_chains] = w->now;
	g->chains[g->n_chains++].end = end;
	return 0;
}

static int visit(struct walk *w, size_t service);

static int follow(struct walk *w, const struct df_graph_contact *c)
{
	int r = 0;

	for (size_t i = c->links; i < c->links + c->n_links && r == 0; i++) {
		size_t to = w->g->links[i].to;

		if (w->is_on_way[to])
			continue;
		if (w->now.n == DF_GRAPH_DEPTH_MAX || w->n_steps++ >= STEPS_MAX) {
			w->g->is_cut = true;
			continue;
		}
		w->now.links[w->now.n++] = i;
		r = visit(w, to);
		w->now.n--;
	}
	return r;
}

/* As deep as DF_GRAPH_DEPTH_MAX. */
static int visit(struct walk *w, size_t service)
{
	const struct df_graph_service *s = &w->g->services[service];
	int r = 0;

	w->is_on_way[service] = w->is_seen[service] = true;
	for (size_t i = s->contacts; i < s->contacts + s->n_contacts && r == 0; i++) {
		const struct df_graph_contact *c = &w->g->contacts[i];

		if (w->now.n > 0 && (c->is_against || c->blocked_for != DF_GRAPH_NONE))
			r = add_chain(w, i);
		if (r == 0)
			r = follow(w, c);
	}
	w->is_on_way[service] = false;
	return r;
}

int df_graph_find_chains(struct df_graph *g)
{
	struct walk w = {.g = g,
			 .is_on_way = calloc(g->n_services + 1, sizeof(bool)),
			 .is_seen = calloc(g->n_services + 1, sizeof(bool))};
	int r = w.is_on_way && w.is_seen ? 0 : -ENOMEM;

	for (size_t i = 0; i < g->n_services && r == 0; i++)
		if (!g->services[i].is_called)
			r = visit(&w, i);
	/* circles that nobody enters */
	for (size_t i = 0; i < g->n_services && r == 0; i++)
		if (!w.is_seen[i])
			r = visit(&w, i);
	free(w.is_on_way);
	free(w.is_seen);
	return r;
}
