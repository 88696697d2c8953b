// SPDX-License-Identifier: GPL-2.0
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "compat.h"
#include "guest_page.h"
#include "sample.h"
#include "sample_pick.h"
#include "sample_touch.h"
#include "trace.h"
#include "vm.h"

#define LOOKS	4	/* in a period */
#define TICKS	8	/* in a period, at the least; and one a second */
#define BATCH	64	/* guest pages for which a process's memory is held at a time */

struct mrm_sample_tunables mrm_sample_tunables = {
	.period = 60,
	.pages = 100,
	.method = MRM_TOUCH_ACCESSED,
};

static struct task_struct *sampler;
static DECLARE_WAIT_QUEUE_HEAD(wake);
static bool kicked;
static u64 cpu_ns;
static void (*update_fn)(struct mrm_vm *vm);

/**
 * mrm_sample_wake() - tunables or VMs have changed
 */
void mrm_sample_wake(void)
{
	WRITE_ONCE(kicked, true);
	wake_up(&wake);
}

/**
 * mrm_sample_cpu_ns() - processor time of the sampler
 * Return: ns, up to its last tick.
 */
u64 mrm_sample_cpu_ns(void)
{
	return READ_ONCE(cpu_ns);
}

/**
 * mrm_sample_on_update() - be told of estimates
 * @fn: called by the sampler, which it must not hold up, with a VM whose estimate
 *	was made anew; NULL: no more, though a last call may be under way
 */
void mrm_sample_on_update(void (*fn)(struct mrm_vm *vm))
{
	WRITE_ONCE(update_fn, fn);
}

/**
 * mrm_sample_active_pages() - the estimate of a VM's working set
 * @vm: the VM
 *
 * Context: May sleep.
 * Return: guest pages; all of them until the first were looked at; -ENOMEM.
 */
long mrm_sample_active_pages(struct mrm_vm *vm)
{
	long size = mrm_vm_size_pages(vm);

	if (size < 0 || !READ_ONCE(vm->sample.known))
		return size;
	return mrm_estimate_pages(READ_ONCE(vm->sample.active), size);
}

static u32 count_touched(const struct mrm_sample *s)
{
	u32 touched = 0;
	unsigned int i;

	for (i = 0; i < s->n; i++)
		touched += s->picks[i].touched;
	return touched;
}

/* Let others see what is known now. */
static void publish(struct mrm_vm *vm, bool known)
{
	void (*fn)(struct mrm_vm *vm) = READ_ONCE(update_fn);
	struct mrm_sample *s = &vm->sample;
	u32 touched = count_touched(s);

	WRITE_ONCE(s->touched, s->n ? ((u64)touched << MRM_ESTIMATE_SHIFT) / s->n : 0);
	WRITE_ONCE(s->slow, s->averages.slow);
	WRITE_ONCE(s->fast, s->averages.fast);
	WRITE_ONCE(s->active, mrm_estimate_active(&s->averages, touched, s->n));
	WRITE_ONCE(s->known, known);
	if (fn)
		fn(vm);
}

static void clear_pick(struct mrm_touch *t, struct mrm_sample_pick *pick, unsigned int method)
{
	unsigned int did = mrm_touch_clear(t, pick->index, method);

	pick->faults = !!(did & MRM_TOUCH_FAULTS);
	pick->small = !!(did & MRM_TOUCH_SMALL);
	pick->kept = !mrm_guest_page_is_taken(t->vm, pick->index);
}

static void test_pick(struct mrm_touch *t, struct mrm_sample_pick *pick, unsigned int method)
{
	if (pick->touched)
		return;
	if (!mrm_touch_test(t, pick->index)) {
		/* With its frame went what was known of touches before. */
		pick->taken = pick->kept && mrm_guest_page_is_taken(t->vm, pick->index);
		return;
	}
	pick->touched = true;
	mrm_count(t->vm, MRM_SAMPLE_FAULTS, pick->faults);
}

