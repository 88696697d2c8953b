// SPDX-License-Identifier: GPL-2.0
#include <linux/freezer.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "bounce.h"
#include "compat.h"
#include "frame.h"
#include "guest_hot.h"
#include "guest_page.h"
#include "io.h"
#include "vm.h"
#include "vm_events.h"

#define REST		(HZ / 100)	/* jiffies, after each round, whoever asks for the next */
#define TRY_AGAIN	(HZ / 10)	/* the same, if some were pinned, which are tried again */
#define LOOK_EVERY	HZ		/* at the zone, while some are kept there, or it is short */
#define RETURNED	64UL		/* go back up in a round, besides one for one that comes */
#define LOOKED_FOR	(2 * RETURNED)	/* the coldest among so many */
#define LOOKED_AT	4096		/* to find those that merely happen to be low */
#define WISHES		16		/* that are looked at together */
#define HOTTEST		64		/* lines in debugfs */

struct mrm_io_tunables mrm_io_tunables = {
	.threshold = 16,
	.period = 10,
	.max = 64,
};

/**
 * struct hot - a guest page that is kept where a device reaches it
 * @in_low: in that list
 * @vm_id: of the VM, which may be gone
 * @index: the guest page
 * @device: which
 * @node: where its frame was before: low memory may be another one's
 * @since: jiffies, when it was moved, or could not be moved back, or was found in use
 */
struct hot {
	struct list_head in_low;
	u32 vm_id;
	unsigned long index;
	struct mrm_bounce_device *device;
	int node;
	unsigned long since;
};

static struct task_struct *thread;
static DECLARE_WAIT_QUEUE_HEAD(wake);
static bool kicked;
static bool vms_ended;			/* since it was looked for last */

/* Protects the list, which the thread alone changes; a leaf but for the mechanisms. */
static DEFINE_MUTEX(low_lock);
static LIST_HEAD(low);			/* that came first, first */
static unsigned long nr_low;
static atomic_long_t busy, refused, left;

/*
 * Where the search for what merely happens to be low goes on, when it does next (jiffies), and
 * that this round none can make room for another; the thread's alone.
 */
static unsigned long next_id, next_index, next_look;
static bool none_goes;

static void kick(void)
{
	if (!xchg(&kicked, true))
		wake_up(&wake);
}

/**
 * mrm_io_changed() - a tunable has changed
 *
 * Context: May sleep.
 */
void mrm_io_changed(void)
{
	/* Two that set something end with what both have set. */
	mutex_lock(&low_lock);
	/* Where anything was copied before, all is counted from now on. */
	mrm_bounce_prepare();
	mrm_bounce_set(READ_ONCE(mrm_io_tunables.threshold) ?: UINT_MAX,
		       READ_ONCE(mrm_io_tunables.period) * HZ);
	mutex_unlock(&low_lock);
	kick();
}

/**
 * mrm_io_busy() - how often a hot guest page could not be moved, for it was in use
 * Return: so many times.
 */
unsigned long mrm_io_busy(void)
{
	return atomic_long_read(&busy);
}

/**
 * mrm_io_refused() - how often there was no low memory for one
 * Return: so many times.
 */
unsigned long mrm_io_refused(void)
{
	return atomic_long_read(&refused);
}

/**
 * mrm_io_left() - how often what is hot was left alone
 *
 * It was shared by then, nobody's, or a VM's that is not to be taken from.
 *
 * Return: so many times.
 */
unsigned long mrm_io_left(void)
{
	return atomic_long_read(&left);
}

/**
 * mrm_io_bytes() - metadata of ours beside that of VMs
 *
 * Context: Any.
 * Return: bytes.
 */
size_t mrm_io_bytes(void)
{
	return mrm_bounce_bytes() + READ_ONCE(nr_low) * sizeof(struct hot);
}

static unsigned long most(void)
{
	return READ_ONCE(mrm_io_tunables.threshold) ?
	       READ_ONCE(mrm_io_tunables.max) << (20 - PAGE_SHIFT) : 0;
}

/* It is not kept any more, wherever it is.  Context: low_lock. */
static void drop(struct hot *h)
{
	list_del(&h->in_low);
	nr_low--;
	atomic_long_dec(&h->device->low);
	kfree(h);
}

