// SPDX-License-Identifier: GPL-2.0
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "balance.h"
#include "block.h"
#include "frame.h"
#include "frame_table.h"
#include "host_memory.h"
#include "large.h"
#include "policy.h"
#include "reclaim.h"
#include "sample.h"
#include "trace.h"
#include "vm.h"
#include "vm_events.h"
#include "vm_memory.h"
#include "zip.h"

#define LOOK_EVERY	HZ	/* at what others use of the host */
#define LOOK_AGAIN	(HZ / 50)	/* what was given up may be on its way to the kernel */
#define RELIEF_EVERY	HZ	/* a better state changes targets */
#define STUCK		(30 * HZ)	/* a balloon that has not grown: its driver may be gone */
#define BALLOON_NEAR	256		/* pages: so near is there, for who drives balloons */
#define ROOM_PART	32	/* of its size: room that a VM is given to grow */
#define ROOM_LEAST	256	/* pages */
#define ALARM_LEAST	256	/* pages */
#define FAR_AWAY	(LONG_MAX / 2)	/* pages */

/* What a guest survives on, as balloon_floor() of mrmd has it. */
#define FLOOR_LEAST	((64UL << 20) >> PAGE_SHIFT)	/* pages */
#define FLOOR_PART	8	/* of its size */

struct mrm_balance_tunables mrm_balance_tunables = {
	.idle_tax = 75,
	.period = 15,
	.balloon_max = 65,
};

/* Taken before ranges_lock; nothing waits for a process under it. */
DEFINE_MUTEX(mrm_balance_lock);

/* All of it under the balance lock. */
static struct mrm_balance_host host = { .state = MRM_HIGH };
static unsigned long foreign;		/* pages that VMs use, but not in frames of ours */
static unsigned long reserved;		/* pages: the sum of min */
static unsigned long next;		/* jiffies: a rebalance is due */
static unsigned long last;		/* jiffies: of the last one */
static enum mrm_state computed;		/* the state that targets were computed for */
static bool owed;			/* a rebalance, for another state */

static struct task_struct *balancer;
static DECLARE_WAIT_QUEUE_HEAD(wake);
static bool kicked;			/* rebalance */
static bool rung;			/* only look at free memory */
static void (*change_fn)(bool state, bool targets);

/**
 * struct client - a VM while targets are computed
 * @vm: it, with a reference
 * @m: what it has
 * @grown: of that, what it has not taken: see mrm_vm_owned()
 * @max: the most it may have, pages
 * @active: the estimate of what it uses, pages; or an error
 */
struct client {
	struct mrm_vm *vm;
	struct mrm_vm_memory m;
	long grown;
	unsigned long max;
	long active;
};

/**
 * mrm_balance_wake() - something changed that targets depend on
 *
 * Context: Any.
 */
void mrm_balance_wake(void)
{
	WRITE_ONCE(kicked, true);
	wake_up(&wake);
}

/**
 * mrm_balance_on_change() - be told of new targets
 * @fn: called after the state has changed, or targets or a VM's min or max have, and told which.
 *	May sleep.  NULL: no more
 */
void mrm_balance_on_change(void (*fn)(bool state, bool targets))
{
	mutex_lock(&mrm_balance_lock);
	change_fn = fn;
	mutex_unlock(&mrm_balance_lock);
}

static unsigned long frames_used(void)
{
	return mrm_frame_count() + mrm_zip_frames();
}

/* Not more than it has, whatever was unplugged since. */
static unsigned long min_of(const struct mrm_vm *vm, unsigned long size)
{
	return min(vm->balance.min, size);
}

static unsigned long max_of(const struct mrm_vm *vm, unsigned long size)
{
	return vm->balance.max ? min(vm->balance.max, size) : size;
}

/**
 * mrm_balance_reserve() - may so much be promised?
 * @pages: to one VM, more than what it was promised
 *
 * Context: The balance lock.
 * Return: true: it is promised now.
 */
bool mrm_balance_reserve(unsigned long pages)
{
	if (pages > host.unreserved)
		return false;
	reserved += pages;
	host.unreserved -= pages;
	return true;
}

