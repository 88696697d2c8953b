/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: VMs with large pages
 *
 * What the tests of guest pages of 2 MiB do with their VMs.
 */
#ifndef LARGE_VM_H
#define LARGE_VM_H

#include "vm_process.h"

#define PARTS		512L	/* guest pages of a large one */

void large_start(struct vm_process *vm, long pages);
void large_end(struct vm_process *vm, const char *when);
void large_are(struct vm_process *vm, long large, long private, const char *what);
long large_map_says(const struct vm_process *vm, size_t pages, const char *key);

#endif
