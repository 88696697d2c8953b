/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Allocations that fail on purpose
 *
 * The debug kernel fails the n-th allocation that a thread makes while it is in
 * our module (Documentation/fault-injection, fail-nth and the stack filter), and
 * says in its log where.
 */
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>
#include <sys/types.h>

#define FAULT_SITE	64	/* bytes of a function's name */

bool fault_begin(void);
void fault_any_module(void);
void fault_our_module(void);
void fault_arm(pid_t pid, unsigned int n);
unsigned int fault_left(pid_t pid);
bool fault_fired(pid_t pid, char site[FAULT_SITE]);
void fault_storm(unsigned int interval);
unsigned long fault_storm_end(void);

#endif
