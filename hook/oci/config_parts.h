/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_parts: the readers that config is made of.  Internal to config. */
#ifndef DF_CONFIG_PARTS_H
#define DF_CONFIG_PARTS_H

#include "hook/oci/config.h"
#include "lib/base/json.h"

/* Both fill their part of c; 0, or the exit status with error filled. */
int df_config_read_limits(const struct df_json *doc, struct df_config *c, char *error);
int df_config_read_mounts(const struct df_json *doc, struct df_config *c, char *error);

#endif
