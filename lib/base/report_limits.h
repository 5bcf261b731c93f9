/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report_limits: how much of the events of past fences is kept: report-keep of deployfence.conf(5).
 */
#ifndef DF_REPORT_LIMITS_H
#define DF_REPORT_LIMITS_H

#include <stdint.h>

struct df_report_limits {
	uint64_t age_s, octets;
};

#endif