/* Context: low_lock.  Return: false if it stays as it cannot be moved now. */
static bool give_back(struct hot *h)
{
	struct mrm_vm *vm = mrm_vm_of_id(h->vm_id);
	int err;

	if (vm) {
		/* One that has been locked since is left where it is. */
		err = mrm_vm_not_to_take(vm) ? -EPERM : mrm_guest_hot_return(vm, h->index, h->node);
		if (err == -EBUSY || err == -EAGAIN || err == -ENOMEM) {
			mrm_vm_put(vm);
			return false;
		}
		if (!err) {
			mrm_count(vm, MRM_RETURNED, 1);
			atomic_long_inc(&h->device->returned);
		}
		mrm_guest_set_cold(vm, h->index);
		mrm_vm_put(vm);
	}
	drop(h);
	return true;
}

static bool was_used(const struct hot *h)
{
	struct mrm_vm *vm = mrm_vm_of_id(h->vm_id);
	bool used = vm && mrm_guest_hot_was_used(vm, h->index);

	if (vm)
		mrm_vm_put(vm);
	return used;
}

/*
 * Those go that were not used since they came or were looked at last, which none was in the last
 * @rest jiffies; and then the first of those that were.  One that does not go, or was looked at,
 * has its next turn as if it had come now.
 *
 * Context: low_lock.  Return: how many of @n have gone.
 */
static unsigned long give_coldest_back(unsigned long n, unsigned long rest)
{
	unsigned long gone = 0;
	unsigned int looked = 0;
	struct hot *h;
	LIST_HEAD(used);
	LIST_HEAD(tried);

	while (gone < n && looked++ < LOOKED_FOR) {
		h = list_first_entry_or_null(&low, struct hot, in_low);
		if (!h || time_before(jiffies, h->since + rest))
			break;
		h->since = jiffies;
		if (was_used(h)) {
			list_move_tail(&h->in_low, &used);
		} else {
			list_move_tail(&h->in_low, &tried);
			gone += give_back(h);
		}
		mrm_cond_resched();
	}
	while (gone < n && (h = list_first_entry_or_null(&used, struct hot, in_low))) {
		list_move_tail(&h->in_low, &tried);
		gone += give_back(h);
		mrm_cond_resched();
	}
	list_splice_tail(&used, &low);
	list_splice_tail(&tried, &low);
	return gone;
}

/*
 * Look at a VM's guest pages, from next_index on, until @n have gone or as many were looked at as
 * may be.
 *
 * Return: how many have gone.
 */
static unsigned long clear_vm(struct mrm_vm *vm, unsigned long n, unsigned long *looked)
{
	unsigned long gone = 0;

	while (gone < n && *looked < LOOKED_AT &&
	       xa_find(&vm->pages, &next_index, ULONG_MAX, MRM_MARK_PRIVATE)) {
		if (mrm_guest_hot_is_needless(vm, next_index) &&
		    !mrm_guest_hot_return(vm, next_index, NUMA_NO_NODE)) {
			mrm_count(vm, MRM_RETURNED, 1);
			gone++;
		}
		next_index++;
		++*looked;
		mrm_cond_resched();
	}
	return gone;
}

/*
 * Look at some guest pages, going round all VMs, until @n have gone.
 *
 * Return: how many have.
 */
static unsigned long clear_low_memory(unsigned long n)
{
	unsigned long gone = 0, looked = 0, vms = mrm_nr_vms() + 1;
	struct mrm_vm *vm;

	while (vms-- && gone < n && looked < LOOKED_AT) {
		unsigned long id = next_id;

		vm = mrm_vm_next(&id);
		if (!vm) {
			next_id = 0;
			next_index = 0;
			continue;
		}
		if (!mrm_vm_not_to_take(vm))
			gone += clear_vm(vm, n - gone, &looked);
		if (gone < n && looked < LOOKED_AT) {
			next_id = id;
			next_index = 0;
		}
		mrm_vm_put(vm);
	}
	return gone;
}

