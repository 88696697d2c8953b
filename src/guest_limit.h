/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Large frames and the limit of a memory cgroup
 *
 * A VM pays for a large frame as a whole, whatever its guest has touched of it, and the kernel
 * can take nothing of that when the VM's memory cgroup is at its limit: it ends the VM.  So that
 * nobody is ended for what a frame of 4 KiB would not have cost, there are no more large frames
 * near the limit (frame.c), and who is about to take memory for a VM there has one broken first of
 * which some is zero: the VM's own, or of another one that is charged to the same cgroup.
 */
#ifndef MRM_GUEST_LIMIT_H
#define MRM_GUEST_LIMIT_H

struct mrm_vm;

void mrm_guest_limit_mind(struct mrm_vm *vm);

#endif
