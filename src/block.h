/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Blocking (Waldspurger 2002, 6.3)
 *
 * In the state low a VM above its target waits when it takes more memory: the page is
 * given, and then the vCPU sleeps before it enters the guest again, until free memory is
 * back, or the VM is no more above its target.  It sleeps inside KVM_RUN, where it holds no lock
 * of QEMU's, and any signal wakes it, so QEMU can stop, save or end it as always; the next page
 * it takes makes it sleep again.  Only vCPUs are blocked: QEMU's other threads drive the
 * balloon.  Where nothing comes of it, as nothing can be taken or the disk is slow, it sleeps
 * a second for each page.  Where its own balloon is all that can help, what it gives it may
 * take again, and 1 MiB before, without any sleep: that is how a balloon is inflated.
 */
#ifndef MRM_BLOCK_H
#define MRM_BLOCK_H

#include <linux/types.h>

struct mrm_vm;
struct vm_fault;

void mrm_block_set_low(bool low);
bool mrm_block_is_low(void);
void mrm_block_on_wait(void (*fn)(void));
void mrm_block_grown(struct mrm_vm *vm, long pages);
void mrm_block_above(struct mrm_vm *vm, unsigned long frames, bool gives);
void mrm_block_wake(void);
void mrm_block_allocated(struct vm_fault *vmf, struct mrm_vm *vm);

#endif
