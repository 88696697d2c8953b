// SPDX-License-Identifier: GPL-2.0
#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/nodemask.h>
#include <linux/oom.h>
#include <linux/sched/signal.h>
#include <linux/shrinker.h>
#include <linux/spinlock.h>
#include <linux/swap.h>

#include "balance.h"
#include "compat.h"
#include "counters.h"
#include "frame.h"
#include "host_memory.h"
#include "pressure.h"
#include "reclaim.h"
#include "trace.h"
#include "vm.h"

#define LOOK_LEAST	(HZ / 10)	/* between two looks that the kernel asks for */
#define OOM_WAIT	(5 * HZ)	/* for what may have to be written first */
#define OOM_SHORT	(HZ / 2)	/* of who that may wait for */
#define OOM_VMS		(60 * HZ)	/* that VMs live on what they give each other */
#define SCAN_WAIT	(HZ / 20)
#define VAIN_FOR	HZ			/* that nobody waits, when that brought nothing */
#define WAKE_KSWAPD	(5 * HZ)
#define OOM_SOON	(5 * HZ)	/* between two: then the first was of little use */

static unsigned long looked;		/* jiffies, when the kernel last asked for a look */
static bool in_vain;			/* VMs had nothing to give ... */
static unsigned long vain_at;		/* jiffies, when they were asked last */
static atomic_long_t told;		/* pages that the kernel was told of */
static atomic_long_t accounted;		/* the same, as kswapd's own work */
static unsigned long accounted_at;	/* jiffies, when who allocates had it as theirs */

static long reclaimed(void)
{
	return mrm_counter_read(&mrm_host_counters, MRM_RECLAIMED_BYTES) >> PAGE_SHIFT;
}

static unsigned long count(struct shrinker *shrinker, struct shrink_control *sc)
{
	return mrm_nr_vms() ? mrm_frame_count() : 0;
}

/* A process that may use a part of the host's memory alone gets none of what VMs give. */
static bool is_short(void)
{
	return mrm_host_available() < totalram_pages() / 50;
}

/*
 * May who allocates wait for what VMs give, before it is thought that there is nothing to be
 * had?  Then who takes memory fastest, as QEMU's threads do that read what is swapped, goes no
 * faster than memory is taken.  Not who may be writing it to swap.
 */
static bool may_wait(const struct shrink_control *sc)
{
	if (READ_ONCE(in_vain) && time_before(jiffies, READ_ONCE(vain_at) + VAIN_FOR))
		return false;
	return sc->gfp_mask & __GFP_DIRECT_RECLAIM && sc->gfp_mask & __GFP_FS &&
	       !(current->flags & (PF_KTHREAD | PF_WQ_WORKER | PF_MEMALLOC_NOFS)) && is_short();
}

/*
 * kswapd has freed what VMs gave, or it thinks that it does nothing, and gives up.  Who allocates
 * has not: as much may have been taken back meanwhile, and then memory would never be short enough
 * to end a process.  But of a page now and then, which is what a kswapd that gave up begins anew
 * for.
 */
static void account(long now, bool gave)
{
	long before;

	/* Of which node it was is not known. */
	if (num_online_nodes() > 1)
		return;
	if (current_is_kswapd()) {
		before = atomic_long_xchg(&accounted, now);
		if (now > before)
			mm_account_reclaimed_pages(now - before);
	} else if (gave && time_after(jiffies, READ_ONCE(accounted_at) + WAKE_KSWAPD)) {
		WRITE_ONCE(accounted_at, jiffies);
		mm_account_reclaimed_pages(1);
	}
}

/* What was freed since it was asked the last time. */
static unsigned long scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	long before = atomic_long_read(&told), now = reclaimed();

	if (time_after(jiffies, READ_ONCE(looked) + LOOK_LEAST)) {
		WRITE_ONCE(looked, jiffies);
		mrm_balance_look();
	}
	if (now <= before && may_wait(sc)) {
		bool vain = !mrm_reclaim_emergency(SCAN_WAIT, false);

		WRITE_ONCE(in_vain, vain);
		WRITE_ONCE(vain_at, jiffies);
		/* The targets say who is above, and may be of when more was free. */
		if (vain)
			mrm_balance_wake();
		now = reclaimed();
	}
	account(now, now > before);
	/* One of several that ask at once has it. */
	if (now <= before || atomic_long_cmpxchg(&told, before, now) != before)
		return SHRINK_STOP;
	return now - before;
}

/*
 * Have VMs less than when the kernel asked last, if that was just now?  If they take back at
 * once what they give, it had better end who needs so much, as without us.  Not at once if it is
 * they who need it: then each goes on with what another gives.
 */
static bool has_helped(bool is_vm)
{
	static DEFINE_SPINLOCK(lock);
	static unsigned long when;	/* jiffies */
	static unsigned long since;	/* jiffies, from when on it asks again and again */
	static long had;
	long have = mrm_frame_count();
	bool helped, first;

	spin_lock(&lock);
	first = time_after(jiffies, when + OOM_SOON);
	if (first)
		since = jiffies;
	helped = first || have < had || (is_vm && time_before(jiffies, since + OOM_VMS));
	had = have;
	when = jiffies;
	spin_unlock(&lock);
	return helped;
}

static int oom(struct notifier_block *nb, unsigned long unused, void *freed)
{
	bool waits = !(current->flags & (PF_KTHREAD | PF_WQ_WORKER | PF_MEMALLOC_NOFS |
					 PF_MEMALLOC_NOIO));
	bool ask = mrm_nr_vms() && is_short();
	unsigned long pages = 0;

	/* It gives all it has, if it is let go. */
	if (fatal_signal_pending(current))
		return NOTIFY_OK;
	if (ask)
		pages = mrm_reclaim_emergency(waits ? OOM_WAIT : OOM_SHORT, true) >> PAGE_SHIFT;
	if (!has_helped(mrm_vm_has(current->mm)))
		pages = 0;
	/* While we waited who had it all may have ended: nobody else has to. */
	if (ask && !is_short())
		pages = max(pages, 1UL);
	*(unsigned long *)freed += pages;
	trace_mrm_oom(pages);
	return NOTIFY_OK;
}

static struct notifier_block oom_nb = {
	.notifier_call = oom,
};

static struct shrinker *shrinker;

/**
 * mrm_pressure_init() - hear of the kernel's need for memory
 * Return: 0 or an error.
 */
int mrm_pressure_init(void)
{
	int err;

	shrinker = mrm_shrinker_register(count, scan, "mrm");
	if (!shrinker)
		return -ENOMEM;
	err = register_oom_notifier(&oom_nb);
	if (err)
		mrm_shrinker_free(shrinker);
	return err;
}

/**
 * mrm_pressure_exit() - hear no more
 */
void mrm_pressure_exit(void)
{
	unregister_oom_notifier(&oom_nb);
	mrm_shrinker_free(shrinker);
}
