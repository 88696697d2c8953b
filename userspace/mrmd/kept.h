/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_KEPT_H
#define MRMD_KEPT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "admission.h"
#include "vm.h"

uint64_t kept_by(const struct mrm_vm *vm, const struct admission_reach *reach);
bool kept_reach(struct admission_reach *reach);
uint64_t kept_beyond_mins(const struct admission_reach *reach, pid_t pid, uint64_t min,
			  bool *covered);

#endif
