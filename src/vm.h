/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: VMs
 *
 * A VM is a process that has KVM memory slots: QEMU, as a rule.  Two struct
 * kvm in one process share its mappings and are one VM to us.
 *
 * The struct mrm_vm is the inode of the pseudo file whose mappings replace
 * guest RAM, so whatever holds the inode (a mapping, a scanner, the registry)
 * holds the VM.
 */
#ifndef MRM_VM_H
#define MRM_VM_H

#include <linux/fs.h>
#include <linux/kobject.h>
#include <linux/completion.h>
#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "counters.h"
#include "reason.h"
#include "sample.h"
#include "scan_order.h"

struct dentry;
struct kvm;
struct mem_cgroup;
struct mrm_named_salt;
struct mrm_swap;

#define MRM_NAME_MAX	64

/**
 * struct mrm_range - a piece of guest RAM, as KVM's memory slots name it
 * @node: in mrm_vm.ranges
 * @kvm: whose slot; an identity, never followed
 * @first: first guest page
 * @pages: how many
 * @reason: why it was not adopted, or MRM_ADOPTED
 */
struct mrm_range {
	struct list_head node;
	struct kvm *kvm;
	unsigned long first;
	unsigned long pages;
	enum mrm_reason reason;
};

/**
 * struct mrm_kvm - a struct kvm of the VM
 * @node: in mrm_vm.kvms
 * @kvm: it; may be followed only after kvm_get_kvm_safe() under kvms_lock,
 *	while not @dead
 * @dead: KVM is destroying it
 */
struct mrm_kvm {
	struct list_head node;
	struct kvm *kvm;
	bool dead;
};

/**
 * struct mrm_scan - where the scanner is in a VM; the scanner's alone
 * @order: random order over the blocks of this pass
 * @next: next block, in that order
 * @spans: adopted ranges at the start of the pass
 * @nr_spans: how many
 * @credit: guest pages it may look at now, in millionths; less than 0 when a
 *	block was more than it had
 * @shared: guest pages shared in this pass
 * @scanned: guest pages scanned in this pass
 * @resident: resident guest pages when the last pass ended
 * @backoff: halvings of the rate, because passes found little
 * @done: has been scanned in this round
 */
struct mrm_scan {
	struct mrm_scan_order order;
	u64 next;
	struct mrm_span {
		unsigned long first, pages, block;
	} *spans;
	unsigned int nr_spans;
	s64 credit;
	unsigned long shared;
	unsigned long scanned;
	unsigned long resident;
	unsigned int backoff;
	bool done;
};

/**
 * enum mrm_balloon_state - what is known of a VM's balloon
 * @MRM_BALLOON_NONE: nobody drives it
 * @MRM_BALLOON_ABSENT: it has none
 * @MRM_BALLOON_DRIVERLESS: no driver in the guest, though it had time to boot
 * @MRM_BALLOON_BOOTING: its driver has not been heard of yet
 * @MRM_BALLOON_UNRESPONSIVE: has not followed for 20 s
 * @MRM_BALLOON_OK: follows
 */
enum mrm_balloon_state {
	MRM_BALLOON_NONE,
	MRM_BALLOON_ABSENT,
	MRM_BALLOON_DRIVERLESS,
	MRM_BALLOON_BOOTING,
	MRM_BALLOON_UNRESPONSIVE,
	MRM_BALLOON_OK
};

/**
 * struct mrm_balance - what a VM is given, and why; in pages, under the balance lock
 * @shares: a number, or 0: @shares_per_mb of its size
 * @shares_per_mb: that many a MB; 0 is MRM_SHARES_NORMAL
 * @min: promised to it
 * @max: the most it gets; 0 is its size
 * @balloon: what its balloon holds, as it was told
 * @balloon_state: how it does, as it was told
 * @balloon_moved: jiffies, when it last grew, held what it should, or was said to follow
 * @balloon_stuck: it has not for so long that it is not waited for any more
 * @size: guest RAM when targets were last computed
 * @consumed: machine memory it had then
 * @least: its min then
 * @most: the most it could get then
 * @target: what it should consume
 * @balloon_target: what its balloon should hold
 */
