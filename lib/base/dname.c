/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/base/dname.h"

#include <errno.h>
#include <string.h>

#define LABEL_MAX 63       /* RFC 1035 2.3.4: the upper two bits of the length are the type */
#define LABEL_TYPE 0xc0    /* RFC 1035 4.1.4 */
#define LABEL_POINTER 0xc0 /* 01 and 10 are unused: RFC 6891 5, RFC 2673 is historic */
#define POINTER_MIN 12     /* octets of the message header, which holds no name */

static inline uint8_t to_lower(uint8_t c)
{
	/* ASCII only, whatever the locale: RFC 4343 section 3. */
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* The characters of names in text, in lower case; 0: not allowed.  Lists have a million names. */
static const uint8_t name_chars[256] = {
	['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g',
	['H'] = 'h', ['I'] = 'i', ['J'] = 'j', ['K'] = 'k', ['L'] = 'l', ['M'] = 'm', ['N'] = 'n',
	['O'] = 'o', ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u',
	['V'] = 'v', ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z', ['a'] = 'a', ['b'] = 'b',
	['c'] = 'c', ['d'] = 'd', ['e'] = 'e', ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i',
	['j'] = 'j', ['k'] = 'k', ['l'] = 'l', ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p',
	['q'] = 'q', ['r'] = 'r', ['s'] = 's', ['t'] = 't', ['u'] = 'u', ['v'] = 'v', ['w'] = 'w',
	['x'] = 'x', ['y'] = 'y', ['z'] = 'z', ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3',
	['4'] = '4', ['5'] = '5', ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9', ['-'] = '-',
	['_'] = '_',
};

static int text_error(struct df_dname_error *ret_error, size_t offset, const char *what,
		      const char *hint)
{
	if (ret_error)
		*ret_error = (struct df_dname_error){offset, what, hint};
	return -EINVAL;
}

static int text_error_char(struct df_dname_error *ret_error, size_t offset, uint8_t c)
{
	if (c >= 0x80)
		return text_error(ret_error, offset, "name is not ASCII",
				  "write its A-label (xn--...)");
	if (c == '*')
		return text_error(ret_error, offset, "'*' inside a name",
				  "'*' can only be the whole first label of a rule");
	return text_error(ret_error, offset, "character not allowed in a name",
			  "letters, digits, '-', '_' and dots");
}

int df_dname_from_text(const char *text, size_t len, struct df_dname *ret,
		       struct df_dname_error *ret_error)
{
	uint8_t wire[DF_DNAME_MAX];
	size_t used = 1, label = 0; /* label: where the length of the current label goes */
	unsigned n_labels = 0;

	if (len == 0)
		return text_error(ret_error, 0, "empty name", NULL);
	if (len == 1 && text[0] == '.')
		len = 0;
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)text[i];

		if (c == '.') {
			if (used == label + 1)
				return text_error(ret_error, i, "empty label",
						  "one dot between labels");
			wire[label] = (uint8_t)(used - label - 1);
			n_labels++;
			label = used++;
			continue;
		}
		if (!name_chars[c])
			return text_error_char(ret_error, i, c);
		if (used - label > LABEL_MAX)
			return text_error(ret_error, i, "label is longer than 63 octets", NULL);
		/* One octet stays free for the root label. */
		if (used >= DF_DNAME_MAX - 1)
			return text_error(ret_error, i, "name is longer than 253 characters", NULL);
		wire[used++] = name_chars[c];
	}
	if (used > label + 1) {
		wire[label] = (uint8_t)(used - label - 1);
		n_labels++;
		label = used;
	}
	wire[label] = 0;

	ret->len = (uint8_t)(label + 1);
	ret->n_labels = (uint8_t)n_labels;
	memcpy(ret->wire, wire, ret->len);
	return 0;
}