static void put(struct client *clients, unsigned int n)
{
	while (n--)
		mrm_vm_put(clients[n].vm);
}

/**
 * mrm_balance_look() - free memory may be less
 *
 * Context: Any.
 */
void mrm_balance_look(void)
{
	WRITE_ONCE(rung, true);
	wake_up(&wake);
}

/* Pages between two numbers, if so few are worth another look. */
static long far(u64 from, u64 to)
{
	return clamp_t(u64, to > from ? to - from : 0, ALARM_LEAST, FAR_AWAY);
}

/*
 * Tell the frames when to wake us: when so many more than there were may be a worse state, or so
 * many fewer a better one.  What others use or free meanwhile is not known there, so it may ring
 * for nothing; not too often, however little is free.
 */
static void set_alarm(long were)
{
	long more = host.state == MRM_LOW ? FAR_AWAY :
		    far(mrm_policy_threshold(host.state, host.min_free), host.free);
	long fewer = far(host.free, mrm_policy_relief(host.state, host.min_free));

	mrm_frame_alarm(were + more, were - fewer, mrm_balance_look);
}

/* Free memory and the state it makes.  Context: the balance lock.  True if it is another. */
static bool look(void)
{
	enum mrm_state was = host.state;
	/* Before it is seen what is free: what goes meanwhile rings. */
	long frames = mrm_frame_count();
	struct mrm_host_memory m;

	mrm_host_memory(frames_used() + foreign, READ_ONCE(mrm_balance_tunables.limit), &m);
	host.budget = m.budget;
	host.free = m.free;
	host.min_free = mrm_policy_min_free(m.total, READ_ONCE(mrm_balance_tunables.min_free));
	host.state = mrm_policy_state(was, host.free, host.min_free);
	mrm_block_set_low(host.state == MRM_LOW);
	mrm_large_set_state(host.state);
	/* What a balloon has given changes no target. */
	mrm_block_wake();
	host.unreserved = host.budget > host.min_free + reserved ?
			  host.budget - host.min_free - reserved : 0;
	set_alarm(frames);
	if (host.state == was)
		return false;
	trace_mrm_state(host.state, host.free, host.min_free);
	return true;
}

/**
 * mrm_balance_host() - the last numbers of the host
 * @out: where they are put
 *
 * Context: May sleep.
 */
void mrm_balance_host(struct mrm_balance_host *out)
{
	mutex_lock(&mrm_balance_lock);
	/* While there are VMs the thread does. */
	if (!mrm_nr_vms())
		look();
	*out = host;
	mutex_unlock(&mrm_balance_lock);
}

/*
 * What a VM is about to use, if others need it: what it has, as much again as it
 * grew by since the last time, what its balloon and the host keep from it, and some room.
 */
static unsigned long wanted(struct client *c)
{
	struct mrm_balance *b = &c->vm->balance;
	unsigned long grown = c->m.consumed > b->consumed ? c->m.consumed - b->consumed : 0;
	unsigned long room = max_t(unsigned long, c->m.size / ROOM_PART, ROOM_LEAST);

	return c->m.consumed + max(grown, room) + b->balloon + c->m.taken;
}

/*
 * The allocations that the paper's rule converges to among those who want memory;
 * what is left then goes by the same rule to whoever may have it.
 */
static void find_targets(struct client *clients, struct mrm_policy_vm *vms, unsigned int n)
{
	unsigned long total = host.budget > host.min_free ? host.budget - host.min_free : 0;
	unsigned int tax = READ_ONCE(mrm_balance_tunables.idle_tax), i;
	u64 missing;

	for (i = 0; i < n; i++) {
		vms[i].shares = mrm_balance_shares(clients[i].vm);
		vms[i].min = min_of(clients[i].vm, clients[i].m.size);
		vms[i].max = clamp(wanted(&clients[i]), vms[i].min, clients[i].max);
		vms[i].active = clients[i].active;
	}
	missing = mrm_policy_targets(vms, n, total, tax);
	if (missing) {
		pr_warn_ratelimited("the VMs' min is %llu MiB more than there is\n",
				    DIV_ROUND_UP(missing, 1UL << (20 - PAGE_SHIFT)));
		return;
	}
	for (i = 0; i < n; i++) {
		vms[i].min = vms[i].target;
		vms[i].max = clients[i].max;
	}
	mrm_policy_targets(vms, n, total, tax);
}

