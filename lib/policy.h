/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy: the compiled policy, a flat table without pointers.
 *
 * One block of bytes: header, slots of a hash table over names, name entries,
 * rules, strings.  All references are offsets from its start, so that it can be
 * written to a file, sealed in a memfd and mapped read-only by many proxies.
 * policy_compile makes it from text; this module only reads it.
 *
 * df_policy_open checks every offset once; lookups trust the table after that.
 * Names are compared exactly, not by hash alone.  A lookup goes down from the
 * root, one probe a label, and ends at the first label that no rule names: a name
 * of which nothing is listed costs one or two probes, however long it is.
 * No I/O, no allocation, no logging.
 */
#ifndef DF_POLICY_H
#define DF_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dname.h"

#define DF_POLICY_MAGIC 0x31504644u /* "DFP1" in a little-endian file */
/* Of format and compiler: raised whenever the meaning of a table changes. */
#define DF_POLICY_VERSION 2u
#define DF_POLICY_SIZE_MAX (256u << 20)

enum df_policy_mode { DF_POLICY_ENFORCE = 1, DF_POLICY_AUDIT = 2 };
enum df_policy_action { DF_POLICY_ALLOW = 1, DF_POLICY_BLOCK = 2 };
enum df_policy_refuse_dns {
	DF_POLICY_NXDOMAIN = 1,
	DF_POLICY_REFUSED = 2,
	DF_POLICY_SINKHOLE = 3,
};
/* Which names a rule covers.  At the same name the narrower one is the more specific. */
enum df_policy_scope {
	DF_POLICY_TREE = 1,  /* github.com: the name and all below */
	DF_POLICY_BELOW = 2, /* *.github.com: all below */
	DF_POLICY_EXACT = 3, /* =github.com: the name alone */
};

struct df_policy_rule {
	uint8_t action; /* enum df_policy_action */
	uint8_t scope;  /* enum df_policy_scope */
	uint8_t proto;  /* IPPROTO_TCP, IPPROTO_UDP; 0: both */
	uint8_t pad;
	uint16_t port_lo, port_hi; /* 0, 0: every port */
	uint32_t line;
	uint32_t file;  /* offset of the file's base name in the strings */
	uint32_t text;  /* offset of the statement as written: "block github.com" */
	uint32_t owner; /* 0: none */
	uint32_t hint;  /* 0: none */
};

_Static_assert(sizeof(struct df_policy_rule) == 28, "df_policy_rule is part of the table's format");

/* Ports that a rule names. */
struct df_policy_range {
	uint8_t proto;   /* IPPROTO_TCP, IPPROTO_UDP; 0: both */
	uint16_t lo, hi; /* host byte order, 1 to 65535 */
};

/* A table in use.  Borrowed bytes: they must outlive it and not change. */
struct df_policy {
	const uint8_t *base;
	size_t size;
};

/*
 * Checks magic, version, size and every offset of the table in base, in O(size).
 * -EBADMSG: not a table, of another version, of another byte order, or damaged so
 * that a lookup could leave it.  Not a checksum: that the bytes are those that
 * were compiled is for whoever names or seals the table to see to.
 * -EINVAL: base is not aligned to 4 octets.  *ret only on success.
 */
int df_policy_open(const void *base, size_t size, struct df_policy *ret);

enum df_policy_mode df_policy_mode(const struct df_policy *p);
unsigned df_policy_enforce_share(const struct df_policy *p); /* percent */

/*
 * The mode for one container under enforce-share: it enforces if the FNV-1a hash (64
 * bits) of image, NUL and name, folded to 32 bits, modulo 100 is below the share.
 * Where both are "" the id stands in for them.
 */
enum df_policy_mode df_policy_mode_for(const struct df_policy *p, const char *image,
				       const char *name, const char *id);
enum df_policy_action df_policy_default(const struct df_policy *p);
enum df_policy_refuse_dns df_policy_refuse_dns(const struct df_policy *p);
const char *df_policy_name(const struct df_policy *p); /* "default", of default.policy */

/*
 * The rule that decides name, or NULL where only the default applies.  Longest
 * name first; at the same name EXACT, then BELOW, then TREE; then block over allow.
 */
const struct df_policy_rule *df_policy_lookup(const struct df_policy *p,
					      const struct df_dname *name);

/*
 * For a name that is refused.  True if some name below it may be allowed, by an
 * allow rule there or since what refuses name is a rule for the name alone: then
 * the refusal must not be NXDOMAIN, which denies all below (RFC 8020), but NODATA.
 */
bool df_policy_has_allow_below(const struct df_policy *p, const struct df_dname *name);

/* Strings of a rule; borrowed from the table, NUL-terminated; NULL if not set. */
const char *df_policy_rule_owner(const struct df_policy *p, const struct df_policy_rule *r);
const char *df_policy_rule_hint(const struct df_policy *p, const struct df_policy_rule *r);

/* "default.policy:3 block github.com", escaped for a log line.  Returns its length, cut to fit. */
size_t df_policy_rule_describe(const struct df_policy *p, const struct df_policy_rule *r, char *buf,
			       size_t size);

/*
 * Number of a rule in the table, for compact records; and back (NULL: out of
 * range).  Numbers follow names, not lines, and count from 0.
 */
uint32_t df_policy_rule_index(const struct df_policy *p, const struct df_policy_rule *r);
const struct df_policy_rule *df_policy_rule_at(const struct df_policy *p, uint32_t index);

#endif
