/* SPDX-License-Identifier: GPL-2.0-or-later */
/* findings_case: what the tests of findings share. */
#ifndef DF_FINDINGS_CASE_H
#define DF_FINDINGS_CASE_H

#include "hook/findings/findings.h"

/* Rules of linux.resources.devices. */
#define DEVICES(rules) "\"resources\":{\"devices\":[" rules "]}"
#define DENY_ALL "{\"allow\":false,\"access\":\"rwm\"}"
#define ALLOW_ALL "{\"allow\":true,\"access\":\"rwm\"}"

/* "cap-net-raw: CAP_NET_RAW in …\n" for each finding; valid until the next call. */
const char *df_findings_case_text(const struct df_findings *f);

/* A config.json, parsed from a copy of the exact size; fails the test if it is refused. */
struct df_config df_findings_case_config(const char *json);

/* Fails the test unless expected are the names of the findings, in their order. */
void df_findings_case_names(const char *what, const struct df_findings *f, const char *expected);

#endif
