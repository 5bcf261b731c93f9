/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/policy/value.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/util.h"
#include "lib/policy/text.h"

#define NUMBER_TEXT_MAX 20 /* digits of UINT64_MAX */

__attribute__((format(printf, 3, 4))) static int refuse(struct df_value_error *ret_error,
							size_t offset, const char *format, ...)
{
	va_list args;

	ret_error->offset = offset;
	va_start(args, format);
	(void)vsnprintf(ret_error->text, sizeof(ret_error->text), format, args);
	va_end(args);
	return -EINVAL;
}

static int parse_number(const char *s, size_t len, uint64_t max, uint64_t *ret)
{
	char text[NUMBER_TEXT_MAX + 1];

	if (len == 0 || len > NUMBER_TEXT_MAX)
		return -EINVAL;
	memcpy(text, s, len);
	text[len] = '\0';
	return df_parse_u64(text, max, ret);
}

static size_t digits(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && s[n] >= '0' && s[n] <= '9')
		n++;
	return n;
}

static bool is_text(const char *s, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(s, text, len) == 0;
}

static int parse_port(const char *s, size_t len, size_t offset, uint16_t *ret,
		      struct df_value_error *ret_error)
{
	uint64_t port;
	char quote[DF_MESSAGES_QUOTE];

	if (parse_number(s, len, UINT16_MAX, &port) < 0 || port == 0)
		return refuse(ret_error, offset, "bad port '%s'; write 1 to 65535",
			      df_messages_quote(s, len, quote));
	*ret = (uint16_t)port;
	return 0;
}

int df_value_ports(const char *s, size_t len, struct df_policy_range *ret,
		   struct df_value_error *ret_error)
{
	const char *slash = memchr(s, '/', len);
	size_t range_len = slash ? (size_t)(slash - s) : len;
	const char *dash = memchr(s, '-', range_len);
	size_t lo_len = dash ? (size_t)(dash - s) : range_len;
	struct df_policy_range ports = {0};
	int r;

	r = parse_port(s, lo_len, 0, &ports.lo, ret_error);
	if (r < 0)
		return r;
	ports.hi = ports.lo;
	if (dash) {
		r = parse_port(dash + 1, range_len - lo_len - 1, lo_len + 1, &ports.hi, ret_error);
		if (r < 0)
			return r;
	}
	if (ports.hi < ports.lo)
		return refuse(ret_error, 0, "reversed port range; write %u-%u", ports.hi, ports.lo);
	if (slash) {
		const char *proto = slash + 1;
		size_t proto_len = len - range_len - 1;
		char quote[DF_MESSAGES_QUOTE];

		if (is_text(proto, proto_len, "tcp"))
			ports.proto = IPPROTO_TCP;
		else if (is_text(proto, proto_len, "udp"))
			ports.proto = IPPROTO_UDP;
		else
			return refuse(ret_error, range_len + 1,
				      "unknown protocol '%s'; write tcp or udp",
				      df_messages_quote(proto, proto_len, quote));
	}
	*ret = ports;
	return 0;
}

/* Clears the bits behind the prefix; true if one was set. */
static bool clear_host_bits(struct df_value_net *net)
{
	unsigned bits = net->family == AF_INET ? 32 : 128;
	bool had = false;

	for (unsigned bit = net->prefix_len; bit < bits; bit++) {
		uint8_t mask = (uint8_t)(0x80u >> (bit % 8));

		had = had || (net->addr[bit / 8] & mask);
		net->addr[bit / 8] &= (uint8_t)~mask;
	}
	return had;
}

int df_value_net(const char *s, size_t len, struct df_value_net *ret,
		 struct df_value_error *ret_error)
{
	const char *slash = memchr(s, '/', len);
	size_t addr_len = slash ? (size_t)(slash - s) : len;
	struct df_value_net net = {.family = memchr(s, ':', addr_len) ? AF_INET6 : AF_INET};
	unsigned bits = net.family == AF_INET ? 32 : 128;
	const char *kind = net.family == AF_INET ? "IPv4" : "IPv6";
	char text[INET6_ADDRSTRLEN], quote[DF_MESSAGES_QUOTE];
	uint64_t prefix_len = bits;
	bool is_addr = addr_len < sizeof(text) && !memchr(s, '\0', addr_len);

