/* SPDX-License-Identifier: GPL-2.0-or-later */
/* findings of mounts: sockets, files and devices of this very host, each beside its twin. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "hook/findings/findings.h"
#include "hook/findings/internal.h"
#include "lib/base/util.h"
#include "tests/lib/findings_case.h"

/* --- mounts: a directory with sockets of its own, and places that every host has */

static char ground[] = "/tmp/df-findings-XXXXXX";

static void make_socket(const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", ground, name);
	assert_return_code(bind(fd, (struct sockaddr *)&a, sizeof(a)), errno);
	(void)close(fd);
}

static int make_ground(void **state)
{
	char path[128];

	(void)state;
	assert_non_null(mkdtemp(ground));
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", ground,
			       ((const char *[]){"engine", "resolver", "app"})[i]);
		assert_return_code(mkdir(path, 0700), errno);
	}
	make_socket("engine/docker.sock");
	make_socket("resolver/io.systemd.Resolve");
	make_socket("app/app.sock");
	(void)snprintf(path, sizeof(path), "%s/link", ground);
	assert_return_code(symlink("engine/docker.sock", path), errno);
	(void)snprintf(path, sizeof(path), "%s/run", ground);
	assert_return_code(symlink("/run", path), errno);
	(void)snprintf(path, sizeof(path), "%s/etc-link", ground);
	assert_return_code(symlink("/etc", path), errno);
	return 0;
}

static int remove_ground(void **state)
{
	static const char *const files[] = {"engine/docker.sock",
					    "resolver/io.systemd.Resolve",
					    "app/app.sock",
					    "link",
					    "run",
					    "etc-link"};
	static const char *const dirs[] = {"engine", "resolver", "app", ""};
	char path[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files) + ARRAY_SIZE(dirs); i++) {
		const bool is_file = i < ARRAY_SIZE(files);

		(void)snprintf(path, sizeof(path), "%s/%s", ground,
			       is_file ? files[i] : dirs[i - ARRAY_SIZE(files)]);
		(void)(is_file ? unlink(path) : rmdir(path));
	}
	return 0;
}

/* GROUND stands for the directory; options of a bind mount. */
static const char *seen_of_mount(const char *source, const char *options)
{
	const struct df_container container = {.cgroup_fd = -1};
	static struct df_findings f;
	char json[1024], full[256];
	struct df_config c;

	(void)snprintf(full, sizeof(full), "%s%s", strncmp(source, "GROUND", 6) == 0 ? ground : "",
		       source + (strncmp(source, "GROUND", 6) == 0 ? 6 : 0));
	(void)snprintf(json, sizeof(json),
		       "{\"mounts\":[{\"destination\":\"/x\",\"type\":\"bind\",\"source\":\"%s\","
		       "\"options\":[%s]}]}",
		       full, options);
	c = df_findings_case_config(json);
	memset(&f, 0, sizeof(f));
	df_findings_of_mounts(ground, &c, &container, &f);
	df_config_done(&c);
	return df_findings_case_text(&f);
}

static void check_mount(const char *source, const char *options, const char *expected)
{
	const char *seen = seen_of_mount(source, options);
	char want[512];
	size_t pos = 0;

	want[0] = '\0';
	for (const char *p = expected; *p; p++) {
		if (strncmp(p, "GROUND", 6) == 0) {
			df_append(want, sizeof(want), &pos, "%s", ground);
			p += 5;
		} else {
			df_append(want, sizeof(want), &pos, "%c", *p);
		}
	}
	if (strcmp(seen, want) != 0)
		fail_msg("%s:\n%s", source, seen);
}

static void test_mounts(void **state)
{
	(void)state;
	check_mount("GROUND/engine/docker.sock", "\"rbind\"",
		    "engine-socket: mount GROUND/engine/docker.sock\n");
	check_mount("GROUND/link", "\"rbind\"", "engine-socket: mount GROUND/link\n");
	check_mount("link", "\"rbind\"", "engine-socket: mount link\n"); /* of the bundle */
	check_mount("GROUND/engine", "\"rbind\",\"ro\"",
		    "engine-socket: mount GROUND/engine with docker.sock\n");
	check_mount("GROUND/resolver", "\"bind\"",
		    "resolver-socket: mount GROUND/resolver with io.systemd.Resolve\n");
	check_mount("GROUND/resolver/io.systemd.Resolve", "",
		    "resolver-socket: mount GROUND/resolver/io.systemd.Resolve\n");
	check_mount("GROUND/app", "\"rbind\"", "");
	check_mount("GROUND/app/app.sock", "\"rbind\"", "host-socket: mount GROUND/app/app.sock\n");
	check_mount("GROUND/nothing", "\"rbind\"", "");
	check_mount("/dev/null", "\"rbind\"", "");
	check_mount("/proc/self/cmdline", "\"rbind\"", "");
	/* whether or not somebody listens there yet */
	check_mount("/run", "\"rbind\",\"rro\"",
		    "engine-socket: mount /run with /run/podman/podman.sock\n"
		    "resolver-socket: mount /run with /run/nscd/socket\n");
	check_mount("GROUND/run", "\"bind\"",
		    "engine-socket: mount GROUND/run with /run/podman/podman.sock\n"
		    "resolver-socket: mount GROUND/run with /run/nscd/socket\n"
		    "host-mount: mount GROUND/run with /run/deployfence\n");
}

