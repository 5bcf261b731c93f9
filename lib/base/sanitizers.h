/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sanitizers: options that the runtimes of ASan and UBSan ask a program for before main.  Part of
 * the programs with --enable-sanitizers only; none of ours calls these.  Static text, never NULL.
 */
#ifndef DF_SANITIZERS_H
#define DF_SANITIZERS_H

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

#endif
