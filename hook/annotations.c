/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/annotations.h"

#include <string.h>
#include <strings.h>
#include <sysexits.h>

#include "lib/base/util.h"

#define PREFIX DF_ANNOTATION_PREFIX
#define X_PREFIX PREFIX ".x-"

#define SHOWN_MAX DF_OCI_SHOWN_MAX
#define X_NAME_MAX 64          /* behind "x-"; a key of events, not a text */
#define CONTAINER_NAME_MAX 128 /* Kubernetes: 63; other CRI clients may be more generous */
/* Longer remainders of a key are no typing error; bounds the distance table. */
#define TYPO_MAX 24
#define NAME_SLIPS 2 /* that a name of .containers may be away from the container's */

/* value: NULL where only the key is wrong.  Returns 64. */
static int refuse(const char *key, const char *value, const char *why, const char *right,
		  char *error)
{
	char shown_key[SHOWN_MAX], shown[SHOWN_MAX] = "";
	size_t pos = 0;

	(void)df_escape(key, strlen(key), shown_key, sizeof(shown_key));
	if (value)
		(void)df_escape(value, strlen(value), shown, sizeof(shown));
	df_append(error, DF_OCI_ERROR_MAX, &pos, "annotation \"%s\"%s%s%s: %s; %s", shown_key,
		  value ? "=\"" : "", shown, value ? "\"" : "", why, right);
	return EX_USAGE;
}

/* The case, and the marks between words, are easily confused. */
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

