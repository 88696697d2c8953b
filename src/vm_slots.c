// SPDX-License-Identifier: GPL-2.0
/*
 * What KVM tells of a VM: its struct kvm, and the guest RAM in their memory
 * slots.
 */
#include <linux/kvm_host.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "compat.h"
#include "reason.h"
#include "vm.h"

/**
 * mrm_vm_add_kvm() - a struct kvm has memory slots in this VM
 * @vm: the VM; its lock is held
 * @kvm: it, alive
 * Return: 0 or -ENOMEM.
 */
int mrm_vm_add_kvm(struct mrm_vm *vm, struct kvm *kvm)
{
	struct mrm_kvm *new = kzalloc(sizeof(*new), GFP_KERNEL), *k;

	if (!new)
		return -ENOMEM;
	new->kvm = kvm;
	spin_lock_irq(&vm->kvms_lock);
	list_for_each_entry(k, &vm->kvms, node) {
		if (k->kvm == kvm) {
			/* Perhaps another at the address of a dead one. */
			k->dead = false;
			kfree(new);
			new = NULL;
			break;
		}
	}
	if (new)
		list_add(&new->node, &vm->kvms);
	spin_unlock_irq(&vm->kvms_lock);
	return 0;
}

/* Has any of its vCPUs run?  Context: kvms_lock held, @kvm not dead. */
static bool has_run(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, kvm)
		if (rcu_access_pointer(vcpu->pid))
			return true;
	return false;
}

/* Is one of its vCPUs in KVM_RUN?  Context: kvms_lock held, @kvm not dead. */
static bool runs(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, kvm)
		if (mutex_is_locked(&vcpu->mutex))
			return true;
	return false;
}

/**
 * mrm_vm_runs() - is a vCPU of the VM inside KVM_RUN just now?
 * @vm: the VM
 *
 * KVM holds a vCPU's mutex in KVM_RUN, also while the vCPU is halted.  A VM that is
 * suspended or stopped by a signal has left KVM_RUN.  Other ioctls on a vCPU take
 * the mutex, too, but not for long.
 *
 * Context: Any but under kvms_lock.
 * Return: true if one is.
 */
bool mrm_vm_runs(struct mrm_vm *vm)
{
	struct mrm_kvm *k;
	bool found = false;

	/* kvms_lock keeps KVM from freeing those that are not dead. */
	spin_lock_irq(&vm->kvms_lock);
	list_for_each_entry(k, &vm->kvms, node) {
		found = !k->dead && runs(k->kvm);
		if (found)
			break;
	}
	spin_unlock_irq(&vm->kvms_lock);
	return found;
}

/* Is a thread one of its vCPUs, and in KVM_RUN?  Context: kvms_lock held, @kvm not dead. */
static bool runs_on(struct kvm *kvm, struct task_struct *task)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	/* Only compared: it may be another by now, if it is not the current one's. */
	kvm_for_each_vcpu(i, vcpu, kvm)
		if (rcu_access_pointer(vcpu->pid) == task_pid(task))
			return mutex_is_locked(&vcpu->mutex);
	return false;
}

/**
 * mrm_vm_runs_on() - is this thread a vCPU of the VM, in KVM_RUN?
 * @vm: the VM
 * @task: the current thread
 *
 * See mrm_vm_runs().  There it holds no lock of QEMU's.
 *
 * Context: Any but under kvms_lock.
 * Return: true if it is.
 */
bool mrm_vm_runs_on(struct mrm_vm *vm, struct task_struct *task)
{
	struct mrm_kvm *k;
	bool found = false;

	/* kvms_lock keeps KVM from freeing those that are not dead. */
	spin_lock_irq(&vm->kvms_lock);
	list_for_each_entry(k, &vm->kvms, node) {
		found = !k->dead && runs_on(k->kvm, task);
		if (found)
			break;
	}
	spin_unlock_irq(&vm->kvms_lock);
	return found;
}

/* Half of the VM or more. */
static bool are_many(struct mrm_vm *vm, unsigned long pages)
{
	return pages && pages >= atomic_long_read(&vm->adopted) / 2;
}

/* Has a device of the VM been assigned to it, and has any of its vCPUs run? */
static void ask_kvms(struct mrm_vm *vm, bool *device, bool *ran)
{
	struct mrm_kvm *k;

	*device = false;
	*ran = false;
	/* kvms_lock keeps KVM from freeing those that are not dead. */
	spin_lock_irq(&vm->kvms_lock);
	list_for_each_entry(k, &vm->kvms, node) {
		if (k->dead)
			continue;
		*device |= mrm_kvm_has_device(k->kvm);
		*ran |= has_run(k->kvm);
	}
	spin_unlock_irq(&vm->kvms_lock);
}