static unsigned long less_pages(unsigned long a, unsigned long b)
{
	return a > b ? a - b : 0;
}

static struct mrm_balloon balloon_of(const struct client *c, unsigned long target)
{
	return (struct mrm_balloon){
		.size = c->m.size,
		.max = c->max,
		.target = target,
		.floor = max_t(u64, FLOOR_LEAST, c->m.size / FLOOR_PART),
		.consumed = c->m.consumed,
		.saved = c->m.saved,
		.held = c->vm->balance.balloon,
		.percent = READ_ONCE(mrm_balance_tunables.balloon_max),
		.reclaiming = host.state > MRM_CLEAR,
	};
}

/* Does a VM's balloon give what it was asked for, or has it not been asked for long? */
static bool is_giving(struct mrm_balance *b, unsigned long balloon)
{
	if (b->balloon + BALLOON_NEAR >= min(balloon, b->balloon_target))
		b->balloon_moved = jiffies;
	else if (time_after(jiffies, b->balloon_moved + STUCK))
		b->balloon_stuck = true;
	return !b->balloon_stuck;
}

/* Say what is to be taken from a VM, its balloon being asked for what it should hold. */
static bool set_take(const struct client *c, const struct mrm_balloon *b, unsigned long balloon)
{
	const struct mrm_take t = {
		.consumed = c->m.consumed,
		.target = b->target,
		/* One that nobody set limits nothing: sizes shrink before memory goes. */
		.max = c->vm->balance.max ? c->max : ULONG_MAX,
		.balloons = is_giving(&c->vm->balance, balloon) &&
			    READ_ONCE(c->vm->balance.balloon_state) == MRM_BALLOON_OK &&
			    (b->held + BALLOON_NEAR < balloon ||
			     balloon < mrm_policy_balloon_limit(b)),
		.state = host.state,
	};
	u64 pages = mrm_policy_take(&t);

	/* That is in these numbers. */
	atomic_long_sub(c->grown, &c->vm->grown);
	mrm_block_grown(c->vm, c->grown);
	/* Where its target is, less what is not in frames of ours. */
	mrm_block_above(c->vm, less_pages(b->target, c->m.consumed - c->m.frames),
			READ_ONCE(c->vm->balance.balloon_state) >= MRM_BALLOON_BOOTING &&
			b->held < mrm_policy_balloon_limit(b));
	mrm_reclaim_to(c->vm, pages ? less_pages(c->m.frames, pages) : ULONG_MAX);
	return pages;
}

static bool set_targets(struct client *clients, const struct mrm_policy_vm *vms, unsigned int n)
{
	bool changed = false, take = false;
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct mrm_balance *b = &clients[i].vm->balance;
		struct mrm_balloon asked = balloon_of(&clients[i], vms[i].target);
		unsigned long balloon = mrm_policy_balloon(&asked);

		take |= set_take(&clients[i], &asked, balloon);
		changed |= b->target != vms[i].target || b->balloon_target != balloon;
		/* Whoever makes room for what can be taken from it is told of these, too. */
		changed |= b->least != b->min || b->most != clients[i].max;
		b->least = b->min;
		b->most = clients[i].max;
		b->size = clients[i].m.size;
		b->consumed = clients[i].m.consumed;
		WRITE_ONCE(b->target, vms[i].target);
		WRITE_ONCE(b->balloon_target, balloon);
		trace_mrm_target(clients[i].vm->pid, b->consumed, b->target, balloon);
	}
	mrm_block_wake();
	if (take)
		mrm_reclaim_wake();
	return changed;
}

