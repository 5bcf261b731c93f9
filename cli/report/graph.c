/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report/graph.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/util.h"

int df_graph_name(struct df_graph *g, const char *name, const char **ret)
{
	size_t len = df_class_len(name);
	_cleanup_free_ char *lower = strndup(name, len);

	if (!lower)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++)
		lower[i] = (char)tolower((unsigned char)lower[i]);
	return df_pool_add(&g->pool, lower, ret);
}

struct labelled {
	const char *label;
	size_t container;
};

static int compare_labelled(const void *a, const void *b)
{
	const struct labelled *x = a, *y = b;
	int r = strcmp(x->label, y->label);

	return r ? r : (x->container > y->container) - (x->container < y->container);
}

static int make_services(struct df_graph *g)
{
	const size_t n = g->all->n;
	_cleanup_free_ struct labelled *list = reallocarray(NULL, n + 1, sizeof(*list));
	char label[DF_LABEL_MAX];

	g->services = calloc(n + 1, sizeof(*g->services));
	g->service_of = calloc(n + 1, sizeof(*g->service_of));
	if (!list || !g->services || !g->service_of)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int r;

		df_aggregate_label(g->all->list[i], label, sizeof(label));
		list[i].container = i;
		r = df_pool_add(&g->pool, label, &list[i].label);
		if (r < 0)
			return r;
	}
	qsort(list, n, sizeof(*list), compare_labelled);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || strcmp(list[i].label, list[i - 1].label) != 0)
			g->services[g->n_services++].label = list[i].label;
		g->services[g->n_services - 1].n_containers++;
		g->service_of[list[i].container] = g->n_services - 1;
	}
	return 0;
}

static int compare_items(const void *a, const void *b)
{
	const struct df_graph_item *x = a, *y = b;
	int r;

	if (x->service != y->service)
		return x->service < y->service ? -1 : 1;
	r = strcmp(x->name, y->name);
	if (r == 0)
		r = (int)x->row->verdict - (int)y->row->verdict;
	return r ? r : (int)x->row->kind - (int)y->row->kind;
}

static int add_item(struct df_graph *g, size_t container, const struct df_row *row)
{
	struct df_graph_item *new = &g->items[g->n_items];
	const char *target = row->domain ? row->domain : row->ip;
	int r;

	if (!target)
		return 0; /* a socket */
	/* a shadow policy that is content says nothing about a contact */
	if (row->kind == DF_ROW_SHADOW && row->verdict != DF_ROW_WOULD_BLOCK)
		return 0;
	*new = (struct df_graph_item){
		.service = g->service_of[container], .container = container, .row = row};
	r = df_graph_name(g, target, &new->name);
	if (r == 0 && new->name)
		g->n_items++;
	return r;
}

static int make_items(struct df_graph *g)
{
	g->items = reallocarray(NULL, g->all->n_rows + 1, sizeof(*g->items));
	if (!g->items)
		return -ENOMEM;
	for (size_t i = 0; i < g->all->n; i++) {
		for (size_t k = 0; k < g->all->list[i]->n; k++) {
			int r = add_item(g, i, g->all->list[i]->rows[k]);

			if (r < 0)
				return r;
		}
	}
	qsort(g->items, g->n_items, sizeof(*g->items), compare_items);
	return 0;
}

static void add_contact(struct df_graph *g, size_t from, size_t n)
{
	struct df_graph_contact *c = &g->contacts[g->n_contacts];
	struct df_graph_service *s = &g->services[g->items[from].service];

	*c = (struct df_graph_contact){.service = g->items[from].service,
				       .name = g->items[from].name,
				       .items = from,
				       .n_items = n,
				       .row = g->items[from].row,
				       .blocked_for = DF_GRAPH_NONE};
	for (size_t i = from; i < from + n; i++)
		if (g->items[i].row->kind != DF_ROW_SHADOW)
			df_aggregate_add(&c->count, g->items[i].row->count);
	c->is_against = df_row_is_against(c->row->verdict);
	if (s->n_contacts++ == 0)
		s->contacts = g->n_contacts;
	g->n_contacts++;
}

static int make_contacts(struct df_graph *g)
{
	size_t from = 0;

	g->contacts = reallocarray(NULL, g->n_items + 1, sizeof(*g->contacts));
	if (!g->contacts)
		return -ENOMEM;
	for (size_t i = 0; i < g->n_items; i++) {
		if (i + 1 < g->n_items && g->items[i + 1].service == g->items[i].service &&
		    strcmp(g->items[i + 1].name, g->items[i].name) == 0)
			continue;
		add_contact(g, from, i + 1 - from);
		from = i + 1;
	}
	return 0;
}

int df_graph_build(struct df_graph *g)
{
	int r = make_services(g);

	if (r == 0)
		r = make_items(g);
	if (r == 0)
		r = make_contacts(g);
	if (r == 0)
		r = df_graph_link(g);
	if (r == 0)
		r = df_graph_find_blocked(g);
	return r == 0 ? df_graph_find_chains(g) : r;
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