/* Keep count of one that has been moved.  Context: low_lock. */
static int keep(struct mrm_vm *vm, unsigned long index, struct mrm_bounce_device *d)
{
	struct hot *h = kmalloc(sizeof(*h), GFP_KERNEL | MRM_SPARE);
	int err;

	if (!h)
		return -ENOMEM;
	err = mrm_guest_set_hot(vm, index, d->limit);
	if (err) {
		kfree(h);
		return err;
	}
	*h = (struct hot){ .vm_id = vm->id, .index = index, .device = d, .node = NUMA_NO_NODE,
			   .since = jiffies };
	list_add_tail(&h->in_low, &low);
	nr_low++;
	atomic_long_inc(&d->low);
	return 0;
}

/* Where it was before it was moved, at the first try or later.  Context: low_lock. */
static void note_node(struct mrm_vm *vm, unsigned long index, int node)
{
	struct hot *h;

	list_for_each_entry_reverse(h, &low, in_low) {
		if (h->vm_id != vm->id || h->index != index)
			continue;
		if (h->node == NUMA_NO_NODE)
			h->node = node;
		return;
	}
}

/* Context: low_lock.  Return: as mrm_guest_hot_move(); -ENOSPC if the budget is used up. */
static int move_down(struct mrm_vm *vm, unsigned long index, struct mrm_bounce_device *d)
{
	bool is_hot = mrm_guest_is_hot(vm, index);
	int err, node;

	if (mrm_guest_hot_is_short())
		return -ENOMEM;
	if (!is_hot && nr_low >= most()) {
		if (none_goes)
			return -ENOSPC;
		none_goes = !give_coldest_back(1, READ_ONCE(mrm_io_tunables.period) * HZ);
		if (nr_low >= most())
			return -ENOSPC;
	}
	/* First, so that whatever frame it gets meanwhile is a low one. */
	err = is_hot ? mrm_guest_set_hot(vm, index, d->limit) : keep(vm, index, d);
	if (err)
		return err;
	err = mrm_guest_hot_move(vm, index, d->limit, &node);
	if (!err) {
		note_node(vm, index, node);
		mrm_count(vm, MRM_REMAPPED, 1);
		atomic_long_inc(&d->moved);
	}
	/* One that is in use, or has nothing that can be moved, gets a low frame when it can. */
	if (!is_hot && (err == -ENOMEM || err == -EHWPOISON)) {
		mrm_guest_set_cold(vm, index);
		drop(list_last_entry(&low, struct hot, in_low));
	}
	return err;
}

/* Which VM's guest page is it, if it still is one's?  Return: the VM with a reference, or NULL. */
static struct mrm_vm *owner(unsigned long pfn, unsigned long *index)
{
	struct page *frame = pfn_to_online_page(pfn);
	struct mrm_vm *vm = NULL;

	if (!frame || !mrm_frame_tryget(frame))
		return NULL;
	if (!mrm_frame_is_shared(frame)) {
		rcu_read_lock();
		vm = mrm_vm_at(mrm_frame_vm(frame));
		if (vm && !mrm_vm_get(vm))
			vm = NULL;
		rcu_read_unlock();
	}
	/* The answer may be another one by now; the guest page that it names exists. */
	if (vm) {
		*index = mrm_frame_guest_page(frame);
		if (!mrm_guest_page_is(vm, *index, frame)) {
			mrm_vm_put(vm);
			vm = NULL;
		}
	}
	put_page(frame);
	return vm;
}

/**
 * struct wish - a guest page that is hot
 * @vm: the VM, with a reference
 * @index: the guest page
 * @device: for which device
 * @slot: where it is counted
 */
struct wish {
	struct mrm_vm *vm;
	unsigned long index;
	struct mrm_bounce_device *device;
	unsigned int slot;
};

/*
 * What has become hot, as guest pages: to move one may break a large frame, and give others
 * another.  Return: how many; 0: that was all.
 */
static unsigned int find_hot(unsigned int *slot, struct wish *wishes, unsigned int most)
{
	unsigned int least = READ_ONCE(mrm_io_tunables.threshold), n = 0;
	struct mrm_bounce b;

	while (least && n < most && mrm_bounce_next(slot, least, &b)) {
		struct wish *w = &wishes[n];

		*w = (struct wish){ .device = b.device, .slot = *slot - 1 };
		w->vm = owner(b.pfn, &w->index);
		if (w->vm) {
			n++;
		} else {
			atomic_long_inc(&left);
			mrm_bounce_forget(w->slot);
		}
	}
	return n;
}

