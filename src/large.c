// SPDX-License-Identifier: GPL-2.0
#include <linux/err.h>
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/wait.h>

#include "compat.h"
#include "frame.h"
#include "guest_large.h"
#include "guest_limit.h"
#include "guest_page.h"
#include "large.h"
#include "large_rebuild.h"
#include "large_reserve.h"
#include "large_walk.h"
#include "share.h"
#include "share_pages.h"
#include "vm.h"
#include "vm_events.h"

#define COLD_AFTER	(HZ / 2)	/* jiffies without a touch */
#define LOOK_EVERY	(1UL * HZ)		/* at what was broken in part */
#define TIDY_MOST	(8UL * HZ)	/* at what somebody holds */
#define ZEROES_EVERY	(60 * HZ)	/* what is not scanned is looked through */
#define LIMIT_VAIN	(1UL * HZ)	/* jiffies, for which nobody asks if it was in vain */
#define LIMIT_VAIN_MOST	(60UL * HZ)	/* and if it was so again and again */
#define LIMIT_LEAST	32		/* parts; but when nobody could be given memory, any */
#define REBUILD_AFTER	(5 * HZ)	/* jiffies with enough memory */

struct mrm_large_tunables mrm_large_tunables = {
	.enabled = 0,
	.break_pct = 88,
	.rebuild_rate = 16,
};

static struct task_struct *thread;
static DECLARE_WAIT_QUEUE_HEAD(wake);
static enum mrm_state state;		/* changes under the balance lock */
static unsigned long short_at;		/* jiffies: the state was not high */
static bool kicked;

/* What breaking is to save, parts: those that save most come first. */
static const unsigned int least_saved[] = { 384, 256, 128, 32, 1 };

/* There is to be memory for what is allocated next, too. */
static void allow(void)
{
	mrm_guest_large_allow(READ_ONCE(mrm_large_tunables.enabled) &&
			      READ_ONCE(state) == MRM_HIGH);
}

/**
 * mrm_large_set_state() - say how short memory is
 * @now: the state
 *
 * Context: The balance lock.
 */
void mrm_large_set_state(enum mrm_state now)
{
	bool changed = now != state;

	if (now != MRM_HIGH || changed)
		WRITE_ONCE(short_at, jiffies);
	WRITE_ONCE(state, now);
	/* Again and again, as it may be allowed or not by a tunable at the same time. */
	allow();
	if (!changed)
		return;
	/* For the better, too: it may wait for what is not to be broken any more. */
	WRITE_ONCE(kicked, true);
	wake_up(&wake);
}

/**
 * mrm_large_changed() - a tunable has changed
 */
void mrm_large_changed(void)
{
	allow();
}

static void kick(void)
{
	WRITE_ONCE(kicked, true);
	wake_up(&wake);
}

/* While there are VMs it is looked every now and then. */
static int vm_event(struct notifier_block *nb, unsigned long event, void *vm)
{
	kick();
	return NOTIFY_OK;
}

static struct notifier_block vm_nb = {
	.notifier_call = vm_event,
};

static bool is_short(void)
{
	return READ_ONCE(state) != MRM_HIGH;
}

/*
 * Break the one that a guest page is in, and share what can be shared of it; but while memory is
 * plentiful that is the scanner's, in its own time.
 */
static void break_and_share(struct mrm_vm *vm, unsigned long index)
{
	if (!mrm_share_break_large(vm, index, true, NULL) && is_short())
		mrm_share_scan_large(vm, index);
}

/* What a sweep does but for breaking: find out what that would save. */
enum scan_which { SCAN_NONE, SCAN_NEW, SCAN_ALL };

/**
 * struct sweep - one look at all large frames
 * @scan: those that were not, or all, are scanned, and that is all
 * @saved: those count of which breaking saves so many parts
 * @unmap: those that are mapped are unmapped, to see whether they are touched
 * @all: those that are mapped are broken, too
 * @again: those of this VM are scanned again, as the scanner never does
 * @at_once: those that are scanned, and save so much, are broken then
 * @found: how many were scanned, or unmapped, or are mapped and were left
 */
struct sweep {
	enum scan_which scan;
	unsigned int saved;
	bool unmap, all, again, at_once;
	unsigned long found;
};

