/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * graph: which container reached which, and the chains that end in a blocked name.
 *
 * Containers of one label are one service.  A contact of a service is linked to another
 * by a name that the other is known under, or by an address that it has; the rule stands
 * in deployfence(1), section TRANSIENT DEPENDENCIES, and graph_link.c follows it.  What is
 * not certain is a guess, and says so.  No I/O but the three writers.
 */
#ifndef DF_GRAPH_H
#define DF_GRAPH_H

#include <stdio.h>

#include "cli/report.h"

#define DF_GRAPH_DEPTH_MAX 16
#define DF_GRAPH_CHAINS_MAX 1000
#define DF_GRAPH_NONE ((size_t)-1)

struct df_graph_service {
	const char *label;
	size_t n_containers;
	size_t contacts, n_contacts; /* first of them, and how many */
	bool is_called;              /* a link leads here */
};

/* One row of one container of a service, by what was reached for. */
struct df_graph_item {
	size_t service;
	const char *name; /* lower case, no dot at the end; or an address */
	size_t container;
	const struct df_row *row;
};

struct df_graph_contact {
	size_t service;
	const char *name;
	size_t items, n_items;
	const struct df_row *row; /* the worst of them; one that a shadow policy is against */
	uint64_t count;
	size_t links, n_links;
	bool is_itself;        /* it means the service that asked */
	bool is_against;       /* refused, or would be, also by a shadow policy … */
	size_t blocked_for;    /* … or only for this other service; or NONE; … */
	bool is_blocked_guess; /* … by a rule for a name above it */
};

enum df_graph_by { DF_GRAPH_BY_NAME, DF_GRAPH_BY_ADDRESS };

struct df_graph_link {
	size_t contact, to;
	enum df_graph_by by;
	bool is_guess;
};

struct df_graph_chain {
	size_t links[DF_GRAPH_DEPTH_MAX];
	size_t n;   /* at least one */
	size_t end; /* contact */
};

/* Begins as { .all = … }; df_graph_done. */
struct df_graph {
	const struct df_aggregate *all;
	struct df_pool pool;
	size_t *service_of; /* container to service */
	struct df_graph_service *services;
	struct df_graph_item *items;
	struct df_graph_contact *contacts;
	struct df_graph_link *links;
	struct df_graph_chain *chains;
	size_t n_services, n_items, n_contacts, n_links, n_chains, cap_links, cap_chains;
	bool is_cut; /* there are more links or chains, or longer ones */
};

/* Services, contacts, links, chains.  0, -ENOSPC, -ENOMEM. */
int df_graph_build(struct df_graph *g);
void df_graph_done(struct df_graph *g);

/* The parts of it, in this order. */
int df_graph_link(struct df_graph *g);
int df_graph_find_blocked(struct df_graph *g);
int df_graph_find_chains(struct df_graph *g);

/* Lower case, without the dot at its end, in the pool. */
int df_graph_name(struct df_graph *g, const char *name, const char **ret);

int df_graph_text(FILE *out, const struct df_report *r);
int df_graph_json(FILE *out, const struct df_report *r);
int df_graph_dot(FILE *out, const struct df_report *r);

#endif
