/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hook/oci/config.h"
#include "lib/base/util.h"

#define MOUNT(destination, source) "{\"destination\":" destination ",\"source\":" source "}"
#define MOUNTS(mounts) "{\"mounts\":[" mounts "]}"
#define AT(destination) MOUNTS(MOUNT(destination, "\"/s\""))
#define FROM(source) MOUNTS(MOUNT("\"/etc/resolv.conf\"", source))

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A1024 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64

static int parse(const char *text, size_t len, struct df_config *ret, char *error)
{
	_cleanup_free_ char *exact = malloc(len ? len : 1);

	assert_non_null(exact);
	memcpy(exact, text, len);
	memset(error, 'x', DF_OCI_ERROR_MAX);
	return df_config_parse(exact, len, ret, error);
}

static void refused(const char *text, size_t len, const char *needle)
{
	struct df_config c, before;
	char error[DF_OCI_ERROR_MAX];
	int status;

	memset(&c, 0x5a, sizeof(c));
	memcpy(&before, &c, sizeof(c));
	status = parse(text, len, &c, error);
	if (status == 0)
		fail_msg("accepted: %.300s", text);
	assert_non_null(memchr(error, '\0', sizeof(error)));
	if (status != 65 || !strstr(error, needle))
		fail_msg("%.300s: %d, \"%s\"; expected 65, \"%s\"", text, status, error, needle);
	assert_memory_equal(&c, &before, sizeof(c));
}

static struct df_config accepted(const char *text)
{
	struct df_config c;
	char error[DF_OCI_ERROR_MAX];

	memset(&c, 0x5a, sizeof(c));
	if (parse(text, strlen(text), &c, error))
		fail_msg("refused: %.300s: %s", text, error);
	return c;
}

/* clang-format off */
static const struct {
	const char *text, *needle;
} hostile[] = {
	{"", "config.json: parse error: premature EOF"},
	{"[]", "config.json: not a JSON object"},
	{"{}{}", "trailing"},
	{"{\"mounts\":[],\"mounts\":[]}", "duplicate key \"mounts\""},
	{"{\"root\":{\"path\":\"a\",\"p\\u0061th\":\"b\"}}", "duplicate key \"path\""},
	{"{\"mounts\":{}}", "mounts is not an array"},
	{"{\"mounts\":null}", "mounts is not an array"},
	{MOUNTS("1"), "mounts[0] has no destination"},
	{MOUNTS("{}"), "mounts[0] has no destination"},
	{MOUNTS(MOUNT("\"/a\"", "\"/b\"") ",{\"source\":\"/x\"}"), "mounts[1] has no destination"},
	{AT("7"), "mounts[0] has no destination"},
	{AT("\"etc/resolv.conf\""), "destination of mounts[0] is not absolute"},
	{AT("\"./etc//resolv.conf\""), "destination of mounts[0] is not absolute"},
	{AT("\"/etc/resolv.conf\\u0000\""), "\\u0000"},
	{MOUNTS("{\"destination\":\"/etc/resolv.conf\"}"), "source of the mount at /etc/resolv.conf"},
	{FROM("null"), "mount at /etc/resolv.conf: source is not a string"},
	{FROM("[\"/a\"]"), "source is not a string"},
	{FROM("\"\""), "is no absolute path"},
	{FROM("\"resolv.conf\""), "is no absolute path"},
	{FROM("\"../resolv.conf\""), "is no absolute path"},
	{FROM("\"/" A1024 A1024 A1024 A1024 "\""), "is no absolute path"},
	{"{\"root\":\"rootfs\"}", "root is not an object"},
	{"{\"root\":null}", "root is not an object"},
	{"{\"root\":{\"path\":1}}", "root: path is not a string"},
	{"{\"root\":{\"path\":\"\"}}", "root.path is empty or too long"},
	{"{\"root\":{\"path\":\"" A1024 A1024 A1024 A1024 "\"}}", "root.path is empty or too long"},
	{"{\"annotations\":[]}", "config.json: annotations is not an object"},
	{"{\"annotations\":{\"nerdctl/name\":7}}", "annotation \"nerdctl/name\" is not a string"},
};
/* clang-format on */

