/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook/oci/state.h"

#include <string.h>
#include <sysexits.h>

#include "hook/oci/json.h"
#include "lib/base/util.h"

#define SHOWN_MAX DF_OCI_SHOWN_MAX
/* PID_MAX_LIMIT of include/linux/threads.h on 64 bit: no pid reaches it. */
#define PID_LIMIT (1 << 22)

#define _cleanup_state_ __attribute__((cleanup(df_state_done)))

/* A string that must be there, and escaped for a message in shown. */
static int need_string(const struct df_json *doc, const char *key, const char **ret,
		       char shown[static SHOWN_MAX], char *error)
{
	int status = df_oci_string(doc, "state", key, ret, error);

	if (status)
		return status;
	if (!*ret)
		return df_oci_refuse(error, "state: %s is missing", key);
	(void)df_escape(*ret, strlen(*ret), shown, SHOWN_MAX);
	return 0;
}

/*
 * The id becomes a directory name and a part of log lines.  runc accepts these characters and
 * crun all but '/'.  Names that begin with '.' or '@' are no containers': "." and "..", names that
 * users of readdir(3) skip, and our own below /run/deployfence.
 */
static int read_id(const struct df_json *doc, struct df_state *s, char *error)
{
	const char *id = NULL;
	char shown[SHOWN_MAX];
	int status = need_string(doc, "id", &id, shown, error);
	size_t n;

	if (status)
		return status;
	n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+.-");
	_Static_assert(DF_STATE_ID_MAX == 128, "the message names it");
	if (n == 0 || n > DF_STATE_ID_MAX || id[n] != '\0' || id[0] == '.')
		return df_oci_refuse(
			error,
			"state: bad id \"%s\"; accepted: 1 to 128 of A-Z a-z 0-9 _ + . -, "
			"the first no dot",
			shown);
	s->id = id;
	return 0;
}

static int read_status(const struct df_json *doc, enum df_state_status *ret, char *error)
{
	const char *text = NULL;
	char shown[SHOWN_MAX];
	int status = need_string(doc, "status", &text, shown, error);

	if (status)
		return status;
	if (strcmp(text, "creating") == 0 || strcmp(text, "created") == 0)
		*ret = DF_STATUS_CREATE;
	else if (strcmp(text, "stopped") == 0)
		*ret = DF_STATUS_STOPPED;
	else
		return df_oci_refuse(
			error,
			"state: status \"%s\" belongs to no stage of this hook; accepted: "
			"creating, created (createRuntime), stopped (poststop)",
			shown);
	return 0;
}

static int read_pid(const struct df_json *doc, pid_t *ret, char *error)
{
	const struct df_json *v = df_json_get(doc, "pid");
	int64_t pid;

	if (!v)
		return df_oci_refuse(error, "state: pid is missing");
	if (df_json_int(v, &pid) < 0)
		return df_oci_refuse(error, "state: pid is not an integer");
	/* createContainer hooks of runc see 1: the fence would be put on the host's init */
	if (pid <= 1 || pid >= PID_LIMIT)
		return df_oci_refuse(error, "state: pid %lld is out of range; accepted: 2 to %d",
				     (long long)pid, PID_LIMIT - 1);
	*ret = (pid_t)pid;
	return 0;
}

static int read_bundle(const struct df_json *doc, struct df_state *s, char *error)
{
	const char *bundle = NULL;
	char shown[SHOWN_MAX];
	int status = need_string(doc, "bundle", &bundle, shown, error);

	if (status)
		return status;
	if (!df_oci_is_path(bundle))
		return df_oci_refuse(error, "state: bundle \"%s\" is no absolute path", shown);
	s->bundle = bundle;
	return 0;
}

static int read_created(const struct df_json *doc, struct df_state *s, char *error)
{
	const struct df_json *annotations = NULL;
	const char *version = NULL;
	int status = df_oci_string(doc, "state", "ociVersion", &version, error);

	if (!status)
		status = read_pid(doc, &s->pid, error);
	if (!status)
		status = read_bundle(doc, s, error);
	if (!status)
		status = df_oci_annotations(doc, "state", &annotations, error);
	return status ? status : df_annotations_read(annotations, &s->annotations, error);
}

/*
 * No pid, or 0: nothing runs, and nothing but the id counts.  With a pid the process may
 * live: runc restore calls createRuntime hooks with the status of before, "stopped", and
 * the pid of the new init.  The caller looks whether it does.
 */
static int read_stopped(const struct df_json *doc, struct df_state *s, char *error)
{
	const struct df_json *v = df_json_get(doc, "pid");
	const char *bundle = df_json_string(df_json_get(doc, "bundle"));
	int64_t pid;

	if (v && (df_json_int(v, &pid) < 0 || pid > 0))
		return read_created(doc, s, error);
	s->bundle = df_oci_is_path(bundle) ? bundle : NULL;
	return 0;
}

int df_state_parse(const char *text, size_t len, struct df_state *ret,
		   char ret_error[static DF_OCI_ERROR_MAX])
{
	_cleanup_state_ struct df_state s = {0};
	int status = df_oci_object("state", text, len, &s.doc, ret_error);

	if (!status)
		status = read_id(s.doc, &s, ret_error);
	if (!status)
		status = read_status(s.doc, &s.status, ret_error);
	if (status)
		return status;
	if (s.status == DF_STATUS_CREATE)
		status = read_created(s.doc, &s, ret_error);
	else
		status = read_stopped(s.doc, &s, ret_error);
	if (status && status != EX_USAGE && (s.status == DF_STATUS_CREATE || s.pid == 0))
		return status;
	/*
	 * A refused annotation too: the person who wrote it is to see why, by way of the pid.  And
	 * "stopped" with a pid: whether anything is to be refused depends on that process.
	 */
	*ret = s;
	s = (struct df_state){0};
	return status;
}

void df_state_done(struct df_state *s)
{
	df_json_free(s->doc);
	*s = (struct df_state){0};
}
