/* SPDX-License-Identifier: GPL-2.0-or-later */
/* findings: configurations of real engines, each cause alone beside its twin, and this very host.
 */
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

static void test_engines(void **state)
{
	static const struct {
		const char *file, *expected;
		bool has_own_userns, is_host_pidns;
	} rows[] = {
		{"config_real_podman", "", false, false},
		{"config_real_podman_host", "", false, false}, /* what it joins is not told here */
		{"config_real_podman_systemd", "", false, false},
		{"config_real_runc_spec", "", false, false},
		{"config_real_runc_default", "", false, false},
		{"config_real_podman_sys", "", false, false},
		{"config_real_podman_pod", "", false, false},
		{"config_real_ctr", "cap-net-raw", false, false},
		{"config_like_docker", "cap-net-raw", false, false},
		{"config_like_kubernetes", "cap-net-raw", false, false},
		{"config_real_podman_user", "cap-net-raw", false, false},
		{"config_real_podman_tun", "tun-device", false, false},
		{"config_real_podman_proxy", "http-proxy", false, false},
		{"config_real_podman_privileged",
		 "cap-net-raw cap-net-admin cap-sys-admin cap-bpf privileged tun-device host-mount",
		 false, false},
		{"config_real_podman_privileged", "cap-net-raw cap-net-admin tun-device", true,
		 false},
		{"config_real_podman_cgroupns",
		 "cap-net-raw cap-net-admin cap-sys-admin cap-bpf privileged host-cgroup "
		 "tun-device host-mount",
		 false, false},
	};
	const char *top = getenv("srcdir");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = NULL;
		struct df_container container = {.has_own_userns = rows[i].has_own_userns,
						 .pidns = rows[i].is_host_pidns ? DF_PIDNS_HOST
										: DF_PIDNS_OWN};
		struct df_findings f = {};
		struct df_config c;
		char path[4096];
		size_t len;

		(void)snprintf(path, sizeof(path), "%s/tests/corpus/json/%s", top ? top : ".",
			       rows[i].file);
		if (df_read_file(AT_FDCWD, path, 1 << 20, &text, &len) < 0)
			fail_msg("cannot read %s", path);
		c = df_findings_case_config(text);
		df_findings_of_config(&c, &container, &f);
		df_findings_case_names(rows[i].file, &f, rows[i].expected);
		df_config_done(&c);
	}
}

#define CAPS(set, caps) "{\"process\":{\"capabilities\":{\"" set "\":[" caps "]}}}"
#define LINUX(parts) "{\"linux\":{" parts "}}"
#define BOTH(caps, linux)                                                                          \
	"{\"process\":{\"capabilities\":{\"bounding\":[" caps "]}},\"linux\":{" linux "}}"
#define CGROUP(options)                                                                            \
	"\"mounts\":[{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":"          \
	"\"cgroup\",\"options\":[" options "]}]"
#define ENV(env) "{\"process\":{\"env\":[" env "]}}"