/* The files that a fence relies on: by name, by link, from above and from below; read-only or not.
 */
static void test_host_files(void **state)
{
	static const struct {
		const char *source, *options, *shown; /* NULL: nothing of the host */
	} rows[] = {
		{"/etc", "\"rbind\"", " with /"},
		{"/etc", "\"rbind\",\"ro\"", NULL},
		{"/etc", "\"rbind\",\"rro\"", NULL},
		{"/etc/../etc/.", "\"rbind\"", " with /"},
		{"GROUND/etc-link", "\"rbind\"", " with /"},
		{"/etc/passwd", "\"bind\"", "mount /etc/passwd\n"},
		{"/etc/passwd", "\"bind\",\"ro\"", NULL},
		{"/etc/ssl", "\"rbind\"", NULL},
		{"/etc/hosts", "\"bind\"", NULL},
		{"/etc/localtime", "\"bind\",\"ro\"", NULL},
		{"/usr", "\"rbind\"", " with "},
		{"/usr", "\"rbind\",\"ro\"", NULL},
		{"/usr/bin", "\"rbind\"", "mount /usr/bin\n"},
		{"/usr/bin/env", "\"rbind\"", " with /usr/bin\n"},
		{"/usr/share/zoneinfo", "\"rbind\"", NULL},
		{"/var", "\"rbind\"", " with /var/lib/"},
		{"/var", "\"rbind\",\"ro\"", NULL},
		{"/var/tmp", "\"rbind\"", NULL},
		{"/proc", "\"rbind\",\"rro\"", " with the host's /proc"},
		{"/proc/1", "\"bind\",\"ro\"", " with the host's /proc"},
		{"/proc/sys", "\"bind\"", " with files of /proc"},
		{"/proc/sys", "\"bind\",\"ro\"", NULL},
		{"/proc/sys/kernel/core_pattern", "\"bind\"", " with files of /proc"},
		{"/proc/cpuinfo", "\"bind\"", NULL},
		{"/sys", "\"bind\"", " with sysfs"},
		{"/sys/kernel", "\"bind\",\"ro\"", NULL},
		/* not /tmp: this very program may have been built there, and it is "the hook" */
		{"GROUND", "\"rbind\"", NULL},
		{"GROUND/app", "\"rbind\"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *seen = seen_of_mount(rows[i].source, rows[i].options);
		const char *line = strstr(seen, "host-mount: ");

		if (rows[i].shown ? !line || !strstr(line, rows[i].shown) : line != NULL)
			fail_msg("%s %s: %s", rows[i].source, rows[i].options, seen);
	}
}

static void test_mountinfo(void **state)
{
	static const char text[] =
		"36 35 98:0 /a\\040b /mnt\\134x rw,noatime master:1 shared:2 - ext3 /dev/root "
		"ro,errors=x\n"
		"37 35 0:42 / / ro - overlay overlay rw,lowerdir=/l1:/l2,upperdir=/u\n"
		"38 35 nonsense\n"
		"39 35 0:43 / /ro-in-name rw,norom - tmpfs ro rw\n";
	struct df_mountinfo m;

	(void)state;
	assert_int_equal(df_mountinfo_parse(strdup(text), &m), 0);
	assert_int_equal(m.n_mounts, 3);
	assert_string_equal(m.mounts[0].root, "/a b");
	assert_string_equal(m.mounts[0].point, "/mnt\\x");
	assert_true(m.mounts[0].is_readonly && m.mounts[0].major == 98);
	assert_true(m.mounts[1].is_readonly);
	assert_string_equal(m.mounts[1].type, "overlay");
	assert_string_equal(m.mounts[1].super, "rw,lowerdir=/l1:/l2,upperdir=/u");
	assert_false(m.mounts[2].is_readonly);
	df_mountinfo_done(&m);
}

/* Block devices: made for it or mounted, by the last rule that fits. */
static void test_device_rules(void **state)
{
	static const struct {
		const char *rules;
		bool is_allowed;
	} rows[] = {
		{"", true},
		{DENY_ALL, false},
		{ALLOW_ALL, true},
		{DENY_ALL ",{\"allow\":true,\"type\":\"b\",\"major\":254,\"minor\":0}", true},
		{DENY_ALL ",{\"allow\":true,\"type\":\"b\",\"major\":254}", true},
		{DENY_ALL ",{\"allow\":true,\"type\":\"c\",\"major\":254,\"minor\":0}", false},
		{DENY_ALL ",{\"allow\":true,\"type\":\"b\",\"major\":254,\"minor\":1}", false},
		{ALLOW_ALL ",{\"allow\":false,\"type\":\"b\",\"major\":-1}", false},
		/* making a node is not opening it; what denies has to leave neither way */
		{DENY_ALL ",{\"allow\":true,\"type\":\"b\",\"access\":\"m\"}", false},
		{DENY_ALL ",{\"allow\":true,\"type\":\"b\",\"access\":\"rm\"}", true},
		{ALLOW_ALL ",{\"allow\":false,\"type\":\"b\",\"access\":\"m\"}", true},
		{ALLOW_ALL ",{\"allow\":false,\"type\":\"b\",\"access\":\"w\"}", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char json[512];
		struct df_config c;

		(void)snprintf(json, sizeof(json), "{\"linux\":{" DEVICES("%s") "}}",
			       rows[i].rules);
		c = df_findings_case_config(json);
		if (df_config_may_use_device(&c, true, 254, 0) != rows[i].is_allowed)
			fail_msg("%s", json);
		df_config_done(&c);
	}
}

#define KERNEL(type, options, linux)                                                               \
	"{\"mounts\":[{\"destination\":\"/x\",\"type\":\"" type "\",\"source\":\"" type            \
	"\",\"options\":[" options "]}],\"linux\":{" linux "}}"

static void test_kernel_files(void **state)
{
	static const struct {
		const char *config;
		bool is_seen;
	} rows[] = {
		{KERNEL("sysfs", "\"ro\"", ""), false},
		{KERNEL("sysfs", "\"nosuid\"", ""), true},
		{KERNEL("proc", "", "\"readonlyPaths\":[\"/proc/bus\",\"/proc/sys\"]"), false},
		{KERNEL("proc", "", "\"maskedPaths\":[\"/proc/sys/\"]"), false},
		{KERNEL("proc", "\"ro\"", ""), false},
		{KERNEL("proc", "", "\"readonlyPaths\":[\"/proc/sys/fs\"]"), true},
		{KERNEL("proc", "", ""), true},
		{KERNEL("tmpfs", "", ""), false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct df_container container = {};
		struct df_config c = df_findings_case_config(rows[i].config);
		struct df_findings f = {};

		df_findings_of_config(&c, &container, &f);
		if (!!*f.seen[DF_FINDING_HOST_MOUNT] != rows[i].is_seen)
			fail_msg("%s:\n%s", rows[i].config, df_findings_case_text(&f));
		df_config_done(&c);
	}
}

static void test_layers(void **state)
{
	static const struct {
		const char *type, *options;
		bool is_seen;
	} rows[] = {
		{"overlay", "\"lowerdir=%s/engine,upperdir=/u,workdir=/w\"", true},
		{"overlay", "\"lowerdir=/nothing:%s/engine\",\"private\"", true},
		{"overlay", "\"workdir=/w,upperdir=%s/engine\"", true},
		{"overlay", "\"lowerdir=%s/app:/nothing\"", false},
		{"overlay", "\"lowerdir=\",\"lowerdir=::,\",\"%s/engine\"", false},
		{"tmpfs", "\"lowerdir=%s/engine\"", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct df_container container = {.cgroup_fd = -1};
		struct df_findings f = {};
		char options[256], json[512];
		struct df_config c;

		(void)snprintf(options, sizeof(options), rows[i].options, ground);
		(void)snprintf(json, sizeof(json),
			       "{\"mounts\":[{\"destination\":\"/x\",\"type\":\"%s\",\"source\":"
			       "\"overlay\",\"options\":[%s]}]}",
			       rows[i].type, options);
		c = df_findings_case_config(json);
		df_findings_of_mounts(ground, &c, &container, &f);
		if (!!*f.seen[DF_FINDING_ENGINE_SOCKET] != rows[i].is_seen)
			fail_msg("%s:\n%s", json, df_findings_case_text(&f));
		df_config_done(&c);
	}
}

/* The root is a mount, too: where it is the host's own, everything is there. */
static void test_root(void **state)
{
	const struct df_container container = {.cgroup_fd = -1};
	struct df_config c = df_findings_case_config("{\"root\":{\"path\":\"/\"}}");
	struct df_findings f = {};

	(void)state;
	df_findings_of_mounts(ground, &c, &container, &f);
	assert_string_equal(f.seen[DF_FINDING_ENGINE_SOCKET],
			    "root / with /run/podman/podman.sock");
	df_config_done(&c);
	memset(&f, 0, sizeof(f));
	c = df_findings_case_config("{\"root\":{\"path\":\"app\"}}");
	df_findings_of_mounts(ground, &c, &container, &f);
	df_findings_case_names("root app", &f, "");
	df_config_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mounts),       cmocka_unit_test(test_layers),
		cmocka_unit_test(test_host_files),   cmocka_unit_test(test_mountinfo),
		cmocka_unit_test(test_device_rules), cmocka_unit_test(test_kernel_files),
		cmocka_unit_test(test_root),
	};

	return cmocka_run_group_tests(tests, make_ground, remove_ground);
}
