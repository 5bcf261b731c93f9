/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/target.h"

#include <errno.h>
#include <string.h>

#include "lib/policy/messages.h"

/*
 * What would be read as an IPv4 address by those who connect: names whose last
 * label is a number do not exist (RFC 1123 2.1, WHATWG URL "ends in a number").
 */
static bool looks_like_ipv4(const char *s, size_t len)
{
	const char *slash = memchr(s, '/', len);
	size_t end = slash ? (size_t)(slash - s) : len;
	size_t n = 0;

	if (end > 0 && s[end - 1] == '.' && !slash)
		end--;
	while (n < end && s[end - 1 - n] >= '0' && s[end - 1 - n] <= '9')
		n++;
	return n > 0 && (n == end || s[end - 1 - n] == '.');
}

static int refuse_root(struct df_value_error *ret_error)
{
	return df_value_refuse(ret_error, 0,
			       "the root covers every name; write 'default allow' or "
			       "'default deny' for what no rule names");
}

/* What is commonly pasted instead of a name gets its own words; df_dname_from_text does the rest.
 */
static int check_name_text(const char *s, size_t len, size_t offset,
			   struct df_value_error *ret_error)
{
	const char *slash = memchr(s, '/', len);

	if (slash)
		return df_value_refuse(ret_error, offset + (size_t)(slash - s),
				       "'/' in a name; write the name alone, as in example.com");
	if (looks_like_ipv4(s, len))
		return df_value_refuse(ret_error, offset,
				       "a name that ends in a number is an address; write the "
				       "address without '=' and '*.'");
	return 0;
}

static int parse_name(const char *s, size_t len, struct df_policy_target *t,
		      struct df_value_error *ret_error)
{
	struct df_dname_error error;
	size_t skip = 0;
	int r;

	t->is_name = true;
	t->scope = DF_POLICY_TREE;
	if (len > 0 && s[0] == '=') {
		t->scope = DF_POLICY_EXACT;
		skip = 1;
	} else if (len >= 2 && s[0] == '*' && s[1] == '.') {
		t->scope = DF_POLICY_BELOW;
		skip = 2;
	}
	if ((len == 1 && (s[0] == '*' || s[0] == '.')) || (skip == 1 && len == 2 && s[1] == '.') ||
	    (skip == 2 && len == 2))
		return refuse_root(ret_error);
	r = check_name_text(s + skip, len - skip, skip, ret_error);
	if (r < 0)
		return r;
	r = df_dname_from_text(s + skip, len - skip, &t->name, &error);
	if (r < 0)
		return df_value_refuse(ret_error, skip + error.offset, "%s%s%s", error.what,
				       error.hint ? "; " : "", error.hint ? error.hint : "");
	return t->name.n_labels == 0 ? refuse_root(ret_error) : 0;
}

static int parse_ports(const char *s, size_t len, size_t offset, struct df_policy_target *t,
		       struct df_value_error *ret_error)
{
	int r = df_value_ports(s, len, &t->ports, ret_error);

	if (r < 0)
		ret_error->offset += offset;
	return r;
}

/* [2001:db8::1], with or without a prefix length inside, with or without ":PORTS" behind. */
static int parse_bracketed(const char *s, size_t len, struct df_policy_target *t,
			   struct df_value_error *ret_error)
{
	const char *close = memchr(s, ']', len);
	size_t inside = close ? (size_t)(close - s) - 1 : 0;
	size_t after = inside + 2;
	int r;

	if (!close)
		return df_value_refuse(ret_error, 0, "'[' without ']'; write [2001:db8::1]:443");
	if (!memchr(s + 1, ':', inside))
		return df_value_refuse(ret_error, 1,
				       "no IPv6 address in the brackets; only those stand in []");
	r = df_value_net(s + 1, inside, &t->net, ret_error);
	if (r < 0) {
		ret_error->offset++;
		return r;
	}
	if (after == len)
		return 0;
	if (s[after] != ':')
		return df_value_refuse(ret_error, after,
				       "unexpected text behind ']'; write [2001:db8::1]:443");
	return parse_ports(s + after + 1, len - after - 1, after + 1, t, ret_error);
}

int df_policy_target_parse(const char *s, size_t len, struct df_policy_target *ret,
			   struct df_value_error *ret_error)
{
	struct df_policy_target t = {0};
	const char *colon = memchr(s, ':', len), *url = memmem(s, len, "://", 3);
	size_t host_len = colon ? (size_t)(colon - s) : len;
	int r;

	if (url)
		return df_value_refuse(ret_error, 0,
				       "a URL; write the name alone, as in example.com");
	if (len > 0 && s[0] == '[') {
		r = parse_bracketed(s, len, &t, ret_error);
	} else if (colon && memchr(colon + 1, ':', len - host_len - 1)) {
		r = df_value_net(s, len, &t.net, ret_error);
	} else {
		if (host_len && s[0] != '=' && s[0] != '*' && looks_like_ipv4(s, host_len))
			r = df_value_net(s, host_len, &t.net, ret_error);
		else
			r = parse_name(s, host_len, &t, ret_error);
		if (r == 0 && colon)
			r = parse_ports(colon + 1, len - host_len - 1, host_len + 1, &t, ret_error);
	}
	if (r == 0)
		*ret = t;
	return r;
}