	if (is_addr) {
		memcpy(text, s, addr_len);
		text[addr_len] = '\0';
		is_addr = inet_pton(net.family, text, net.addr) == 1;
	}
	if (!is_addr)
		return refuse(ret_error, 0, "'%s' is not an %s address; write %s",
			      df_messages_quote(s, addr_len, quote), kind,
			      net.family == AF_INET ? "four decimal numbers"
						    : "it as RFC 4291 says");
	if (slash && parse_number(slash + 1, len - addr_len - 1, bits, &prefix_len) < 0)
		return refuse(ret_error, addr_len + 1, "bad prefix length '%s'; %s has 0 to %u",
			      df_messages_quote(slash + 1, len - addr_len - 1, quote), kind, bits);
	net.prefix_len = (uint8_t)prefix_len;
	if (clear_host_bits(&net)) {
		(void)inet_ntop(net.family, net.addr, text, sizeof(text));
		return refuse(ret_error, 0, "host bits set; write %s/%u, or the address alone",
			      text, net.prefix_len);
	}
	*ret = net;
	return 0;
}

unsigned df_value_net_mapped(const struct df_value_net *net, uint8_t ret[static 16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 2.5.5.2 */

	if (net->family == AF_INET6) {
		memcpy(ret, net->addr, 16);
		return net->prefix_len;
	}
	memcpy(ret, mapped, sizeof(mapped));
	memcpy(ret + sizeof(mapped), net->addr, 4);
	return sizeof(mapped) * 8 + net->prefix_len;
}

int df_value_duration(const char *s, size_t len, uint64_t *ret_s, struct df_value_error *ret_error)
{
	static const struct {
		const char *unit;
		unsigned seconds;
	} units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 24 * 3600}};
	size_t n = digits(s, len);
	char quote[DF_MESSAGES_QUOTE];

	for (size_t i = 0; i < ARRAY_SIZE(units) && n > 0; i++) {
		uint64_t max = DF_VALUE_DURATION_MAX_S / units[i].seconds, count;

		if (!is_text(s + n, len - n, units[i].unit))
			continue;
		if (parse_number(s, n, max, &count) < 0)
			return refuse(ret_error, 0, "too long; at most %u%s", (unsigned)max,
				      units[i].unit);
		*ret_s = count * units[i].seconds;
		return 0;
	}
	return refuse(ret_error, 0, "bad duration '%s'; write a number and s, m, h or d, as 1h",
		      df_messages_quote(s, len, quote));
}

int df_value_share(const char *s, size_t len, uint64_t *ret, struct df_value_error *ret_error)
{
	size_t n = digits(s, len);
	char quote[DF_MESSAGES_QUOTE];

	if (is_text(s + n, len - n, "%") && parse_number(s, n, 100, ret) == 0)
		return 0;
	return refuse(ret_error, 0, "bad share '%s'; write 0%% to 100%%",
		      df_messages_quote(s, len, quote));
}

int df_value_size(const char *s, size_t len, uint64_t *ret, struct df_value_error *ret_error)
{
	static const struct {
		const char *unit;
		unsigned shift;
	} units[] = {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
	size_t n = digits(s, len);
	char quote[DF_MESSAGES_QUOTE];

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		uint64_t count;

		if (!is_text(s + n, len - n, units[i].unit) ||
		    parse_number(s, n, UINT64_MAX >> units[i].shift, &count) < 0)
			continue;
		*ret = count << units[i].shift;
		return 0;
	}
	return refuse(ret_error, 0,
		      "bad size '%s'; write a number and KiB, MiB, GiB or TiB, as 1GiB",
		      df_messages_quote(s, len, quote));
}

/*
 * Programs that connect would read it as an IPv4 address: names whose last label is a number do
 * not exist (RFC 1123 2.1, WHATWG URL "ends in a number").
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
	return refuse(ret_error, 0,
		      "the root covers every name; write 'default allow' or "
		      "'default deny' for what no rule names");
}

static int parse_name(const char *s, size_t len, struct df_policy_target *t,
		      struct df_value_error *ret_error)
{
	struct df_dname_error error;
	const char *slash;
	size_t skip = 0;

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
	/* Two common slips get words of their own. */
	slash = memchr(s + skip, '/', len - skip);
	if (slash)
		return refuse(ret_error, (size_t)(slash - s),
			      "'/' in a name; write the name alone, as in example.com");
	if (looks_like_ipv4(s + skip, len - skip))
		return refuse(ret_error, skip,
			      "a name that ends in a number is an address; write the "
			      "address without '=' and '*.'");
	if (df_dname_from_text(s + skip, len - skip, &t->name, &error) < 0)
		return refuse(ret_error, skip + error.offset, "%s%s%s", error.what,
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
		return refuse(ret_error, 0, "'[' without ']'; write [2001:db8::1]:443");
	if (!memchr(s + 1, ':', inside))
		return refuse(ret_error, 1,
			      "no IPv6 address in the brackets; only those stand in []");
	r = df_value_net(s + 1, inside, &t->net, ret_error);
	if (r < 0) {
		ret_error->offset++;
		return r;
	}
	if (after == len)
		return 0;
	if (s[after] != ':')
		return refuse(ret_error, after,
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
		return refuse(ret_error, 0, "a URL; write the name alone, as in example.com");
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
