/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/annotations.h"

#include <string.h>
#include <strings.h>
#include <sysexits.h>

#include "lib/base/util.h"

#define PREFIX "deployfence"
#define X_PREFIX PREFIX ".x-"

/* Keys and values are shown up to here: who wrote them knows the rest. */
#define SHOWN_MAX 128
#define X_NAME_MAX 64          /* behind "x-"; a key of events, not a text */
#define CONTAINER_NAME_MAX 128 /* Kubernetes: 63; other CRI clients may be more generous */
/* Longer remainders of a key are no slip of the finger; bounds the distance table. */
#define TYPO_MAX 24

#define NEAR_MAX 2 /* slips that a name of .containers may be away from the container's */

#define KEYS                                                                                       \
	PREFIX ", " PREFIX ".policy, " PREFIX ".shadow, " PREFIX ".fail, " PREFIX ".log, " PREFIX  \
	       ".containers, " PREFIX ".owner, " PREFIX ".x-NAME"

struct word {
	const char *name;
	int value;
};

static const struct word asks[] = {
	{"on", DF_ASK_ON},
	{"enforce", DF_ASK_ENFORCE},
	{"audit", DF_ASK_AUDIT},
	{"off", DF_ASK_OFF},
};
static const struct word fails[] = {{"closed", DF_CHOICE_CLOSED}, {"open", DF_CHOICE_OPEN}};
static const struct word logs[] = {{"stderr", DF_LOG_STDERR}, {"none", DF_LOG_NONE}};

static int refuse_key(const char *key, const char *why, const char *right, char *error)
{
	char shown[SHOWN_MAX];
	size_t pos = 0;

	(void)df_escape(key, strlen(key), shown, sizeof(shown));
	df_append(error, DF_STATE_ERROR_MAX, &pos, "annotation \"%s\": %s; %s", shown, why, right);
	return EX_USAGE;
}

static int refuse_value(const char *key, const char *value, const char *why, const char *right,
			char *error)
{
	char shown_key[SHOWN_MAX], shown[SHOWN_MAX];
	size_t pos = 0;

	(void)df_escape(key, strlen(key), shown_key, sizeof(shown_key));
	(void)df_escape(value, strlen(value), shown, sizeof(shown));
	df_append(error, DF_STATE_ERROR_MAX, &pos, "annotation \"%s\"=\"%s\": %s; %s", shown_key,
		  shown, why, right);
	return EX_USAGE;
}

static int copy_value(const char *value, char **ret, char *error)
{
	size_t pos = 0;

	*ret = strdup(value);
	if (*ret)
		return 0;
	df_append(error, DF_STATE_ERROR_MAX, &pos, "annotations: out of memory");
	return EX_OSERR;
}

static int read_word(const char *key, const char *value, const struct word *words, size_t n,
		     int *ret, char *error)
{
	char accepted[SHOWN_MAX];
	size_t pos = 0;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(value, words[i].name) == 0) {
			*ret = words[i].value;
			return 0;
		}
	}
	df_append(accepted, sizeof(accepted), &pos, "accepted: ");
	for (size_t i = 0; i < n; i++)
		df_append(accepted, sizeof(accepted), &pos, "%s%s", i ? ", " : "", words[i].name);
	return refuse_value(key, value, "unknown value", accepted, error);
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static size_t name_len(const char *name)
{
	size_t n = 0;

	if (is_alnum(name[0]))
		while (is_alnum(name[n]) || (name[n] && strchr("._-", name[n])))
			n++;
	return n;
}

/* A file name below the policy directories: nothing that leaves them or hides there. */
static bool is_policy_name(const char *name)
{
	size_t n = name_len(name);

	return n > 0 && n <= DF_STATE_POLICY_MAX && name[n] == '\0';
}

/* NAME,NAME */
static bool is_name_list(const char *list)
{
	for (;; list++) {
		size_t n = name_len(list);

		if (n == 0 || n > CONTAINER_NAME_MAX)
			return false;
		list += n;
		if (*list != ',')
			return *list == '\0';
	}
}

static bool is_x_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.");

	return name[n] == '\0' && n > 0 && n <= X_NAME_MAX;
}

static int read_policy(const char *key, const char *value, char **ret, char *error)
{
	if (!is_policy_name(value))
		return refuse_value(key, value, "not a policy name",
				    "accepted: 1 to 128 of A-Z a-z 0-9 . _ -, "
				    "the first a letter or digit",
				    error);
	return copy_value(value, ret, error);
}

