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

/*
 * The id becomes a directory name and a part of log lines.  runc accepts these characters and
 * crun all but '/'.  Names that begin with '.' or '@' are no containers': "." and "..",
 * what readdir(3) users skip, and our own below /run/deployfence.
 */
static bool is_id(const char *id)
{
	size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			      "0123456789_+.-");

	return n > 0 && n <= DF_STATE_ID_MAX && id[n] == '\0' && id[0] != '.';
}

static int read_id(const struct df_json *doc, struct df_state *s, char *error)
{
	const char *id = NULL;
	char shown[SHOWN_MAX];
	int status = df_oci_string(doc, "state", "id", &id, error);

	if (status)
		return status;
	if (!id)
		return df_oci_refuse(error, "state: id is missing");
	_Static_assert(DF_STATE_ID_MAX == 128, "the message names it");
	(void)df_escape(id, strlen(id), shown, sizeof(shown));
	if (!is_id(id))
		return df_oci_refuse(
			error,
			"state: bad id \"%s\"; accepted: 1 to 128 of A-Z a-z 0-9 _ + . -, "
			"the first no dot",
			shown);
	return df_oci_copy(id, &s->id, error);
}

static int read_status(const struct df_json *doc, enum df_state_status *ret, char *error)
{
	const char *text = NULL;
	char shown[SHOWN_MAX];
	int status = df_oci_string(doc, "state", "status", &text, error);

	if (status)
		return status;
	if (!text)
		return df_oci_refuse(error, "state: status is missing");
	if (strcmp(text, "creating") == 0 || strcmp(text, "created") == 0) {
		*ret = DF_STATUS_CREATE;
		return 0;
	}
	if (strcmp(text, "stopped") == 0) {
		*ret = DF_STATUS_STOPPED;
		return 0;
	}
	(void)df_escape(text, strlen(text), shown, sizeof(shown));
	return df_oci_refuse(
		error,
		"state: status \"%s\" belongs to no stage of this hook; accepted: creating, "
		"created (createRuntime), stopped (poststop)",
		shown);
}

static int read_pid(const struct df_json *doc, pid_t *ret, char *error)
{
	const struct df_json *v = df_json_get(doc, "pid");
	int64_t pid;

	if (!v)
		return df_oci_refuse(error, "state: pid is missing");
	if (df_json_int(v, &pid) < 0)
		return df_oci_refuse(error, "state: pid is not an integer");
	/* 1 is what createContainer hooks of runc see: the fence would be put on the host's init.
	 */
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
	int status = df_oci_string(doc, "state", "bundle", &bundle, error);

	if (status)
		return status;
	if (!bundle)
		return df_oci_refuse(error, "state: bundle is missing");
	(void)df_escape(bundle, strlen(bundle), shown, sizeof(shown));
	if (!df_oci_is_path(bundle))
		return df_oci_refuse(error, "state: bundle \"%s\" is no absolute path", shown);
	return df_oci_copy(bundle, &s->bundle, error);
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
	return df_oci_is_path(bundle) ? df_oci_copy(bundle, &s->bundle, error) : 0;
}

int df_state_parse(const char *text, size_t len, struct df_state *ret,
		   char ret_error[static DF_OCI_ERROR_MAX])
{
	_cleanup_df_json_ struct df_json *doc = NULL;
	_cleanup_state_ struct df_state s = {0};
	int status = df_oci_object("state", text, len, &doc, ret_error);

	if (!status)
		status = read_id(doc, &s, ret_error);
	if (!status)
		status = read_status(doc, &s.status, ret_error);
	if (status)
		return status;
	if (s.status == DF_STATUS_CREATE)
		status = read_created(doc, &s, ret_error);
	else
		status = read_stopped(doc, &s, ret_error);
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
	free(s->id);
	free(s->bundle);
	df_annotations_done(&s->annotations);
	*s = (struct df_state){0};
}