static const char *not_to(struct mrm_vm *vm, bool take)
{
	bool device, ran;

	if (!atomic_long_read(&vm->adopted))
		return "nothing adopted";
	/* mlockall(MCL_FUTURE), as QEMU does for <locked/> when it has its
	 * memory slots and before a vCPU runs.
	 */
	if (READ_ONCE(vm->mm->def_flags) & VM_LOCKED)
		return "locked";
	ask_kvms(vm, &device, &ran);
	if (device)
		return "device assigned";
	/* iommufd and vDPA count all of guest RAM in pinned_vm, VFIO in locked_vm.  A few
	 * pages of the one are io_uring's buffers, of the other libraries': each of them is
	 * known by its pin.
	 */
	if (are_many(vm, atomic64_read(&vm->mm->pinned_vm)) ||
	    are_many(vm, READ_ONCE(vm->mm->locked_vm)))
		return "pinned";
	return take || ran ? NULL : "waiting";
}

/**
 * mrm_vm_not_to_take() - why no frame may be taken from the VM now
 * @vm: the VM
 *
 * A VM with an assigned device has all its memory pinned; it is adopted, but its frames
 * stay what they are.  One whose vCPUs have not run, as it is being restored or migrated to
 * here, has memory like any other.
 *
 * Context: May sleep.
 * Return: why, in words; NULL if they may be taken.
 */
const char *mrm_vm_not_to_take(struct mrm_vm *vm)
{
	return not_to(vm, true);
}

/**
 * mrm_vm_not_to_share() - why none of the VM's memory may be shared now
 * @vm: the VM
 *
 * Devices pin before the first vCPU runs, and from 6.5 on what may be shared cannot be pinned:
 * whether there is one is waited for.
 *
 * Context: May sleep.
 * Return: why, in words; NULL if it may.
 */
const char *mrm_vm_not_to_share(struct mrm_vm *vm)
{
	return READ_ONCE(vm->share) ? not_to(vm, false) : "off";
}

/**
 * mrm_ranges_free() - free a list of ranges
 * @ranges: the list
 */
void mrm_ranges_free(struct list_head *ranges)
{
	struct mrm_range *r, *tmp;

	list_for_each_entry_safe(r, tmp, ranges, node)
		kfree(r);
	INIT_LIST_HEAD(ranges);
}

/**
 * mrm_vm_set_ranges() - what guest RAM a struct kvm has now
 * @vm: the VM; its lock is held
 * @kvm: whose slots they are
 * @ranges: list of struct mrm_range; emptied
 */
void mrm_vm_set_ranges(struct mrm_vm *vm, struct kvm *kvm, struct list_head *ranges)
{
	struct mrm_range *r, *tmp;

	mutex_lock(&vm->ranges_lock);
	list_for_each_entry_safe(r, tmp, &vm->ranges, node) {
		if (r->kvm == kvm) {
			list_del(&r->node);
			kfree(r);
		}
	}
	list_splice_tail_init(ranges, &vm->ranges);
	mutex_unlock(&vm->ranges_lock);
	mrm_vm_resized(vm);
}