/* The key that may have been meant, NULL if none is close. */
static const char *nearest_key(const char *key)
{
	const char *rest = key + strlen(PREFIX), *best = NULL;
	size_t least = TYPO_MAX;

	if (fold(rest[0]) == '.' && fold(rest[1]) == 'x')
		return X_PREFIX "NAME";
	if (strlen(rest) > TYPO_MAX)
		return NULL;
	for (int i = 0; i < DF_ANNOTATION_X; i++) {
		const struct df_annotation_key *k = &df_annotation_keys[i];
		size_t d = distance(rest, k->key + strlen(PREFIX));

		if (d <= k->slips && d < least) {
			least = d;
			best = k->key;
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
	for (int i = 0; i < DF_ANNOTATIONS; i++)
		df_append(right, sizeof(right), &pos, "%s%s%s", i == 0 ? "accepted: " : ", ",
			  df_annotation_keys[i].key, i == DF_ANNOTATION_X ? "NAME" : "");
	return refuse(key, NULL, "unknown key", right, error);
}

/* The value's number among the words of the key, from 1. */
static int read_word(const struct df_annotation_key *k, const char *value, unsigned *ret,
		     char *error)
{
	char accepted[SHOWN_MAX];
	size_t pos = 0;

	for (unsigned i = 0; k->words[i]; i++) {
		if (strcmp(value, k->words[i]) == 0) {
			*ret = i + 1;
			return 0;
		}
		df_append(accepted, sizeof(accepted), &pos, "%s%s",
			  i ? ", " : "accepted: ", k->words[i]);
	}
	return refuse(k->key, value, "unknown value", accepted, error);
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* The length of the name that a text begins with: no path, no hidden file. */
static size_t name_len(const char *name)
{
	size_t n = 0;

	if (is_alnum(name[0]))
		while (is_alnum(name[n]) || (name[n] && strchr("._-", name[n])))
			n++;
	return n;
}

static int read_policy(const char *key, const char *value, const char **ret, char *error)
{
	const size_t n = name_len(value);

	_Static_assert(DF_ANNOTATIONS_POLICY_MAX == 128, "the message names it");
	if (n == 0 || n > DF_ANNOTATIONS_POLICY_MAX || value[n] != '\0')
		return refuse(key, value, "not a policy name",
			      "accepted: 1 to 128 of A-Z a-z 0-9 . _ -, "
			      "the first a letter or digit",
			      error);
	*ret = value;
	return 0;
}

static int read_text(const char *key, const char *value, const char **ret, char *error)
{
	_Static_assert(DF_ANNOTATIONS_TEXT_MAX == 1024, "the message names it");
	if (strlen(value) > DF_ANNOTATIONS_TEXT_MAX)
		return refuse(key, NULL, "value too long", "accepted: free text up to 1024 octets",
			      error);
	*ret = value;
	return 0;
}

/* NAME,NAME */
static int read_containers(const char *key, const char *value, const char **ret, char *error)
{
	_Static_assert(CONTAINER_NAME_MAX == 128, "the message names it");
	for (const char *list = value; strlen(value) <= DF_ANNOTATIONS_TEXT_MAX; list++) {
		size_t n = name_len(list);

		list += n;
		if (n == 0 || n > CONTAINER_NAME_MAX || (*list && *list != ','))
			return refuse(key, value, "not a list of container names",
				      "accepted: NAME,NAME…, each 1 to 128 of A-Z a-z 0-9 . _ -, "
				      "the first a letter or digit",
				      error);
		if (!*list)
			break;
	}
	return read_text(key, value, ret, error);
}

static int read_x(const char *key, const char *value, struct df_annotations *a, char *error)
{
	const char *name = key + strlen(X_PREFIX);
	const size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.");
	struct df_annotations_pair x = {.key = key + strlen(PREFIX ".")};
	int status;

	_Static_assert(DF_ANNOTATIONS_X_MAX == 32 && X_NAME_MAX == 64, "the messages name them");
	if (name[n] != '\0' || n == 0 || n > X_NAME_MAX)
		return refuse(key, NULL, "bad name behind " X_PREFIX,
			      "accepted: 1 to 64 of a-z 0-9 - _ .", error);
	status = read_text(key, value, &x.value, error);
	if (status)
		return status;
	if (a->n_x == DF_ANNOTATIONS_X_MAX)
		return refuse(key, NULL, "too many " X_PREFIX "NAME keys", "accepted: up to 32",
			      error);
	a->x[a->n_x++] = x;
	return 0;
}

static int read_one(const char *key, const char *value, struct df_annotations *a, char *error)
{
	const int k = strncmp(key, X_PREFIX, strlen(X_PREFIX)) == 0
			      ? (int)DF_ANNOTATION_X /* without a NAME, too */
			      : df_annotation_from_key(key, strlen(key));
	unsigned word = 0;

	if (k < 0)
		return refuse_unknown(key, error);
	a->present |= 1u << k;
	if (df_annotation_keys[k].words[0]) {
		int status = read_word(&df_annotation_keys[k], value, &word, error);

		if (status)
			return status;
	}
	switch ((enum df_annotation)k) {
	case DF_ANNOTATION_FENCE:
		a->ask = (enum df_ask)word;
		return 0;
	case DF_ANNOTATION_FAIL:
		a->fail = (enum df_ask_fail)word;
		return 0;
	case DF_ANNOTATION_LOG:
		a->log = (enum df_ask_log)word;
		return 0;
	case DF_ANNOTATION_POLICY:
		return read_policy(key, value, &a->policy, error);
	case DF_ANNOTATION_SHADOW:
		return read_policy(key, value, &a->shadow, error);
	case DF_ANNOTATION_CONTAINERS:
		return read_containers(key, value, &a->containers, error);
	case DF_ANNOTATION_OWNER:
		return read_text(key, value, &a->owner, error);
	case DF_ANNOTATION_X:
	case DF_ANNOTATIONS:
		break;
	}
	return read_x(key, value, a, error);
}

/* The next name of a list, *ret_len octets; NULL at its end.  list: behind the last one. */
static const char *next_name(const char *list, size_t *ret_len)
{
	list += *list == ',';
	*ret_len = strcspn(list, ",");
	return *ret_len ? list : NULL;
}

const char *df_annotations_near_name(const struct df_annotations *a, size_t *ret_len)
{
	const char *next;
	char name[TYPO_MAX + 1];
	size_t len;

	for (const char *list = a->containers; (next = next_name(list, &len)); list = next + len) {
		if (len > TYPO_MAX || !a->name)
			continue;
		memcpy(name, next, len);
		name[len] = '\0';
		if (distance(name, a->name) <= NAME_SLIPS) {
			*ret_len = len;
			return next;
		}
	}
	return NULL;
}

/*
 * Whether the list names this container.  A pod's sandbox is no container of the list.
 * Where the runtime tells no name nobody can know: then it is fenced.
 */
static void judge_list(const struct df_json *annotations, struct df_annotations *a)
{
	static const char *const keys[] = {"io.kubernetes.cri.container-name",
					   "io.kubernetes.container.name", "nerdctl/name"};
	const char *name = NULL, *next;
	size_t len;

	a->is_left_out = df_oci_is_cri_type(annotations, "sandbox");
	for (size_t i = 0; !name && i < ARRAY_SIZE(keys); i++)
		name = df_json_string(df_json_get(annotations, keys[i]));
	if (a->is_left_out || !name || !*name || strlen(name) > DF_ANNOTATIONS_TEXT_MAX)
		return;
	a->is_left_out = true;
	for (const char *list = a->containers; (next = next_name(list, &len)); list = next + len)
		if (strlen(name) == len && memcmp(name, next, len) == 0)
			a->is_left_out = false;
	a->name = name;
}

int df_annotations_read(const struct df_json *annotations, struct df_annotations *ret,
			char ret_error[static DF_OCI_ERROR_MAX])
{
	int status = 0;

	df_annotations_read_runtime(annotations, &ret->runtime);
	for (size_t i = 0; status == 0 && i < df_json_len(annotations); i++) {
		const char *key = df_json_key_at(annotations, i);

		/* In the C locale or any other: the keys that could match are ASCII. */
		if (strncasecmp(key, PREFIX, strlen(PREFIX)) == 0)
			status = read_one(key, df_json_string(df_json_at(annotations, i)), ret,
					  ret_error);
	}
	if (status)
		return status;
	if (ret->present && ret->ask == DF_ASK_NONE)
		ret->ask = DF_ASK_ON;
	if (ret->containers)
		judge_list(annotations, ret);
	return 0;
}

/* --- demands of the host --- */

static int check_key(const struct df_conf_host *conf, const char *key, char *error)
{
	size_t pos = 0;

	if (df_conf_has_name(&conf->annotations, key))
		return 0;
	df_append(error, DF_OCI_ERROR_MAX, &pos,
		  "annotation \"%s\": this host does not honour it; see `annotations` "
		  "(deployfence.conf)",
		  key);
	return EX_CONFIG;
}

static int check_keys(const struct df_conf_host *conf, const struct df_annotations *a, char *error)
{
	int status = 0;

	for (int i = 0; status == 0 && i < DF_ANNOTATION_X; i++)
		if (a->present >> i & 1)
			status = check_key(conf, df_annotation_keys[i].key, error);
	for (size_t i = 0; status == 0 && i < a->n_x; i++) {
		char key[sizeof(X_PREFIX) + X_NAME_MAX];

		(void)snprintf(key, sizeof(key), PREFIX ".%s", a->x[i].key);
		status = check_key(conf, key, error);
	}
	return status;
}

/* demand: "… this host demands …"; why: "" or what precedes that. */
static int refuse_weaker(enum df_annotation k, const char *value, const char *why,
			 const char *demand, char *error)
{
	size_t pos = 0;

	df_append(error, DF_OCI_ERROR_MAX, &pos,
		  "annotation \"%s=%s\": %sthis host demands %s; annotations may not weaken "
		  "(deployfence.conf)",
		  df_annotation_keys[k].key, value, why, demand);
	return EX_CONFIG;
}

int df_annotations_check(const struct df_conf_host *conf, const struct df_annotations *a,
			 char ret_error[static DF_OCI_ERROR_MAX])
{
	const unsigned words[DF_ANNOTATIONS] = {
		[DF_ANNOTATION_FENCE] = a->ask,
		/* where the host itself fails open nothing is weaker */
		[DF_ANNOTATION_FAIL] = conf->fail == DF_HOST_FAIL_CLOSED ? a->fail : 0,
		[DF_ANNOTATION_LOG] = a->log,
	};
	char demand[DF_OCI_ERROR_MAX];
	int status = conf->has_annotations ? check_keys(conf, a, ret_error) : 0;

	if (status || conf->may_weaken)
		return status;
	for (int i = 0; i < DF_ANNOTATIONS; i++) {
		const struct df_annotation_key *k = &df_annotation_keys[i];

		if (k->weak && words[i] == k->weak)
			return refuse_weaker((enum df_annotation)i, k->words[k->weak - 1], "",
					     k->demand, ret_error);
	}
	if (a->is_left_out)
		return refuse_weaker(DF_ANNOTATION_CONTAINERS, a->containers,
				     "leaves this container out, and ", "a fence", ret_error);
	if (!a->policy || strcmp(a->policy, conf->default_policy) == 0 ||
	    df_conf_has_name(&conf->selectable, a->policy))
		return 0;
	(void)snprintf(demand, sizeof(demand), "its default policy '%s'%s", conf->default_policy,
		       conf->selectable.n ? " or one of `selectable-policies`" : "");
	return refuse_weaker(DF_ANNOTATION_POLICY, a->policy, "", demand, ret_error);
}

int df_annotations_check_audit(const struct df_conf_host *conf, const struct df_annotations *a,
			       bool host_enforces, char ret_error[static DF_OCI_ERROR_MAX])
{
	if (conf->may_weaken || a->ask != DF_ASK_AUDIT || !host_enforces)
		return 0;
	return refuse_weaker(DF_ANNOTATION_FENCE, "audit", "", "mode enforce", ret_error);
}

/* --- annotations of runtimes --- */

static bool begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/*
 * Those of crun and runc that count: a configuration of CRIU, whose action-script is run as root;
 * properties of the systemd scope, which can move it, hand its cgroup on, put programs on it, and
 * start, stop or even reboot services of the host (Wants=, Conflicts=, FailureAction=:
 * systemd.unit(5)); and all of crun (crun(1), "Extensions to OCI") that is not known as harmless.
 */
static bool leads_out(const char *key, const char *value)
{
	static const char property[] = "org.systemd.property.", crun[] = "run.oci.";
	/* groups, labels, clocks and a stricter seccomp */
	static const char *const harmless[] = {
		"run.oci.keep_original_groups", "run.oci.mount_context_type",
		"run.oci.seccomp_fail_unknown_syscall", "run.oci.timens_offset"};
	/* beginnings of those that concern the scope's processes alone: limits, times, signals */
	static const char harmless_properties[] =
		"After Allowed Before BlockIO CPU CollectMode DefaultDependencies Description "
		"Documentation FinalKillSignal IO IPAccounting IPAddress Kill ManagedOOM Memory "
		"OOMPolicy RestartKillSignal RuntimeMax RuntimeRandomizedExtra SendSIG Startup "
		"Tasks TimeoutStop WatchdogSignal";

	if (begins(key, property)) {
		for (const char *p = harmless_properties; *p; p += strspn(p, " ")) {
			const size_t n = strcspn(p, " ");

			if (strncmp(key + strlen(property), p, n) == 0)
				return false;
			p += n;
		}
		return true;
	}
	if (!begins(key, crun))
		return strcmp(key, "org.criu.config") == 0;
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (strcmp(key, harmless[i]) == 0)
			return false;
	/* the name that crun takes anyway, and "" for none: CRI-O sets it so for whole hosts */
	return strcmp(key, "run.oci.systemd.subgroup") != 0 ||
	       (*value && strcmp(value, "container") != 0);
}

void df_annotations_read_runtime(const struct df_json *annotations,
				 struct df_annotations_runtime *ret)
{
	for (size_t i = 0; i < df_json_len(annotations) && ret->n < ARRAY_SIZE(ret->pairs); i++) {
		const struct df_annotations_pair pair = {
			.key = df_json_key_at(annotations, i),
			.value = df_json_string(df_json_at(annotations, i))};

		if (pair.value && leads_out(pair.key, pair.value))
			ret->pairs[ret->n++] = pair;
	}
}
