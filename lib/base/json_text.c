/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/base/json_text.h"

#include <stdbool.h>
#include <stdint.h>

/* Length of the UTF-8 sequence at p as RFC 3629 allows it, 0 if there is none. */
static size_t utf8_length(const uint8_t *p, size_t left)
{
	uint8_t low = 0x80, high = 0xbf; /* bounds of the second octet */
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0; /* below: overlong */
	else if (p[0] == 0xed)
		high = 0x9f; /* above: surrogates */
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f; /* above: beyond U+10FFFF */
	if (left < n || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

/* The unit of a \uXXXX at p, -1 if there is none. */
static int32_t escaped_unit(const uint8_t *p, size_t left)
{
	int32_t unit = 0;

	if (left < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (size_t i = 2; i < 6; i++) {
		int digit;

		if (p[i] >= '0' && p[i] <= '9')
			digit = p[i] - '0';
		else if ((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'f')
			digit = (p[i] | 0x20) - 'a' + 10;
		else
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

/* Octets to skip for the escape at p, 0 for half a surrogate pair. */
static size_t escape_length(const uint8_t *p, size_t left)
{
	int32_t unit = escaped_unit(p, left), second;

	if (unit < 0xd800 || unit > 0xdfff)
		return 2; /* a malformed one is yajl's to refuse */
	if (unit >= 0xdc00)
		return 0;
	second = escaped_unit(p + 6, left - 6);
	return second >= 0xdc00 && second <= 0xdfff ? 12 : 0;
}

size_t df_json_text_check(const char *chars, size_t len, const char **ret_why)
{
	const uint8_t *text = (const uint8_t *)chars;
	bool in_string = false;

	for (size_t i = 0; i < len;) {
		bool is_escape = in_string && text[i] == '\\';
		size_t n = is_escape ? escape_length(text + i, len - i)
				     : utf8_length(text + i, len - i);

		if (n == 0) {
			*ret_why = is_escape ? "half a surrogate pair" : "invalid UTF-8";
			return i;
		}
		if (text[i] == '"')
			in_string = !in_string;
		i += n;
	}
	return len;
}
