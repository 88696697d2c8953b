/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Where a kernel thread spends its time
 *
 * Samples of its stack, a thousand a second of its processor time, by the
 * kernel's perf events: no tools and no counters of the processor are needed.
 */
#ifndef PROFILE_H
#define PROFILE_H

#include <sys/types.h>

void profile_start(pid_t thread);
void profile_collect(void);
void profile_stop(const char *title);

#endif
