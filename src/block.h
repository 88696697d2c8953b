/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Blocking (Waldspurger 2002, 6.3)
 *
 * In the state low a VM above its target waits when it takes more memory: the page is
 * given, and then the vCPU sleeps before it enters the guest again, until free memory is
 * back, or the VM is no more above its target.  It sleeps with no lock of the process
 * held, and any signal wakes it, so QEMU can stop, save or end it as always; the next page
 * it takes makes it sleep again.  Only vCPUs are blocked: QEMU's other threads drive the
 * balloon.
 */
#ifndef MRM_BLOCK_H
#define MRM_BLOCK_H

#include <linux/types.h>

struct mrm_vm;
struct vm_fault;

void mrm_block_set_low(bool low);
void mrm_block_above(struct mrm_vm *vm, unsigned long frames);
void mrm_block_wake(void);
void mrm_block_allocated(struct vm_fault *vmf, struct mrm_vm *vm);

#endif
