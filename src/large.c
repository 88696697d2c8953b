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
#include "large.h"
#include "large_limit.h"
#include "large_rebuild.h"
#include "large_reserve.h"
#include "large_sweep.h"
#include "vm.h"
#include "vm_events.h"

#define COLD_AFTER	(HZ / 2)	/* jiffies without a touch */
#define LOOK_EVERY	(1UL * HZ)		/* at what was broken in part */
#define TIDY_MOST	(8UL * HZ)	/* at what somebody holds */
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

/* Those who wait at a limit do not wait for all that. */
static bool serving(void)
{
	if (mrm_guest_limit_is_asked())
		mrm_large_serve_limits();
	return mrm_large_may_go_on();
}

static bool breaking(void)
{
	return serving() && is_short();
}

static bool may_wait(void)
{
	return is_short() && mrm_large_may_go_on() && !mrm_guest_limit_is_asked();
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
	struct mrm_large_sweep s = { .scan = MRM_SCAN_NEW, .share = true };

	mrm_large_sweep_all(&s, breaking);
	if (!s.found)
		return;
	s.scan = MRM_SCAN_ALL;
	mrm_large_sweep_all(&s, breaking);
}

/* Until memory is plentiful, or there is nothing to be saved any more. */
static void break_some(void)
{
	unsigned int i;

	scan_new();
	for (i = 0; i < MRM_LARGE_STEPS && breaking(); i++) {
		struct mrm_large_sweep s = {
			.saved = mrm_large_least_saved[i], .unmap = true, .share = true,
		};

		mrm_large_sweep_all(&s, breaking);
		if (!s.found)
			continue;
		wait_for_touches();
		s.unmap = false;
		mrm_large_sweep_all(&s, breaking);
	}
	for (i = 0; i < MRM_LARGE_STEPS && breaking(); i++) {
		struct mrm_large_sweep s = {
			.saved = mrm_large_least_saved[i], .all = true, .share = true,
		};

		mrm_large_sweep_all(&s, breaking);
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
	struct mrm_large_sweep s = { .share = is_short() };

	if (held <= before && time_before(jiffies, next))
		return;
	if (held)
		mrm_large_sweep_all(&s, serving);
	left = mrm_counter_read(&mrm_host_counters, MRM_LARGE_HELD);
	wait = left && left >= held ? clamp(2 * wait, LOOK_EVERY, TIDY_MOST) : 0;
	next = jiffies + wait;
	before = left;
}

static bool plentiful(void)
{
	return !is_short() && mrm_large_may_go_on() && !mrm_guest_limit_is_asked();
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
			mrm_large_serve_limits();
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