static void sweep_one(struct mrm_vm *vm, unsigned long index, struct sweep *s)
{
	struct mrm_large_look look;

	if (!mrm_guest_large_look(vm, index, &look))
		return;
	/* One that is broken but not empty costs more than what is in it. */
	if (look.broken) {
		break_and_share(vm, index);
		return;
	}
	if (s->scan == SCAN_NEW && look.scanned && !s->again)
		return;
	if (s->scan) {
		bool is_new = !look.scanned;

		mrm_share_scan_large(vm, index);
		if (!mrm_guest_large_look(vm, index, &look)) {
			/* It saved so much that it was broken: now what it held is shared. */
			mrm_share_scan_large(vm, index);
			look.scanned = true;
		}
		/* Where the scanner's lock was not to be had it is not yet. */
		s->found += is_new && look.scanned;
		if (s->at_once && look.scanned && look.saves >= s->saved)
			break_and_share(vm, index);
		return;
	}
	if (!s->saved || look.saves < s->saved)
		return;
	if (s->all || !mrm_guest_page_is_mapped(vm, index)) {
		break_and_share(vm, index);
		return;
	}
	s->found++;
	if (s->unmap)
		mrm_guest_large_unmap(vm, index);
}

static void sweep_fn(struct mrm_vm *vm, unsigned long first, void *sweep)
{
	unsigned long index = first;

	/* Of one that is broken any part may be gone. */
	if (!mrm_counter_read(&vm->counters, MRM_LARGE_HELD) ||
	    mrm_guest_large_find(vm, first, &index))
		sweep_one(vm, index, sweep);
}

static bool tidying(void)
{
	return !kthread_should_stop() && !freezing(current);
}

static bool look_for_zeroes(struct mrm_vm *vm)
{
	if (mrm_share_scans(vm) || (vm->zeroes_at && time_before(jiffies, vm->zeroes_at)))
		return false;
	/* 0 is for never. */
	vm->zeroes_at = (jiffies + ZEROES_EVERY) | 1;
	return true;
}

static void sweep_vm(struct mrm_vm *vm, struct sweep *s, bool (*go_on)(void))
{
	if ((!mrm_counter_read(&vm->counters, MRM_LARGE) &&
	     !mrm_counter_read(&vm->counters, MRM_LARGE_HELD)) || mrm_vm_not_to_take(vm))
		return;
	mrm_share_prepare(vm);
	s->again = s->scan == SCAN_NEW && look_for_zeroes(vm);
	/* What was not looked at is to be the next time. */
	if (mrm_large_walk(vm, 0, sweep_fn, s, go_on) && s->again)
		vm->zeroes_at = 0;
}

static void sweep_all(struct sweep *s, bool (*go_on)(void))
{
	unsigned long id = 0;
	struct mrm_vm *vm;

	s->found = 0;
	while (go_on() && (vm = mrm_vm_next(&id))) {
		sweep_vm(vm, s, go_on);
		mrm_vm_put(vm);
	}
}

static struct mrm_vm *limited;	/* for whom large frames are being broken at a cgroup's limit */

static bool is_near_limit(void)
{
	return mrm_frame_is_short(limited, 0) && tidying();
}

/* Of a VM: those that are known to save most first, then what is found out. */
static void break_for_limit(struct mrm_vm *vm, enum mrm_limit_ask ask)
{
	unsigned int i, least = ask == MRM_ASK_ALL ? 1 : LIMIT_LEAST;
	struct sweep look = {
		.scan = ask == MRM_ASK_ALL ? SCAN_ALL : SCAN_NEW, .saved = least, .at_once = true,
	};

	for (i = 0; i < ARRAY_SIZE(least_saved) && is_near_limit(); i++) {
		struct sweep s = { .saved = least_saved[i], .all = true };

		if (least_saved[i] >= least)
			sweep_vm(vm, &s, is_near_limit);
	}
	if (is_near_limit())
		sweep_vm(vm, &look, is_near_limit);
}

/* Of a VM that asked for it, and of others that the same cgroup pays for. */
static void mind_limit(struct mrm_vm *vm, enum mrm_limit_ask ask)
{
	unsigned long id = 0;
	struct mrm_vm *other;

	limited = vm;
	break_for_limit(vm, ask);
	while (is_near_limit() && (other = mrm_vm_next(&id))) {
		if (other != vm && mrm_frame_shares_limit(vm, other))
			break_for_limit(other, ask);
		mrm_vm_put(other);
	}
	if (!tidying())
		return;
	vm->limit_vain = is_near_limit() ? clamp(2 * vm->limit_vain, LIMIT_VAIN, LIMIT_VAIN_MOST) :
					   0;
	WRITE_ONCE(vm->limit_vain_until, vm->limit_vain ? (jiffies + vm->limit_vain) | 1 : 0);
}