struct mrm_balance {
	unsigned long shares;
	unsigned int shares_per_mb;
	unsigned long min;
	unsigned long max;
	unsigned long balloon;
	enum mrm_balloon_state balloon_state;
	unsigned long balloon_moved;
	bool balloon_stuck;
	unsigned long size;
	unsigned long consumed;
	unsigned long least;
	unsigned long most;
	unsigned long target;
	unsigned long balloon_target;
};

#define MRM_SWAP_WRITERS	4	/* works of a VM that write its swap file at once */
#define MRM_SWAP_READERS	16	/* and that read it */
#define MRM_AHEAD_BITS		3

/**
 * struct mrm_swapper - a work that writes or reads a VM's swap file
 * @work: it, with a reference to the VM while it is queued or runs
 * @vm: the VM
 */
struct mrm_swapper {
	struct work_struct work;
	struct mrm_vm *vm;
};

/**
 * struct mrm_ahead - neighbours that are read with a swapped guest page, see swap_ahead.h
 * @next: the guest page behind what was read last
 * @window: how many
 */
struct mrm_ahead {
	unsigned long next;
	unsigned int window;
};

/**
 * struct mrm_vm - a VM
 * @inode: of the pseudo file; i_mapping finds all mappings of a guest page
 * @pages: state of each guest page, by virtual address >> PAGE_SHIFT; see
 *	guest_page.c
 * @hot: guest pages that devices use, see guest_hot.h
 * @cached: slots of guest pages that have a frame, too, see guest_cached.h
 * @next_cached: the guest page from which on slots are given back next
 * @mm: the process's, held by mmgrab()
 * @mn: hears of discards and of the end of @mm
 * @file: the pseudo file; NULL until something is adopted; under @lock
 * @memcg: what its frames are charged to
 * @id: a number that no other VM has, or had
 * @pid: of the process, in the initial pid namespace
 * @name: from QEMU's -name, or empty
 * @late: it ran before we were loaded, so nothing of it is adopted
 * @cow: shared frames may be mapped: all mappings have page_mkwrite.  Changes
 *	under the mmap lock held for writing.
 * @switch_lock: held while @share is switched, also while that waits for the
 *	process; taken before all others
 * @share: the administrator lets it share
 * @large: it may have large frames
 * @share_state: what became of that, for people
 * @own_salt: nobody else's
 * @named_salt: set by the administrator, or NULL; under the share lock
 * @salt: effective salt; changes under the share lock and xa_lock of @pages
 * @adopted: guest pages in mappings of the pseudo file
 * @full_scans: passes of the scanner that came to an end
 * @counters: see enum mrm_counter
 * @lock: protects @file and adoption
 * @ranges_lock: protects @ranges; a leaf, never held while anything waits for
 *	the process, which may be hostile
 * @ranges: list of struct mrm_range
 * @kvms: list of struct mrm_kvm
 * @kvms_lock: protects @kvms; taken in a kprobe, so with interrupts off
 * @adopting: the adoption that is under way, see guest_file.c; under @lock
 * @rebuilt: large frames that were rebuilt and have not been mapped as a whole since
 * @rebuilding: the first guest page of those of which a large frame is made just now, and
 *	MRM_REBUILDING; or 0
 * @remapping: a piece of a mapping is to be made anew, see remap.c
 * @rebuild_next: the guest page at which looking for more of them goes on; the rebuilder's
 * @remap_at: jiffies, from when on they may be taken out of the way
 * @zeroes_at: jiffies, from when on its large frames are looked through for zeroes again, if it
 *	does not share; large_sweep.c's
 * @zeroes_next: the guest page at which that goes on, as it was cut off; 0: it was not
 * @limit_asked: enum mrm_limit_ask: what is to be broken for room below the limit of its memory
 *	cgroup, see guest_limit.c
 * @limit_vain: jiffies, for which nobody asks for that; 0: somebody may
 * @limit_vain_until: jiffies, from when on somebody may again; 0: at any time
 * @limit_pass: the last one that found nothing for its limit; large_limit.c's
 * @limit_search: the last one that came to it; large_limit.c's
 * @limit_waited_until: jiffies, from when on its faults wait for it again; 0: at any time
 * @scan: the scanner's cursor
 * @sample: its working set, see sample.c
 * @balance: what it is given, see balance.c
 * @block_above: frames above which it is blocked in the state low, see block.c
 * @block_gives: it has a balloon that may give more
 * @block_fewest: frames it had at the fewest while that was all that could help
 * @block_time: the state had become low so often then
 * @blocked: its vCPUs that are
 * @grown: frames that it has more since it was balanced, and has not taken: see mrm_vm_owned()
 * @reclaim_to: frames that are to be left to it, see reclaim.c; ULONG_MAX: all
 * @reclaim: how that goes; the reclaimer's alone, but for vain.  order: what it was told last;
 *	looked, freed: guest pages looked at of late, and bytes that brought; vain: it was
 *	given up; retry: jiffies, before which one that waits for memory is not tried again
 * @zipped: its struct mrm_zipped, oldest first
 * @zipped_lock: protects @zipped; a leaf
 * @swap: its swap file, or NULL; set once, under files_lock of swap.c
 * @writes: runs of frames that are to be written to it, see guest_swap.c
 * @reads: runs of frames that are to be read from it
 * @swap_lock: protects @writes, @reads and who is queued next; a leaf
 * @nr_writes: runs that are in @writes or being written
 * @wrote: jiffies, when one of them was done with last, or the first one came
 * @next_writer: who is queued next
 * @next_reader: the same
 * @writers: who writes them
 * @readers: who reads them: its own, so that no VM waits for another's disk
 * @ahead: of its swap file, by region of guest RAM
 * @ahead_lock: protects @ahead; a leaf
 * @sharing: cached recount of what sharing saves, see sharing.c
 * @counted: in the number of VMs
 * @by_mm: in the hash by mm
 * @by_address: in the hash by its own address
 * @gone: bit 0: the process is ending, or nothing of it is a VM any more; set
 *	under @lock unless the process is ending
 * @unlisted: it can be found no more
 * @gone_work: unlists it
 * @cow_work: sets @cow
 * @sync_work: looks again after a struct kvm was destroyed
 * @dir: name of its directories: the pid, if no other VM has it
 * @kobj: /sys/kernel/mrm/vm/PID
 * @kobj_gone: the last reference to @kobj is gone
 * @debugfs: its directory
 */