static int check_text(const char *key, const char *value, char *error)
{
	_Static_assert(DF_STATE_TEXT_MAX == 1024, "the message names it");
	if (strlen(value) <= DF_STATE_TEXT_MAX)
		return 0;
	return refuse_key(key, "value too long", "accepted: free text up to 1024 octets", error);
}

static int read_owner(const char *key, const char *value, struct df_state *s, char *error)
{
	int status = check_text(key, value, error);

	return status ? status : copy_value(value, &s->owner, error);
}

static int read_containers(const char *key, const char *value, struct df_state *s, char *error)
{
	int status = check_text(key, value, error);

	_Static_assert(CONTAINER_NAME_MAX == 128, "the message names it");
	if (status)
		return status;
	if (!is_name_list(value))
		return refuse_value(key, value, "not a list of container names",
				    "accepted: NAME,NAME…, each 1 to 128 of A-Z a-z 0-9 . _ -, "
				    "the first a letter or digit",
				    error);
	return copy_value(value, &s->containers, error);
}

static int read_x(const char *key, const char *value, struct df_state *s, char *error)
{
	struct df_state_pair *pair = &s->x[s->n_x];
	int status;

	_Static_assert(DF_STATE_X_MAX == 32 && X_NAME_MAX == 64, "the messages name them");
	if (!is_x_name(key + strlen(X_PREFIX)))
		return refuse_key(key, "bad name behind " X_PREFIX,
				  "accepted: 1 to 64 of a-z 0-9 - _ .", error);
	status = check_text(key, value, error);
	if (status)
		return status;
	if (s->n_x == DF_STATE_X_MAX)
		return refuse_key(key, "too many " X_PREFIX "NAME keys", "accepted: up to 32",
				  error);
	s->n_x++; /* before the copies: df_state_done frees what there is of the pair */
	status = copy_value(key + strlen(PREFIX "."), &pair->key, error);
	return status ? status : copy_value(value, &pair->value, error);
}

/* What a slip of the finger confuses is the same: case, and the marks between words. */
static char fold(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c && strchr("-_/: ", c) ? '.' : c;
}

/* Levenshtein; a is at most TYPO_MAX long. */
static size_t distance(const char *a, const char *b)
{
	size_t row[TYPO_MAX + 1], n = strlen(a);

	for (size_t i = 0; i <= n; i++)
		row[i] = i;
	for (size_t j = 0; b[j]; j++) {
		size_t diagonal = row[0];

		row[0] = j + 1;
		for (size_t i = 1; i <= n; i++) {
			size_t best = diagonal + (fold(a[i - 1]) == b[j] ? 0 : 1);

			diagonal = row[i];
			if (row[i] + 1 < best)
				best = row[i] + 1;
			if (row[i - 1] + 1 < best)
				best = row[i - 1] + 1;
			row[i] = best;
		}
	}
	return row[n];
}

/* The key that may have been meant, NULL if none is near. */
static const char *nearest_key(const char *key)
{
	/* The further a key may be missed, the longer it is: .log is near to everything. */
	static const struct {
		const char *rest;
		size_t limit;
	} known[] = {{"", 2},     {".policy", 3}, {".shadow", 3},    {".fail", 2},
		     {".log", 1}, {".owner", 2},  {".containers", 3}};
	static const char *const names[] = {
		PREFIX,        PREFIX ".policy", PREFIX ".shadow",    PREFIX ".fail",
		PREFIX ".log", PREFIX ".owner",  PREFIX ".containers"};
	const char *rest = key + strlen(PREFIX), *best = NULL;
	size_t least = TYPO_MAX;

	if (fold(rest[0]) == '.' && fold(rest[1]) == 'x')
		return X_PREFIX "NAME";
	if (strlen(rest) > TYPO_MAX)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		size_t d = distance(rest, known[i].rest);

		if (d <= known[i].limit && d < least) {
			least = d;
			best = names[i];
		}
	}
	return best;
}

static int refuse_unknown(const char *key, char *error)
{
	const char *near = nearest_key(key);
	char right[SHOWN_MAX * 2];
	size_t pos = 0;

	if (near)
		df_append(right, sizeof(right), &pos, "did you mean \"%s\"? ", near);
	df_append(right, sizeof(right), &pos, "accepted: " KEYS);
	return refuse_key(key, "unknown key", right, error);
}