static void test_hostile(void **state)
{
	char *huge = malloc(DF_OCI_JSON_MAX + 1);

	(void)state;
	assert_non_null(huge);
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++)
		refused(hostile[i].text, strlen(hostile[i].text), hostile[i].needle);
	memset(huge, ' ', DF_OCI_JSON_MAX + 1);
	memcpy(huge, "{}", 2);
	refused(huge, DF_OCI_JSON_MAX + 1, "longer than the limit");
	free(huge);
}

static void check_resolv_conf(const char *text, const char *expected)
{
	struct df_config c = accepted(text);

	if (expected ? !c.resolv_conf || strcmp(c.resolv_conf, expected) != 0 : !!c.resolv_conf)
		fail_msg("%s: %s", text, c.resolv_conf ? c.resolv_conf : "NULL");
	df_config_done(&c);
}

static void test_resolv_conf(void **state)
{
	(void)state;
	check_resolv_conf(AT("\"/etc/resolv.conf\""), "/s");
	check_resolv_conf(AT("\"/etc/resolv.conf/\""), "/s");
	check_resolv_conf(AT("\"//etc///resolv.conf//\""), "/s");
	check_resolv_conf(AT("\"/etc/./resolv.conf/.\""), "/s");
	check_resolv_conf(AT("\"\\/etc\\/resolv.conf\""), "/s");
	check_resolv_conf(AT("\"/etc/resolv.con\""), NULL);
	check_resolv_conf(AT("\"/etc/resolv.conf.d\""), NULL);
	check_resolv_conf(AT("\"/etc/resolv.conf/x\""), NULL);
	check_resolv_conf(AT("\"/etc\""), NULL);
	check_resolv_conf(AT("\"/\""), NULL);
	check_resolv_conf(AT("\"\""), NULL);
	check_resolv_conf(AT("\"proc\""), NULL);
	check_resolv_conf(MOUNTS(""), NULL);
	check_resolv_conf("{}", NULL);
	/* A bad source matters where it is used only. */
	check_resolv_conf(MOUNTS(MOUNT("\"/proc\"", "\"proc\"") ",{\"destination\":\"/sys\"}"),
			  NULL);
	check_resolv_conf(FROM("\"/a b/\\u00e9\""), "/a b/\xc3\xa9");
	/* The last one is what the container sees. */
	check_resolv_conf(
		MOUNTS(MOUNT("\"/etc/resolv.conf\"", "\"/1\"") "," MOUNT(
			"\"/proc\"", "\"/2\"") "," MOUNT("\"/etc//resolv.conf\"", "\"/3\"")),
		"/3");
}

static void check_names(const char *annotations, const char *name, const char *image,
			const char *pod, const char *k8s_namespace)
{
	char text[4096];
	struct df_config c;
	const char *expected[] = {name, image, pod, k8s_namespace};

	(void)snprintf(text, sizeof(text), "{\"annotations\":{%s}}", annotations);
	c = accepted(text);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		const char *got = (const char *[]){c.name, c.image, c.pod, c.k8s_namespace}[i];

		if (expected[i] ? !got || strcmp(got, expected[i]) != 0 : !!got)
			fail_msg("%s: %zu: %s", annotations, i, got ? got : "NULL");
	}
	df_config_done(&c);
}

