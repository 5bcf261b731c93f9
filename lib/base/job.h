/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * job: the container that a fence is for, as its events and its proxy know it.
 *
 * Plain data: it crosses from the hook to the proxy.  Strings are NUL-terminated, "" where unknown.
 */
#ifndef DF_JOB_H
#define DF_JOB_H

#include <stdint.h>

#define DF_JOB_ID_MAX 129
#define DF_JOB_TEXT_MAX 1025
#define DF_JOB_X_MAX 32

struct df_job {
	uint32_t mode; /* enum df_mode, the stricter of the policies; 0: it has no fence */
	char id[DF_JOB_ID_MAX];
	char policy[DF_JOB_ID_MAX];
	char name[256], image[512], pod[256], k8s_namespace[256], hostname[256];
	char owner[DF_JOB_TEXT_MAX];
	uint32_t n_x;
	struct df_job_annotation {
		char key[80];
		char value[DF_JOB_TEXT_MAX];
	} x[DF_JOB_X_MAX]; /* deployfence.x-… */
};

#endif
