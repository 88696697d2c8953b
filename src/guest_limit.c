// SPDX-License-Identifier: GPL-2.0
#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/wait.h>

#include "counters.h"
#include "frame.h"
#include "guest_limit.h"
#include "vm.h"

#define WAIT	HZ	/* at the most, with the process's mmap lock */

static atomic_t questions;	/* asked so far */
static unsigned int answered;	/* of these, the first so many */
static bool ask_for_all;	/* one that was asked since is for all that there is */
static void (*ask_fn)(void);
static DECLARE_WAIT_QUEUE_HEAD(wake);

/**
 * mrm_guest_limit() - how near is a VM to the limit of its memory cgroup?
 * @vm: the VM
 *
 * Context: Any.
 * Return: MRM_LIMIT_FAR also if there are no large frames, or it was in vain to ask a moment ago.
 */
enum mrm_limit mrm_guest_limit(struct mrm_vm *vm)
{
	unsigned long vain_until = READ_ONCE(vm->limit_vain_until);

	if (mrm_counter_read(&mrm_host_counters, MRM_LARGE) <= 0 ||
	    (vain_until && time_before(jiffies, vain_until)) || !mrm_frame_is_short(vm, 0))
		return MRM_LIMIT_FAR;
	return mrm_frame_is_at_limit(vm) ? MRM_LIMIT_AT : MRM_LIMIT_NEAR;
}

/**
 * mrm_guest_limit_flags() - how a fault is to allocate
 * @vm: for whom
 *
 * Context: Any.
 * Return: MRM_KILL_NOBODY where large frames could be broken first, else 0.
 */
gfp_t mrm_guest_limit_flags(struct mrm_vm *vm)
{
	return vm->memcg && mrm_counter_read(&mrm_host_counters, MRM_LARGE) > 0 ?
	       MRM_KILL_NOBODY : 0;
}

/**
 * mrm_guest_limit_ask() - have large frames broken that are mostly untouched, near the limit
 *
 * Context: Any.
 */
void mrm_guest_limit_ask(void)
{
	void (*fn)(void);

	fn = READ_ONCE(ask_fn);
	if (fn)
		fn();
}

static bool is_answered(unsigned int question)
{
	return (int)(READ_ONCE(answered) - question) >= 0;
}

/**
 * mrm_guest_limit_wait() - the same, and wait for it, a second at the most
 * @all: all are to be broken that hold anything for nothing
 *
 * Context: In a fault, without the lock of a frame; may sleep.
 * Return: 0; -EINTR after a fatal signal.
 */
int mrm_guest_limit_wait(bool all)
{
	unsigned int question;

	if (all)
		WRITE_ONCE(ask_for_all, true);
	/* Whoever counts it sees what it is. */
	smp_mb__before_atomic();
	question = atomic_inc_return(&questions);
	mrm_guest_limit_ask();
	return wait_event_killable_timeout(wake, is_answered(question), WAIT) < 0 ? -EINTR : 0;
}

/**
 * mrm_guest_limit_on_ask() - be told when somebody asks
 * @fn: called then, with any lock held, and must not wait; NULL: no more
 */
void mrm_guest_limit_on_ask(void (*fn)(void))
{
	WRITE_ONCE(ask_fn, fn);
}

/**
 * mrm_guest_limit_asked() - does somebody wait?
 * @question: which is to be answered
 * @all: see mrm_guest_limit_wait()
 *
 * Context: One at a time.
 * Return: true if so.
 */
bool mrm_guest_limit_asked(unsigned int *question, bool *all)
{
	*question = atomic_read(&questions);
	/* Pairs with mrm_guest_limit_wait(). */
	smp_rmb();
	*all = xchg(&ask_for_all, false);
	return !is_answered(*question);
}

/**
 * mrm_guest_limit_answer() - it has been done
 * @question: what was asked
 *
 * Context: One at a time.
 */
void mrm_guest_limit_answer(unsigned int question)
{
	WRITE_ONCE(answered, question);
	wake_up_all(&wake);
}
