/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report_limits: how much of the events of past fences is kept: report-keep of deployfence.conf(5).
 */
#ifndef DF_REPORT_LIMITS_H
#define DF_REPORT_LIMITS_H

#include <stdint.h>

#define DF_REPORTS_OCTETS_MIN (16ull << 20) /* of a limit: one fence's files have 8 MiB */
#define DF_REPORTS_AGE_S (30ull * 86400)    /* defaults */
#define DF_REPORTS_OCTETS (1ull << 30)

struct df_report_limits {
	uint64_t age_s, octets;
};

#endif