static void leave_pick(struct mrm_touch *t, struct mrm_sample_pick *pick, unsigned int method)
{
	struct mrm_sample *s = &t->vm->sample;

	/* One that had to be waited for in vain is enough. */
	if (pick->small)
		s->small_left = s->small_left || !mrm_touch_end_small(t, pick->index);
	pick->small = false;
}

/* Returns false if the VM is ending. */
static bool visit_picks(struct mrm_vm *vm,
			void (*fn)(struct mrm_touch *, struct mrm_sample_pick *, unsigned int))
{
	struct mrm_sample *s = &vm->sample;
	unsigned int i = 0, end;
	struct mrm_touch t;

	while (i < s->n) {
		if (!mrm_touch_begin(&t, vm))
			return false;
		for (end = min(i + BATCH, s->n); i < end; i++)
			fn(&t, &s->picks[i], s->tunables.method);
		mrm_touch_end(&t);
		mrm_cond_resched();
	}
	return true;
}

/* What was done to a VM's mappings for the picks is undone. */
static void forget_picks(struct mrm_vm *vm)
{
	struct mrm_sample *s = &vm->sample;
	struct mrm_touch t;

	visit_picks(vm, leave_pick);
	kvfree(s->picks);
	s->picks = NULL;
	s->n = 0;
	if (!s->small_left || !mrm_touch_begin(&t, vm))
		return;
	s->small_left = !mrm_touch_end_small_left(&t);
	mrm_touch_end(&t);
}

/* Begin a period: a new pick from each stratum of what RAM there is now. */
static void begin_period(struct mrm_vm *vm, const struct mrm_sample_tunables *tunables,
			 const struct mrm_range *ram, unsigned long pages)
{
	unsigned int n = min(pages, tunables->pages), i;
	struct mrm_sample *s = &vm->sample;
	unsigned long before = 0, page;

	forget_picks(vm);
	if (n)
		s->picks = kvcalloc(n, sizeof(*s->picks), GFP_KERNEL);
	if (!s->picks)
		return;
	for (i = 0; i < n; i++) {
		page = mrm_sample_pick(pages, n, i, get_random_u64());
		for (; page - before >= ram->pages; ram++)
			before += ram->pages;
		s->picks[i].index = ram->first + page - before;
	}
	s->n = n;
	s->tunables = *tunables;
	s->begun_ns = s->running_ns;
	s->looks = 0;
	if (!visit_picks(vm, clear_pick))
		forget_picks(vm);
}

/*
 * Do not count picks that are RAM no more, nor those whose frame was taken and of which it is
 * not known whether they were touched before.  Both lists are in order.
 */
static void forget_gone(struct mrm_vm *vm, const struct mrm_range *ram, size_t n)
{
	struct mrm_sample *s = &vm->sample;
	unsigned int i, left = 0;

	/* With a pick goes what is to be undone for it. */
	visit_picks(vm, leave_pick);
	for (i = 0; i < s->n; i++) {
		for (; n && ram->first + ram->pages <= s->picks[i].index; ram++)
			n--;
		if (n && ram->first <= s->picks[i].index &&
		    (s->picks[i].touched || !s->picks[i].taken))
			s->picks[left++] = s->picks[i];
	}
	s->n = left;
}

/* False if nothing is left to count. */
static bool end_period(struct mrm_vm *vm, const struct mrm_range *ram, size_t n)
{
	struct mrm_sample *s = &vm->sample;
	u32 touched;

	forget_gone(vm, ram, n);
	if (!s->n)
		return false;
	touched = count_touched(s);
	mrm_estimate_add(&s->averages, touched, s->n);
	trace_mrm_sample(vm->pid, s->n, touched, s->averages.slow, s->averages.fast);
	return true;
}

