/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The input is read as a list of DF_FUZZ_FORMAT, in a block-list and in an allow-list:
 * by itself, and as a file of a policy, where every entry must then be decided by a rule.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/util.h"
#include "lib/policy/compile.h"
#include "lib/policy/list.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

#define KEPT_MAX 64 /* entries looked up of one input, to keep it fast */

static const char *const formats[] = {
	[DF_LIST_PLAIN] = "plain", [DF_LIST_HOSTS] = "hosts",     [DF_LIST_ADBLOCK] = "adblock",
	[DF_LIST_RPZ] = "rpz",     [DF_LIST_DNSMASQ] = "dnsmasq",
};

struct kept {
	struct df_list_entry entries[KEPT_MAX];
	unsigned n, n_taken;
	bool is_allow;
};

/* What is handed out is whole, and could stand in a rule. */
static int take(void *data, const struct df_list_entry *e)
{
	const struct df_policy_target *t = &e->target;
	char text[DF_DNAME_TEXT_MAX];
	struct df_dname again;
	struct kept *kept = data;

	CHECK(!e->is_exception || (!kept->is_allow && t->is_name));
	CHECK(t->ports.lo <= t->ports.hi && (t->ports.lo > 0 || t->ports.hi == 0));
	if (t->is_name) {
		CHECK(t->name.n_labels > 0);
		CHECK(t->scope >= DF_POLICY_TREE && t->scope <= DF_POLICY_EXACT);
		(void)df_dname_to_text(&t->name, text);
		CHECK(df_dname_from_text(text, strlen(text), &again, NULL) == 0);
		CHECK(df_dname_is_equal(&again, &t->name));
	} else {
		CHECK(t->net.prefix_len <= (t->net.family == AF_INET ? 32 : 128));
	}
	kept->n_taken++;
	if (kept->n < KEPT_MAX)
		kept->entries[kept->n++] = *e;
	return 0;
}

static int open_memory(const void *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	CHECK(fd >= 0 && df_write_all(fd, data, size) == 0);
	return fd;
}

static void look_up(const struct df_policy *p, const struct kept *kept)
{
	for (unsigned i = 0; i < kept->n; i++) {
		const struct df_list_entry *e = &kept->entries[i];
		const struct df_policy_target *t = &e->target;
		uint16_t port = t->ports.lo ? t->ports.lo : 1;
		uint8_t proto = t->ports.proto ? t->ports.proto : IPPROTO_TCP, addr[16];
		const struct df_policy_rule *rule;

		if (e->is_exception || (t->is_name && t->scope == DF_POLICY_BELOW))
			continue;
		if (t->is_name)
			rule = df_policy_lookup_port(p, &t->name, proto, port);
		else
			rule = df_policy_lookup_net(p, addr, df_value_net_mapped(&t->net, addr),
						    proto, port);
		CHECK(rule && df_policy_rule_is_listed(p, rule));
		if (kept->is_allow)
			CHECK(rule->action == DF_POLICY_ALLOW);
		else if (rule->action == DF_POLICY_ALLOW)
			CHECK(df_policy_rule_is_exception(p, rule));
	}
}

static void compile(const char *text, size_t size, const struct kept *kept, bool is_refused)
{
	_cleanup_close_ int list = open_memory(text, size), policy = -1;
	struct df_policy_result result;
	struct df_policy p;
	char path[64], statement[128];

	(void)snprintf(statement, sizeof(statement), "%s /proc/self/fd/%d %s\ndefault %s\n",
		       kept->is_allow ? "allow-list" : "block-list", list, formats[DF_FUZZ_FORMAT],
		       kept->is_allow ? "deny" : "allow");
	policy = open_memory(statement, strlen(statement));
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", policy);
	if (df_policy_compile_file("fuzz", path, &result) == 0) {
		CHECK(df_policy_open(result.table, result.table_size, &p) == 0);
		look_up(&p, kept);
	} else {
		/* or there are too many ports */
		CHECK(result.n_errors > 0 && (is_refused || DF_FUZZ_FORMAT == DF_LIST_PLAIN));
	}
	df_policy_result_done(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of exact size: ASan sees a read of one octet too many. */
	char *copy = malloc(size ? size : 1);

	if (!copy)
		return 0;
	if (size > 0)
		memcpy(copy, data, size);
	for (int i = 0; i < 2; i++) {
		struct kept kept = {.is_allow = i == 1};
		struct df_list_file list = {
			.format = DF_FUZZ_FORMAT,
			.is_allow = kept.is_allow,
			.text = copy,
			.len = size,
			.take = take,
			.data = &kept,
		};

		CHECK(df_list_read(&list) == 0);
		CHECK(list.n_entries == kept.n_taken && list.n_unknown <= list.n_lines);
		/* no line is understood, most are of another format, or it is no list at all */
		compile(copy, size, &kept,
			(kept.n_taken == 0 && list.n_unknown > 0) || df_list_is_alien(&list) ||
				df_list_not_a_list(copy, size));
	}
	free(copy);
	return 0;
}