/* One cause, and what it is called. */
static void test_causes(void **state)
{
	static const struct {
		const char *config, *expected;
	} rows[] = {
		{"{}", ""},
		{CAPS("bounding", "\"CAP_NET_RAW\""),
		 "cap-net-raw: CAP_NET_RAW in process.capabilities\n"},
		{CAPS("effective", "\"CAP_NET_RAW\""),
		 "cap-net-raw: CAP_NET_RAW in process.capabilities\n"},
		{CAPS("inheritable", "\"cap_net_raw\""),
		 "cap-net-raw: CAP_NET_RAW in process.capabilities\n"},
		{CAPS("ambient", "\"CAP_NET_ADMIN\""),
		 "cap-net-admin: CAP_NET_ADMIN in process.capabilities\n"},
		{CAPS("permitted", "\"CAP_BPF\",\"CAP_CHOWN\""),
		 "cap-bpf: CAP_BPF in process.capabilities\n"},
		{CAPS("bounding", "\"NET_RAW\",\"CAP_NET_RAWX\",\"\",7,null,[\"CAP_NET_RAW\"]"),
		 ""},
		{"{\"process\":{\"capabilities\":[\"CAP_NET_RAW\"]}}", ""},
		/* as good as root on the host */
		{BOTH("\"CAP_SYS_ADMIN\"", "\"maskedPaths\":[\"/proc/kcore\"]"),
		 "cap-sys-admin: CAP_SYS_ADMIN in process.capabilities\n"},
		{BOTH("\"CAP_SYS_ADMIN\"", "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\"}"),
		 "cap-sys-admin: CAP_SYS_ADMIN in process.capabilities\n"},
		{BOTH("\"CAP_SYS_ADMIN\"", "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\"}"),
		 "cap-sys-admin: CAP_SYS_ADMIN in process.capabilities\n"
		 "privileged: CAP_SYS_ADMIN without seccomp and masked paths\n"},
		{CAPS("bounding", "\"CAP_SYS_MODULE\",\"CAP_SYS_RAWIO\""),
		 "privileged: CAP_SYS_MODULE, CAP_SYS_RAWIO\n"},
		{CAPS("bounding", "\"CAP_SYS_PTRACE\""), ""}, /* of its own processes */
		{BOTH("\"CAP_MKNOD\"", DEVICES(DENY_ALL "," ALLOW_ALL)),
		 "privileged: CAP_MKNOD with every device allowed\n"
		 "tun-device: CAP_MKNOD with the device /dev/net/tun allowed\n"},
		{BOTH("\"CAP_MKNOD\"", DEVICES(ALLOW_ALL "," DENY_ALL)), ""},
		{BOTH("\"CAP_CHOWN\"", DEVICES(ALLOW_ALL)), ""}, /* nobody makes a node */
		{BOTH("\"CAP_MKNOD\"",
		      DEVICES("{\"allow\":true,\"type\":\"c\",\"major\":10,\"access\":\"rw\"}")),
		 "tun-device: CAP_MKNOD with the device /dev/net/tun allowed\n"},
		{BOTH("\"CAP_MKNOD\"",
		      DEVICES("{\"allow\":true,\"type\":\"c\",\"major\":10,\"minor\":229}")),
		 ""},
		{BOTH("\"CAP_MKNOD\"",
		      DEVICES(ALLOW_ALL
			      ",{\"allow\":false,\"type\":\"c\",\"major\":10,\"minor\":200}")),
		 "privileged: CAP_MKNOD with every device allowed\n"},
		{BOTH("\"CAP_MKNOD\"", DEVICES("{\"allow\":\"true\"},{\"allow\":1}")), ""},
		{BOTH("\"CAP_MKNOD\"",
		      DEVICES(DENY_ALL ",{\"allow\":true,\"type\":\"c\",\"access\":\"m\"}")),
		 ""},
		{LINUX("\"devices\":[{\"path\":\"/x\",\"type\":\"c\",\"major\":10,\"minor\":200}]"),
		 "tun-device: device /dev/net/tun\n"},
		{LINUX("\"devices\":[{\"path\":\"/dev/net/tun\",\"type\":\"b\",\"major\":10,"
		       "\"minor\":200},{\"type\":\"c\",\"major\":10,\"minor\":201}]"),
		 ""},
		/* cgroup file systems */
		{"{" CGROUP("\"rw\"") "}",
		 "host-cgroup: writable cgroup mount at /sys/fs/cgroup without a cgroup "
		 "namespace\n"},
		{"{" CGROUP("") "}",
		 "host-cgroup: writable cgroup mount at /sys/fs/cgroup without a cgroup "
		 "namespace\n"},
		{"{" CGROUP("\"ro\",\"rw\"") "}",
		 "host-cgroup: writable cgroup mount at /sys/fs/cgroup without a cgroup "
		 "namespace\n"},
		{"{" CGROUP("\"rw\",\"ro\"") "}", ""},
		{"{" CGROUP("\"rw\"") ",\"linux\":{\"namespaces\":[{\"type\":\"cgroup\"}]}}", ""},
		{"{" CGROUP("\"rw\"") ",\"linux\":{\"namespaces\":[{\"type\":\"cgroup\",\"path\":"
				      "\"/proc/1/ns/cgroup\"}]}}",
		 "host-cgroup: writable cgroup mount at /sys/fs/cgroup without a cgroup "
		 "namespace\n"},
		/* environment */
		{ENV("\"http_proxy=http://p:1\""),
		 "http-proxy: environment http_proxy=http://p:1\n"},
		{ENV("\"HTTPS_PROXY=p:1\",\"All_Proxy=socks5h://p\""),
		 "http-proxy: environment HTTPS_PROXY=p:1, All_Proxy=socks5h://p\n"},
		{ENV("\"no_proxy=x\",\"http_proxy=\",\"http_proxy\",\"xhttp_proxy=x\",\"=x\",7"),
		 ""},
		/* passwords are nobody's business */
		{ENV("\"http_proxy=http://user:pass@p:1/@x\""),
		 "http-proxy: environment http_proxy=http://…@p:1/@x\n"},
		{ENV("\"http_proxy=user:p@ss@p:1\""), "http-proxy: environment http_proxy=…@p:1\n"},
		{ENV("\"http_proxy=a\\nWARN \\u001b[31m\\\"\""),
		 "http-proxy: environment http_proxy=a\\nWARN \\x1b[31m\\\"\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct df_container container = {};
		struct df_config c = df_findings_case_config(rows[i].config);
		struct df_findings f = {};

		df_findings_of_config(&c, &container, &f);
		if (strcmp(df_findings_case_text(&f), rows[i].expected) != 0)
			fail_msg("%s:\n%s", rows[i].config, df_findings_case_text(&f));
		df_config_done(&c);
	}
}

static void test_pid_namespace(void **state)
{
	const struct df_container container = {.pidns = DF_PIDNS_HOST};
	struct df_config c = df_findings_case_config(CAPS("bounding", "\"CAP_SYS_PTRACE\""));
	struct df_findings f = {};

	(void)state;
	df_findings_of_config(&c, &container, &f);
	assert_string_equal(f.seen[DF_FINDING_PRIVILEGED],
			    "CAP_SYS_PTRACE in the host's pid namespace");
	df_config_done(&c);
}

/* The root of its cgroup namespace may lie above the cgroup that can be fenced. */
static void test_cgroup_namespace(void **state)
{
	static const char *const own =
		"{" CGROUP("\"rw\"") ",\"linux\":{\"namespaces\":[{\"type\":\"cgroup\"}]}}";
	static const char *const readonly =
		"{" CGROUP("\"ro\"") ",\"linux\":{\"namespaces\":[{\"type\":\"cgroup\"}]}}";
	const struct df_container container = {.sees_more_cgroups = true};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct df_config c = df_findings_case_config(i == 0 ? own : readonly);
		struct df_findings f = {};

		df_findings_of_config(&c, &container, &f);
		assert_string_equal(
			f.seen[DF_FINDING_HOST_CGROUP],
			i == 0 ? "writable cgroup mount at /sys/fs/cgroup, and the root of "
				 "its cgroup namespace is not its own cgroup"
			       : "");
		df_config_done(&c);
	}
}

