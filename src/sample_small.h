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
 * that comes and goes with the slot.  It is raised and lowered with slots_lock held, which keeps
 * slots as they are, and lowered only if no slot of the VM has changed since, by the generation
 * that KVM counts: else it stays, and 2 MiB are mapped in 4 KiB until that slot goes; as they do
 * if the process has slots_lock for longer than it is waited for.  A VM whose slots have changed
 * of late, as they do while it starts, is not sampled so.
 */
#ifndef MRM_SAMPLE_SMALL_H
#define MRM_SAMPLE_SMALL_H

#include <linux/types.h>

struct kvm;
struct kvm_lpage_info;

/**
 * struct mrm_small - 2 MiB that KVM maps in 4 KiB, because a guest page in them is sampled
 * @serial: of which struct kvm, see struct mrm_kvm; 0: it is not so
 * @info: where KVM counts
 * @generation: of the slots, as it was when it was raised
 */
struct mrm_small {
	u64 serial;
	struct kvm_lpage_info *info;
	u64 generation;
};

bool mrm_small_begin(struct mrm_small *s, struct kvm *kvm, unsigned long address, u64 *generation);
void mrm_small_end(struct mrm_small *s, struct kvm *kvm);

#endif
