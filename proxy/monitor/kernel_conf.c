/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one entry of the map "conf", which the monitor alone writes. */
#include <bpf/bpf.h>

#include "lib/base/util.h"
#include "proxy/monitor/monitor.h"

static void write_conf(struct df_monitor *m)
{
	const uint32_t zero = 0;

	(void)bpf_map_update_elem(DF_FD_CONF, &zero, &m->conf, BPF_ANY);
}

void df_kernel_conf_open_raw(struct df_monitor *m)
{
	const uint8_t raw = m->conf.raw_block & (uint8_t)~DF_TABLE_SHADOW_BIT;

	m->raw_open_until_ns = m->now_ns + DF_RAW_OPEN_NS;
	if (!raw)
		return;
	m->raw_opened = raw;
	m->conf.raw_block &= (uint8_t)~raw;
	m->conf.raw_audit |= raw;
	write_conf(m);
}

void df_kernel_conf_close_raw(struct df_monitor *m)
{
	m->conf.raw_block |= m->raw_opened;
	m->conf.raw_audit &= (uint8_t)~m->raw_opened;
	m->raw_opened = 0;
	write_conf(m);
}

void df_kernel_conf_beat(struct df_monitor *m)
{
	m->conf.heartbeat = m->now_ns;
	write_conf(m);
}
