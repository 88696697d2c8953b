// SPDX-License-Identifier: GPL-2.0
#include <linux/hashtable.h>
#include <linux/kvm_host.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "discard.h"
#include "guest_file.h"
#include "guest_swap.h"
#include "salt.h"
#include "vm.h"
#include "vm_events.h"
#include "vm_name.h"

#define ARGS_READ	4096	/* of the command line, to find -name */
#define HASH_BITS_VMS	8

struct mrm_counters mrm_host_counters;

/* Protects the three indexes; readers use RCU.  Never held while a process is
 * waited for.
 */
static DEFINE_MUTEX(vms_lock);
static DEFINE_XARRAY_ALLOC1(vms);
static u32 next_id;		/* an id is one VM's, also for who still has that of one gone */
static DEFINE_HASHTABLE(vms_by_mm, HASH_BITS_VMS);
static DEFINE_HASHTABLE(vms_by_address, HASH_BITS_VMS);
static atomic_long_t nr_vms;	/* those that have not given everything back */
/* SRCU, for it is called under locks that the called functions wait for. */
SRCU_NOTIFIER_HEAD_STATIC(vm_events);
static struct workqueue_struct *vm_wq;
static struct workqueue_struct *cow_wq;		/* works that may wait for a process */

/**
 * mrm_count() - add to a counter of a VM and of the host
 * @vm: the VM
 * @c: which
 * @delta: what to add
 */
void mrm_count(struct mrm_vm *vm, enum mrm_counter c, long delta)
{
	atomic_long_add(delta, &vm->counters.n[c]);
	atomic_long_add(delta, &mrm_host_counters.n[c]);
}

/**
 * mrm_vm_register_notifier() - hear of VMs that come and go
 * @nb: is called with MRM_VM_ADDED or MRM_VM_REMOVED and the struct mrm_vm; may sleep
 * Return: 0.
 */
int mrm_vm_register_notifier(struct notifier_block *nb)
{
	return srcu_notifier_chain_register(&vm_events, nb);
}

/**
 * mrm_vm_unregister_notifier() - hear no more
 * @nb: the notifier
 */
void mrm_vm_unregister_notifier(struct notifier_block *nb)
{
	srcu_notifier_chain_unregister(&vm_events, nb);
}

/**
 * mrm_vm_resized() - a VM's memory slots have changed
 * @vm: the VM
 *
 * Context: May sleep.
 */
void mrm_vm_resized(struct mrm_vm *vm)
{
	srcu_notifier_call_chain(&vm_events, MRM_VM_RESIZED, vm);
}

static struct mrm_vm *find_by_mm(struct mm_struct *mm)
{
	struct mrm_vm *vm;

	hash_for_each_possible_rcu(vms_by_mm, vm, by_mm, (unsigned long)mm)
		if (vm->mm == mm)
			return vm;
	return NULL;
}

static struct mrm_vm *get_by_mm(struct mm_struct *mm)
{
	struct mrm_vm *vm;

	rcu_read_lock();
	vm = find_by_mm(mm);
	if (vm && !mrm_vm_get(vm))
		vm = NULL;
	rcu_read_unlock();
	return vm;
}

/**
 * mrm_vm_has() - is this process a VM with adopted memory?
 * @mm: its memory
 *
 * Context: Any, also a kprobe.
 * Return: true if it is.
 */
bool mrm_vm_has(struct mm_struct *mm)
{
	struct mrm_vm *vm;
	bool has;

	rcu_read_lock();
	vm = find_by_mm(mm);
	has = vm && atomic_long_read(&vm->adopted);
	rcu_read_unlock();
	return has;
}

/**
 * mrm_nr_vms() - how many VMs there are
 * Return: the number.
 */
unsigned long mrm_nr_vms(void)
{
	return atomic_long_read(&nr_vms);
}

/**
 * mrm_vm_next() - walk the VMs
 * @id: 0 to begin; set to the id of the VM returned plus one
 *
 * Return: a VM with a reference (mrm_vm_put()), or NULL after the last.
 */
struct mrm_vm *mrm_vm_next(unsigned long *id)
{
	struct mrm_vm *vm;

	rcu_read_lock();
	while ((vm = xa_find(&vms, id, ULONG_MAX, XA_PRESENT))) {
		++*id;
		if (mrm_vm_get(vm))
			break;
	}
	rcu_read_unlock();
	return vm;
}

