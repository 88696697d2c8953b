/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_VM_MEMORY_H
#define MRM_VM_MEMORY_H

struct mrm_vm;

/**
 * struct mrm_vm_memory - what a VM has, in pages of 4 KiB
 * @size: guest RAM
 * @granted: guest pages that hold something (ESX: GRANT)
 * @consumed: machine memory for them, less the VM's part of what sharing saves, and for
 *	what is zipped
 * @frames: of that, in frames of ours
 * @saved: the part of what sharing saves, but for zero pages
 * @taken: guest pages that are zipped or swapped, less the memory for what is zipped
 */
struct mrm_vm_memory {
	unsigned long size;
	unsigned long granted;
	unsigned long consumed;
	unsigned long frames;
	unsigned long saved;
	unsigned long taken;
};

void mrm_vm_owned(struct mrm_vm *vm, unsigned int pages);
unsigned long mrm_vm_frames(struct mrm_vm *vm);

int mrm_vm_memory(struct mrm_vm *vm, struct mrm_vm_memory *m);

#endif
