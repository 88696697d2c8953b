/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_VM_MEMORY_H
#define MRM_VM_MEMORY_H

struct mrm_vm;

/**
 * struct mrm_vm_memory - what a VM has, in pages of 4 KiB
 * @size: guest RAM
 * @granted: guest pages that hold something (ESX: GRANT)
 * @consumed: machine memory for them: @granted less the VM's part of what
 *	sharing saves
 * @saved: that part, but for zero pages
 */
struct mrm_vm_memory {
	unsigned long size;
	unsigned long granted;
	unsigned long consumed;
	unsigned long saved;
};

int mrm_vm_memory(struct mrm_vm *vm, struct mrm_vm_memory *m);

#endif
