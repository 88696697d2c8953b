/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Settings
 *
 * What the environment says of a test: how long, how often, which seed; selftests/run --help
 * lists them.  And what the command line says of a benchmark.
 */
#ifndef SETTING_H
#define SETTING_H

#include <stdint.h>

long setting(const char *name, long by_default);
uint64_t setting_seed(const char *name);
unsigned long setting_option(const char *text, unsigned long low, unsigned long high);

#endif