struct mrm_vm {
	struct inode inode;
	struct xarray pages;
	struct xarray hot;
	struct xarray cached;
	unsigned long next_cached;
	struct mm_struct *mm;
	struct mmu_notifier mn;
	struct file *file;
	struct mem_cgroup *memcg;
	u32 id;
	pid_t pid;
	char name[MRM_NAME_MAX];
	bool late;
	bool cow;
	struct mutex switch_lock;
	bool share;
	bool large;
	const char *share_state;
	u64 own_salt;
	struct mrm_named_salt *named_salt;
	u64 salt;
	atomic_long_t adopted;
	atomic_long_t full_scans;
	struct mrm_counters counters;
	struct mutex lock;
	struct mutex ranges_lock;
	struct list_head ranges;
	struct list_head kvms;
	spinlock_t kvms_lock;
	struct mrm_adopting {
		struct task_struct *task;
		unsigned long start, len;
		unsigned long old_flags;
		enum mrm_reason reason;
		bool again, closed;
	} adopting;
	atomic_t rebuilt, remapping;
	unsigned long rebuilding, rebuild_next;
	unsigned long remap_at, zeroes_at, zeroes_next;
	unsigned int limit_asked;
	unsigned long limit_vain, limit_vain_until, limit_waited_until;
	unsigned long limit_pass, limit_search;
	struct mrm_scan scan;
	struct mrm_sample sample;
	struct mrm_balance balance;
	unsigned long block_above;
	bool block_gives;
	unsigned long block_fewest;
	unsigned int block_time;
	atomic_t blocked;
	atomic_long_t grown;
	unsigned long reclaim_to;
	struct mrm_reclaim {
		unsigned long order;
		unsigned int looked;
		unsigned long freed;
		bool vain;
		unsigned long retry;
	} reclaim;
	struct list_head zipped;
	spinlock_t zipped_lock;
	struct mrm_swap *swap;
	struct list_head writes, reads;
	spinlock_t swap_lock;
	atomic_t nr_writes;
	unsigned long wrote;
	unsigned int next_writer, next_reader;
	struct mrm_swapper writers[MRM_SWAP_WRITERS];
	struct mrm_swapper readers[MRM_SWAP_READERS];
	struct mrm_ahead ahead[1 << MRM_AHEAD_BITS];
	spinlock_t ahead_lock;
	struct mrm_sharing_cache {
		struct mutex lock;
		u64 until_ns;
		unsigned long saved, saved_within, overhead;
	} sharing;
	bool counted;
	struct hlist_node by_mm;
	struct hlist_node by_address;
	unsigned long gone;
	struct completion unlisted;
	struct work_struct gone_work;
	struct work_struct cow_work;
	struct work_struct sync_work;
	char dir[24];
	struct kobject kobj;
	struct completion kobj_gone;
	struct dentry *debugfs;
};