static int read_one(const char *key, const char *value, struct df_state *s, char *error)
{
	int status, n = 0;

	if (strcmp(key, PREFIX) == 0) {
		status = read_word(key, value, asks, ARRAY_SIZE(asks), &n, error);
		s->ask = (enum df_state_ask)n;
		s->is_ask_written = true;
		return status;
	}
	if (strcmp(key, PREFIX ".fail") == 0) {
		status = read_word(key, value, fails, ARRAY_SIZE(fails), &n, error);
		s->fail = (enum df_state_choice)n;
		return status;
	}
	if (strcmp(key, PREFIX ".log") == 0) {
		status = read_word(key, value, logs, ARRAY_SIZE(logs), &n, error);
		s->log = (enum df_state_log)n;
		return status;
	}
	if (strcmp(key, PREFIX ".policy") == 0)
		return read_policy(key, value, &s->policy, error);
	if (strcmp(key, PREFIX ".shadow") == 0)
		return read_policy(key, value, &s->shadow, error);
	if (strcmp(key, PREFIX ".owner") == 0)
		return read_owner(key, value, s, error);
	if (strncmp(key, X_PREFIX, strlen(X_PREFIX)) == 0)
		return read_x(key, value, s, error);
	if (strcmp(key, PREFIX ".containers") == 0)
		return read_containers(key, value, s, error);
	return refuse_unknown(key, error);
}

/* The next name of a list, *ret_len octets; NULL at its end.  list: behind the last one. */
static const char *next_name(const char *list, size_t *ret_len)
{
	list += *list == ',';
	*ret_len = strcspn(list, ",");
	return *ret_len ? list : NULL;
}

static bool is_listed(const char *list, const char *name)
{
	const char *next;
	size_t len;

	for (; (next = next_name(list, &len)); list = next + len)
		if (strlen(name) == len && memcmp(name, next, len) == 0)
			return true;
	return false;
}

const char *df_annotations_near_name(const struct df_state *s, size_t *ret_len)
{
	const char *next;
	char name[TYPO_MAX + 1];
	size_t len;

	for (const char *list = s->containers; (next = next_name(list, &len)); list = next + len) {
		if (len > TYPO_MAX || !s->name)
			continue;
		memcpy(name, next, len);
		name[len] = '\0';
		if (distance(name, s->name) <= NEAR_MAX) {
			*ret_len = len;
			return next;
		}
	}
	return NULL;
}

static const char *get_text(const struct df_json *annotations, const char *key)
{
	return df_json_string(df_json_get(annotations, key));
}

/*
 * Whether the list names this container.  A pod's sandbox is no container of the list.
 * Where the runtime tells no name nobody can know: then it is fenced.
 */
static int judge_list(const struct df_json *annotations, struct df_state *s, char *error)
{
	static const char *const names[] = {"io.kubernetes.cri.container-name",
					    "io.kubernetes.container.name", "nerdctl/name"};
	static const char *const types[] = {"io.kubernetes.cri.container-type",
					    "io.kubernetes.cri-o.ContainerType"};
	const char *name = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		const char *type = get_text(annotations, types[i]);

		s->is_left_out |= type && strcmp(type, "sandbox") == 0;
	}
	for (size_t i = 0; !name && i < ARRAY_SIZE(names); i++)
		name = get_text(annotations, names[i]);
	if (s->is_left_out || !name || !*name || strlen(name) > DF_STATE_TEXT_MAX)
		return 0;
	s->is_left_out = !is_listed(s->containers, name);
	return copy_value(name, &s->name, error);
}

int df_annotations_read(const struct df_json *annotations, struct df_state *s,
			char ret_error[static DF_STATE_ERROR_MAX])
{
	bool has_ours = false;

	for (size_t i = 0; i < df_json_len(annotations); i++) {
		const char *key = df_json_key_at(annotations, i);
		int status;

		/* In the C locale or any other: the keys that could match are ASCII. */
		if (strncasecmp(key, PREFIX, strlen(PREFIX)) != 0)
			continue;
		has_ours = true;
		status = read_one(key, df_json_string(df_json_at(annotations, i)), s, ret_error);
		if (status)
			return status;
	}
	if (has_ours && s->ask == DF_ASK_NONE)
		s->ask = DF_ASK_ON;
	return s->containers ? judge_list(annotations, s, ret_error) : 0;
}