/* All VMs, with what they have.  Return: how many, or -ENOMEM. */
static int gather(struct client *clients, unsigned int room)
{
	unsigned long id = 0, others = 0, size = 0, promised = 0;
	unsigned int n = 0;
	int err = 0;

	while (!err && n < room && (clients[n].vm = mrm_vm_next(&id))) {
		struct client *c = &clients[n++];

		/* Before: what is added later is left for the next time. */
		c->grown = atomic_long_read(&c->vm->grown);
		err = mrm_vm_memory(c->vm, &c->m);
		c->active = mrm_sample_active_pages(c->vm);
		if (c->active < 0)
			err = c->active;
		c->max = max_of(c->vm, c->m.size);
		others += c->m.consumed - c->m.frames;
		size += c->m.size;
		promised += min_of(c->vm, c->m.size);
	}
	if (err) {
		put(clients, n);
		return err;
	}
	host.size = size;
	reserved = promised;
	foreign = others;
	return n;
}

/* New targets for all.  Context: the balance lock.  Return: 0 or -ENOMEM: the old ones stand. */
static int rebalance(struct client *clients, unsigned int n, bool *changed)
{
	struct mrm_policy_vm *vms = kvcalloc(n, sizeof(*vms), GFP_KERNEL);

	if (!vms)
		return -ENOMEM;
	find_targets(clients, vms, n);
	*changed |= set_targets(clients, vms, n);
	host.balances++;
	kvfree(vms);
	return 0;
}

/*
 * Look at free memory, and rebalance if its state is another or it is time.  A guest can make it
 * better as fast as it can touch and discard: not each time.  Return: the state is another.
 */
static bool balance(bool due)
{
	/* One that comes now kicks again. */
	unsigned int room = mrm_nr_vms();
	struct client *clients = kvcalloc(room, sizeof(*clients), GFP_KERNEL);
	bool state, changed = false;
	int n = 0;

	mutex_lock(&mrm_balance_lock);
	state = look();
	owed |= state;
	if (due || host.state > computed ||
	    (owed && time_after_eq(jiffies, last + RELIEF_EVERY))) {
		n = clients ? gather(clients, room) : -ENOMEM;
		/* With what VMs use besides frames of ours it may be another. */
		state |= look();
		if (n >= 0 && !rebalance(clients, n, &changed)) {
			last = jiffies;
			next = last + READ_ONCE(mrm_balance_tunables.period) * HZ;
			computed = host.state;
			owed = false;
			changed |= state;
		} else {
			owed = true;
		}
	}
	if (change_fn && (state || changed))
		change_fn(state, changed);
	mutex_unlock(&mrm_balance_lock);
	/* Perhaps the last references. */
	put(clients, max(n, 0));
	kvfree(clients);
	return state;
}

static int balance_thread(void *unused)
{
	while (!kthread_should_stop()) {
		bool due = xchg(&kicked, false) || time_after_eq(jiffies, next);
		bool in_vain = xchg(&rung, false);

		in_vain &= !balance(due);
		wait_event_interruptible_timeout(wake, READ_ONCE(kicked) || READ_ONCE(rung) ||
						 kthread_should_stop(),
						 !mrm_nr_vms() ? MAX_SCHEDULE_TIMEOUT :
						 in_vain ? LOOK_AGAIN : LOOK_EVERY);
	}
	return 0;
}

static int vm_event(struct notifier_block *nb, unsigned long event, void *vm)
{
	mrm_balance_wake();
	return NOTIFY_OK;
}

static struct notifier_block vm_nb = {
	.notifier_call = vm_event,
};

/**
 * mrm_balance_init() - start to balance
 * Return: 0 or an error.
 */
int mrm_balance_init(void)
{
	struct task_struct *task;

	next = jiffies;
	last = jiffies;
	task = kthread_run(balance_thread, NULL, "mrm_balance");
	if (IS_ERR(task))
		return PTR_ERR(task);
	balancer = task;
	mrm_vm_register_notifier(&vm_nb);
	return 0;
}

/**
 * mrm_balance_exit() - stop
 */
void mrm_balance_exit(void)
{
	mrm_vm_unregister_notifier(&vm_nb);
	kthread_stop(balancer);
	mrm_frame_alarm(0, 0, NULL);
}
