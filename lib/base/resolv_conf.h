/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resolv_conf: search list and resolvers of a container's resolv.conf(5).
 *
 * The file is the container's, hence hostile: malformed entries and those beyond a limit are left
 * out.  Pure.
 */
#ifndef DF_RESOLV_CONF_H
#define DF_RESOLV_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/dname.h"

#define DF_RESOLV_SEARCH_MAX 64 /* of resolv.conf, and of the environment */
#define DF_RESOLV_SERVERS_MAX 16

struct df_resolv_conf {
	bool has_search; /* by a line of the file, or by LOCALDOMAIN */
	uint8_t ndots;
	unsigned n_search;
	struct df_dname search[DF_RESOLV_SEARCH_MAX];
	unsigned n_resolvers;
	uint8_t resolvers[DF_RESOLV_SERVERS_MAX][16]; /* IPv4 as ::ffff:a.b.c.d; in order */
};

/* Cuts text, which ends in NUL, into words. */
void df_resolv_conf_parse(char *text, struct df_resolv_conf *ret);

/*
 * LOCALDOMAIN takes the place of the file's list in glibc, and musl does not know it: both
 * count.  Each NULL if it is not set.
 */
void df_resolv_conf_environment(const char *localdomain, const char *res_options,
				struct df_resolv_conf *ret);

/* Where neither file nor environment has a list, the hostname's domain is one (glibc). */
void df_resolv_conf_hostname(const char *hostname, struct df_resolv_conf *ret);

#endif
