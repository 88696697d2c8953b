// SPDX-License-Identifier: GPL-2.0
#include <linux/atomic.h>
#include <linux/jiffies.h>

#include "compat.h"
#include "counters.h"
#include "frame.h"
#include "guest_limit.h"
#include "large_limit.h"
#include "large_sweep.h"
#include "vm.h"

#define LEAST		32	/* parts that breaking is to save; who is about to be ended: any */
#define SEARCH_ALL	(4 * HZ)	/* jiffies, for all that are about to be ended; two goes */
#define SEARCH_LEAST	(HZ / 10)	/* and for each */
#define ROUNDS		4	/* others wait for the thread, too */

/* All of these are the thread's of large.c. */
static struct mrm_vm *limited;	/* for whom frames are being broken */
static struct mrm_vm *payer;	/* and whose: its own, or another's whom the same cgroup pays for */
static unsigned int urgent;	/* so many were about to be ended when it began; others stop */
static enum mrm_limit_ask asked;	/* for so much */
static unsigned long each;	/* jiffies for one VM; 0: as long as it takes */
static unsigned long until;	/* jiffies; 0: the same */
static bool had_room;		/* there was for a moment */
static unsigned long search;	/* one for a VM, through all whom the same cgroup pays for */
static long woken;		/* as many had been broken when those were woken that wait */
static unsigned long pass;	/* over all that ask */

static bool is_stopped(void)
{
	return !mrm_large_may_go_on() ||
	       (asked == MRM_ASK_MUCH && mrm_guest_limit_question(MRM_ASK_ALL) != urgent);
}

static long broken(void)
{
	return mrm_counter_read(&mrm_host_counters, MRM_LARGE_BROKEN);
}

/* What is the payer's helps.  Who is about to be ended needs a page, not all that is kept free. */
static bool is_near(void)
{
	bool near = asked == MRM_ASK_ALL ? mrm_frame_is_at_limit(limited) :
					   mrm_frame_is_short(limited, 0);

	had_room |= !near;
	return near && (payer == limited || mrm_frame_shares_limit(limited, payer));
}

static bool go_on(void)
{
	long now = broken();

	/* A page may be all that somebody waits for. */
	if (now != woken) {
		woken = now;
		mrm_guest_limit_wake();
	}
	return !is_stopped() && !(until && time_after(jiffies, until)) && is_near();
}

static void scan(enum mrm_scan_which which, unsigned int least)
{
	struct mrm_large_sweep s = { .scan = which, .saved = least, .at_once = true };

	if (go_on())
		mrm_large_sweep_vm(payer, &s, go_on);
}

/* What is broken of the payer: what is known, those first that save most; what is found out. */
enum what { KNOWN, NEW, ALL };

static void break_payers(enum what what)
{
	unsigned int i, least = asked == MRM_ASK_ALL ? 1 : LEAST;

	payer->limit_search = search;
	if (what == ALL) {
		scan(MRM_SCAN_ALL, least);
		return;
	}
	for (i = 0; i < MRM_LARGE_STEPS && go_on(); i++) {
		struct mrm_large_sweep s = { .saved = mrm_large_least_saved[i], .all = true };

		if (s.saved >= least)
			mrm_large_sweep_vm(payer, &s, go_on);
	}
	if (what == NEW)
		scan(MRM_SCAN_NEW, least);
}

static bool limited_goes_on(void)
{
	payer = limited;
	return go_on();
}

/* Of a VM, and of others that the same cgroup pays for. */
static void break_all(enum what what)
{
	unsigned long id = 0;
	struct mrm_vm *other;

	if (limited_goes_on())
		break_payers(what);
	while (limited_goes_on() && (other = mrm_vm_next(&id))) {
		if (other != limited && mrm_frame_shares_limit(limited, other)) {
			payer = other;
			break_payers(what);
		}
		mrm_vm_put(other);
		mrm_cond_resched();
	}
}