/**
 * mrm_vm_next_in_turn() - walk them round and round
 * @id: as for mrm_vm_next(); after the last comes the first
 *
 * Return: the same, but NULL only if there is none.
 */
struct mrm_vm *mrm_vm_next_in_turn(unsigned long *id)
{
	struct mrm_vm *vm = mrm_vm_next(id);

	if (vm)
		return vm;
	*id = 0;
	return mrm_vm_next(id);
}

/**
 * mrm_vm_at() - is there a VM at an address?
 * @address: any number
 *
 * Context: RCU, under which the VM stays what it is, but may be going away.
 * Return: it, without a reference; NULL if there is none.
 */
struct mrm_vm *mrm_vm_at(const void *address)
{
	struct mrm_vm *vm;

	hash_for_each_possible_rcu(vms_by_address, vm, by_address, (unsigned long)address)
		if (vm == address)
			return vm;
	return NULL;
}

/**
 * mrm_vm_of_id() - the VM that has a number
 * @id: the number
 *
 * Return: the VM with a reference (mrm_vm_put()), or NULL if it is gone.
 */
struct mrm_vm *mrm_vm_of_id(u32 id)
{
	struct mrm_vm *vm;

	rcu_read_lock();
	vm = xa_load(&vms, id);
	if (vm && !mrm_vm_get(vm))
		vm = NULL;
	rcu_read_unlock();
	return vm;
}

static void mn_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct mrm_vm *vm = container_of(mn, struct mrm_vm, mn);

	if (!test_and_set_bit(0, &vm->gone))
		queue_work(vm_wq, &vm->gone_work);
}

static int mn_invalidate_range_start(struct mmu_notifier *mn,
				     const struct mmu_notifier_range *range)
{
	mrm_discard_invalidate(container_of(mn, struct mrm_vm, mn), range);
	return 0;
}

static void mn_invalidate_range_end(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	mrm_discard_invalidated(container_of(mn, struct mrm_vm, mn));
}

static const struct mmu_notifier_ops mn_ops = {
	.release = mn_release,
	.invalidate_range_start = mn_invalidate_range_start,
	.invalidate_range_end = mn_invalidate_range_end,
};

/* Take the VM off the lists.  Mappings and scanners may hold on a while. */
static void unlist(struct mrm_vm *vm)
{
	struct mrm_kvm *k, *tmp;
	LIST_HEAD(kvms);

	/* An adoption, or its being listed, may be under way. */
	mutex_lock(&vm->lock);
	/* KVM destroys them soon, and tells only who can be found. */
	spin_lock_irq(&vm->kvms_lock);
	list_splice_init(&vm->kvms, &kvms);
	spin_unlock_irq(&vm->kvms_lock);
	mutex_unlock(&vm->lock);
	list_for_each_entry_safe(k, tmp, &kvms, node)
		kfree(k);
	/* First, so that another VM of the same process finds the name free. */
	srcu_notifier_call_chain(&vm_events, MRM_VM_REMOVED, vm);

	mutex_lock(&vms_lock);
	hash_del_rcu(&vm->by_mm);
	hash_del_rcu(&vm->by_address);
	xa_erase(&vms, vm->id);
	mutex_unlock(&vms_lock);
	complete_all(&vm->unlisted);

	/* The probe finds it no more; then its last work can be waited for. */
	synchronize_rcu();
	cancel_work_sync(&vm->sync_work);
	mmu_notifier_unregister(&vm->mn, vm->mm);
	mutex_lock(&vm->ranges_lock);
	mrm_ranges_free(&vm->ranges);
	mutex_unlock(&vm->ranges_lock);
	mutex_lock(&vm->lock);
	if (vm->file)
		fput(vm->file);
	vm->file = NULL;
	mutex_unlock(&vm->lock);
	mrm_vm_put(vm);
}

/**
 * mrm_vm_ended() - the last reference to a VM is gone, and all its frames
 * @vm: the VM
 */
void mrm_vm_ended(struct mrm_vm *vm)
{
	mrm_salt_forget(vm);
	if (!vm->counted)
		return;
	atomic_long_dec(&nr_vms);
	srcu_notifier_call_chain(&vm_events, MRM_VM_ENDED, NULL);
}

static void gone_work(struct work_struct *work)
{
	unlist(container_of(work, struct mrm_vm, gone_work));
}

