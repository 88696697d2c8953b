// SPDX-License-Identifier: GPL-2.0
#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/wait.h>

#include "counters.h"
#include "frame.h"
#include "guest_limit.h"
#include "vm.h"

#define WAIT		HZ		/* jiffies */
#define WAIT_ALL	(5 * HZ)	/* before a process is ended */
#define VAIN		(1UL * HZ)	/* jiffies, for which nobody asks if it was in vain */
#define VAIN_MOST	(60UL * HZ)	/* and if it was so again and again */

/**
 * struct queue - of those who asked for the same
 * @asked: how many so far
 * @answered: of these, the first so many
 */
struct queue {
	atomic_t asked;
	unsigned int answered;
};

static struct queue queues[MRM_ASK_ALL + 1];	/* by enum mrm_limit_ask */
static void (*ask_fn)(void);
static DECLARE_WAIT_QUEUE_HEAD(wake);

/* Anybody's, as the same cgroup may pay for it. */
static bool there_are_large(void)
{
	return mrm_counter_read(&mrm_host_counters, MRM_LARGE) > 0 ||
	       mrm_counter_read(&mrm_host_counters, MRM_LARGE_HELD) > 0;
}

/* 0 is for never. */
static bool is_before(unsigned long until)
{
	return until && time_before(jiffies, until);
}

/**
 * mrm_guest_limit_is_vain() - was it in vain to ask of late?
 * @vm: for whom
 *
 * Context: Any.
 * Return: true if so.
 */
bool mrm_guest_limit_is_vain(struct mrm_vm *vm)
{
	return is_before(READ_ONCE(vm->limit_vain_until));
}

/**
 * mrm_guest_limit_set_vain() - say so
 * @vm: for whom
 * @vain: whether it was; the more often, the longer it is so
 *
 * Context: One at a time.
 */
void mrm_guest_limit_set_vain(struct mrm_vm *vm, bool vain)
{
	unsigned long longer = vain ? clamp(2 * READ_ONCE(vm->limit_vain), VAIN, VAIN_MOST) : 0;

	WRITE_ONCE(vm->limit_vain, longer);
	WRITE_ONCE(vm->limit_vain_until, vain ? (jiffies + longer) | 1 : 0);
}

/* When there is room for large frames again some may not be in vain. */
static void forget_vain(struct mrm_vm *vm)
{
	if (likely(!READ_ONCE(vm->limit_vain_until)) || mrm_frame_is_short(vm, MRM_LARGE_ROOM))
		return;
	WRITE_ONCE(vm->limit_vain, 0);
	WRITE_ONCE(vm->limit_vain_until, 0);
}

/* Its faults have waited as long as they may, and what they wait for goes on. */
static bool has_waited(struct mrm_vm *vm)
{
	return is_before(READ_ONCE(vm->limit_waited_until));
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
	if (!there_are_large())
		return MRM_LIMIT_FAR;
	if (!mrm_frame_is_short(vm, 0)) {
		forget_vain(vm);
		return MRM_LIMIT_FAR;
	}
	if (mrm_guest_limit_is_vain(vm))
		return MRM_LIMIT_FAR;
	return mrm_frame_is_at_limit(vm) && !has_waited(vm) ? MRM_LIMIT_AT : MRM_LIMIT_NEAR;
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

/* Return: the question's number. */
static unsigned int put_question(struct mrm_vm *vm, enum mrm_limit_ask ask)
{
	unsigned int question;
	void (*fn)(void);

	/* Who asks for less takes nothing back. */
	if (ask == MRM_ASK_ALL)
		WRITE_ONCE(vm->limit_asked, ask);
	else
		cmpxchg(&vm->limit_asked, MRM_ASK_NOTHING, ask);
	/* Whoever counts it, by a full barrier, sees what it is. */
	question = atomic_inc_return(&queues[ask].asked);
	fn = READ_ONCE(ask_fn);
	if (fn)
		fn();
	return question;
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
	put_question(vm, ask);
}

static bool is_answered(enum mrm_limit_ask ask, unsigned int question)
{
	return (int)(READ_ONCE(queues[ask].answered) - question) >= 0;
}

/* Who is about to be ended needs a page; others wait for what is kept free. */
static bool is_served(struct mrm_vm *vm, enum mrm_limit_ask ask)
{
	if (ask == MRM_ASK_ALL)
		return !mrm_frame_is_at_limit(vm);
	return mrm_guest_limit_is_vain(vm) || !mrm_frame_is_short(vm, 0);
}

/**
 * mrm_guest_limit_wait() - the same, and wait for it, a second at the most, or five for all
 * @vm: for whom
 * @ask: which
 *
 * Context: In a fault, without the lock of a frame; may sleep.
 * Return: 0; -EINTR after a fatal signal.
 */
int mrm_guest_limit_wait(struct mrm_vm *vm, enum mrm_limit_ask ask)
{
	unsigned int question = put_question(vm, ask);
	long left;

	left = wait_event_killable_timeout(wake, is_answered(ask, question) || is_served(vm, ask),
					   ask == MRM_ASK_ALL ? WAIT_ALL : WAIT);
	if (!left && ask != MRM_ASK_ALL)
		WRITE_ONCE(vm->limit_waited_until, (jiffies + WAIT) | 1);
	return left < 0 ? -EINTR : 0;
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
	return !is_answered(MRM_ASK_MUCH, atomic_read(&queues[MRM_ASK_MUCH].asked)) ||
	       !is_answered(MRM_ASK_ALL, atomic_read(&queues[MRM_ASK_ALL].asked));
}

/**
 * mrm_guest_limit_question() - what is to be answered
 * @ask: of those who asked for so much
 *
 * Context: Before it is looked who has asked; a full barrier.
 * Return: for mrm_guest_limit_answer(); another one if somebody has asked since.
 */
unsigned int mrm_guest_limit_question(enum mrm_limit_ask ask)
{
	unsigned int question = atomic_read(&queues[ask].asked);

	/* Pairs with put_question(). */
	smp_mb();
	return question;
}

/**
 * mrm_guest_limit_wake() - some may have room by now
 *
 * Context: Any.
 */
void mrm_guest_limit_wake(void)
{
	wake_up_all(&wake);
}

/**
 * mrm_guest_limit_answer() - it has been done
 * @ask: for those who asked for so much
 * @question: up to this one
 *
 * Context: One at a time.
 */
void mrm_guest_limit_answer(enum mrm_limit_ask ask, unsigned int question)
{
	WRITE_ONCE(queues[ask].answered, question);
	mrm_guest_limit_wake();
}
