/* SPDX-License-Identifier: GPL-2.0-or-later */
/* layout: what the running kernel's BTF says.  Whether it is so the end-to-end tests show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/fence/fence.h"

static void test_found(void **state)
{
	struct df_layout l;

	(void)state;
	memset(&l, 0xff, sizeof(l));
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0) {
		assert_true(df_layout_find(&l) < 0);
		assert_int_equal(l.task_mm, UINT32_MAX); /* untouched */
		return;
	}
	assert_int_equal(df_layout_find(&l), 0);
	assert_in_range(l.task_parent, 8, 65536);
	assert_in_range(l.task_tgid, 8, 65536);
	assert_in_range(l.task_leader, 8, 65536);
	assert_in_range(l.task_start, 8, 65536);
	assert_in_range(l.task_mm, 8, 65536);
	assert_int_equal(l.mm_arg_end, l.mm_arg_start + 8); /* inside of a struct without a name */
	assert_in_range(l.sock_uc_index, 8, 65536);
	assert_in_range(l.sock_pinet6, 8, 65536);
	assert_in_range(l.pinfo_ucast_oif, 4, 4096);
	assert_in_range(l.ctx_t_ctx, 8, 64);
	assert_int_equal(l.ipc_oif, 4);
	assert_in_range(l.flow_oif, 4, 128);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_found)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