static void test_names(void **state)
{
	(void)state;
	check_names("\"io.kubernetes.cri.container-name\":\"web\",\"io.kubernetes.cri.image-name\":"
		    "\"docker.io/library/nginx:1\",\"io.kubernetes.cri.sandbox-name\":\"web-0\","
		    "\"io.kubernetes.cri.sandbox-namespace\":\"prod\"",
		    "web", "docker.io/library/nginx:1", "web-0", "prod");
	check_names("\"io.kubernetes.cri-o.ContainerName\":\"k8s_web_web-0_prod_1-2_0\","
		    "\"io.kubernetes.container.name\":\"web\",\"io.kubernetes.cri-o.ImageName\":"
		    "\"quay.io/a/b:1\",\"io.kubernetes.cri-o.Image\":\"0123\","
		    "\"io.kubernetes.pod.name\":\"web-0\",\"io.kubernetes.pod.namespace\":\"prod\"",
		    "web", "quay.io/a/b:1", "web-0", "prod");
	check_names(
		"\"io.kubernetes.cri-o.ContainerName\":\"k8s_POD\",\"io.kubernetes.cri-o.Image\":"
		"\"b\",\"io.kubernetes.cri-o.ImageName\":\"\"",
		"k8s_POD", "b", NULL, NULL);
	check_names("\"nerdctl/name\":\"web\",\"nerdctl/namespace\":\"default\"", "web", NULL, NULL,
		    NULL);
	/* podman: nothing; and an image's own claim is none. */
	check_names("\"io.container.manager\":\"libpod\",\"io.kubernetes.cri-o.SandboxID\":\"x\","
		    "\"org.opencontainers.image.ref.name\":\"evil\","
		    "\"org.opencontainers.image.title\":\"evil\"",
		    NULL, NULL, NULL, NULL);
	/* Labels only: too long for a name is no name, control characters are kept raw. */
	check_names("\"nerdctl/name\":\"a" A1024 "\",\"io.kubernetes.pod.name\":\"a\\nb\"", NULL,
		    NULL, "a\nb", NULL);
	check_names("\"nerdctl/name\":\"" A1024 "\"", A1024, NULL, NULL, NULL);
	/* Those of the fence are the state's to judge. */
	check_names("\"Deployfence\":\"On\"", NULL, NULL, NULL, NULL);
}

/* As podman 4.3 writes it, shortened. */
static const char podman[] =
	"{\"ociVersion\":\"1.0.2-dev\",\"process\":{\"user\":{\"uid\":0,\"gid\":0,\"umask\":18},"
	"\"args\":[\"./deploy.sh\"],\"env\":[\"container=podman\",\"HOSTNAME=h\"],\"cwd\":\"/\"},"
	"\"root\":{\"path\":\"/var/lib/containers/storage/overlay/aa/merged\"},\"hostname\":\"h\","
	"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\","
	"\"options\":[\"nosuid\"]},{\"destination\":\"/etc/resolv.conf\",\"type\":\"bind\","
	"\"source\":\"/run/containers/storage/overlay-containers/aa/userdata/resolv.conf\","
	"\"options\":[\"bind\",\"rprivate\"]}],\"annotations\":{\"deployfence\":\"on\","
	"\"io.container.manager\":\"libpod\"},\"linux\":{\"resources\":{\"pids\":{\"limit\":2048}}}"
	"}";

static void test_podman(void **state)
{
	struct df_config c = accepted(podman);

	(void)state;
	assert_string_equal(c.root_path, "/var/lib/containers/storage/overlay/aa/merged");
	assert_string_equal(c.resolv_conf,
			    "/run/containers/storage/overlay-containers/aa/userdata/resolv.conf");
	assert_null(c.name);
	assert_null(c.image);
	df_config_done(&c);
	df_config_done(&c); /* harmless twice */
	for (size_t len = 0; len < sizeof(podman) - 1; len++)
		refused(podman, len, "config.json: ");
	c = accepted("{\"root\":{\"path\":\"rootfs\",\"readonly\":true}}");
	assert_string_equal(c.root_path, "rootfs");
	df_config_done(&c);
	c = accepted("{\"root\":{}}");
	assert_null(c.root_path);
	df_config_done(&c);
}

static void test_hostname(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"{\"hostname\":\"web-1\"}", "web-1"},
		{"{}", NULL},
		{"{\"hostname\":\"\"}", NULL},
		{"{\"hostname\":7}", NULL}, /* the runtime's to refuse */
		{"{\"hostname\":\"" A1024 "a\"}", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char error[DF_OCI_ERROR_MAX];
		struct df_config c;

		assert_int_equal(df_config_parse(cases[i].text, strlen(cases[i].text), &c, error),
				 0);
		if (cases[i].want)
			assert_string_equal(c.hostname, cases[i].want);
		else
			assert_null(c.hostname);
		df_config_done(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile), cmocka_unit_test(test_resolv_conf),
		cmocka_unit_test(test_names),   cmocka_unit_test(test_hostname),
		cmocka_unit_test(test_podman),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
