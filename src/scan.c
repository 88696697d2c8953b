// SPDX-License-Identifier: GPL-2.0
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "compat.h"
#include "frame.h"
#include "frame_table.h"
#include "scan.h"
#include "scan_rate.h"
#include "share.h"
#include "share_pages.h"
#include "vm.h"

#define BLOCK		MRM_SHARE_BLOCK
#define WINDOW_NS	(100 * NSEC_PER_MSEC)
/* Credit that is saved up, ms: enough for a window that came late. */
#define CREDIT_MS	1000
#define PAGE_CREDIT	1000000LL	/* credit is in millionths of a guest page */
#define EMPTY_CREDIT	(PAGE_CREDIT / 10)	/* a block that holds nothing */

struct mrm_scan_tunables mrm_scan_tunables = {
	.scan_time = 3600,
	.rate_max = 1024,
	.cpu_max = 20,
};

static struct task_struct *scanner;
static DEFINE_SPINLOCK(scanner_lock);	/* its time is read until sysfs is gone */
static DECLARE_WAIT_QUEUE_HEAD(wake);
static bool kicked;
static atomic_t rounds_wanted;		/* by mrm_scan_now() */
static bool urgent;			/* this round ignores the rates */
static atomic_long_t rounds;
static unsigned long cursor;		/* id of the VM whose turn is next */
static void (*round_fn)(void);

/**
 * mrm_scan_wake() - tunables or VMs have changed
 */
void mrm_scan_wake(void)
{
	WRITE_ONCE(kicked, true);
	wake_up(&wake);
}

/**
 * mrm_scan_now() - scan all VMs once from the beginning, whatever their rate
 * Return: 0; -EAGAIN if scanning is stopped by share_cpu_max.
 */
int mrm_scan_now(void)
{
	if (!READ_ONCE(mrm_scan_tunables.cpu_max))
		return -EAGAIN;
	atomic_inc(&rounds_wanted);
	mrm_scan_wake();
	return 0;
}

/**
 * mrm_scan_pending() - has what mrm_scan_now() asked for not ended yet?
 * Return: true until a round that began after the last call is complete.
 */
bool mrm_scan_pending(void)
{
	return atomic_read(&rounds_wanted) || READ_ONCE(urgent);
}

/**
 * mrm_scan_rounds() - how often all VMs have been scanned
 * Return: rounds.
 */
unsigned long mrm_scan_rounds(void)
{
	return atomic_long_read(&rounds);
}

/**
 * mrm_scan_cpu_ns() - processor time of the scanner
 * Return: ns.
 */
u64 mrm_scan_cpu_ns(void)
{
	u64 ns = 0;

	spin_lock(&scanner_lock);
	if (scanner)
		ns = READ_ONCE(scanner->se.sum_exec_runtime);
	spin_unlock(&scanner_lock);
	return ns;
}

/**
 * mrm_scan_on_round() - be told when a round is complete
 * @fn: called by the scanner, which it must not hold up; NULL: no more
 */
void mrm_scan_on_round(void (*fn)(void))
{
	WRITE_ONCE(round_fn, fn);
}

static void count_round(void)
{
	void (*fn)(void);

	atomic_long_inc(&rounds);
	/* Release: who sees that it is pending no more finds it counted. */
	smp_store_release(&urgent, false);
	fn = READ_ONCE(round_fn);
	if (fn)
		fn();
}

/* Begin a pass: what is adopted now, in blocks, in a new order. */
static bool begin_pass(struct mrm_vm *vm)
{
	struct mrm_scan *s = &vm->scan;
	struct mrm_range *r;
	unsigned long blocks = 0;
	unsigned int n = 0;

	kfree(s->spans);
	s->spans = NULL;
	s->nr_spans = 0;
	mutex_lock(&vm->ranges_lock);
	list_for_each_entry(r, &vm->ranges, node)
		n += r->reason == MRM_ADOPTED;
	mutex_unlock(&vm->ranges_lock);
	/* Without the lock: who frees memory takes it.  Nobody is to be killed for this. */
	if (n)
		s->spans = kcalloc(n, sizeof(*s->spans), GFP_KERNEL | MRM_SPARE);
	mutex_lock(&vm->ranges_lock);
	if (s->spans) {
		list_for_each_entry(r, &vm->ranges, node) {
			struct mrm_span *span = &s->spans[s->nr_spans];

			if (r->reason != MRM_ADOPTED)
				continue;
			/* What came meanwhile waits for the next pass. */
			if (s->nr_spans == n)
				break;
			span->first = r->first;
			span->pages = r->pages;
			span->block = blocks;
			blocks += DIV_ROUND_UP(r->pages, BLOCK);
			s->nr_spans++;
		}
	}
	mutex_unlock(&vm->ranges_lock);
	s->next = 0;
	s->shared = 0;
	s->scanned = 0;
	mrm_scan_order_init(&s->order, blocks, get_random_u64());
	return blocks;
}

