/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * graph: links between containers, and chains of them that end at a blocked name.
 *
 * Containers with one label are one service.  A contact of a service is linked to another service
 * by a name or an address of that one; the rules are in deployfence(1), section TRANSIENT
 * DEPENDENCIES.  An uncertain link is marked as a guess.  No I/O.
 */
#ifndef DF_GRAPH_H
#define DF_GRAPH_H

#include "cli/report/aggregate.h"

#define DF_GRAPH_DEPTH_MAX 16
#define DF_GRAPH_CHAINS_MAX 1000
#define DF_GRAPH_NONE ((size_t)-1)

struct df_graph_service {
	const char *label;
	size_t n_containers;
	size_t contacts, n_contacts; /* index of the first, and number */
	bool is_called;              /* a link leads here */
};

/* One row of one container of a service. */
struct df_graph_item {
	size_t service;
	const char *name; /* lower case, no dot at the end; or an address */
	size_t container;
	const struct df_row *row;
};

/* All rows of one service with one name. */
struct df_graph_contact {
	size_t service;
	const char *name;
	size_t items, n_items;
	const struct df_row *row; /* the worst of them; one that a shadow policy is against */
	uint64_t count;
	size_t links, n_links;
	bool is_itself;        /* the name of the service itself */
	bool is_against;       /* refused, or would be, also by a shadow policy … */
	size_t blocked_for;    /* … or only for this other service; or NONE; … */
	bool is_blocked_guess; /* … by a rule for a parent of the name */
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
	int status;  /* 0, or the first error */
};

/* Services, contacts, links, chains.  0, -ENOSPC, -ENOMEM. */
int df_graph_build(struct df_graph *g);
void df_graph_done(struct df_graph *g);

/* "name", "address". */
const char *df_graph_by_name(enum df_graph_by by);
/* The verdict on the contact at the end of a chain: "allowed" if its name is blocked elsewhere. */
const char *df_graph_verdict(const struct df_graph_contact *c);
/* "deploy-web → artifacts.internal → github.com", with "?" behind a guess.  Owned; NULL: no memory.
 */
char *df_graph_chain_text(const struct df_graph *g, const struct df_graph_chain *chain);

#endif
