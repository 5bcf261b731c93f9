/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json_text: refuses the text that yajl decodes too kindly.  Internal to json.
 *
 * yajl passes overlong UTF-8, surrogates and U+110000 up, and turns the lone
 * surrogate of "\ud800x" into "?", swallowing the x: keys that differ for one
 * reader would be equal for another.  Grammar stays yajl's to judge.
 */
#ifndef DF_JSON_TEXT_H
#define DF_JSON_TEXT_H

#include <stddef.h>

/* len if all is well; else the offset of the fault and *ret_why in a few words. */
size_t df_json_text_check(const char *chars, size_t len, const char **ret_why);

#endif