static void check_processes(const char *json, enum df_pidns pidns, const char *expected)
{
	const struct df_container container = {.pidns = pidns};
	struct df_config c = df_findings_case_config(json);
	struct df_findings f = {};

	df_findings_of_processes(&c, &container, &f);
	if (strcmp(df_findings_case_text(&f), expected) != 0)
		fail_msg("%s:\n%s", json, df_findings_case_text(&f));
	df_config_done(&c);
}

#define PIDNS(path) LINUX("\"namespaces\":[{\"type\":\"pid\"" path "}]")
#define IN_POD                                                                                     \
	"\"annotations\":{\"io.kubernetes.cri.container-type\":\"container\","                     \
	"\"io.kubernetes.cri.sandbox-name\":\"web-0\"}"

static void test_processes(void **state)
{
	(void)state;
	check_processes("{}", DF_PIDNS_OWN, "");
	check_processes(PIDNS(""), DF_PIDNS_OWN, "");
	/* made by somebody who put nobody in: its first process is this one */
	check_processes(PIDNS(",\"path\":\"/run/pidns/x\""), DF_PIDNS_OWN, "");
	check_processes("{" IN_POD "}", DF_PIDNS_OWN, "");
	check_processes("{}", DF_PIDNS_HOST, "host-pid: the host's pid namespace\n");
	check_processes(PIDNS(",\"path\":\"/proc/1/ns/pid\""), DF_PIDNS_HOST,
			"host-pid: the host's pid namespace\n");
	check_processes(PIDNS(",\"path\":\"/proc/2147483647/ns/pid\""), DF_PIDNS_SHARED,
			"shared-pid: pid namespace of process 2147483647\n");
	check_processes(PIDNS(",\"path\":\"/run/pidns/x\""), DF_PIDNS_SHARED,
			"shared-pid: pid namespace /run/pidns/x\n");
	check_processes("{}", DF_PIDNS_SHARED, "shared-pid: pid namespace of others\n");
	check_processes("{" IN_POD "}", DF_PIDNS_SHARED,
			"shared-pid: pid namespace of pod web-0\n");
}