/* Context: low_lock.  Return: it is to be tried again. */
static bool grant(const struct wish *w)
{
	int err = mrm_vm_not_to_take(w->vm) ? -EPERM : move_down(w->vm, w->index, w->device);

	if (err == -EBUSY || err == -EAGAIN) {
		atomic_long_inc(&busy);
		return true;
	}
	if (err == -ENOMEM || err == -ENOSPC)
		atomic_long_inc(&refused);
	else if (err && err != -EALREADY)
		atomic_long_inc(&left);
	/* Until it is hot once more. */
	mrm_bounce_forget(w->slot);
	return false;
}

/* Context: low_lock.  Return: some are to be tried again. */
static bool move_hot(void)
{
	struct wish wishes[WISHES];
	unsigned int slot = 0, i, n;
	bool again = false;

	while ((n = find_hot(&slot, wishes, WISHES))) {
		for (i = 0; i < n; i++) {
			again |= grant(&wishes[i]);
			mrm_vm_put(wishes[i].vm);
			mrm_cond_resched();
		}
	}
	return again;
}

/*
 * VMs are gone: what was counted of frames that are nobody's is not their next owner's.
 *
 * Context: low_lock.
 */
static void forget_ended(void)
{
	unsigned long index;
	unsigned int slot = 0;
	struct mrm_bounce b;
	struct hot *h, *tmp;
	struct mrm_vm *vm;

	while (mrm_bounce_next(&slot, 0, &b)) {
		vm = owner(b.pfn, &index);
		if (vm)
			mrm_vm_put(vm);
		else
			mrm_bounce_forget(slot - 1);
		mrm_cond_resched();
	}

	list_for_each_entry_safe(h, tmp, &low, in_low) {
		vm = mrm_vm_of_id(h->vm_id);
		if (vm)
			mrm_vm_put(vm);
		else
			drop(h);
		mrm_cond_resched();
	}
}

/*
 * What is low makes way, if a device has ever asked for it; what nobody has asked for, first.
 * As long as there is some it goes on, and then it is looked again from time to time: what was
 * used may not be any more.
 *
 * Context: low_lock.  Return: it is short.
 */
static bool look_at_zone(void)
{
	if (!most() || !mrm_bounce_device(0) || !mrm_guest_hot_is_short())
		return false;
	if (!time_before(jiffies, next_look) && !clear_low_memory(RETURNED) &&
	    !give_coldest_back(RETURNED, LOOK_EVERY))
		next_look = jiffies + LOOK_EVERY;
	return true;
}

/* How long it may rest when low memory is short. */
static long until_next_look(void)
{
	return time_before(jiffies, next_look) ? LOOK_EVERY : 0;
}

/*
 * There are more than there may be.
 *
 * Context: low_lock.  Return: some have gone, and more are to go.
 */
static bool give_excess_back(void)
{
	unsigned long max = most(), n = nr_low > max ? min(nr_low - max, RETURNED) : 0;

	return give_coldest_back(n, 0) && nr_low > max;
}

/* Return: for how long there is nothing to do, unless somebody kicks; jiffies. */
static long work(void)
{
	bool again, excess, is_short;
	long idle;

	mutex_lock(&low_lock);
	mrm_bounce_prepare();
	none_goes = false;
	if (xchg(&vms_ended, false))
		forget_ended();
	excess = give_excess_back();
	again = move_hot();
	is_short = look_at_zone();
	idle = again || excess ? 0 : is_short ? until_next_look() :
	       nr_low ? LOOK_EVERY : MAX_SCHEDULE_TIMEOUT;
	mutex_unlock(&low_lock);
	/* Whoever kicks meanwhile is heard after it. */
	wait_event_freezable_timeout(wake, kthread_should_stop(), again ? TRY_AGAIN : REST);
	return idle;
}

static int io_thread(void *unused)
{
	long idle = MAX_SCHEDULE_TIMEOUT;

	set_freezable();
	while (!kthread_should_stop()) {
		if (idle)
			wait_event_freezable_timeout(wake, READ_ONCE(kicked) ||
						     kthread_should_stop(), idle);
		/* Before it is looked what there is to do: who comes later kicks again. */
		smp_store_mb(kicked, false);
		idle = work();
	}
	return 0;
}

static int vm_event(struct notifier_block *nb, unsigned long event, void *vm)
{
	if (event == MRM_VM_ENDED && mrm_bounce_device(0)) {
		WRITE_ONCE(vms_ended, true);
		kick();
	}
	return NOTIFY_OK;
}