static inline struct mrm_vm *mrm_inode_vm(struct inode *inode)
{
	return container_of(inode, struct mrm_vm, inode);
}

static inline struct mrm_vm *mrm_file_vm(const struct file *file)
{
	return mrm_inode_vm(file_inode(file));
}

static inline long mrm_vm_resident(const struct mrm_vm *vm)
{
	return mrm_counter_read(&vm->counters, MRM_PRIVATE) +
	       mrm_counter_read(&vm->counters, MRM_SHARED);
}

/**
 * mrm_vm_get() - take a reference to a VM
 * @vm: a VM known to exist (by RCU, or because it has frames)
 *
 * Context: Any.
 * Return: true; false if it is going away.
 */
static inline bool mrm_vm_get(struct mrm_vm *vm)
{
	return igrab(&vm->inode);
}

/**
 * mrm_vm_put() - give a reference back
 * @vm: the VM
 *
 * Context: May sleep.
 */
static inline void mrm_vm_put(struct mrm_vm *vm)
{
	iput(&vm->inode);
}

struct mrm_vm *mrm_vm_of_current(void);
struct mrm_vm *mrm_vm_of_task(struct task_struct *task, struct mm_struct *mm);
struct mrm_vm *mrm_vm_next(unsigned long *id);
struct mrm_vm *mrm_vm_next_in_turn(unsigned long *id);
struct mrm_vm *mrm_vm_at(const void *address);
struct mrm_vm *mrm_vm_of_id(u32 id);
bool mrm_vm_has(struct mm_struct *mm);
unsigned long mrm_nr_vms(void);
void mrm_vm_ended(struct mrm_vm *vm);
void mrm_vm_resized(struct mrm_vm *vm);

int mrm_vm_add_kvm(struct mrm_vm *vm, struct kvm *kvm);
void mrm_kvm_destroyed(struct kvm *kvm);
bool mrm_vm_start_cow(struct mrm_vm *vm);
const char *mrm_vm_not_to_take(struct mrm_vm *vm);
const char *mrm_vm_not_to_share(struct mrm_vm *vm);
bool mrm_vm_runs(struct mrm_vm *vm);
bool mrm_vm_runs_on(struct mrm_vm *vm, struct task_struct *task);
void mrm_vm_set_ranges(struct mrm_vm *vm, struct kvm *kvm, struct list_head *ranges);
void mrm_ranges_free(struct list_head *ranges);
struct mrm_range *mrm_vm_copy_ram(struct mrm_vm *vm, size_t *n, unsigned long *pages);
bool mrm_vm_draw_adopted(struct mrm_vm *vm, u64 random, unsigned int run, unsigned long *first,
			 unsigned long *pages);
long mrm_vm_size_pages(struct mrm_vm *vm);
long mrm_vm_not_adopted(struct mrm_vm *vm, enum mrm_reason *reason);

int mrm_vm_init(void);
void mrm_vm_exit(void);

#endif