static int by_first(const void *a, const void *b)
{
	const struct mrm_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

static bool not_adopted(const struct mrm_range *r)
{
	return r->reason != MRM_ADOPTED;
}

/*
 * Guest RAM: not a device's memory, nor what no process can have, though KVM takes it;
 * and what is small and was left alone is firmware and the like.
 */
static bool is_ram(const struct mrm_range *r)
{
	if (r->reason == MRM_ADOPTED)
		return true;
	if (r->first + r->pages > TASK_SIZE_MAX >> PAGE_SHIFT)
		return false;
	return r->reason != MRM_DEVICE && r->pages >= SZ_2M >> PAGE_SHIFT;
}

/* Guest RAM that is in the process, so that its being touched can be seen. */
static bool is_seen(const struct mrm_range *r)
{
	return is_ram(r) && r->reason != MRM_GUEST_MEMFD;
}

/* Runs of so many guest pages, aligned to it, that a range lies in. */
static unsigned long runs_in(const struct mrm_range *r, unsigned int run)
{
	return (round_up(r->first + r->pages, run) - round_down(r->first, run)) / run;
}

/* Sorted, so that no two name the same memory; returns how many are left. */
static size_t make_disjoint(struct mrm_range *ranges, size_t n)
{
	unsigned long end = 0, from, to;
	size_t i, left = 0;

	sort(ranges, n, sizeof(*ranges), by_first, NULL);
	for (i = 0; i < n; i++) {
		from = max(ranges[i].first, end);
		to = ranges[i].first + ranges[i].pages;
		if (to <= from)
			continue;
		end = to;
		ranges[left] = ranges[i];
		ranges[left].first = from;
		ranges[left++].pages = to - from;
	}
	return left;
}

/* Context: ranges_lock. */
static size_t count_wanted(struct mrm_vm *vm, bool (*wanted)(const struct mrm_range *))
{
	struct mrm_range *r;
	size_t n = 0;

	list_for_each_entry(r, &vm->ranges, node)
		n += wanted(r);
	return n;
}

/*
 * Copy of the ranges that are wanted, sorted and disjoint, as two struct kvm of a
 * process may name the same memory; *n says how many.  NULL without memory.
 *
 * Memory is not allocated under ranges_lock: who reclaims it takes that lock.
 */
static struct mrm_range *copy_ranges(struct mrm_vm *vm, bool (*wanted)(const struct mrm_range *),
				     size_t *n)
{
	struct mrm_range *r, *copy = NULL;
	size_t room = 0, needed;

	*n = 0;
	mutex_lock(&vm->ranges_lock);
	while ((needed = count_wanted(vm, wanted)) > room || !copy) {
		mutex_unlock(&vm->ranges_lock);
		kvfree(copy);
		room = needed;
		copy = kvcalloc(room, sizeof(*copy), GFP_KERNEL);
		if (!copy)
			return NULL;
		mutex_lock(&vm->ranges_lock);
	}
	list_for_each_entry(r, &vm->ranges, node)
		if (wanted(r))
			copy[(*n)++] = *r;
	mutex_unlock(&vm->ranges_lock);
	*n = make_disjoint(copy, *n);
	return copy;
}

static unsigned long count_pages(const struct mrm_range *ranges, size_t n)
{
	unsigned long pages = 0;

	while (n--)
		pages += ranges[n].pages;
	return pages;
}

/**
 * mrm_vm_copy_ram() - the guest RAM whose being touched can be seen
 * @vm: the VM
 * @n: how many ranges there are
 * @pages: how many guest pages they have
 *
 * Adopted or not, but without firmware, memory of devices, and guest_memfd.
 *
 * Context: May sleep.
 * Return: the ranges, in order and disjoint, to be given to kvfree(); NULL without
 * memory.
 */
struct mrm_range *mrm_vm_copy_ram(struct mrm_vm *vm, size_t *n, unsigned long *pages)
{
	struct mrm_range *ram = copy_ranges(vm, is_seen, n);

	if (ram)
		*pages = count_pages(ram, *n);
	return ram;
}

/**
 * mrm_vm_draw_adopted() - draw a run of guest pages from those that were adopted
 * @vm: the VM
 * @random: uniform in 64 bits
 * @run: guest pages in a run, a power of two
 * @first: the first guest page
 * @pages: how many; less than @run at an end of guest RAM
 *
 * Each run is as likely as any other.
 *
 * Context: May sleep.
 * Return: false if nothing was adopted.
 */
bool mrm_vm_draw_adopted(struct mrm_vm *vm, u64 random, unsigned int run, unsigned long *first,
			 unsigned long *pages)
{
	unsigned long total = 0, nth, from, runs;
	struct mrm_range *r;

	mutex_lock(&vm->ranges_lock);
	list_for_each_entry(r, &vm->ranges, node)
		total += r->reason == MRM_ADOPTED ? runs_in(r, run) : 0;
	nth = mul_u64_u64_shr(random, total, 64);
	list_for_each_entry(r, &vm->ranges, node) {
		if (r->reason != MRM_ADOPTED)
			continue;
		runs = runs_in(r, run);
		if (nth < runs) {
			from = round_down(r->first, run) + nth * run;
			*first = max(from, r->first);
			*pages = min(from + run, r->first + r->pages) - *first;
			break;
		}
		nth -= runs;
	}
	mutex_unlock(&vm->ranges_lock);
	return total;
}

/**
 * mrm_vm_size_pages() - how large a VM is
 * @vm: the VM
 *
 * All its guest RAM, adopted or not, but without firmware and memory of devices.
 *
 * Context: May sleep.
 * Return: guest pages, or -ENOMEM.
 */
long mrm_vm_size_pages(struct mrm_vm *vm)
{
	struct mrm_range *ram;
	long pages;
	size_t n;

	ram = copy_ranges(vm, is_ram, &n);
	if (!ram)
		return -ENOMEM;
	pages = count_pages(ram, n);
	kvfree(ram);
	return pages;
}

/**
 * mrm_vm_not_adopted() - how much guest RAM was left alone, and why
 * @vm: the VM
 * @reason: where the reason of the largest such range is put
 *
 * Context: May sleep.
 * Return: guest pages, or -ENOMEM.
 */
long mrm_vm_not_adopted(struct mrm_vm *vm, enum mrm_reason *reason)
{
	unsigned long largest = 0;
	struct mrm_range *copy;
	long pages;
	size_t n, i;

	*reason = MRM_ADOPTED;
	copy = copy_ranges(vm, not_adopted, &n);
	if (!copy)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		if (copy[i].pages > largest) {
			largest = copy[i].pages;
			*reason = copy[i].reason;
		}
	}
	pages = count_pages(copy, n);
	kvfree(copy);
	return pages;
}
