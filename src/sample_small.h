/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Guest pages that are mapped together, told apart
 *
 * A guest page that lies in a mapping of 2 MiB, whether its frame is ours, a transparent huge
 * page or of hugetlbfs, would count as touched when any other in it is.  So while it is
 * sampled KVM is to map those 2 MiB in 4 KiB: not in the process's page tables, where a page
 * table that is there stays, but only in KVM's own.
 *
 * KVM counts for each 2 MiB of a memory slot why they cannot be mapped as one
 * (kvm_lpage_info.disallow_lpage); being sampled is one more reason.  The count lies in memory
 * that comes and goes with the slot, and stays when no more than its flags change.  It is
 * raised and lowered with slots_lock held, which keeps slots as they are, and by an amount that
 * KVM's own do not reach: what is not there in a new slot is not taken off.  A process that keeps
 * slots_lock is not waited for: then it is lowered when the next period begins, or, if the
 * sampler has ended, stays until the slot goes.
 */
#ifndef MRM_SAMPLE_SMALL_H
#define MRM_SAMPLE_SMALL_H

#include <linux/types.h>

struct kvm;

bool mrm_small_begin(struct kvm *kvm, unsigned long address);
bool mrm_small_end(struct kvm *kvm, unsigned long address);
ssize_t mrm_small_end_left(struct kvm *kvm, unsigned long *addresses, size_t max);

#endif
