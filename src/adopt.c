// SPDX-License-Identifier: GPL-2.0
/*
 * DOC: Adoption
 *
 * A probe on KVM's function for new memory slots queues work on the calling
 * thread.  On its way back to user space, before QEMU runs another
 * instruction, the work reads the slots from struct kvm and puts mappings of
 * our pseudo file over guest RAM that may be replaced.  Slots come and go many
 * times while a guest boots; each time all are looked at again, so there is
 * no state of ours to get out of step.
 */
#include <linux/atomic.h>
#include <linux/fdtable.h>
#include <linux/kprobes.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/task_work.h>
#include <linux/wait_bit.h>

#include "adopt.h"
#include "compat.h"
#include "guest_file.h"
#include "reason.h"
#include "trace.h"
#include "vm.h"

/**
 * struct adoption - slots of a struct kvm have changed
 * @work: run by the thread that changed them
 * @kvm: it, with a reference
 */
struct adoption {
	struct callback_head work;
	struct kvm *kvm;
};

/**
 * struct slot - a memory slot, as we need it
 * @start: virtual address in the VM's process
 * @len: bytes
 * @guest_memfd: its memory is not in the process at all
 */
struct slot {
	unsigned long start;
	unsigned long len;
	bool guest_memfd;
};

static atomic_t under_way;	/* works queued or running */
static atomic_t lost;		/* changes that could not be looked at */