static void mind_limits(void)
{
	unsigned int question = mrm_guest_limit_question(), ask;
	unsigned long id = 0;
	struct mrm_vm *vm;

	while (tidying() && (vm = mrm_vm_next(&id))) {
		ask = xchg(&vm->limit_asked, MRM_ASK_NOTHING);
		if (ask)
			mind_limit(vm, ask);
		mrm_vm_put(vm);
	}
	/* Who is not answered does not wait for ever. */
	if (tidying())
		mrm_guest_limit_answer(question);
}

/* Those who wait at a limit do not wait for all that. */
static bool serving(void)
{
	if (mrm_guest_limit_is_asked())
		mind_limits();
	return tidying();
}

static bool breaking(void)
{
	return serving() && is_short();
}

static bool may_wait(void)
{
	return is_short() && tidying() && !mrm_guest_limit_is_asked();
}

/* So that what is in use is touched. */
static void wait_for_touches(void)
{
	unsigned long until = jiffies + COLD_AFTER;

	while (breaking() && time_before(jiffies, until))
		wait_event_freezable_timeout(wake, !may_wait(), max(1L, (long)(until - jiffies)));
}

/*
 * The host may have filled up faster than it is scanned.  Of parts that are equal all but the
 * first are known to be; that one is when it is scanned again.
 */
static void scan_new(void)
{
	struct sweep s = { .scan = SCAN_NEW };

	sweep_all(&s, breaking);
	if (!s.found)
		return;
	s.scan = SCAN_ALL;
	sweep_all(&s, breaking);
}

/* Until memory is plentiful, or there is nothing to be saved any more. */
static void break_some(void)
{
	unsigned int i;

	scan_new();
	for (i = 0; i < ARRAY_SIZE(least_saved) && breaking(); i++) {
		struct sweep s = { .saved = least_saved[i], .unmap = true };

		sweep_all(&s, breaking);
		if (!s.found)
			continue;
		wait_for_touches();
		s.unmap = false;
		sweep_all(&s, breaking);
	}
	for (i = 0; i < ARRAY_SIZE(least_saved) && breaking(); i++) {
		struct sweep s = { .saved = least_saved[i], .all = true };

		sweep_all(&s, breaking);
	}
}

/*
 * What a discard has broken, or what could not be broken in one go.  What somebody has a reference
 * to for long is tried less and less often, as all of a VM is walked through for it.
 */
static void tidy_up(void)
{
	long held = mrm_counter_read(&mrm_host_counters, MRM_LARGE_HELD), left;
	static unsigned long next, wait;	/* jiffies */
	static long before;
	struct sweep s = {};

	if (held <= before && time_before(jiffies, next))
		return;
	if (held)
		sweep_all(&s, serving);
	left = mrm_counter_read(&mrm_host_counters, MRM_LARGE_HELD);
	wait = left && left >= held ? clamp(2 * wait, LOOK_EVERY, TIDY_MOST) : 0;
	next = jiffies + wait;
	before = left;
}

static bool plentiful(void)
{
	return !is_short() && tidying() && !mrm_guest_limit_is_asked();
}

/* jiffies; what is rebuilt is so in the middle of a second. */
static unsigned long next_look(void)
{
	return is_short() ? LOOK_EVERY : mrm_large_rebuild_in(LOOK_EVERY);
}

static int large_thread(void *unused)
{
	set_freezable();
	while (!kthread_should_stop()) {
		wait_event_freezable_timeout(wake, READ_ONCE(kicked) || kthread_should_stop(),
					     mrm_nr_vms() ? next_look() : MAX_SCHEDULE_TIMEOUT);
		/* Before it is looked what there is to do: who comes later kicks again. */
		smp_store_mb(kicked, false);
		if (mrm_guest_limit_is_asked())
			mind_limits();
		if (is_short())
			break_some();
		tidy_up();
		mrm_guest_large_fill_reserve();
		if (time_after(jiffies, READ_ONCE(short_at) + REBUILD_AFTER))
			mrm_large_rebuild(&wake, plentiful);
	}
	return 0;
}

/**
 * mrm_large_init() - start the thread
 * Return: 0 or an error.
 */
int mrm_large_init(void)
{
	struct task_struct *task;

	short_at = jiffies;
	task = kthread_run(large_thread, NULL, "mrm_large");
	if (IS_ERR(task))
		return PTR_ERR(task);
	thread = task;
	allow();
	mrm_guest_limit_on_ask(kick);
	mrm_vm_register_notifier(&vm_nb);
	return 0;
}

/**
 * mrm_large_exit() - stop it
 */
void mrm_large_exit(void)
{
	mrm_vm_unregister_notifier(&vm_nb);
	mrm_guest_large_allow(false);
	mrm_guest_limit_on_ask(NULL);
	kthread_stop(thread);
	mrm_large_reserve_free();
}
