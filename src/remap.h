/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Page tables that are in the way
 *
 * A large frame that was rebuilt is mapped in 4 KiB, for QEMU and so for the guest, as long as
 * the page table is there that its guest pages had before, and nothing but an unmapping of all
 * of those 2 MiB takes that away.  So when a vCPU meets such a frame, its mapping is made anew on
 * its way back into the guest, as it was made in the beginning: a GiB at a time, which is what the
 * guest may wait for (some ten milliseconds), and what a mapping of many GiB is cut into.
 */
#ifndef MRM_REMAP_H
#define MRM_REMAP_H

struct mrm_vm;
struct vm_fault;

void mrm_remap_fault(struct vm_fault *vmf, struct mrm_vm *vm);

#endif
