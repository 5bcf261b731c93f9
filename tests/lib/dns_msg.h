/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dns_msg: puts messages together for the tests, right ones and wrong ones.
 * Names are text without escapes; "@12" is a compression pointer to offset 12,
 * "www@16" a label and a pointer.
 */
#ifndef DF_TEST_DNS_MSG_H
#define DF_TEST_DNS_MSG_H

#include <stddef.h>
#include <stdint.h>

struct df_msg {
	size_t len;
	uint8_t b[65535];
};

enum { DF_MSG_AN = 1, DF_MSG_NS, DF_MSG_AR };

/* Header with these flags, one question for it. */
void df_msg_init(struct df_msg *m, uint16_t id, uint16_t flags, const char *qname, uint16_t type);
void df_msg_put(struct df_msg *m, const void *data, size_t n);
void df_msg_name(struct df_msg *m, const char *name);

/* A record of class IN and TTL 300; df_msg_end sets its RDLENGTH. */
void df_msg_begin(struct df_msg *m, unsigned section, const char *owner, uint16_t type);
void df_msg_end(struct df_msg *m);

void df_msg_rr(struct df_msg *m, unsigned section, const char *owner, uint16_t type,
	       const void *rdata, size_t n);
void df_msg_rr_name(struct df_msg *m, unsigned section, const char *owner, uint16_t type,
		    const char *target);
void df_msg_soa(struct df_msg *m, const char *owner, const char *mname, const char *rname);
void df_msg_rrsig(struct df_msg *m, unsigned section, const char *owner, uint16_t covered);
void df_msg_opt(struct df_msg *m, uint16_t udp_size, uint32_t ttl, const void *options, size_t n);

#endif