/* There is nothing, and the others that were looked through would find the same. */
static void set_vain(bool find_out)
{
	unsigned long id = 0;
	struct mrm_vm *vm;

	while ((vm = mrm_vm_next(&id))) {
		if (vm->limit_search == search) {
			vm->limit_pass = pass;
			if (find_out)
				mrm_guest_limit_set_vain(vm, true);
			/* It is answered with the others. */
			if (find_out && vm != limited)
				cmpxchg(&vm->limit_asked, asked, MRM_ASK_NOTHING);
		}
		mrm_vm_put(vm);
	}
}

static void serve(struct mrm_vm *vm, bool find_out)
{
	long before = broken();

	limited = vm;
	until = each ? (jiffies + each) | 1 : 0;
	had_room = false;
	search++;
	break_all(find_out ? NEW : KNOWN);
	if (find_out && asked == MRM_ASK_ALL)
		break_all(ALL);
	if (limited_goes_on())
		set_vain(find_out);
	else if (had_room && broken() != before)
		mrm_guest_limit_set_vain(vm, false);
	mrm_guest_limit_wake();
}

/* For how long one is served, of those that asked. */
static unsigned long time_for_each(void)
{
	unsigned long id = 0;
	unsigned int n = 0;
	struct mrm_vm *vm;

	while ((vm = mrm_vm_next(&id))) {
		n += READ_ONCE(vm->limit_asked) == MRM_ASK_ALL;
		mrm_vm_put(vm);
	}
	return max(SEARCH_ALL / 2 / max(n, 1U), SEARCH_LEAST);
}

/* Who was told of late that there is nothing is served only to be spared. */
static bool is_in_vain(struct mrm_vm *vm)
{
	return asked == MRM_ASK_MUCH && mrm_guest_limit_is_vain(vm);
}

/* Those that asked for so much, of what is known; each limit once. */
static void serve_known(void)
{
	unsigned long id = 0;
	struct mrm_vm *vm;

	pass++;
	while (!is_stopped() && (vm = mrm_vm_next(&id))) {
		if (READ_ONCE(vm->limit_asked) == asked && !is_in_vain(vm) &&
		    vm->limit_pass != pass)
			serve(vm, false);
		mrm_vm_put(vm);
	}
}

/* And then what is found out.  Return: false if it was stopped. */
static bool serve_all(enum mrm_limit_ask ask)
{
	unsigned int question = mrm_guest_limit_question(ask);
	unsigned long id = 0;
	struct mrm_vm *vm;

	asked = ask;
	each = ask == MRM_ASK_ALL ? time_for_each() : 0;
	serve_known();
	while (!is_stopped() && (vm = mrm_vm_next(&id))) {
		if (cmpxchg(&vm->limit_asked, ask, MRM_ASK_NOTHING) == ask && !is_in_vain(vm)) {
			serve(vm, true);
			/* What was begun is to be ended. */
			if (is_stopped())
				cmpxchg(&vm->limit_asked, MRM_ASK_NOTHING, ask);
		}
		mrm_vm_put(vm);
		/* That took long, and others are to be spared, too. */
		if (ask == MRM_ASK_ALL && mrm_guest_limit_question(ask) != question) {
			question = mrm_guest_limit_question(ask);
			each = time_for_each();
			serve_known();
		}
	}
	return !is_stopped();
}

/**
 * mrm_large_serve_limits() - break large frames for all that asked for it
 *
 * Context: The thread of large.c; may sleep.
 */
void mrm_large_serve_limits(void)
{
	unsigned int round, much;

	for (round = 0; round < ROUNDS; round++) {
		urgent = mrm_guest_limit_question(MRM_ASK_ALL);
		if (!serve_all(MRM_ASK_ALL))
			return;
		/* Who is not answered does not wait for ever. */
		mrm_guest_limit_answer(MRM_ASK_ALL, urgent);
		much = mrm_guest_limit_question(MRM_ASK_MUCH);
		if (serve_all(MRM_ASK_MUCH)) {
			mrm_guest_limit_answer(MRM_ASK_MUCH, much);
			return;
		}
	}
}