static struct notifier_block vm_nb = {
	.notifier_call = vm_event,
};

/**
 * mrm_io_show_devices() - for debugfs: name, last address it reaches, copies, bytes, guest pages
 * moved, moved back, and kept low
 * @m: where to
 */
void mrm_io_show_devices(struct seq_file *m)
{
	const struct mrm_bounce_device *d;
	unsigned int i;

	for (i = 0; (d = mrm_bounce_device(i)); i++)
		seq_printf(m, "%s %#llx %ld %ld %ld %ld %ld\n", d->name, d->limit,
			   atomic_long_read(&d->bounces), atomic_long_read(&d->bytes),
			   atomic_long_read(&d->moved), atomic_long_read(&d->returned),
			   atomic_long_read(&d->low));
}

/* One that is copied more often comes first; those that are least go. */
static unsigned int insert(struct mrm_bounce *top, unsigned int n, const struct mrm_bounce *b)
{
	unsigned int at = n < HOTTEST ? n : n - 1;

	if (n == HOTTEST && top[at].n >= b->n)
		return n;
	while (at && top[at - 1].n < b->n) {
		top[at] = top[at - 1];
		at--;
	}
	top[at] = *b;
	return min(n + 1, (unsigned int)HOTTEST);
}

/**
 * mrm_io_show_hottest() - for debugfs: VM's pid, address, copies in this period, device
 * @m: where to
 */
void mrm_io_show_hottest(struct seq_file *m)
{
	struct mrm_bounce b, *top = kcalloc(HOTTEST, sizeof(*top), GFP_KERNEL);
	unsigned int slot = 0, n = 0, i;

	if (!top) {
		seq_puts(m, "no memory\n");
		return;
	}
	/* If starting the rest failed there may be no table any more. */
	mutex_lock(&low_lock);
	while (mrm_bounce_next(&slot, 1, &b))
		n = insert(top, n, &b);
	mutex_unlock(&low_lock);
	for (i = 0; i < n; i++) {
		unsigned long index;
		struct mrm_vm *vm = owner(top[i].pfn, &index);

		if (!vm)
			continue;
		seq_printf(m, "%d %#lx %u %s\n", vm->pid, index << PAGE_SHIFT, top[i].n,
			   top[i].device->name);
		mrm_vm_put(vm);
	}
	kfree(top);
}

/**
 * mrm_io_show_low() - for debugfs: VM's pid, address, seconds since it was moved, was found in
 * use, or could not be moved back, of what is kept low
 * @m: where to
 */
void mrm_io_show_low(struct seq_file *m)
{
	struct hot *h;

	mutex_lock(&low_lock);
	list_for_each_entry(h, &low, in_low) {
		struct mrm_vm *vm = mrm_vm_of_id(h->vm_id);

		if (!vm)
			continue;
		seq_printf(m, "%d %#lx %lu\n", vm->pid, h->index << PAGE_SHIFT,
			   (jiffies - h->since) / HZ);
		mrm_vm_put(vm);
		mrm_cond_resched();
	}
	mutex_unlock(&low_lock);
}

/**
 * mrm_io_init() - count, and start the thread
 * Return: 0 or an error.
 */
int mrm_io_init(void)
{
	int err;

	next_look = jiffies;
	mrm_io_changed();
	err = mrm_bounce_init(kick);
	if (err)
		return err;
	thread = kthread_run(io_thread, NULL, "mrm_io");
	if (IS_ERR(thread)) {
		mrm_bounce_exit();
		return PTR_ERR(thread);
	}
	mrm_vm_register_notifier(&vm_nb);
	return 0;
}

/**
 * mrm_io_exit() - stop it; nothing is adopted
 */
void mrm_io_exit(void)
{
	struct hot *h, *tmp;

	mrm_vm_unregister_notifier(&vm_nb);
	/* It looks at what has been counted once more. */
	kthread_stop(thread);
	/* If starting the rest failed somebody may be reading debugfs, or writing to sysfs. */
	mutex_lock(&low_lock);
	mrm_bounce_exit();
	list_for_each_entry_safe(h, tmp, &low, in_low)
		drop(h);
	mutex_unlock(&low_lock);
}