static void end_pass(struct mrm_vm *vm)
{
	struct mrm_scan *s = &vm->scan;
	unsigned long resident = mrm_vm_resident(vm);

	s->backoff = mrm_scan_backoff(s->backoff, s->scanned, s->shared, resident, s->resident);
	s->resident = resident;
	s->done = true;
	s->order.n = 0;
	atomic_long_inc(&vm->full_scans);
}

/* Guest pages that the n-th block in the pass's order has. */
static void find_block(struct mrm_scan *s, u64 n, unsigned long *first, unsigned long *pages)
{
	u64 block = mrm_scan_order_at(&s->order, n);
	unsigned int low = 0, high = s->nr_spans;
	struct mrm_span *span;

	while (high - low > 1) {
		unsigned int mid = (low + high) / 2;

		if (s->spans[mid].block <= block)
			low = mid;
		else
			high = mid;
	}
	span = &s->spans[low];
	*first = span->first + (block - span->block) * BLOCK;
	*pages = min_t(unsigned long, BLOCK, span->first + span->pages - *first);
}

static bool may_go_on(u64 deadline)
{
	return ktime_get_ns() < deadline && !kthread_should_stop();
}

static void scan_block(struct mrm_vm *vm)
{
	struct mrm_scan *s = &vm->scan;
	unsigned long first, pages, scanned = 0;

	find_block(s, s->next++, &first, &pages);
	s->shared += mrm_share_block(vm, first, pages, &scanned);
	s->scanned += scanned;
	s->credit -= scanned ? scanned * PAGE_CREDIT : EMPTY_CREDIT;
}

/* Has a VM its turn? */
static bool wants(struct mrm_vm *vm)
{
	return urgent ? !vm->scan.done : vm->scan.credit >= PAGE_CREDIT;
}

/* Scan blocks of one VM, a few at a time; true if it wants more. */
static bool scan_vm(struct mrm_vm *vm, u64 deadline)
{
	struct mrm_scan *s = &vm->scan;
	u64 begun = ktime_get_ns();
	int blocks;

	/* Asked again and again: a device may be assigned during a pass. */
	if (!mrm_share_begin(vm) || (!s->order.n && !begin_pass(vm))) {
		s->order.n = 0;
		s->done = true;
		s->credit = 0;
		return false;
	}
	for (blocks = 0; blocks < 4 && s->next < s->order.n; blocks++) {
		if (!urgent && s->credit < PAGE_CREDIT)
			break;
		if (!may_go_on(deadline))
			break;
		scan_block(vm);
	}
	if (s->next >= s->order.n)
		end_pass(vm);
	mrm_count(vm, MRM_SCAN_NS, ktime_get_ns() - begun);
	return wants(vm);
}

static void earn(struct mrm_vm *vm, u64 ms)
{
	u64 rate = mrm_scan_rate(mrm_vm_resident(vm), READ_ONCE(mrm_scan_tunables.scan_time),
				 READ_ONCE(mrm_scan_tunables.rate_max), vm->scan.backoff);

	/* Thousandths of a page a second, times ms, are millionths.  A VM too
	 * small for one page in CREDIT_MS still gets its turn.  What an urgent
	 * round scanned beyond the rate is not held against it for ever.
	 */
	vm->scan.credit = clamp_t(s64, vm->scan.credit + rate * ms, -(s64)(rate * CREDIT_MS),
				  max_t(s64, rate * CREDIT_MS, PAGE_CREDIT));
	/* Nothing to scan, or scanning is stopped: no round waits for it. */
	if (!rate && !urgent)
		vm->scan.done = true;
}

