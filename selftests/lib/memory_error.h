/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Memory errors
 *
 * What whoever accesses a guest page gets that is lost: SIGBUS, as after a machine check.
 */
#ifndef MEMORY_ERROR_H
#define MEMORY_ERROR_H

#include "vm_process.h"

long memory_count_lost(struct vm_process *p, size_t first, size_t count);
long memory_count_signals(struct vm *v, void *work);
long memory_discard_lost(struct vm *v, void *work);

#endif