/* This process is in the namespace that this program calls the host's. */
static void test_own_pid_namespace(void **state)
{
	(void)state;
	assert_int_equal(df_container_pidns(getpid()), DF_PIDNS_HOST);
	assert_int_equal(df_container_pidns(INT32_MAX), DF_PIDNS_OWN);
}

static void test_long_texts(void **state)
{
	struct df_findings f = {};

	(void)state;
	for (int i = 0; i < 1000; i++)
		df_findings_add(&f, DF_FINDING_PASSED_FDS, "descriptor %d: socket", i);
	assert_int_equal(strlen(f.seen[DF_FINDING_PASSED_FDS]), DF_META_SEEN_MAX - 1);
	df_findings_add(&f, DF_FINDING_PRIVILEGED, "%s", "a");
	df_findings_add(&f, DF_FINDING_PRIVILEGED, "%s", "a");
	assert_string_equal(f.seen[DF_FINDING_PRIVILEGED], "a");
}

/* --- descriptors and namespaces of this very process */

static void check_fds(unsigned listen_fds, const char *expected)
{
	const struct df_config c = {.listen_fds = listen_fds};
	struct df_findings f = {};

	df_findings_of_fds(&c, getpid(), &f);
	if (strcmp(f.seen[DF_FINDING_PASSED_FDS], expected) != 0)
		fail_msg("LISTEN_FDS=%u: %s", listen_fds, f.seen[DF_FINDING_PASSED_FDS]);
}

