/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Was a guest page touched?
 *
 * Three places tell.  KVM's page tables: by the guest.  The page tables of the
 * process: by QEMU, vhost, or anything else that uses the process's addresses.  The
 * referenced flag of a private frame: by who finds a page without its address being
 * used, as O_DIRECT does and process_vm_readv().
 *
 * Method 0 clears what they tell, and looks again later.  Where the processor has
 * no accessed bits in KVM's page tables (kvm_intel.eptad=0) KVM makes the next touch
 * fault instead.
 *
 * Method 1 takes the mappings away, so that the next touch faults and puts them
 * back: exact, at the cost of that fault (Waldspurger 2002, 5.3).  Of a guest page
 * that was adopted both go; of another only KVM's, and the process's accessed bit
 * is cleared.  A pin does not mind, nor does a device that was assigned.  Of an SEV
 * guest KVM then flushes all caches, a guest page at a time: method 0 is for those.
 *
 * Guest pages that are mapped together, 2 MiB in one entry, are told apart by the guest's
 * touches: KVM maps them in 4 KiB while one of them is looked at (sample_small.h), and each of
 * its neighbours that is touched costs a fault, too.  Touches by QEMU and vhost are not: they
 * count for all of the 2 MiB.  What is not seen: DMA of assigned devices; of memory
 * that was not adopted, O_DIRECT, and other processes that map the same file, as
 * vhost-user does; touches after which the host's own reclaim cleared the accessed
 * bit.  Where the kernel runs without multi-generational LRU, a flag that is set
 * twice by process_vm_readv() is clear again.  When KVM drops mappings, it gets back
 * the neighbours of what is touched as well, and sets their flags.
 */
#ifndef MRM_SAMPLE_TOUCH_H
#define MRM_SAMPLE_TOUCH_H

#include <linux/bits.h>
#include <linux/types.h>

struct kvm;
struct mrm_vm;

#define MRM_TOUCH_ACCESSED	0	/* methods */
#define MRM_TOUCH_DROPPED	1

#define MRM_TOUCH_FAULTS	BIT(0)	/* what mrm_touch_clear() says */
#define MRM_TOUCH_SMALL		BIT(1)

/* No VMM has as many in one process; one that means to take time gets no more. */
#define MRM_TOUCH_KVMS		64

/**
 * struct mrm_touch - a VM whose guest pages are being looked at
 * @vm: the VM
 * @kvms: its struct kvm, the newest first, with a reference to each
 * @nr_kvms: how many
 * @ad_disabled: KVM has no accessed bits for one of them: it makes touches fault
 */
struct mrm_touch {
	struct mrm_vm *vm;
	struct kvm *kvms[MRM_TOUCH_KVMS];
	unsigned int nr_kvms;
	bool ad_disabled;
};

bool mrm_touch_begin(struct mrm_touch *t, struct mrm_vm *vm);
unsigned int mrm_touch_clear(struct mrm_touch *t, unsigned long index, unsigned int method);
bool mrm_touch_test(struct mrm_touch *t, unsigned long index);
bool mrm_touch_end_small(struct mrm_touch *t, unsigned long index);
bool mrm_touch_end_small_left(struct mrm_touch *t);
void mrm_touch_end(struct mrm_touch *t);

#endif