/* The running period, if it is complete, ends; the next one begins. */
static void next_period(struct mrm_vm *vm, const struct mrm_sample_tunables *tunables,
			bool complete)
{
	struct mrm_sample *s = &vm->sample;
	struct mrm_range *ram;
	unsigned long pages;
	size_t n;

	/* Without memory the next tick does it. */
	ram = mrm_vm_copy_ram(vm, &n, &pages);
	if (!ram)
		return;
	complete = complete && end_period(vm, ram, n);
	begin_period(vm, tunables, ram, pages);
	kvfree(ram);
	publish(vm, complete || s->known);
	/* Last: who sees that the period is over finds its estimate. */
	mrm_count(vm, MRM_SAMPLES, complete);
}

static void tick(struct mrm_vm *vm, const struct mrm_sample_tunables *tunables, u64 elapsed)
{
	struct mrm_sample *s = &vm->sample;
	u64 period = tunables->period * NSEC_PER_SEC, since;

	if (!mrm_vm_runs(vm))
		return;
	WRITE_ONCE(s->running_ns, s->running_ns + elapsed);
	if (!s->n || memcmp(&s->tunables, tunables, sizeof(*tunables))) {
		next_period(vm, tunables, false);
		return;
	}
	since = s->running_ns - s->begun_ns;
	if (since < period * (s->looks + 1) / LOOKS)
		return;
	if (!visit_picks(vm, test_pick))
		return;
	if (since >= period) {
		next_period(vm, tunables, true);
		return;
	}
	s->looks++;
	publish(vm, true);
}

/* Sampling is stopped: what is known of a VM gets older, and is soon wrong. */
static void forget(struct mrm_vm *vm)
{
	struct mrm_sample *s = &vm->sample;

	if (!s->n && !s->known && !s->small_left)
		return;
	forget_picks(vm);
	memset(&s->averages, 0, sizeof(s->averages));
	publish(vm, false);
}

static void tick_all(const struct mrm_sample_tunables *tunables, u64 elapsed)
{
	unsigned long id = 0;
	struct mrm_vm *vm;

	while (!kthread_should_stop() && (vm = mrm_vm_next(&id))) {
		if (tunables->period)
			tick(vm, tunables, elapsed);
		else
			forget(vm);
		mrm_vm_put(vm);
		mrm_cond_resched();
	}
}

/* A VM that is not adopted goes on without the module. */
static void forget_all(void)
{
	unsigned long id = 0;
	struct mrm_vm *vm;

	while ((vm = mrm_vm_next(&id))) {
		forget_picks(vm);
		mrm_vm_put(vm);
	}
}

static int sample_thread(void *unused)
{
	struct mrm_sample_tunables tunables;
	u64 begun, ended = ktime_get_ns(), elapsed = 0, tick;

	while (!kthread_should_stop()) {
		WRITE_ONCE(kicked, false);
		tunables.period = READ_ONCE(mrm_sample_tunables.period);
		tunables.pages = READ_ONCE(mrm_sample_tunables.pages);
		tunables.method = READ_ONCE(mrm_sample_tunables.method);
		tick = min(tunables.period * NSEC_PER_SEC / TICKS, (u64)NSEC_PER_SEC);
		begun = ktime_get_ns();
		/* What woke us late has held up VMs, too; not so what we did. */
		tick_all(&tunables, elapsed + min(begun - ended, 2 * tick));
		ended = ktime_get_ns();
		elapsed = ended - begun;
		WRITE_ONCE(cpu_ns, current->se.sum_exec_runtime);
		if (tunables.period && mrm_nr_vms()) {
			wait_event_interruptible_timeout(wake, kthread_should_stop(),
							 nsecs_to_jiffies(tick));
		} else {
			wait_event_interruptible(wake,
						 READ_ONCE(kicked) || kthread_should_stop());
			ended = ktime_get_ns();
			elapsed = 0;
		}
	}
	forget_all();
	return 0;
}

/**
 * mrm_sample_init() - start the sampler
 * Return: 0 or an error.
 */
int mrm_sample_init(void)
{
	sampler = kthread_run(sample_thread, NULL, "mrm_sample");
	return PTR_ERR_OR_ZERO(sampler);
}

/**
 * mrm_sample_exit() - stop the sampler
 */
void mrm_sample_exit(void)
{
	kthread_stop(sampler);
}
