/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_CONTROL_H
#define MRMD_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

int control_init(const char *path);
void control_started(const char *name, bool seen);
uint64_t control_promised(pid_t pid, uint64_t min);

#endif
