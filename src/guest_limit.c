// SPDX-License-Identifier: GPL-2.0
#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/wait.h>

#include "counters.h"
#include "frame.h"
#include "guest_limit.h"
#include "vm.h"

#define WAIT	HZ	/* jiffies, as long as something is broken */
#define WAITS	5

static atomic_t questions;	/* asked so far */
static unsigned int answered;	/* of these, the first so many */
static void (*ask_fn)(void);
static DECLARE_WAIT_QUEUE_HEAD(wake);

/* Anybody's, as the same cgroup may pay for it. */
static bool there_are_large(void)
{
	return mrm_counter_read(&mrm_host_counters, MRM_LARGE) > 0 ||
	       mrm_counter_read(&mrm_host_counters, MRM_LARGE_HELD) > 0;
}

/**
 * mrm_guest_limit() - how near is a VM to the limit of its memory cgroup?
 * @vm: the VM
 *
 * Context: Any.
 * Return: MRM_LIMIT_FAR also if there are no large frames, or it was in vain to ask of late.
 */
enum mrm_limit mrm_guest_limit(struct mrm_vm *vm)
{
	unsigned long vain_until = READ_ONCE(vm->limit_vain_until);

	if (!there_are_large() || (vain_until && time_before(jiffies, vain_until)) ||
	    !mrm_frame_is_short(vm, 0))
		return MRM_LIMIT_FAR;
	return mrm_frame_is_at_limit(vm) ? MRM_LIMIT_AT : MRM_LIMIT_NEAR;
}

/**
 * mrm_guest_limit_flags() - how a fault is to allocate
 * @vm: for whom
 *
 * Context: Any.
 * Return: MRM_KILL_NOBODY if large frames could be broken first, else 0.
 */
gfp_t mrm_guest_limit_flags(struct mrm_vm *vm)
{
	return there_are_large() && mrm_frame_is_short(vm, 0) ? MRM_KILL_NOBODY : 0;
}

/**
 * mrm_guest_limit_ask() - have large frames broken, near the limit
 * @vm: for whom
 * @ask: which
 *
 * Context: Any.
 */
void mrm_guest_limit_ask(struct mrm_vm *vm, enum mrm_limit_ask ask)
{
	void (*fn)(void);

	if (READ_ONCE(vm->limit_asked) < ask)
		WRITE_ONCE(vm->limit_asked, ask);
	/* Whoever counts it sees what it is. */
	smp_mb__before_atomic();
	atomic_inc(&questions);
	fn = READ_ONCE(ask_fn);
	if (fn)
		fn();
}

static bool is_answered(unsigned int question)
{
	return (int)(READ_ONCE(answered) - question) >= 0;
}

static long broken(void)
{
	return mrm_counter_read(&mrm_host_counters, MRM_LARGE_BROKEN);
}

/**
 * mrm_guest_limit_wait() - the same, and wait for it, a second at the most if nothing is broken
 * @vm: for whom
 * @ask: which
 *
 * Context: In a fault, without the lock of a frame; may sleep.
 * Return: 0; -EINTR after a fatal signal.
 */
int mrm_guest_limit_wait(struct mrm_vm *vm, enum mrm_limit_ask ask)
{
	unsigned int question, i;
	long before, left;

	mrm_guest_limit_ask(vm, ask);
	question = atomic_read(&questions);
	for (i = 0; i < WAITS; i++) {
		before = broken();
		left = wait_event_killable_timeout(wake, is_answered(question) ||
						   !mrm_frame_is_short(vm, 0), WAIT);
		if (left < 0)
			return -EINTR;
		if (left || broken() == before)
			break;
	}
	return 0;
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
 * mrm_guest_limit_is_asked() - has somebody asked since the last answer?
 *
 * Context: Any.
 * Return: true if so.
 */
bool mrm_guest_limit_is_asked(void)
{
	return !is_answered(atomic_read(&questions));
}

/**
 * mrm_guest_limit_question() - what is to be answered
 *
 * Context: Before it is looked who has asked; a full barrier.
 * Return: for mrm_guest_limit_answer().
 */
unsigned int mrm_guest_limit_question(void)
{
	unsigned int question = atomic_read(&questions);

	/* Pairs with mrm_guest_limit_ask(). */
	smp_mb();
	return question;
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