static int by_start(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static bool slot_guest_memfd(const struct kvm_memory_slot *s)
{
#ifdef KVM_MEM_GUEST_MEMFD
	return s->flags & KVM_MEM_GUEST_MEMFD;
#else
	return false;
#endif
}

/* Copy the slots; returns how many there are, which may be more than @max. */
static unsigned int copy_slots(struct kvm *kvm, struct slot *slots, unsigned int max)
{
	struct kvm_memory_slot *s;
	unsigned int n = 0;
	int as, bkt, idx;

	idx = srcu_read_lock(&kvm->srcu);
	/* Address space 1 is that of SMM; it names the same RAM again. */
	for (as = 0; as < KVM_MAX_NR_ADDRESS_SPACES; as++) {
		kvm_for_each_memslot(s, bkt, __kvm_memslots(kvm, as)) {
			/* KVM's own slots, for the TSS and the APIC page. */
			if (s->id >= KVM_USER_MEM_SLOTS)
				continue;
			if (n < max) {
				slots[n].start = s->userspace_addr;
				slots[n].len = s->npages << PAGE_SHIFT;
				slots[n].guest_memfd = slot_guest_memfd(s);
			}
			n++;
		}
	}
	srcu_read_unlock(&kvm->srcu, idx);
	return n;
}

/* Sort the slots and join those that overlap or touch. */
static unsigned int join_slots(struct slot *slots, unsigned int n)
{
	unsigned int i, out = 0;

	sort(slots, n, sizeof(*slots), by_start, NULL);
	for (i = 1; i < n; i++) {
		struct slot *last = &slots[out];

		if (slots[i].start <= last->start + last->len &&
		    slots[i].guest_memfd == last->guest_memfd)
			last->len = max(last->len, slots[i].start + slots[i].len - last->start);
		else
			slots[++out] = slots[i];
	}
	return n ? out + 1 : 0;
}

static struct slot *read_slots(struct kvm *kvm, unsigned int *n)
{
	unsigned int room = 32;
	struct slot *slots;

	for (;;) {
		slots = kvcalloc(room, sizeof(*slots), GFP_KERNEL);
		if (!slots)
			return NULL;
		*n = copy_slots(kvm, slots, room);
		if (*n <= room)
			return slots;
		room = *n + 16;
		kvfree(slots);
	}
}

static enum mrm_reason adopt_piece(struct mrm_vm *vm, const struct slot *slot, unsigned long start,
				   unsigned long len)
{
	enum mrm_reason reason = MRM_GUEST_MEMFD;

	if (!slot->guest_memfd)
		reason = mrm_guest_file_adopt(vm, start, len);
	trace_mrm_adopt(vm->pid, start >> PAGE_SHIFT, len >> PAGE_SHIFT,
			mrm_reason_words(reason));
	return reason;
}

static struct mrm_range *alloc_range(struct kvm *kvm, unsigned long start, unsigned long len)
{
	struct mrm_range *r = kmalloc(sizeof(*r), GFP_KERNEL);

	if (!r)
		return NULL;
	r->kvm = kvm;
	r->first = start >> PAGE_SHIFT;
	r->pages = len >> PAGE_SHIFT;
	return r;
}

/* Where the mapping that has @start ends, but not beyond @end. */
static unsigned long mapping_end(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma;

	mmap_read_lock(mm);
	vma = find_vma(mm, start);
	if (vma && vma->vm_start <= start)
		end = min(end, vma->vm_end);
	else if (vma)
		end = min(end, vma->vm_start);
	mmap_read_unlock(mm);
	return end;
}

/* Slots that touch may lie in several mappings: each is decided by itself. */
static int adopt_slot(struct mrm_vm *vm, struct kvm *kvm, const struct slot *slot,
		      struct list_head *ranges)
{
	unsigned long start = slot->start, end = slot->start + slot->len, next;
	struct mrm_range *r;

	for (; start < end; start = next) {
		next = vm->late ? end : mapping_end(vm->mm, start, end);
		/* First, so that nothing is adopted that cannot be listed. */
		r = alloc_range(kvm, start, next - start);
		if (!r)
			return -ENOMEM;
		r->reason = vm->late ? MRM_LATE : adopt_piece(vm, slot, start, next - start);
		list_add_tail(&r->node, ranges);
	}
	return 0;
}

static int look_at_slots_of(struct mrm_vm *vm, struct kvm *kvm)
{
	LIST_HEAD(ranges);
	struct slot *slots;
	unsigned int n, i;
	int err = 0;

	slots = read_slots(kvm, &n);
	if (!slots)
		return -ENOMEM;
	n = join_slots(slots, n);
	for (i = 0; i < n && !err; i++)
		err = adopt_slot(vm, kvm, &slots[i], &ranges);
	kvfree(slots);
	/* Those that were adopted before an error are listed. */
	mrm_vm_set_ranges(vm, kvm, &ranges);
	return err;
}

/*
 * Look at all slots of a struct kvm.  The caller holds it, and the process's
 * memory is current->mm unless the VM is late.  False: the VM has just been
 * given up, as it was none any more, and must be looked up again.
 */
static bool look_at_slots(struct mrm_vm *vm, struct kvm *kvm)
{
	int err;

	mutex_lock(&vm->lock);
	if (test_bit(0, &vm->gone)) {
		mutex_unlock(&vm->lock);
		return false;
	}
	err = mrm_vm_add_kvm(vm, kvm);
	if (!err)
		err = look_at_slots_of(vm, kvm);
	mutex_unlock(&vm->lock);
	if (err) {
		/* The next change of slots makes up for it. */
		atomic_inc(&lost);
		pr_warn_ratelimited("VM %d (%s): no memory to look at its slots\n", vm->pid,
				    vm->name);
	}
	return true;
}

static void look_at_kvm(struct kvm *kvm)
{
	bool done = false;

	while (!done) {
		struct mrm_vm *vm = mrm_vm_of_current();

		if (!vm) {
			/* The next change of slots makes up for it. */
			atomic_inc(&lost);
			return;
		}
		done = look_at_slots(vm, kvm) || wait_for_completion_killable(&vm->unlisted);
		mrm_vm_put(vm);
	}
}

static void adoption_work(struct callback_head *work)
{
	struct adoption *a = container_of(work, struct adoption, work);

	/* A thread that is ending runs its works too, without its memory. */
	if (current->mm && current->mm == a->kvm->mm)
		look_at_kvm(a->kvm);
	kvm_put_kvm(a->kvm);
	kfree(a);
	if (atomic_dec_and_test(&under_way))
		wake_up_var(&under_way);
}

static int slot_probe_hit(struct kprobe *kp, struct pt_regs *regs)
{
	struct kvm *kvm = (struct kvm *)regs_get_kernel_argument(regs, 0);
	struct adoption *a;

	if (!current->mm || current->mm != kvm->mm)
		return 0;
	/* On Intel KVM takes slots of its own away while it destroys a struct kvm. */
	if (!kvm_get_kvm_safe(kvm))
		return 0;
	a = kmalloc(sizeof(*a), GFP_ATOMIC | __GFP_NOWARN);
	if (!a) {
		atomic_inc(&lost);
		/* Not the last reference: KVM is in an ioctl on it. */
		kvm_put_kvm(kvm);
		return 0;
	}
	init_task_work(&a->work, adoption_work);
	a->kvm = kvm;
	atomic_inc(&under_way);
	if (task_work_add(current, &a->work, TWA_RESUME)) {
		/* The thread is past running works; the ioctl still holds kvm. */
		kvm_put_kvm(kvm);
		kfree(a);
		atomic_dec(&under_way);
	}
	return 0;
}

static struct kprobe slot_probe = {
	.symbol_name = MRM_KVM_SET_MEMORY_REGION,
	.pre_handler = slot_probe_hit,
};

static int destroy_probe_hit(struct kprobe *kp, struct pt_regs *regs)
{
	mrm_kvm_destroyed((struct kvm *)regs_get_kernel_argument(regs, 0));
	return 0;
}

static struct kprobe destroy_probe = {
	.symbol_name = "kvm_arch_destroy_vm",
	.pre_handler = destroy_probe_hit,
};

static int put_probe(struct kprobe *kp, const char *what)
{
	int err = register_kprobe(kp);

	if (err)
		pr_err("cannot place a probe on %s (%d): %s\n", kp->symbol_name, err, what);
	return err;
}

static int is_vm_fd(const void *found, struct file *file, unsigned int fd)
{
	struct kvm **kvm = (struct kvm **)found;

	if (!mrm_file_is_kvm(file))
		return 0;
	*kvm = file->private_data;
	kvm_get_kvm(*kvm);
	return fd + 1;
}

static void list_late_vms_of(struct task_struct *task)
{
	struct mm_struct *mm;
	struct kvm *kvm;
	struct mrm_vm *vm;
	unsigned int fd = 0;

	mm = get_task_mm(task);
	if (!mm)
		return;
	do {
		kvm = NULL;
		task_lock(task);
		if (task->files)
			fd = iterate_fd(task->files, fd, is_vm_fd, &kvm);
		task_unlock(task);
		/* A passed-on file descriptor is not the VM's process. */
		if (kvm && kvm->mm == mm) {
			vm = mrm_vm_of_task(task, mm);
			if (vm) {
				vm->late = true;
				look_at_slots(vm, kvm);
				mrm_vm_put(vm);
			}
		}
		if (kvm)
			kvm_put_kvm(kvm);
	} while (kvm);
	mmput(mm);
}

/*
 * A thread that has not ended; the leader may have, while others live on.  With
 * files: a thread of KVM's own in the process has none.
 */
static struct task_struct *get_living_thread(struct pid *pid)
{
	struct task_struct *leader, *t, *found = NULL;

	rcu_read_lock();
	leader = pid_task(pid, PIDTYPE_TGID);
	if (leader) {
		for_each_thread(leader, t) {
			if (READ_ONCE(t->mm) && READ_ONCE(t->files)) {
				found = get_task_struct(t);
				break;
			}
		}
	}
	rcu_read_unlock();
	return found;
}

/*
 * VMs that run already stay as they are until they restart; but they are
 * listed.  Context: before the probes, so no VM is adopted meanwhile.
 */
static void list_late_vms(void)
{
	struct task_struct *task;
	pid_t nr = 0;
	struct pid *pid;

	for (;;) {
		rcu_read_lock();
		pid = find_ge_pid(nr + 1, &init_pid_ns);
		task = pid ? get_living_thread(pid) : NULL;
		if (pid)
			nr = pid_nr(pid);
		rcu_read_unlock();
		if (!pid)
			return;
		if (!task)
			continue;
		list_late_vms_of(task);
		put_task_struct(task);
		cond_resched();
	}
}

/**
 * mrm_adopt_missed() - changes of slots that may have gone unseen
 *
 * Their memory is looked at when the VM's slots next change.
 *
 * Return: how many.
 */
unsigned long mrm_adopt_missed(void)
{
	return slot_probe.nmissed + destroy_probe.nmissed + atomic_read(&lost);
}

/**
 * mrm_adopt_init() - list the VMs there are, and adopt those to come
 * Return: 0 or an error.
 */
int mrm_adopt_init(void)
{
	int err;

	err = put_probe(&destroy_probe, "VMs that end would go unseen");
	if (err)
		return err;
	list_late_vms();
	err = put_probe(&slot_probe, "no VM would be seen");
	if (err)
		unregister_kprobe(&destroy_probe);
	return err;
}

/**
 * mrm_adopt_exit() - adopt no more
 */
void mrm_adopt_exit(void)
{
	unregister_kprobe(&slot_probe);
	unregister_kprobe(&destroy_probe);
	wait_var_event(&under_way, !atomic_read(&under_way));
	/* The last instructions of a work come after its count: wait until all
	 * tasks have left the kernel or slept.
	 */
	synchronize_rcu_tasks();
}