/* A struct kvm of the VM was destroyed: forget its slots. */
static void sync_work(struct work_struct *work)
{
	struct mrm_vm *vm = container_of(work, struct mrm_vm, sync_work);
	struct mrm_kvm *k, *tmp;
	LIST_HEAD(dead);
	bool none;

	mutex_lock(&vm->lock);
	spin_lock_irq(&vm->kvms_lock);
	list_for_each_entry_safe(k, tmp, &vm->kvms, node)
		if (k->dead)
			list_move(&k->node, &dead);
	none = list_empty(&vm->kvms);
	spin_unlock_irq(&vm->kvms_lock);
	list_for_each_entry_safe(k, tmp, &dead, node) {
		LIST_HEAD(no_ranges);

		mrm_vm_set_ranges(vm, k->kvm, &no_ranges);
		kfree(k);
	}
	/* A process that is no VM any more and keeps nothing of ours. */
	if (none && !atomic_long_read(&vm->adopted) && !test_and_set_bit(0, &vm->gone))
		queue_work(vm_wq, &vm->gone_work);
	mutex_unlock(&vm->lock);
}

static void cow_work(struct work_struct *work)
{
	struct mrm_vm *vm = container_of(work, struct mrm_vm, cow_work);

	mrm_guest_file_start_cow(vm);
	mrm_vm_put(vm);
}

static struct mrm_vm *create(struct mm_struct *mm, struct task_struct *task)
{
	struct mrm_vm *vm = mrm_guest_file_alloc_vm();

	if (!vm)
		return NULL;
	mmgrab(mm);
	vm->mm = mm;
	vm->memcg = get_mem_cgroup_from_mm(mm);
	vm->pid = task_tgid_nr(task);
	vm->share = true;
	vm->large = true;
	vm->reclaim_to = ULONG_MAX;
	vm->block_above = ULONG_MAX;
	vm->share_state = "waiting";
	mutex_init(&vm->lock);
	mutex_init(&vm->ranges_lock);
	mutex_init(&vm->sharing.lock);
	INIT_LIST_HEAD(&vm->ranges);
	INIT_LIST_HEAD(&vm->kvms);
	mrm_guest_swap_vm(vm);
	INIT_LIST_HEAD(&vm->zipped);
	spin_lock_init(&vm->zipped_lock);
	spin_lock_init(&vm->kvms_lock);
	INIT_WORK(&vm->gone_work, gone_work);
	INIT_WORK(&vm->cow_work, cow_work);
	init_completion(&vm->unlisted);
	mutex_init(&vm->switch_lock);
	INIT_WORK(&vm->sync_work, sync_work);
	init_completion(&vm->kobj_gone);
	vm->mn.ops = &mn_ops;
	mrm_salt_init_vm(vm);
	return vm;
}

static void read_name(struct mrm_vm *vm, struct task_struct *task)
{
	char *args = kmalloc(ARGS_READ, GFP_KERNEL);
	unsigned long start, len;
	int n;

	if (!args)
		return;
	spin_lock(&vm->mm->arg_lock);
	start = vm->mm->arg_start;
	len = vm->mm->arg_end - start;
	spin_unlock(&vm->mm->arg_lock);
	n = access_process_vm(task, start, args, min_t(unsigned long, len, ARGS_READ), 0);
	if (n > 0)
		mrm_vm_name_from_args(args, n, vm->name, sizeof(vm->name));
	kfree(args);
}

/* Name its directories by the pid, but for a process that ended just now by
 * exec, and has not been unlisted.  Context: vms_lock held.
 */
static void name_dir(struct mrm_vm *vm)
{
	struct mrm_vm *other;
	unsigned long id;

	snprintf(vm->dir, sizeof(vm->dir), "%d", vm->pid);
	xa_for_each(&vms, id, other) {
		if (other != vm && other->pid == vm->pid)
			snprintf(vm->dir, sizeof(vm->dir), "%d.%u", vm->pid, vm->id);
	}
}

static int list_vm(struct mrm_vm *vm)
{
	int err;

	mutex_lock(&vms_lock);
	err = find_by_mm(vm->mm) ? -EEXIST :
	      xa_alloc_cyclic(&vms, &vm->id, vm, XA_LIMIT(1, INT_MAX), &next_id, GFP_KERNEL);
	/* 1: they have been used up once. */
	if (err > 0)
		err = 0;
	if (!err) {
		name_dir(vm);
		hash_add_rcu(vms_by_mm, &vm->by_mm, (unsigned long)vm->mm);
		hash_add_rcu(vms_by_address, &vm->by_address, (unsigned long)vm);
		atomic_long_inc(&nr_vms);
		vm->counted = true;
	}
	mutex_unlock(&vms_lock);
	return err;
}