static void test_fds(void **state)
{
	int kept[4], tcp = socket(AF_INET, SOCK_STREAM, 0), pair[2], stdin_kept = dup(0);

	(void)state;
	assert_true(tcp > 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	for (int fd = 3; fd < 7; fd++)
		kept[fd - 3] = dup(fd);
	tcp = fcntl(tcp, F_DUPFD, 100);
	pair[0] = fcntl(pair[0], F_DUPFD, 100);
	(void)dup2(tcp, 3);
	(void)dup2(pair[0], 4);
	(void)close(5);
	assert_int_equal(open("/dev/null", O_RDWR), 5);
	(void)dup2(tcp, 0);
	check_fds(0, "descriptor 0: socket TCP");
	(void)dup2(pair[0], 0); /* as stdout to the journal */
	check_fds(0, "");
	check_fds(1, "descriptor 3: socket TCP");
	check_fds(3, "descriptor 3: socket TCP, descriptor 4: socket UNIX-STREAM");
	(void)close(5);
	assert_int_equal(open("/", O_PATH), 5);
	(void)close(4);
	check_fds(3, "descriptor 3: socket TCP, descriptor 5: directory");
	(void)dup2(stdin_kept, 0);
	for (int fd = 3; fd < 7; fd++)
		(void)(kept[fd - 3] >= 0 ? dup2(kept[fd - 3], fd) : close(fd));
}

static void check_network(const char *path, bool is_in_pod, const char *expected)
{
	struct df_config c = {.netns_path = (char *)path, .is_in_pod = is_in_pod};
	_cleanup_close_ int netns_fd = open("/proc/self/ns/net", O_RDONLY);
	struct df_container container = {.pid = getpid(), .netns_fd = netns_fd};
	struct df_findings f = {};

	df_findings_of_network(&c, &container, false, &f);
	if (strncmp(f.seen[DF_FINDING_SHARED_NETNS], expected, strlen(expected)) != 0 ||
	    (!*expected && *f.seen[DF_FINDING_SHARED_NETNS]))
		fail_msg("%s: %s", path ? path : "-", f.seen[DF_FINDING_SHARED_NETNS]);
	assert_string_equal(f.seen[DF_FINDING_HOST_NETWORK], "");
}

static void test_network(void **state)
{
	char own[64];

	(void)state;
	(void)snprintf(own, sizeof(own), "/proc/%d/ns/net", (int)getpid());
	check_network(NULL, false, "");
	check_network(NULL, true, ""); /* of a pod that does not share it */
	check_network(own, false, "");
	check_network("/proc/1/ns/net", false, "network namespace of process 1");
	check_network("/proc/1/ns/net", true, "network namespace of process 1");
	check_network("/var/run/netns/cni-1-2-3-4-5", true,
		      "network namespace of pod /var/run/netns/cni-1-2-3-4-5");
	/* an engine's own for this container, and one with a name: make and the shell are in it */
	check_network("/run/netns/netns-26a8f076-04ac-89e9-0482-0b0de25f465b", false, "");
	check_network("/run/netns/deploy", false, "network namespace of process ");
}

static void test_host_network(void **state)
{
	const struct df_config c = {.netns_path = (char *)"/proc/1/ns/net"};
	struct df_container container = {.netns_fd = -1, .is_host_netns = true};
	struct df_findings f = {};

	(void)state;
	container.dns.n_resolvers = 1;
	memcpy(container.dns.resolvers[0], (uint8_t[16]){[15] = 1}, 16);
	df_findings_of_network(&c, &container, false, &f);
	df_findings_case_names("host", &f, "host-network");
}

static void test_resolvers(void **state)
{
	static const struct {
		uint8_t addr[16];
		const char *expected;
	} rows[] = {
		{{[10] = 0xff, [11] = 0xff, 127, 0, 0, 53}, "nameserver 127.0.0.53"},
		{{[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}, "nameserver 127.0.0.1"},
		{{[10] = 0xff, [11] = 0xff, 127, 0, 0, 11}, "nameserver 127.0.0.11"},
		{{[10] = 0xff, [11] = 0xff, 127, 1, 2, 3}, "nameserver 127.1.2.3"},
		{{[10] = 0xff, [11] = 0xff, 0, 0, 0, 0}, "nameserver 0.0.0.0"},
		{{}, "nameserver ::"},
		{{[10] = 0xff, [11] = 0xff, 10, 0, 0, 1}, ""},
		{{[15] = 1}, "nameserver ::1"},
		{{[0] = 0xfd, [15] = 1}, ""},
		{{[12] = 127, [15] = 1}, "nameserver ::127.0.0.1"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct df_container container = {.netns_fd = -1};
		const struct df_config c = {};
		struct df_findings f = {};

		container.dns.n_resolvers = 1;
		memcpy(container.dns.resolvers[0], rows[i].addr, 16);
		df_findings_of_network(&c, &container, false, &f);
		assert_string_equal(f.seen[DF_FINDING_LOOPBACK_RESOLVER], rows[i].expected);
	}
}

/* The engine says that it is Docker: its resolver is no finding, and no other is forgiven. */
static void test_docker_resolver(void **state)
{
	struct df_container container = {.netns_fd = -1};
	const struct df_config c = {};
	struct df_findings f = {};

	(void)state;
	container.dns.n_resolvers = 2;
	memcpy(container.dns.resolvers[0], (uint8_t[16]){[10] = 0xff, [11] = 0xff, 127, 0, 0, 11},
	       16);
	memcpy(container.dns.resolvers[1], (uint8_t[16]){[10] = 0xff, [11] = 0xff, 127, 0, 0, 12},
	       16);
	df_findings_of_network(&c, &container, true, &f);
	assert_string_equal(f.seen[DF_FINDING_LOOPBACK_RESOLVER], "nameserver 127.0.0.12");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_engines),           cmocka_unit_test(test_causes),
		cmocka_unit_test(test_pid_namespace),     cmocka_unit_test(test_long_texts),
		cmocka_unit_test(test_cgroup_namespace),  cmocka_unit_test(test_processes),
		cmocka_unit_test(test_own_pid_namespace), cmocka_unit_test(test_fds),
		cmocka_unit_test(test_network),           cmocka_unit_test(test_host_network),
		cmocka_unit_test(test_resolvers),         cmocka_unit_test(test_docker_resolver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