int df_dname_from_wire(const uint8_t *pkt, size_t len, size_t *pos, struct df_dname *ret)
{
	uint8_t wire[DF_DNAME_MAX];
	size_t used = 0, at = *pos, behind = 0;
	size_t run = at; /* start of this run of labels */
	unsigned n_labels = 0;

	for (;;) {
		uint8_t n;

		if (at >= len)
			return -EBADMSG;
		n = pkt[at++];
		if (n == 0)
			break;
		if ((n & LABEL_TYPE) == LABEL_POINTER) {
			size_t target;

			if (at >= len)
				return -EBADMSG;
			target = (size_t)(n & LABEL_MAX) << 8 | pkt[at++];
			/* "A prior occurrence": before this run of labels, so that no loop exists.
			 */
			if (target >= run || target < POINTER_MIN)
				return -EBADMSG;
			if (behind == 0)
				behind = at;
			at = run = target;
			continue;
		}
		/* One octet of wire stays free for the root label. */
		if (n > LABEL_MAX || n > len - at || used + 1 + n > DF_DNAME_MAX - 1)
			return -EBADMSG;
		wire[used++] = n;
		for (const uint8_t *p = pkt + at, *end = p + n; p < end; p++)
			wire[used++] = to_lower(*p);
		at += n;
		n_labels++;
	}
	wire[used++] = 0;

	*pos = behind ? behind : at;
	ret->len = (uint8_t)used;
	ret->n_labels = (uint8_t)n_labels;
	memcpy(ret->wire, wire, used);
	return 0;
}

bool df_dname_is_sane(const struct df_dname *name)
{
	struct df_dname again;
	size_t pos = 0;

	return name->len >= 1 && df_dname_from_wire(name->wire, name->len, &pos, &again) == 0 &&
	       pos == name->len && df_dname_is_equal(name, &again) &&
	       name->n_labels == again.n_labels;
}

size_t df_dname_to_text(const struct df_dname *name, char ret[static DF_DNAME_TEXT_MAX])
{
	size_t n = 0;

	for (size_t at = 0; at < name->len && name->wire[at] != 0;) {
		size_t end = at + 1 + name->wire[at];

		for (at++; at < end; at++) {
			uint8_t c = name->wire[at];

			/* '"' and '=' too: a log line's reader must not take a name for a key */
			if (c <= ' ' || c >= 0x7f || c == '"' || c == '=') {
				ret[n++] = '\\';
				ret[n++] = (char)('0' + c / 100);
				ret[n++] = (char)('0' + c / 10 % 10);
				ret[n++] = (char)('0' + c % 10);
				continue;
			}
			if (c == '.' || c == '\\')
				ret[n++] = '\\';
			ret[n++] = (char)c;
		}
		ret[n++] = '.';
	}
	if (n == 0)
		ret[n++] = '.';
	ret[n] = '\0';
	return n;
}

bool df_dname_is_equal(const struct df_dname *a, const struct df_dname *b)
{
	return a->len == b->len && memcmp(a->wire, b->wire, a->len) == 0;
}

bool df_dname_is_below_or_equal(const struct df_dname *name, const struct df_dname *parent)
{
	size_t at = 0;

	if (parent->len == 0 || name->n_labels < parent->n_labels)
		return false;
	for (unsigned n = name->n_labels - parent->n_labels; n > 0; n--)
		at += 1u + name->wire[at];
	return at + parent->len == name->len &&
	       memcmp(name->wire + at, parent->wire, parent->len) == 0;
}

int df_dname_strip_suffix(const struct df_dname *name, const struct df_dname *suffix,
			  struct df_dname *ret)
{
	size_t keep;

	if (suffix->n_labels == 0 || name->n_labels == suffix->n_labels ||
	    !df_dname_is_below_or_equal(name, suffix))
		return -ENOENT;
	keep = (size_t)name->len - suffix->len;
	ret->n_labels = (uint8_t)(name->n_labels - suffix->n_labels);
	memmove(ret->wire, name->wire, keep); /* ret may be name */
	ret->wire[keep] = 0;
	ret->len = (uint8_t)(keep + 1);
	return 0;
}

unsigned df_dname_suffixes(const struct df_dname *name, uint8_t ret[static DF_DNAME_LABELS_MAX + 1])
{
	size_t at = 0;

	for (unsigned i = 0; i < name->n_labels; i++) {
		ret[i] = (uint8_t)at;
		at += 1u + name->wire[at];
	}
	ret[name->n_labels] = (uint8_t)at;
	return name->n_labels + 1u;
}