/**
 * mrm_vm_of_task() - the VM that a process is, listed if it was not
 * @task: the process, or one of its threads
 * @mm: its memory, which the caller keeps alive
 *
 * Context: May sleep; takes @mm's mmap_lock.
 * Return: the VM with a reference, or NULL without memory or on a signal.
 */
struct mrm_vm *mrm_vm_of_task(struct task_struct *task, struct mm_struct *mm)
{
	struct mrm_vm *vm = get_by_mm(mm);
	int err;

	if (vm)
		return vm;
	vm = create(mm, task);
	if (!vm)
		return NULL;
	read_name(vm, task);
	/* Before it can be found, so that whoever finds it hears of discards;
	 * but outside the lock: it waits for the process's mmap lock.
	 */
	if (mmu_notifier_register(&vm->mn, mm)) {
		mrm_vm_put(vm);
		return NULL;
	}
	/* Whoever would unlist it waits until it is listed everywhere. */
	mutex_lock(&vm->lock);
	mrm_vm_get(vm);
	err = list_vm(vm);
	if (!err)
		srcu_notifier_call_chain(&vm_events, MRM_VM_ADDED, vm);
	mutex_unlock(&vm->lock);
	if (!err)
		return vm;
	/* Another thread was faster.  To unregister calls ->release. */
	set_bit(0, &vm->gone);
	mmu_notifier_unregister(&vm->mn, mm);
	mrm_vm_put(vm);
	mrm_vm_put(vm);
	return err == -EEXIST ? get_by_mm(mm) : NULL;
}

/**
 * mrm_vm_of_current() - the VM that the current process is
 *
 * Context: May sleep.
 * Return: as mrm_vm_of_task().
 */
struct mrm_vm *mrm_vm_of_current(void)
{
	return mrm_vm_of_task(current, current->mm);
}

/**
 * mrm_kvm_destroyed() - KVM is about to destroy a struct kvm
 * @kvm: it
 *
 * Context: A kprobe: atomic.
 */
void mrm_kvm_destroyed(struct kvm *kvm)
{
	struct mrm_vm *vm;
	struct mrm_kvm *k;
	unsigned long flags;
	bool ours = false;

	rcu_read_lock();
	vm = find_by_mm(kvm->mm);
	if (vm) {
		spin_lock_irqsave(&vm->kvms_lock, flags);
		list_for_each_entry(k, &vm->kvms, node) {
			if (k->kvm == kvm) {
				k->dead = true;
				ours = true;
			}
		}
		spin_unlock_irqrestore(&vm->kvms_lock, flags);
	}
	/* Found in the hash under RCU: unlist() still has to cancel the work. */
	if (ours)
		queue_work(vm_wq, &vm->sync_work);
	rcu_read_unlock();
}

/**
 * mrm_vm_start_cow() - begin to give a VM's mappings page_mkwrite
 * @vm: the VM
 *
 * Return: false if that was begun before.
 */
bool mrm_vm_start_cow(struct mrm_vm *vm)
{
	/* The work's own reference; it may have to wait long. */
	if (!mrm_vm_get(vm))
		return false;
	if (queue_work(cow_wq, &vm->cow_work))
		return true;
	mrm_vm_put(vm);
	return false;
}

/**
 * mrm_vm_init() - start the registry
 * Return: 0 or -ENOMEM.
 */
int mrm_vm_init(void)
{
	vm_wq = alloc_workqueue("mrm_vm", WQ_UNBOUND, 0);
	cow_wq = alloc_workqueue("mrm_cow", WQ_UNBOUND, 0);
	if (vm_wq && cow_wq)
		return 0;
	if (vm_wq)
		destroy_workqueue(vm_wq);
	if (cow_wq)
		destroy_workqueue(cow_wq);
	return -ENOMEM;
}

/**
 * mrm_vm_exit() - unlist the VMs, none of which is adopted, and stop
 */
void mrm_vm_exit(void)
{
	unsigned long id = 0;
	struct mrm_vm *vm;

	while ((vm = mrm_vm_next(&id))) {
		if (!test_and_set_bit(0, &vm->gone))
			unlist(vm);
		else
			/* It ends by itself; its work may not even be queued yet. */
			wait_for_completion(&vm->unlisted);
		mrm_vm_put(vm);
	}
	destroy_workqueue(vm_wq);
	destroy_workqueue(cow_wq);
}