/* If one was asked for, and none is under way: each VM from the beginning. */
static void begin_urgent_round(void)
{
	unsigned long id = 0;
	struct mrm_vm *vm;

	if (urgent || !atomic_read(&rounds_wanted))
		return;
	/* In this order: one of them says that a round is pending. */
	WRITE_ONCE(urgent, true);
	atomic_set_release(&rounds_wanted, 0);
	while ((vm = mrm_vm_next(&id))) {
		vm->scan.order.n = 0;
		vm->scan.done = false;
		mrm_vm_put(vm);
	}
}

/* All VMs scanned?  Then it was a round, and the next one begins. */
static void end_round_if_complete(void)
{
	unsigned long id = 0;
	bool complete = true, scanned = urgent;
	struct mrm_vm *vm;

	while (complete && (vm = mrm_vm_next(&id))) {
		complete = vm->scan.done;
		scanned |= vm->scan.scanned != 0;
		mrm_vm_put(vm);
	}
	/* Nothing scanned is a round only if somebody asked for one. */
	if (!complete || !scanned)
		return;
	id = 0;
	while ((vm = mrm_vm_next(&id))) {
		vm->scan.done = false;
		vm->scan.scanned = 0;
		mrm_vm_put(vm);
	}
	mrm_frame_table_shrink();
	count_round();
}

/* One window's work; true if there is more that the rates let be done. */
static bool scan_window(u64 deadline, u64 ms)
{
	unsigned long id = 0, n;
	struct mrm_vm *vm;
	bool more;

	while ((vm = mrm_vm_next(&id))) {
		earn(vm, ms);
		mrm_vm_put(vm);
	}
	do {
		begin_urgent_round();
		more = false;
		for (n = mrm_nr_vms(); n && may_go_on(deadline); n--) {
			vm = mrm_vm_next_in_turn(&cursor);
			if (!vm)
				break;
			if (wants(vm))
				more |= scan_vm(vm, deadline);
			mrm_vm_put(vm);
		}
		/* Out of time before all had their turn? */
		more |= n && !may_go_on(deadline);
		end_round_if_complete();
	} while (more && may_go_on(deadline));
	return more || urgent || atomic_read(&rounds_wanted);
}

static void rest(long timeout)
{
	wait_event_interruptible_timeout(wake, READ_ONCE(kicked) || kthread_should_stop(),
					 timeout);
}

static int scan_thread(void *unused)
{
	u64 last = ktime_get_ns(), now, elapsed_ms;
	unsigned long cpu_max;
	long timeout;
	bool more;

	while (!kthread_should_stop()) {
		WRITE_ONCE(kicked, false);
		cpu_max = READ_ONCE(mrm_scan_tunables.cpu_max);
		now = ktime_get_ns();
		elapsed_ms = div_u64(now - last, NSEC_PER_MSEC);
		last += elapsed_ms * NSEC_PER_MSEC;
		timeout = MAX_SCHEDULE_TIMEOUT;
		if (cpu_max && mrm_nr_vms()) {
			more = scan_window(now + WINDOW_NS * cpu_max / 100,
					   min_t(u64, elapsed_ms, CREDIT_MS));
			timeout = nsecs_to_jiffies(WINDOW_NS) + 1;
			/* Held up by share_cpu_max alone: rest in proportion. */
			if (more) {
				now = (ktime_get_ns() - now) * (100 - cpu_max);
				timeout = nsecs_to_jiffies(div64_ul(now, cpu_max));
			}
		} else if (cpu_max) {
			begin_urgent_round();
			end_round_if_complete();
		}
		if (timeout)
			rest(timeout);
		else
			mrm_cond_resched();
		/* No credit for the time in which there was nothing to do. */
		if (timeout == MAX_SCHEDULE_TIMEOUT)
			last = ktime_get_ns();
	}
	return 0;
}

/**
 * mrm_scan_init() - start the scanner
 * Return: 0 or an error.
 */
int mrm_scan_init(void)
{
	struct task_struct *task = kthread_create(scan_thread, NULL, "mrm_share");

	if (IS_ERR(task))
		return PTR_ERR(task);
	/* Like ksmd: behind everything that has work to do. */
	set_user_nice(task, 5);
	get_task_struct(task);
	scanner = task;
	wake_up_process(task);
	return 0;
}

/**
 * mrm_scan_exit() - stop the scanner
 */
void mrm_scan_exit(void)
{
	struct task_struct *task = scanner;

	kthread_stop(task);
	spin_lock(&scanner_lock);
	scanner = NULL;
	spin_unlock(&scanner_lock);
	put_task_struct(task);
}
