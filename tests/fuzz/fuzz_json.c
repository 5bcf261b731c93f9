/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Input: a state JSON or a config.json; both readers get it. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hook/oci/config.h"
#include "hook/oci/state.h"
#include "lib/base/json.h"
#include "lib/base/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right, const char *what)
{
	if (is_right)
		return;
	(void)fprintf(stderr, "%s\n", what);
	abort();
}

/* One line that a terminal may see. */
static void check_error(const char *error, size_t size)
{
	const char *end = memchr(error, '\0', size);

	check(end && end > error, "no message");
	for (; error < end; error++)
		check((unsigned char)*error >= 0x20 && *error != 0x7f, "control character");
}

/* Values seen; recursion is as deep as the parser allows. */
static size_t walk(const struct df_json *v, unsigned int depth)
{
	size_t n = 1, sum = 0;
	int64_t number;

	check(depth <= DF_JSON_DEPTH_MAX, "too deep");
	if (df_json_string(v))
		sum += strlen(df_json_string(v));
	if (df_json_int(v, &number) == 0)
		check(df_json_len(v) == 0 && !df_json_string(v), "two types");
	for (size_t i = 0; i < df_json_len(v); i++) {
		const char *key = df_json_key_at(v, i);

		check(df_json_is_object(v) == !!key, "key");
		if (key && i < 64) /* linear search */
			check(df_json_get(v, key) == df_json_at(v, i), "duplicate key");
		sum += key ? strlen(key) : 0;
		n += walk(df_json_at(v, i), depth + 1);
	}
	check(sum <= DF_OCI_JSON_MAX, "longer than its text");
	return n;
}

static void check_json(const char *text, size_t size)
{
	char error[DF_JSON_ERROR_MAX];
	struct df_json *doc;
	int r = df_json_parse(text, size, DF_OCI_JSON_MAX, &doc, error);

	if (r < 0) {
		check(r == -EINVAL || r == -E2BIG, "errno");
		check_error(error, sizeof(error));
		return;
	}
	check(walk(doc, 0) <= DF_JSON_VALUES_MAX, "too many values");
	df_json_free(doc);
}

static void check_state(const char *text, size_t size)
{
	char error[DF_OCI_ERROR_MAX];
	struct df_state s;
	int status = df_state_parse(text, size, &s, error);

	if (status) {
		check(status == 64 || status == 65, "status");
		check_error(error, sizeof(error));
		if (status != 64)
			return;
	}
	check(s.id[0] && strlen(s.id) <= DF_STATE_ID_MAX && !strchr(s.id, '/'), "id");
	check(strcmp(s.id, ".") != 0 && strcmp(s.id, "..") != 0, "id");
	check(!s.bundle || s.bundle[0] == '/', "bundle");
	check(!s.annotations.policy ||
		      (s.annotations.policy[0] != '.' && !strchr(s.annotations.policy, '/')),
	      "policy");
	check(!s.annotations.owner || strlen(s.annotations.owner) <= DF_ANNOTATIONS_TEXT_MAX,
	      "owner");
	check(!s.annotations.containers ||
		      (s.annotations.containers[0] &&
		       strlen(s.annotations.containers) <= DF_ANNOTATIONS_TEXT_MAX),
	      "containers");
	check(s.annotations.containers || (!s.annotations.name && !s.annotations.is_left_out),
	      "left out without a list");
	check(s.annotations.n_x <= DF_ANNOTATIONS_X_MAX, "x");
	for (size_t i = 0; i < s.annotations.n_x; i++)
		check(strlen(s.annotations.x[i].key) <= 66 &&
			      strlen(s.annotations.x[i].value) <= DF_ANNOTATIONS_TEXT_MAX,
		      "x");
	if (s.status == DF_STATUS_STOPPED)
		check(status == 0 && s.pid == 0 && s.annotations.ask == DF_ASK_NONE &&
			      !s.annotations.policy,
		      "stopped");
	else
		check(s.pid > 1 && s.bundle, "created");
	df_state_done(&s);
}

static void check_config(const char *text, size_t size)
{
	char error[DF_OCI_ERROR_MAX];
	struct df_config c;
	int status = df_config_parse(text, size, &c, error);

	if (status) {
		check(status == 65, "status");
		check_error(error, sizeof(error));
		return;
	}
	check(!c.resolv_conf || c.resolv_conf[0] == '/', "resolv_conf");
	check(!c.root_path || c.root_path[0], "root_path");
	for (size_t i = 0; i < c.n_mounts; i++)
		check(c.mounts[i].source && c.mounts[i].destination, "mount");
	check(!c.netns_path || c.netns_path[0], "netns_path");
	check(!c.proxies || (c.proxies[0] && strchr(c.proxies, '=')), "proxies");
	check(c.listen_fds <= 1024, "listen_fds");
	df_config_done(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *exact = malloc(size ? size : 1);

	if (!exact)
		return 0;
	memcpy(exact, data, size);
	check_json(exact, size);
	check_state(exact, size);
	check_config(exact, size);
	return 0;
}
